"""What children of a process tree say: their bytes cut into lines, the lines written without ever waiting."""

import asyncio
import os
import queue
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

LONGEST_LINE_BYTES = 8192
QUEUED_LINES = 2000
LAST_WORDS_S = 1.0
"""How long we read on after a child's end: something of its own may still hold the pipe."""


class Lines(asyncio.Protocol):
    """Cuts a pipe's bytes into lines; of a line past 8 KiB it keeps the beginning and drops the rest."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.closed = asyncio.Event()
        self._say = say
        self._held = bytearray()
        self._dropped = 0

    def data_received(self, data: bytes) -> None:
        """Say the lines that ``data`` completes."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._hold(part)
            self._let_go()
        self._hold(rest)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Say the last line, if it had no end."""
        if self._held:
            self._let_go()
        self.closed.set()

    def _hold(self, part: bytes) -> None:
        room = LONGEST_LINE_BYTES - len(self._held)
        self._held += part[:room]
        self._dropped += max(0, len(part) - room)

    def _let_go(self) -> None:
        line = self._held.decode(errors="replace").rstrip("\r")
        self._say(f"{line} ... ({self._dropped} bytes more)" if self._dropped else line)
        self._held.clear()
        self._dropped = 0


class Console:
    """Writes lines from a thread, so that a terminal or pipe that nobody reads holds up neither us nor a child.

    While 2,000 lines wait, further ones are dropped, and their number is written when it goes on.
    """

    def __init__(self, out: TextIO) -> None:
        self.colours = out.isatty() and not os.environ.get("NO_COLOR")
        self._fd = os.dup(out.fileno())  # the thread closes it, however late
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUED_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name="console", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Never waits."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    async def close(self) -> None:
        """Write what waits, unless nobody takes it within a second or two."""
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        with suppress(queue.Full):
            self._lines.put(None, timeout=LAST_WORDS_S)
        self._thread.join(LAST_WORDS_S)

    def _work(self) -> None:
        with os.fdopen(self._fd, "wb", 0) as out, suppress(OSError):  # nobody reads us any more
            while (line := self._lines.get()) is not None:
                if self._dropped:
                    line, self._dropped = f"... ({self._dropped} lines dropped)\n{line}", 0
                data = f"{line}\n".encode(errors="replace")
                while data:
                    select.select([], [out], [])  # somebody may have made our terminal non-blocking
                    data = data[out.write(data) or 0 :]
