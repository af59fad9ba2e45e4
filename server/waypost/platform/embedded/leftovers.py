"""Servers that a killed parent left behind, and process ids that no longer mean what they meant."""

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A server that may still run: its pid file, and what its command line must hold to be ours (all of it)."""

    pid_file: Path
    marks: tuple[str, ...]
    gentle: Signals

    def pid(self) -> int | None:
        """Its process id; None when it is gone or that id now belongs to some other program."""
        pid = recorded_pid(self.pid_file)
        if pid is None:
            return None
        command = command_of(pid)
        return pid if command and all(mark in command for mark in self.marks) else None

    def signal(self, signal: Signals) -> None:
        """Tell it to end, if it runs; nothing otherwise."""
        if (pid := self.pid()) is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal)


def recorded_pid(file: Path) -> int | None:
    """The process id in the first line of ``file``; None without a file or without a number."""
    with suppress(OSError, ValueError):
        lines = file.read_text(errors="replace").splitlines()
        pid = int(lines[0]) if lines else 0
        return pid if pid > 0 else None
    return None


def answers_signals(pid: int) -> bool:
    """Whether ``kill`` finds a process of this id: of anybody's, and a dead one that nobody has waited for too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs: one that only waits to be reaped (in a container) does not."""
    return answers_signals(pid) and command_of(pid) != ""


def command_of(pid: int) -> str:
    """The command line of a process, empty when it has ended."""
    if PROC.is_dir():
        with suppress(OSError):
            return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        return ""
    answer = subprocess.run(  # noqa: S603 - a fixed program and a number
        ["/bin/ps", "-ww", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, command = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else command.strip()
