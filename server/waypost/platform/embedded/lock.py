"""One running stack per data folder."""

import asyncio
import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import Signals

from waypost.platform.embedded.errors import EmbeddedError
from waypost.platform.embedded.leftovers import Leftover, is_alive, recorded_pid

GENTLE_S = 20.0
HARD_S = 5.0
POLL_S = 0.02


class DataLock:
    """An exclusive ``flock`` on ``data_dir/lock``, whose text is our process id.

    The servers inherit the descriptor, so the lock stays taken while one of them, or a child of one, still runs after
    we were killed: who gets the lock knows that nobody else has the data open. A bare ``fork`` of us holds it too.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._fd: int | None = None

    async def acquire(self, leftovers: Sequence[Leftover]) -> int:
        """Take the lock and return its descriptor; ends and outwaits ``leftovers`` of a parent that was killed.

        EmbeddedError with the process id when another stack runs here. OSError when the folder cannot be written.
        """
        if self._fd is not None:
            return self._fd
        fd = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            await self._take(fd, leftovers)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return fd

    def release(self) -> None:
        """Let the next one in. Only when the servers have gone: it takes the lock from them too."""
        if self._fd is None:
            return
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)
        self._fd = None

    async def _take(self, fd: int, leftovers: Sequence[Leftover]) -> None:
        if _try(fd):
            return
        for hard, wait_s in ((False, GENTLE_S), (True, HARD_S)):
            self._refuse_if_running()
            for leftover in leftovers:
                leftover.signal(Signals.SIGKILL if hard else leftover.gentle)
            if await self._outwait(fd, wait_s):
                return
        raise EmbeddedError(
            f"another program holds {self.data_dir / 'lock'}; end it, or choose another folder with --data DIR"
        )

    async def _outwait(self, fd: int, wait_s: float) -> bool:
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            if _try(fd):
                return True
            self._refuse_if_running()
        return False

    def _refuse_if_running(self) -> None:
        holder = recorded_pid(self.data_dir / "lock")
        if holder is not None and is_alive(holder):
            raise EmbeddedError(
                f"already running (process {holder}) on {self.data_dir}; "
                "stop it, or choose another folder with --data DIR"
            )


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
