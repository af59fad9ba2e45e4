"""The one error that the launcher raises on purpose."""


class EmbeddedError(Exception):
    """The embedded servers cannot run; ``str()`` is one line that says why and what to do.

    ``log_tail`` holds the last lines of the server's own log where there are any, for who wants more.
    """

    def __init__(self, message: str, *, log_tail: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.log_tail = log_tail
