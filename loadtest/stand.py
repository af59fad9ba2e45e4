"""A test stand: PostgreSQL and Valkey with everything durable, server processes, organisations on the road."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg

from loadtest import world
from loadtest.machine import tree_cpu_s
from loadtest.world import World
from waypost.kernel.principal import Role
from waypost.platform import migrations
from waypost.platform.embedded import EmbeddedStack, provision
from waypost.platform.secretbox import new_key
from waypost.settings import Settings
from waypost.wiring import open_services

PHONE, PASSWORD = "+263771000009", "a password for measuring"
# A load test is one person at one address with all the connections that there are.
UNLIMITED_SOCKETS = {f"WAYPOST_SOCKETS_PER_{whose}": "0" for whose in ("PERSON", "ORGANISATION", "ADDRESS")}
READY_WITHIN_S = 30
LINES_SHOWN = 20


@dataclass(slots=True)
class Stand:
    """``urls`` and ``pids``: one a server process. fsync and synchronous_commit are on."""

    stack: EmbeddedStack
    environment: dict[str, str]
    log: Path
    urls: list[str] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls, nodes: int = 1) -> AsyncIterator[Stand]:
        """Start everything; stop it at the end, each process by its own id."""
        async with AsyncExitStack() as exits:
            folder = Path(tempfile.mkdtemp(prefix="waypost-load-"))
            exits.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.chmod(0o711)  # noqa: ASYNC240 - nothing runs yet that could wait
            # Valkey on a port too: the peer's client takes no Unix socket.
            stack = await exits.enter_async_context(EmbeddedStack(folder / "data", valkey_port=0))
            await provision(stack.postgres)
            await migrations.up(stack.database_dsn(user="waypost_owner"), login="waypost")
            environment = {
                "WAYPOST_DATABASE_URL": stack.database_dsn(),
                "WAYPOST_REDIS_URL": stack.redis_url(),
                "WAYPOST_SIGNING_KEY": "a key for measuring, of more than 32 characters",
                "WAYPOST_ENCRYPTION_KEYS": new_key(),
                "WAYPOST_LOG_LEVEL": "WARNING",
                **UNLIMITED_SOCKETS,
            }
            stand = cls(stack, environment, folder / "server.log")
            exits.callback(stand._complain)
            for _ in range(nodes):
                await exits.enter_async_context(stand.node())
            yield stand

    @asynccontextmanager
    async def node(self, settings: Mapping[str, str] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        """One more server process, with some settings of its own."""
        port = free_port()
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "waypost.cli", "serve", "--port", str(port),
                env={**os.environ, **self.environment, **(settings or {})}, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            await ready(f"{url}/readyz", process)
            self.urls.append(url)
            self.pids.append(process.pid)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def _complain(self) -> None:
        """What the servers had to say: nothing, if all went well."""
        if self.log.is_file() and (said := self.log.read_text(errors="replace").strip()):
            print("the servers said:", *said.splitlines()[-LINES_SHOWN:], sep="\n  ", file=sys.stderr)

    async def world(self, trips: int) -> World:
        """An organisation of its own with so many drivers on the road, no limits on their devices."""
        async with open_services(Settings.from_env(self.environment)) as services:
            return await world.make(services, trips)

    async def owner(self, org_id: UUID) -> None:
        """Somebody who watches that organisation; signs in with PHONE and PASSWORD."""
        async with open_services(Settings.from_env(self.environment)) as services:
            await services.identity.add_user(
                org_id=org_id, name="Owner", role=Role.OWNER, password=PASSWORD, phone=PHONE
            )

    async def sign_in(self, org_id: UUID) -> str:
        """An access token of that organisation's owner, who is made for it."""
        await self.owner(org_id)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.urls[0]}/api/v1/auth/login", json={"phone": PHONE, "password": PASSWORD}) as response,
        ):
            token: str = (await response.json())["accessToken"]
        return token

    @asynccontextmanager
    async def superuser(self, database: str = "waypost") -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection past row-level security, to count and to fill tables with."""
        conn = await self.stack.postgres.connect(database)
        try:
            yield conn
        finally:
            await conn.close()

    async def settle(self) -> None:
        """Write out what the last part left dirty, so that the next does not pay for it."""
        async with self.superuser() as conn:
            await conn.execute("CHECKPOINT")

    def database_cpu_s(self) -> float:
        """User and system time of PostgreSQL with all its processes so far, seconds."""
        pid = self.stack.postgres.pid
        return tree_cpu_s(pid) if pid is not None else 0.0


async def ready(url: str, process: asyncio.subprocess.Process) -> None:
    """Wait until ``url`` is answered well; RuntimeError when the process has ended before that."""
    async with asyncio.timeout(READY_WITHIN_S), aiohttp.ClientSession() as session:
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"a server that is to be measured ended with status {process.returncode}")
            try:
                async with session.get(url) as response:
                    if response.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
