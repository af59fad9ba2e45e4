"""A Valkey of our own, kept on disk by its append-only file."""

import asyncio
import secrets
import subprocess
import time
from pathlib import Path
from signal import Signals
from urllib.parse import quote

import redis.asyncio
import redis.exceptions

from waypost.platform.embedded.binaries import Binaries
from waypost.platform.embedded.child import ServerProcess
from waypost.platform.embedded.errors import EmbeddedError
from waypost.platform.embedded.folders import Site, private_dir, write_private
from waypost.platform.embedded.leftovers import Leftover
from waypost.platform.embedded.logs import ServerLog
from waypost.platform.embedded.ports import LOOPBACK, free_port
from waypost.platform.embedded.spawn import POLL_S, end, spawn

READY_S = 60.0
STOP = ((Signals.SIGTERM, 15.0), (Signals.SIGKILL, 5.0))


def config_file(data_dir: Path) -> Path:
    """The configuration, written anew at each start; the only argument of the server, so no secret shows in ``ps``."""
    return data_dir / "valkey.conf"


def leftover(data_dir: Path) -> Leftover:
    """How to recognise the server of an earlier run."""
    return Leftover(data_dir / "valkey" / "valkey.pid", (str(config_file(data_dir)),), Signals.SIGTERM)


class Valkey(ServerProcess):
    """One server with its files in ``site.data_dir/valkey``; start and stop may be repeated.

    ``tcp_port`` None listens on a Unix socket only; else on that port of 127.0.0.1 only, 0 for a free one, with a new
    random password (in ``url()``). ``durable`` False keeps nothing on disk.
    """

    def __init__(self, programs: Binaries, site: Site, *, durable: bool = True, tcp_port: int | None = None) -> None:
        self.programs, self.site, self.durable = programs, site, durable
        self.tcp_port = free_port() if tcp_port == 0 else tcp_port
        self.folder = site.data_dir / "valkey"
        self.log = ServerLog(site.data_dir / "valkey.log")
        self._password = secrets.token_urlsafe(32)

    async def start(self) -> None:
        """Up, its data read, and answering on return. EmbeddedError if it cannot."""
        if self.alive:
            return
        private_dir(self.folder, self.site.account)
        write_private(config_file(self.site.data_dir), self._config(), self.site.account)
        self.log.mark()
        self._process = spawn(
            [self.programs.server, config_file(self.site.data_dir)],
            death_signal=Signals.SIGTERM,
            log=self.log.path,
            account=self.site.account,
            keep_fds=[self.site.lock_fd],
        )
        if not await self._ready(self._process):
            await self.stop()
            line = self.log.telling_line()
            raise EmbeddedError(f"Valkey did not start: {line} (see {self.log.path})", log_tail=self.log.tail())

    async def stop(self) -> None:
        """End it, its append-only file written."""
        if self._process is not None:
            await end(self._process, STOP)
            self._process = None

    def url(self) -> str:
        """For redis-py: ``unix:///path``, or ``redis://:password@127.0.0.1:port``."""
        if self.tcp_port is None:
            return f"unix://{quote(str(self._socket))}"
        return f"redis://:{self._password}@{LOOPBACK}:{self.tcp_port}"

    @property
    def _socket(self) -> Path:
        return self.site.socket_dir / "valkey.sock"

    async def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        client = redis.asyncio.Redis.from_url(self.url(), socket_timeout=5)
        try:
            deadline = time.monotonic() + READY_S
            while process.poll() is None and time.monotonic() < deadline:
                if await _answers(client):
                    return True
                await asyncio.sleep(POLL_S)
            return False
        finally:
            await client.aclose()

    def _config(self) -> str:
        where = (
            ["port 0", f"unixsocket {_quoted(self._socket)}", "unixsocketperm 700"]
            if self.tcp_port is None
            else [f"port {self.tcp_port}", f"bind {LOOPBACK}", f"requirepass {self._password}"]
        )
        kept = ["appendonly yes", "appendfsync everysec"] if self.durable else ["appendonly no"]
        lines = [
            *(f"dir {_quoted(self.folder)}", f"pidfile {_quoted(leftover(self.site.data_dir).pid_file)}"),
            *('save ""', *kept, "maxmemory-policy noeviction"),
            *("daemonize no", "set-proc-title no", 'logfile ""', *where),
        ]
        return "".join(f"{line}\n" for line in lines)


async def _answers(client: "redis.asyncio.Redis") -> bool:
    try:
        return bool(await client.ping())
    except (redis.exceptions.RedisError, OSError):  # not listening yet, or still reading its data
        return False


def _quoted(path: Path) -> str:
    """A path as one argument of the configuration."""
    if not str(path).isprintable():
        raise EmbeddedError(f"{path!s} holds characters that Valkey's configuration cannot; choose another folder")
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
