"""What both servers are to us: a child process that runs, or does not."""

import subprocess


class ServerProcess:
    """Knows its process once it was started."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether the server runs, ready or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id; None when it does not run."""
        return self._process.pid if self._process and self.alive else None
