"""Nodes of the bus for tests, each with a log of what it was told, and Valkeys of their own to be stopped and cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.servers import folder
from tests.waiting import until
from waypost.platform.embedded import EmbeddedStack, Valkey
from waypost.platform.redis import BusRedis, open_bus_redis
from waypost.realtime.bus import RedisAway, RedisBus
from waypost.realtime.events import Event, Outgoing, Place, outgoing

ROOM = "org:0190f5c2-8f2e-7a5c-9d7e-3b1f2a4c5d6e:fleet"
NAME = "fleet:positions"


def numbered(number: int, room: str = ROOM, *, key: str | None = None, skip: int = 0) -> Outgoing:
    """An event that carries a number of the test's own."""
    return outgoing(room, NAME, {"n": number}, key=key)._replace(skip=skip)


@dataclass(slots=True)
class Node:
    """A node; ``told``: events, and where it was declared that the room goes on, in the order that they came."""

    redis: BusRedis
    bus: RedisBus
    told: dict[str, list[Event | Place]] = field(default_factory=dict)

    def events(self, room: str = ROOM) -> list[Event]:
        return [each for each in self.told.get(room, []) if isinstance(each, Event)]

    def numbers(self, room: str = ROOM) -> list[int]:
        """The test's own numbers, as they came; an event that only says where the room stands has none."""
        return [event.body["n"] for event in self.events(room) if "n" in event.body]

    def seqs(self, room: str = ROOM) -> list[int]:
        return [event.seq for event in self.events(room)]

    def declared(self, room: str = ROOM) -> list[Place]:
        return [each for each in self.told.get(room, []) if isinstance(each, Place)]

    def assert_nothing_unnoticed(self, room: str = ROOM) -> None:
        """Each event is the next of what was told before it, or of what was declared, or begins another epoch."""
        last: Place | None = None
        for each in self.told.get(room, []):
            if isinstance(each, Event):
                place = Place(each.epoch, each.seq)
                assert last is None or place.seq == last.seq + 1 or place.epoch != last.epoch, (last, place)
                last = place
            else:
                last = each

    async def heard(self, count: int, room: str = ROOM, within_s: float = 10) -> list[int]:
        """The numbers, once there are so many."""
        await until(lambda: len(self.events(room)) >= count, within_s)
        return self.numbers(room)


@asynccontextmanager
async def node(url: str, *, history_events: int = 1000, audit_every_s: float = 20.0) -> AsyncIterator[Node]:
    """One that runs."""
    async with idle_node(url, history_events=history_events, audit_every_s=audit_every_s) as made:
        running = asyncio.create_task(made.bus.run())
        try:
            yield made
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@asynccontextmanager
async def idle_node(
    url: str, *, history_events: int = 1000, history_bytes: int = 4 * 1024 * 1024, audit_every_s: float = 20.0
) -> AsyncIterator[Node]:
    """One that only sends, as a worker does."""
    redis = open_bus_redis(url)
    told: dict[str, list[Event | Place]] = {}

    def deliver(event: Event) -> None:
        told.setdefault(event.room, []).append(event)

    def declare(room: str, place: Place) -> None:
        told.setdefault(room, []).append(place)

    bus = RedisBus(
        redis,
        deliver,
        declare,
        history_events=history_events,
        history_bytes=history_bytes,
        audit_every_s=audit_every_s,
    )
    try:
        yield Node(redis, bus, told)
    finally:
        await bus.close()
        await redis.aclose()


@asynccontextmanager
async def own_valkey(*, durable: bool = False) -> AsyncIterator[Valkey]:
    """A server of this test's own, on a port; it may be stopped and started."""
    with folder() as path:
        async with EmbeddedStack(path / "data", postgres=False, durable=durable, valkey_port=0) as stack:
            yield stack.valkey


async def send_at_last(bus: RedisBus, events: Sequence[Outgoing], within_s: float = 15) -> None:
    """Again and again while Redis is away, as the publisher does. Events need a key to be sent once only."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await bus.send(events)
            except RedisAway as away:
                events = away.unsent
                await asyncio.sleep(0.05)
