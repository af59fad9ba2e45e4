"""Ways to make a room be told something: fixes posted to a node, or events put on the bus as another process does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from loadtest.sockets import Socket
from loadtest.stand import Stand
from loadtest.walkers import Reports, Walker
from loadtest.world import Driven, World
from waypost.platform.redis import open_bus_redis
from waypost.realtime.bus import RedisBus
from waypost.realtime.events import outgoing
from waypost.realtime.service import trip_room

Tell = Callable[[int], Awaitable[None]]
Body = Callable[[], Mapping[str, Any]]
Publish = Callable[[Socket], Awaitable[int]]  # by what one of the members sees; how many updates it were

AT_ONCE = 8  # connections that fixes come by
BEHIND = 3  # events that may be on their way, so that the server never waits for the next
BUS_AT_ONCE, BUS_BEHIND = 10, 20


def busily(url: str, driven: Driven, seconds: float) -> Publish:
    """Fixes of one trip, one after another: the room is never more than some behind."""

    async def publish(watcher: Socket) -> int:
        before = watcher.events
        async with _reports(url, 1) as reports:
            return await reports.busily(Walker(driven), seconds, lambda count: watcher.hear(before + count - BEHIND))

    return publish


def steadily(url: str, driven: Sequence[Driven], per_s: float, seconds: float) -> Publish:
    """So many fixes a second of those trips."""

    async def publish(_watcher: Socket) -> int:
        walkers = [Walker(each, place) for place, each in enumerate(driven)]
        async with _reports(url, AT_ONCE) as reports:
            return await reports.steadily(walkers, per_s, seconds)

    return publish


@asynccontextmanager
async def _reports(url: str, count: int) -> AsyncIterator[Reports]:
    reports = await Reports.to(url, count)
    try:
        yield reports
    finally:
        reports.close()


def by_bus(stand: Stand, world: World, driven: Driven, seconds: float) -> Publish:
    """Events of a trip as fast as its members get them, by a publisher of our own on the bus; no node takes part."""

    async def publish(watcher: Socket) -> int:
        sent, before, began = 0, watcher.events, time.monotonic()
        async with on_bus(stand, world, driven) as tell:
            while time.monotonic() < began + seconds:
                await tell(BUS_AT_ONCE)
                sent += BUS_AT_ONCE
                await watcher.hear(before + sent - BUS_BEHIND)
        return sent

    return publish


@asynccontextmanager
async def on_bus(
    stand: Stand, world: World, driven: Driven, name: str = "trip:location", body: Body | None = None
) -> AsyncIterator[Tell]:
    """Tells a trip's room so many events together; ``body``: of each, in place of a location."""
    redis = open_bus_redis(stand.environment["WAYPOST_REDIS_URL"])
    bus, room = RedisBus(redis), trip_room(world.org_id, driven.trip_id)

    async def tell(count: int) -> None:
        await bus.send([outgoing(room, name, body() if body else location(driven)) for _ in range(count)])

    try:
        yield tell
    finally:
        await bus.close()
        await redis.aclose()


def location(driven: Driven) -> dict[str, Any]:
    """As a node tells of one fix."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fix = {"latitude": -17.8252101, "longitude": 31.0335, "recordedAt": now, "receivedAt": now}
    return {"tripId": str(driven.trip_id), "locations": [{**fix, "accuracy": 5.5, "speed": 13.4}]}
