"""P1 and P2 with real kills, fsync on: an acknowledged fix is never missing, a fix sent again adds nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.e2e.commands import free_port, get, is_ready, serving
from tests.e2e.proxy import proxy_to
from tests.factories import Org, Phone, organisation
from tests.servers import Servers, running_servers
from tests.waiting import until
from waypost.settings import Settings
from waypost.wiring import open_services

BATCH = 10
CHANCE = SystemRandom()
NEVER_LONGER_S = 15
ROWS = "SELECT raw_at FROM fixes WHERE device_id = $1"


@pytest.fixture(scope="module")
def durable() -> Iterator[Servers]:
    with running_servers(durable=True) as started:
        yield started


@dataclass(slots=True)
class World:
    """One database with an organisation, and the settings of a server over it."""

    servers: Servers
    database: str
    env: dict[str, str]
    org: Org
    token: str

    async def rows(self, phone: Phone) -> list[datetime]:
        conn = await self.servers.stack.postgres.connect(self.database)
        try:
            return [row["raw_at"] for row in await conn.fetch(ROWS, phone.device_id)]
        finally:
            await conn.close()

    async def read_back(self, url: str, phone: Phone) -> set[datetime]:
        """The times of the trip's fixes, by the public API."""
        assert phone.trip is not None
        found: set[datetime] = set()
        query = ""
        while True:
            path = f"{url}/api/v1/trips/{phone.trip.id}/locations?limit=200{query}"
            status, page = await get(path, self.token)
            assert status == 200
            found |= {datetime.fromisoformat(fix["recordedAt"]) for fix in page["data"]}
            if not page["hasMore"]:
                return found
            query = f"&cursor={page['nextCursor']}"


@pytest.fixture
async def world(durable: Servers) -> AsyncIterator[World]:
    name = await durable.create_database()
    env = durable.environment(name)
    async with open_services(Settings.from_env(env)) as services:
        org = await organisation(services)
        yield World(durable, name, env, org, await org.token())
    await durable.drop_database(name)


