"""PostgreSQL and Valkey on one data folder, started and stopped as one thing."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from waypost.platform.embedded import postgres as postgresql
from waypost.platform.embedded import valkey as valkeys
from waypost.platform.embedded.account import Account, default_data_dir, resolve_account
from waypost.platform.embedded.binaries import Binaries, find_postgres, find_valkey
from waypost.platform.embedded.copies import reachable
from waypost.platform.embedded.errors import EmbeddedError
from waypost.platform.embedded.folders import Site, explain, forget_socket_dir, prepare_data_dir, socket_dir
from waypost.platform.embedded.lock import DataLock
from waypost.platform.embedded.postgres import Postgres
from waypost.platform.embedded.valkey import Valkey

LOOK_EACH_S = 0.2


class EmbeddedStack:
    """Both servers, or one of them, on ``data_dir``: ``async with`` it, or ``start()`` and ``stop()``, repeatable.

    It runs once per folder: a second start is an EmbeddedError, as is every cause that a person can remove. Start it
    from the main thread; when this process dies, by kill -9 too, the servers end with it. After one of them has died
    alone, ``start()`` brings it back. ``timings`` are seconds: binaries, lock, initdb, postgres, valkey, start, stop.

    ``account``: whom they run as when we are root (nobody). ``durable`` False is for tests. A port makes that server
    listen on 127.0.0.1 (0: a free port); by default both are on Unix sockets only.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        postgres: bool = True,
        valkey: bool = True,
        durable: bool = True,
        account: str | None = None,
        postgres_bin: Path | None = None,
        valkey_bin: Path | None = None,
        postgres_port: int | None = None,
        valkey_port: int | None = None,
        max_connections: int = 100,
    ) -> None:
        self.data_dir = (data_dir or default_data_dir()).expanduser().resolve()
        self.durable, self.max_connections = durable, max_connections
        self.timings: dict[str, float] = {}
        self._wanted = (postgres, valkey)
        self._account_name = account
        self._programs = (postgres_bin, valkey_bin)
        self._ports = (postgres_port, valkey_port)
        self._lock = DataLock(self.data_dir)
        self._postgres: Postgres | None = None
        self._valkey: Valkey | None = None

    @property
    def postgres(self) -> Postgres:
        """The running PostgreSQL. EmbeddedError before the start, or when it was not asked for."""
        if self._postgres is None:
            raise EmbeddedError("the embedded PostgreSQL has not been started")
        return self._postgres

    @property
    def valkey(self) -> Valkey:
        """The running Valkey. EmbeddedError before the start, or when it was not asked for."""
        if self._valkey is None:
            raise EmbeddedError("the embedded Valkey has not been started")
        return self._valkey

    def database_dsn(self, user: str = "waypost", database: str = "waypost") -> str:
        """An address for asyncpg and for dbmate; see ``provision`` for the roles."""
        return self.postgres.dsn(user, None, database)

    def redis_url(self) -> str:
        """An address for redis-py."""
        return self.valkey.url()

    async def start(self) -> Self:
        """Both up and answering on return; whatever has been started is stopped again when one cannot."""
        try:
            with self._timed("start"):
                await self._start()
        except OSError as error:
            await self.stop()
            raise explain(error, self.data_dir) from error
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        """End both and free the data folder."""
        servers = [server for server in (self._postgres, self._valkey) if server is not None]
        if servers:
            with self._timed("stop"):
                await asyncio.gather(*(server.stop() for server in servers))
            forget_socket_dir(self.data_dir)
        self._postgres = self._valkey = None
        self._lock.release()

    async def failed(self) -> EmbeddedError:
        """Return when a started server has ended by itself, with the words for it."""
        while True:
            for name, server in (("PostgreSQL", self._postgres), ("Valkey", self._valkey)):
                if server is not None and not server.alive:
                    why = server.log.telling_line() or "no word in its log"
                    return EmbeddedError(f"{name} ended by itself: {why} (see {server.log.path})")
            await asyncio.sleep(LOOK_EACH_S)

    async def _start(self) -> None:
        if self._postgres is None and self._valkey is None:
            await self._prepare()
        servers = (("postgres", self._postgres), ("valkey", self._valkey))
        starts = [self._start_one(name, server) for name, server in servers if server is not None]
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _prepare(self) -> None:
        account = resolve_account(self._account_name)
        prepare_data_dir(self.data_dir, account)
        with self._timed("lock"):
            fd = await self._lock.acquire([postgresql.leftover(self.data_dir), valkeys.leftover(self.data_dir)])
        with self._timed("binaries"):
            postgres, valkey = await asyncio.to_thread(self._find, account)
        site = Site(self.data_dir, socket_dir(self.data_dir, account), account, fd)
        postgres_port, valkey_port = self._ports
        if postgres is not None:
            self._postgres = Postgres(
                postgres, site, durable=self.durable, max_connections=self.max_connections, tcp_port=postgres_port
            )
        if valkey is not None:
            self._valkey = Valkey(valkey, site, durable=self.durable, tcp_port=valkey_port)

    def _find(self, account: Account) -> tuple[Binaries | None, Binaries | None]:
        copies = self.data_dir / "programs"
        want_postgres, want_valkey = self._wanted
        postgres_bin, valkey_bin = self._programs
        return (
            reachable(find_postgres(postgres_bin), account, copies) if want_postgres else None,
            reachable(find_valkey(valkey_bin), account, copies) if want_valkey else None,
        )

    async def _start_one(self, name: str, server: Postgres | Valkey) -> None:
        with self._timed(name):
            await server.start()
        if isinstance(server, Postgres) and server.initdb_s is not None:
            self.timings["initdb"] = round(server.initdb_s, 3)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.timings[step] = round(time.monotonic() - begun, 3)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
