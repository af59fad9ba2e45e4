"""The publisher while the bus serves its members alone: what must be told to all is left to a relay."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from tests.fakes.clock import FakeClock
from waypost.realtime.events import Outgoing, outgoing
from waypost.realtime.outbox import Row
from waypost.realtime.record import RedisAway
from waypost.realtime.service import Queued, Realtime


class AloneBus:
    """Tells its own members, and cannot send what has a key."""

    def __init__(self) -> None:
        self.told: list[Outgoing] = []

    async def send(self, events: Sequence[Outgoing]) -> None:
        self.told += events
        away = RedisAway()
        away.unsent, away.is_told_here = [event for event in events if event.key is not None], True
        if away.unsent:
            raise away


async def test_a_promise_that_only_members_here_heard_of_keeps_its_row_and_what_comes_behind_is_told():
    bus, forgotten = AloneBus(), list[Row]()

    async def forget(rows: Sequence[Row]) -> None:
        forgotten.extend(rows)

    realtime = Realtime(bus, FakeClock(), 0.05, forget)
    running = asyncio.create_task(realtime.run())
    try:
        for number in range(3):
            row = Row(UUID(int=1), "room", UUID(int=number))
            realtime.queue.put_nowait(Queued(outgoing("room", "event", {"n": number}, key=f"key {number}"), row))
            realtime.queue.put_nowait(Queued(outgoing("room", "event", {"n": 10 + number})))
        for _ in range(50):
            await asyncio.sleep(0)
        assert [event.head for event in bus.told] == [
            outgoing("room", "event", {"n": number}).head for number in (0, 10, 1, 11, 2, 12)
        ]
        assert realtime.queue.empty()
        assert forgotten == []
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
