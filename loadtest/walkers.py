"""Drivers who move: fixes of now, steady enough that none is a jump, posted as fast or as often as asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from loadtest.client import PING, Connection
from loadtest.errors import LoadtestError
from loadtest.world import Driven

OK, AWAY = 200, 503
AGAIN_S = 0.2
MPS = 13.4
E7_PER_MS = MPS / 0.011132 / 1000  # ten-millionths of a degree of latitude
TURN_MS = 3_600_000  # there and back
Acked = Callable[["Walker", int, float], None]


@dataclass(slots=True)
class Walker:
    """A phone; its fixes are of the moment, and no two of the same millisecond."""

    driven: Driven
    place: int = 0  # each has a street of its own
    last_ms: int = 0
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.head = (
            f"POST {PING} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.driven.token}\r\nContent-Length: "
        ).encode()

    def request(self, now_ms: int) -> tuple[bytes, int]:
        """The next one with its one fix, and that fix's time."""
        self.last_ms = at = max(now_ms, self.last_ms + 1)
        way = at % (2 * TURN_MS)
        latitude = -17.8 + min(way, 2 * TURN_MS - way) * E7_PER_MS / 1e7
        body = (
            f'{{"locations":[{{"latitude":{latitude:.7f},"longitude":{31 + self.place % 1000 / 1000:.7f},'
            f'"timestamp":{at},"accuracy":5.5,"speed":{MPS}}}]}}'
        ).encode()
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body), at


@dataclass(slots=True)
class Reports:
    """Keep-alive connections that walkers share."""

    connections: Sequence[Connection]
    patient: bool = False  # send what was refused for now again, as phones do
    refused: int = 0
    free: asyncio.Queue[Connection] = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Queue()
        for each in self.connections:
            self.free.put_nowait(each)

    @classmethod
    async def to(cls, url: str, count: int, *, patient: bool = False) -> Reports:
        return cls([await Connection.to(url) for _ in range(count)], patient)

    def close(self) -> None:
        for each in self.connections:
            each.close()

    async def post(self, walker: Walker, acked: Acked | None = None) -> None:
        """One fix; ``acked`` gets its time and the moment of the answer. ``LoadtestError`` when it is not accepted."""
        connection = await self.free.get()
        request, at = walker.request(time.time_ns() // 1_000_000)
        try:
            status, answer = await connection.ask(request)
            while status == AWAY and self.patient:
                self.refused += 1
                await asyncio.sleep(AGAIN_S)
                status, answer = await connection.ask(request)
        except ConnectionError as error:
            raise LoadtestError(f"the server that is measured went away: {error}") from error
        self.free.put_nowait(connection)
        if status != OK or (b'"accepted":1' not in answer and not self.refused) or b'"flagged":[{' in answer:
            raise LoadtestError(f"the server answered {status}: {answer[:200].decode(errors='replace')}")
        if acked is not None:
            acked(walker, at, time.monotonic())

    async def steadily(
        self, walkers: Sequence[Walker], per_s: float, seconds: float, acked: Acked | None = None
    ) -> int:
        """So many a second, each walker in its turn, whatever the server does; how many it were."""
        tasks: set[asyncio.Task[None]] = set()
        began, count = time.monotonic(), 0
        try:
            while (due := count / per_s) < seconds:
                await asyncio.sleep(max(0.0, began + due - time.monotonic()))
                while len(tasks) >= len(self.connections):
                    tasks -= _ended(await _first(tasks))
                tasks.add(asyncio.create_task(self.post(walkers[count % len(walkers)], acked)))
                count += 1
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return count

    async def busily(self, walker: Walker, seconds: float, seen: Callable[[int], Awaitable[None]]) -> int:
        """One after another, each once the last was answered and ``seen`` so many; how many it were."""
        began, count = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            await self.post(walker)
            count += 1
            await seen(count)
        return count


async def _first(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return done


def _ended(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    for task in tasks:
        task.result()
    return tasks
