"""A test stand: embedded servers with fsync on, one ``waypost serve`` process or more, an organisation with devices."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from waypost.kernel.principal import Principal, Role
from waypost.platform import migrations
from waypost.platform.embedded import EmbeddedStack, provision
from waypost.platform.secretbox import new_key
from waypost.settings import Settings
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.wiring import open_services

PHONE, PASSWORD = "+263771000009", "a password for measuring"
READY_WITHIN_S = 20


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return {"cores": os.cpu_count(), "python": platform.python_version(), "commit": git.stdout.strip()}


@dataclass(frozen=True, slots=True)
class Driven:
    """A device on a running trip."""

    token: str
    trip_id: str


@dataclass(slots=True)
class Stand:
    """``urls``: one a server process."""

    urls: list[str]
    environment: dict[str, str]
    pids: list[int] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls, nodes: int = 2) -> AsyncIterator[Stand]:
        """Start everything; stop it at the end, each process by its own id."""
        async with AsyncExitStack() as exits:
            folder = Path(tempfile.mkdtemp(prefix="waypost-load-"))
            exits.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.chmod(0o711)  # noqa: ASYNC240 - nothing runs yet that could wait
            stack = await exits.enter_async_context(EmbeddedStack(folder / "data"))
            await provision(stack.postgres)
            await migrations.up(stack.database_dsn(user="waypost_owner"), login="waypost")
            environment = {
                "WAYPOST_DATABASE_URL": stack.database_dsn(),
                "WAYPOST_REDIS_URL": stack.redis_url(),
                "WAYPOST_SIGNING_KEY": "a key for measuring, of more than 32 characters",
                "WAYPOST_ENCRYPTION_KEYS": new_key(),
                "WAYPOST_LOG_LEVEL": "WARNING",
            }
            stand = cls([], environment)
            for _ in range(nodes):
                await exits.enter_async_context(stand.node())
            yield stand

    @asynccontextmanager
    async def node(self) -> AsyncIterator[None]:
        """One more server process."""
        port = _free_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "waypost.cli", "serve", "--port", str(port), env={**os.environ, **self.environment}
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await _ready(url)
            self.urls.append(url)
            self.pids.append(process.pid)
            yield
        finally:
            process.terminate()
            await process.wait()

    async def devices(self, count: int) -> list[Driven]:
        """An organisation with ``count`` drivers on the road; its owner signs in with PHONE and PASSWORD."""
        async with open_services(Settings.from_env(self.environment)) as services:
            org_id = await services.identity.add_organisation("Load")
            user_id = await services.identity.add_user(
                org_id=org_id, name="Owner", role=Role.OWNER, password=PASSWORD, phone=PHONE
            )
            owner = Principal(org_id, Role.OWNER, user_id=user_id)
            made = []
            for number in range(count):
                driver = await services.directory.add_driver(owner, name=f"Driver {number}")
                _, token = await services.directory.add_device(owner, name=f"Phone {number}", driver_id=driver.id)
                trip = await services.trips.create(owner, NewTrip(driver_id=driver.id))
                await services.trips.move(owner, trip.id, Move.START)
                made.append(Driven(token, str(trip.id)))
            return made

    def cpu_s(self, node: int = 0) -> float:
        """User and system time of a server process so far, seconds (Linux)."""
        fields = Path(f"/proc/{self.pids[node]}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _ready(url: str) -> None:
    async with asyncio.timeout(READY_WITHIN_S), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/readyz") as response:
                    if response.ok:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
