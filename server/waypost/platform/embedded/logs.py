"""What a server wrote since it was started last, for the one line that says why it ended."""

from contextlib import suppress
from pathlib import Path

LARGEST_BYTES = 16 * 2**20
TAIL_BYTES = 8192
TELLING = ("PANIC:", "FATAL:", "error:", "ERROR:", "Fatal", "fatal", "can't", "Can't")


class ServerLog:
    """A server's log file. Call ``mark`` before each start: ``tail`` is of what came after it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def mark(self) -> None:
        """Remember where this start begins; a log that has grown large makes way, one old one is kept."""
        with suppress(FileNotFoundError):
            if self.path.stat().st_size > LARGEST_BYTES:
                self.path.replace(self.path.with_suffix(".log.1"))
        self._start = self.path.stat().st_size if self.path.exists() else 0

    def tail(self) -> str:
        """The last lines since the mark, at most 8 KiB."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(self._start, end - TAIL_BYTES))
            return file.read().decode(errors="replace").strip()

    def telling_line(self) -> str:
        """The last line that names the cause, else the last line."""
        lines = self.tail().splitlines()
        return next((line for line in reversed(lines) if any(word in line for word in TELLING)), (lines or [""])[-1])
