"""Child programs that cannot outlive us, and how to end them."""

import asyncio
import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from signal import Signals

from waypost.platform.embedded.account import Account
from waypost.platform.embedded.errors import EmbeddedError

PR_SET_PDEATHSIG = 1
POLL_S = 0.01
CLEAN_ENV = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that a server gets of the environment: none of our secrets, none of libpq's variables, messages in English."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(death_signal: Signals) -> Callable[[], None] | None:
    """What a child runs before its program starts, so that the kernel sends it ``death_signal`` when we die.

    None where the kernel cannot (not Linux). The signal belongs to the thread that forks, not to the process, so a
    child is started from the main thread; EmbeddedError otherwise. It runs after a change of user, which clears it.
    """
    if _libc is None:
        return None
    if threading.current_thread() is not threading.main_thread():
        raise EmbeddedError("programs can only be started from the main thread: they would end with this one")
    parent, prctl, number = os.getpid(), _libc.prctl, int(death_signal)

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)

    return prepare


def spawn(
    args: Sequence[str | Path], *, death_signal: Signals, log: Path, account: Account, keep_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a server as ``account``, in a session of its own (a Ctrl-C reaches only us), its output added to ``log``.

    ``keep_fds`` stay open in it: a lock among them is held for as long as it or a child of it lives.
    """
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - a program that we found, no shell
            [str(arg) for arg in args],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(death_signal),  # noqa: PLW1509 - the parent-death signal has no other way in
            pass_fds=tuple(keep_fds),
            cwd="/",
            env=CLEAN_ENV,
            user=account.uid if account.other else None,
            group=account.gid if account.other else None,
            extra_groups=[] if account.other else None,
        )
    except OSError as error:
        raise EmbeddedError(f"{args[0]} does not run here: {error.strerror or error}") from error
    finally:
        os.close(output)


async def ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
    """Wait for the child's end, looking each 10 ms; False when it still runs after ``within_s``."""
    deadline = time.monotonic() + within_s
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


async def end(process: subprocess.Popen[bytes], steps: Sequence[tuple[Signals, float]]) -> None:
    """Send each signal in turn and wait its seconds, until the child has ended. A child already gone is fine."""
    for signal, wait_s in steps:
        if process.poll() is not None:
            return
        process.send_signal(signal)
        if await ended(process, wait_s):
            return