@dataclass(slots=True)
class Sender:
    """A phone that keeps a batch until the server has said 200 to it, as a phone must."""

    phone: Phone
    url: str
    stream: str = field(default_factory=lambda: str(uuid4()))
    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    sent: int = 0
    acknowledged: set[datetime] = field(default_factory=set)
    accepted: int = 0
    duplicates: int = 0
    said: Counter[str] = field(default_factory=Counter)

    def time_of(self, n: int) -> datetime:
        return self.began + timedelta(milliseconds=2 * n)

    def batch(self) -> list[int]:
        """The numbers of the next batch."""
        numbers = list(range(self.sent, self.sent + BATCH))
        self.sent += BATCH
        return numbers

    def body(self, numbers: list[int]) -> dict[str, Any]:
        fixes = [
            {"latitude": -17.8 - n / 1e5, "longitude": 31.05, "timestamp": self.time_of(n).isoformat(), "n": n}
            for n in numbers
        ]
        assert self.phone.trip is not None
        return {"tripId": str(self.phone.trip.id), "stream": self.stream, "locations": fixes}

    async def post(self, url: str, numbers: list[int]) -> tuple[int, Any]:
        """One try; status 0 when the connection failed. TimeoutError when it hangs."""
        headers = {"Authorization": f"Bearer {self.phone.token}"}
        try:
            async with (
                asyncio.timeout(NEVER_LONGER_S),
                aiohttp.ClientSession() as session,
                session.post(f"{url}/api/v1/tracking/ping", json=self.body(numbers), headers=headers) as response,
            ):
                return response.status, await response.json(content_type=None)
        except aiohttp.ClientError:
            return 0, None

    async def send(self, numbers: list[int]) -> Any:
        """Try until it is acknowledged; the answer."""
        while True:
            status, answer = await self.post(self.url, numbers)
            if status == 200:
                self.acknowledged |= {self.time_of(n) for n in numbers}
                self.accepted += answer["accepted"]
                self.duplicates += answer["duplicates"]
                return answer
            self.said[f"{status} {(answer or {}).get('code', '')}".strip()] += 1
            await asyncio.sleep(0.05)  # a phone's patience between two tries

    async def storm(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.send(self.batch())


async def test_killed_between_commit_and_answer_nothing_is_lost_and_the_resend_adds_nothing(world: World):
    sender, port = Sender(await world.org.phone(), ""), free_port()
    numbers = sender.batch()
    async with serving(world.env, port) as server, proxy_to(port) as proxy:
        proxy.holding = True
        posting = asyncio.create_task(sender.post(proxy.url, numbers))
        await until(lambda: has_rows(world, sender.phone, BATCH))
        assert not posting.done()
        await server.kill()
        assert not posting.done()
        proxy.cut()
        assert (await posting)[0] == 0
    async with serving(world.env, port) as server:
        sender.url = server.url
        answer = await sender.send(numbers)
        assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (0, BATCH, [])
        assert len(await world.rows(sender.phone)) == BATCH
        assert await world.read_back(server.url, sender.phone) == {sender.time_of(n) for n in numbers}


async def test_killed_right_after_the_answer_every_acknowledged_fix_is_there_at_the_next_read(world: World):
    sender, port = Sender(await world.org.phone(), ""), free_port()
    for _ in range(3):
        async with serving(world.env, port) as server:
            sender.url = server.url
            assert await world.read_back(server.url, sender.phone) == sender.acknowledged
            assert (await sender.send(sender.batch()))["accepted"] == BATCH
            await server.kill()
    async with serving(world.env, port) as server:
        assert await world.read_back(server.url, sender.phone) == sender.acknowledged
        assert len(sender.acknowledged) == 3 * BATCH


@dataclass(slots=True)
class Storm:
    """Phones that post all the time."""

    senders: list[Sender]
    tasks: list[asyncio.Task[None]]
    stop: asyncio.Event

    async def goes_on(self, batches: int) -> None:
        """Wait until each has had so many more batches acknowledged."""
        goals = [(sender, len(sender.acknowledged) + batches * BATCH) for sender in self.senders]

        def reached() -> bool:
            for task in self.tasks:
                if task.done():
                    task.result()
            return all(len(sender.acknowledged) >= goal for sender, goal in goals)

        await until(reached, within_s=60)

    async def ends(self) -> None:
        """Each has its last batch acknowledged."""
        self.stop.set()
        await asyncio.wait_for(asyncio.gather(*self.tasks), 60)

    @property
    def words(self) -> set[str]:
        """Every answer that was no 200; "0": no connection."""
        return {word for sender in self.senders for word in sender.said}

    def count(self, word: str) -> int:
        return sum(sender.said[word] for sender in self.senders)


@asynccontextmanager
async def storming(world: World, url: str) -> AsyncIterator[Storm]:
    """Four phones that post to the server there, or to where it should be."""
    senders, stop = [Sender(await world.org.phone(), url) for _ in range(4)], asyncio.Event()
    tasks = [asyncio.create_task(sender.storm(stop)) for sender in senders]
    try:
        yield Storm(senders, tasks, stop)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def check(world: World, storm: Storm) -> None:
    """Rows = what was sent = what was acknowledged, by the database and by the API."""
    for sender in storm.senders:
        rows = await world.rows(sender.phone)
        assert len(rows) == len(set(rows)) == sender.sent
        assert sender.acknowledged == set(rows) == {sender.time_of(n) for n in range(sender.sent)}
        assert sender.accepted + sender.duplicates == sender.sent
        assert await world.read_back(sender.url, sender.phone) == set(rows)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.long)])
async def test_a_storm_with_kills_of_the_server_loses_and_doubles_nothing(world: World, kills: int):
    port = free_port()
    async with storming(world, f"http://127.0.0.1:{port}") as storm:
        for _ in range(kills):
            async with serving(world.env, port) as server:
                await storm.goes_on(batches=CHANCE.randint(1, 8))
                await asyncio.sleep(CHANCE.random() / 20)  # a moment of no meaning, not one to wait for
                await server.kill()
        async with serving(world.env, port):
            await storm.goes_on(batches=1)
            await storm.ends()
            await check(world, storm)
        assert storm.words == {"0"}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.long)])
async def test_kills_of_postgresql_are_503s_and_the_server_recovers_by_itself(world: World, kills: int):
    async with serving(world.env) as server, storming(world, server.url) as storm:
        for _ in range(kills):
            await storm.goes_on(batches=CHANCE.randint(2, 6))
            await kill_postgresql(world)
            seen = storm.count("503 database-away")
            await until(lambda seen=seen: storm.count("503 database-away") > seen, within_s=20)
            assert not await is_ready(server.url)
            await world.servers.stack.start()
            await until(lambda: is_ready(server.url), within_s=20)
        await storm.goes_on(batches=2)
        await storm.ends()
        assert server.process.returncode is None
        assert "request_failed" not in server.text
        assert storm.words == {"503 database-away"}
        await check(world, storm)


async def has_rows(world: World, phone: Phone, count: int) -> bool:
    return len(await world.rows(phone)) == count


async def kill_postgresql(world: World) -> None:
    pid = world.servers.stack.postgres.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not world.servers.stack.postgres.alive)
