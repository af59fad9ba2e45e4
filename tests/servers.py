"""A private PostgreSQL and Valkey for a run of the tests, started by the product's own launcher."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.pooler import running_pooler
from waypost.platform import migrations
from waypost.platform.embedded import EmbeddedStack, provision

TEMPLATE = "waypost_template"
KEYS = {
    "WAYPOST_SIGNING_KEY": "a signing key of the tests, 32 characters and more",
    "WAYPOST_ENCRYPTION_KEYS": "YSBrZXkgb2YgMzIgYnl0ZXMgZm9yIHRlc3RzIG9ubHk=",
}
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers, with a migrated template database."""

    stack: EmbeddedStack
    pooler_port: int | None = None  # of a PgBouncer that stands between

    def environment(self, database: str) -> dict[str, str]:
        """The settings of a process that uses ``database``."""
        direct = self.stack.database_dsn(database=database)
        pooled = {
            "WAYPOST_DATABASE_URL": f"postgres://waypost@127.0.0.1:{self.pooler_port}/{database}?sslmode=disable",
            "WAYPOST_DATABASE_LISTEN_URL": direct,
            "WAYPOST_DATABASE_POOLER": "true",
        }
        return (pooled if self.pooler_port else {"WAYPOST_DATABASE_URL": direct}) | {
            "WAYPOST_REDIS_URL": self.stack.redis_url(),
            **KEYS,
            "WAYPOST_POOL_MIN": "1",
        }

    async def create_database(self) -> str:
        """A fresh database with the whole schema; its name."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        conn = await self.stack.postgres.connect("postgres")
        try:
            await conn.execute(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
        finally:
            await conn.close()
        return name

    async def drop_database(self, name: str) -> None:
        conn = await self.stack.postgres.connect("postgres")
        try:
            await conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await conn.close()


POOLER_TRIES_AGAIN_S = 0.5  # several times its `server_login_retry`


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that the servers' account can enter too (pytest's own is closed to it when we are root)."""
    path = Path(tempfile.mkdtemp(prefix="waypost-test-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running_servers(*, durable: bool = False, pooled: bool = False) -> Iterator[Servers]:
    """Start both, migrate the template; stop both. ``pooled``: with a PgBouncer in transaction mode between."""
    with folder() as path:
        stack = EmbeddedStack(path / "data", durable=durable, max_connections=200)
        asyncio.run(_start(stack))
        try:
            if not pooled:
                yield Servers(stack)
                return
            query = parse_qs(urlsplit(stack.database_dsn()).query)
            with running_pooler(query["host"][0], int(query["port"][0]), path / "pooler") as port:
                yield Servers(stack, port)
        finally:
            asyncio.run(stack.stop())


async def _start(stack: EmbeddedStack) -> None:
    await stack.start()
    await provision(stack.postgres, TEMPLATE)
    await migrations.up(stack.database_dsn(user="waypost_owner", database=TEMPLATE), login="waypost")


@asynccontextmanager
async def database_away(servers: Servers) -> AsyncIterator[None]:
    """Nobody gets a connection, and those that are open are cut."""
    conn = await servers.stack.postgres.connect("postgres")
    try:
        await conn.execute("ALTER ROLE waypost NOLOGIN")
        await conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'waypost'")
        yield
    finally:
        await conn.execute("ALTER ROLE waypost LOGIN")
        await conn.close()
        if servers.pooler_port is not None:  # it says no for a while after its own login was refused
            await asyncio.sleep(POOLER_TRIES_AGAIN_S)
