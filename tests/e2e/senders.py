"""Phones that keep each batch until the server has said yes to it, as a phone must, while servers are killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.e2e.commands import get
from tests.e2e.roads import Road, Roads
from tests.factories import Org, Phone
from tests.servers import Servers
from tests.waiting import until

BATCH = 10
NEVER_LONGER_S = 15
ACKNOWLEDGED_WITHIN_S = 90  # though the server is killed and started meanwhile
STEP = timedelta(milliseconds=2)
# However fast it reports, no fix is ahead of the server's clock, whose own time it would be given; and all are within
# the grace of the trip that they name.
BEGAN_BEFORE = timedelta(minutes=4)
ROWS = "SELECT raw_at FROM fixes WHERE device_id = $1"


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

    async def has_rows(self, phone: Phone, count: int) -> bool:
        return len(await self.rows(phone)) == count

    async def read_back(self, url: str, phone: Phone) -> set[datetime]:
        """The times of the trip's fixes, by the public API."""
        assert phone.trip is not None
        found: set[datetime] = set()
        query = ""
        while True:
            path = f"{url}/api/v1/trips/{phone.trip.id}/locations?limit=200&flagged=true{query}"
            status, page = await get(path, self.token)
            assert status == 200, page
            found |= {datetime.fromisoformat(fix["recordedAt"]) for fix in page["data"]}
            if not page["hasMore"]:
                return found
            query = f"&cursor={page['nextCursor']}"

    async def kill_postgresql(self) -> None:
        """As by ``kill -9``."""
        pid = self.servers.stack.postgres.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not self.servers.stack.postgres.alive)


@dataclass(slots=True)
class Sender:
    """A phone, and the road by which it reports."""

    phone: Phone
    roads: Roads
    road: Road = Roads.json
    stream: str = field(default_factory=lambda: str(uuid4()))
    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - BEGAN_BEFORE)
    sent: int = 0
    acknowledged: set[datetime] = field(default_factory=set)
    accepted: int = 0
    duplicates: int = 0
    said: Counter[str] = field(default_factory=Counter)

    def time_of(self, n: int) -> datetime:
        return self.began + n * STEP

    def times(self) -> set[datetime]:
        """Of all that it has begun to send."""
        return {self.time_of(n) for n in range(self.sent)}

    def batch(self) -> list[int]:
        """The numbers of the next batch."""
        numbers = list(range(self.sent, self.sent + BATCH))
        self.sent += BATCH
        return numbers

    def body(self, numbers: Sequence[int]) -> dict[str, Any]:
        began_ms = int(self.began.timestamp() * 1000)
        fixes = [
            {"latitude": -17.8 - n / 1e7, "longitude": 31.05, "timestamp": began_ms + 2 * n, "n": n} for n in numbers
        ]
        assert self.phone.trip is not None
        return {"tripId": str(self.phone.trip.id), "stream": self.stream, "locations": fixes}

    async def post(self, numbers: Sequence[int]) -> tuple[int, Any]:
        """One try; status 0 when the connection failed. TimeoutError when it hangs."""
        async with asyncio.timeout(NEVER_LONGER_S):
            status, answer = await self.road(self.roads, self.phone.token, self.body(numbers))
            return status, answer

    async def send(self, numbers: Sequence[int]) -> Any:
        """Try until it is acknowledged; the answer. AssertionError when it never is."""
        clock = asyncio.get_running_loop()
        began = clock.time()
        while clock.time() - began < ACKNOWLEDGED_WITHIN_S:
            status, answer = await self.post(numbers)
            if status == 200:
                self.acknowledged |= {self.time_of(n) for n in numbers}
                self.accepted += answer["accepted"]
                self.duplicates += answer["duplicates"]
                return answer
            self.said[f"{status} {(answer or {}).get('code', '')}".strip()] += 1
            await asyncio.sleep(0.05)  # a phone's patience between two tries
        raise AssertionError(f"not acknowledged within {ACKNOWLEDGED_WITHIN_S} s; what was said in place: {self.said}")

    async def storm(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.send(self.batch())


@dataclass(slots=True)
class Storm:
    """Phones that report all the time."""

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

    def moves(self, roads: Roads) -> None:
        """From its next try on, each reports there."""
        for sender in self.senders:
            sender.roads = roads

    @property
    def words(self) -> set[str]:
        """Every answer that was no 200; "0": no connection."""
        return {word for sender in self.senders for word in sender.said}

    def count(self, word: str) -> int:
        return sum(sender.said[word] for sender in self.senders)


@asynccontextmanager
async def storming(world: World, url: str, by: Sequence[Road]) -> AsyncIterator[Storm]:
    """Phones, one a road, that report to the server there, or to where it should be."""
    async with AsyncExitStack() as exits:
        roads = await exits.enter_async_context(Roads.to(url))
        senders, stop = [Sender(await world.org.phone(), roads, road) for road in by], asyncio.Event()
        tasks = [asyncio.create_task(sender.storm(stop)) for sender in senders]
        try:
            yield Storm(senders, tasks, stop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def check(world: World, url: str, senders: Sequence[Sender]) -> None:
    """Rows = what was sent = what was acknowledged, by the database and by the API."""
    for sender in senders:
        rows = await world.rows(sender.phone)
        stored = set(rows)
        assert len(rows) == len(stored), f"{len(rows) - len(stored)} fixes are stored twice"
        same(stored, sender.times(), "stored, and sent")
        same(sender.acknowledged, stored, "acknowledged, and stored")
        assert sender.accepted + sender.duplicates == sender.sent, (sender.accepted, sender.duplicates, sender.sent)
        same(await world.read_back(url, sender.phone), stored, "read back, and stored")


def same(ones: set[datetime], others: set[datetime], what: str) -> None:
    """AssertionError with what is in one of them only: pytest explains no assertion of this module."""
    lacking, beyond = ([at.isoformat() for at in sorted(some)] for some in (others - ones, ones - others))
    assert ones == others, f"{what}, {len(ones)} and {len(others)}: the first lack {lacking} and have {beyond} beyond"
