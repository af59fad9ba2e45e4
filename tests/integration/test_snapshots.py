"""An old snapshot and what was told since are the new snapshot: for any history, any joins, any reconnects.

Two nodes, clients that lose their connections at any moment, phones that report late, doubtfully and through either
node, trips that begin and end, a Redis that is emptied in between. What a client shows in the end must be what one sees
who has just come.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org, Phone
from tests.integration.test_device_assignments import begun_an_hour_ago
from tests.integration.test_http_tracking import location, ping
from tests.integration.test_sockets import far
from tests.waiting import listening, until
from waypost.client.client import WaypostClient
from waypost.client.link import Road
from waypost.client.membership import Ack, Handlers
from waypost.client.room import RoomEvent
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip

__all__ = ["far"]  # the fixture

PHONES, CLIENTS, STEPS = 4, 4, 60
SEEDS, SEEDS_LONG = range(3), range(3, 100)
ROADS = [("websocket", "json"), ("polling", "json"), ("websocket", "msgpack"), ("polling", "msgpack")]
Shown = tuple[str, float] | None


def shown(position: Any) -> Shown:
    return (position["recordedAt"], position["latitude"]) if position else None


@dataclass
class View:
    """What one client shows: changed by snapshots and events, and by nothing else."""

    client: WaypostClient
    running: dict[str, int] = field(default_factory=dict)  # trip -> version
    vehicles: dict[str, Shown] = field(default_factory=dict)
    trips: dict[str, Shown] = field(default_factory=dict)  # of trips that it has joined
    versions: dict[str, int] = field(default_factory=dict)
    leave: dict[str, Any] = field(default_factory=dict)

    def watch_fleet(self) -> None:
        self.client.join_fleet(Handlers(snapshot=self._snapshot, event=self._event))

    def watch(self, trip: str) -> None:
        def position(now: Any) -> None:
            self.trips[trip] = shown(now)

        self.leave[trip] = self.client.join_trip(trip, Handlers(position=position))

    def unwatch(self, trip: str) -> None:
        self.leave.pop(trip)()
        self.trips.pop(trip, None)

    def _snapshot(self, ack: Ack) -> None:
        self.running = {trip["id"]: trip["version"] for trip in ack["trips"]}
        self.versions |= self.running
        self.vehicles = {p["vehicleId"]: shown(p) for p in ack["positions"]}

    def _event(self, event: RoomEvent) -> None:
        if event.name == "fleet:positions":
            self.vehicles |= {p["vehicleId"]: shown(p) for p in event.payload["positions"]}
        elif event.name == "trip:event":
            trip = event.payload["trip"]
            if trip["version"] < self.versions.get(trip["id"], 0):
                return
            self.versions[trip["id"]] = trip["version"]
            self.running.pop(trip["id"], None)
            if trip["status"] == "started":
                self.running[trip["id"]] = trip["version"]


@dataclass
class History:
    """What happens, one thing after another, as chance has it."""

    chance: random.Random
    nodes: tuple[Api, Api]
    org: Org
    phones: list[Phone]
    views: list[View]
    redis: Any
    age_s: float = 3000.0

    async def step(self) -> None:
        deed = self.chance.choices(
            [self.report, self.jump, self.end_and_begin, self.lose, self.wander, self.empty, self.breathe],
            [10, 2, 2, 3, 3, 0.3, 3],
        )[0]
        await deed()

    async def report(self) -> None:
        self.age_s -= 5
        age_s = self.age_s + self.chance.choice([0, 0, 0, 0, 2, 40])
        here = -17 - self.chance.random() / 1000
        await ping(self.chance.choice(self.nodes), self.chance.choice(self.phones), location(age_s, latitude=here))

    async def jump(self) -> None:
        phone, node = self.chance.choice(self.phones), self.chance.choice(self.nodes)
        for latitude in (-17.0, -21.0, -17.0005):
            self.age_s -= 5
            await ping(node, phone, location(self.age_s, latitude=latitude))

    async def end_and_begin(self) -> None:
        number = self.chance.randrange(len(self.phones))
        phone, trips = self.phones[number], self.org.services.trips
        assert phone.trip is not None
        await trips.move(self.org.owner, phone.trip.id, Move.COMPLETE)
        new = await trips.create(self.org.owner, NewTrip(driver_id=phone.trip.driver_id))
        self.phones[number] = replace(phone, trip=await trips.move(self.org.owner, new.id, Move.START))

    async def lose(self) -> None:
        link = self.chance.choice(self.views).client.link
        if link is not None:
            link.lost.set()

    async def wander(self) -> None:
        view = self.chance.choice(self.views)
        if view.leave and self.chance.random() < 0.5:
            view.unwatch(self.chance.choice(sorted(view.leave)))
        phone = self.chance.choice(self.phones)
        assert phone.trip is not None
        view.watch(str(phone.trip.id))

    async def empty(self) -> None:
        await self.redis.flushall()

    async def breathe(self) -> None:
        await asyncio.sleep(self.chance.random() / 5)


@asynccontextmanager
async def views(org: Org, urls: tuple[str, str], seed: int) -> AsyncIterator[list[View]]:
    """Clients on every road, each with an address order of its own."""
    token = await org.token()

    async def same(_refused: str | None) -> str | None:
        return token

    async with AsyncExitStack() as exits:
        found = []
        for number in range(CLIENTS):
            transport, codec = ROADS[(number + seed) % len(ROADS)]
            road = Road(urls if number % 2 else urls[::-1], (transport,), codec)  # type: ignore[arg-type]  # of ROADS
            view = View(await exits.enter_async_context(WaypostClient(road, same, jitter=lambda: 0.1)))
            view.watch_fleet()
            found.append(view)
        yield found


async def truth(api: Api, org: Org, trips: set[str]) -> tuple[dict[str, int], dict[str, Shown], dict[str, Shown]]:
    """What one sees who has just come."""
    async with listening(api.url, await org.token()) as socket:
        fleet = await socket.join_fleet()
        positions = {trip: shown((await socket.join(trip))["position"]) for trip in trips}
        running = {trip["id"]: trip["version"] for trip in fleet["trips"]}
        return running, {p["vehicleId"]: shown(p) for p in fleet["positions"]}, positions


@pytest.mark.parametrize("seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.long) for seed in SEEDS_LONG)])
async def test_an_old_snapshot_and_what_was_told_since_are_the_new_one(api: Api, far: Api, org: Org, seed: int):
    phones = [await org.phone() for _ in range(PHONES)]
    for phone in phones:
        await begun_an_hour_ago(org.services, phone)
    async with views(org, (api.url, far.url), seed) as clients:
        history = History(random.Random(seed), (api, far), org, phones, clients, org.services.redis)  # noqa: S311
        for _ in range(STEPS):
            await history.step()
        watched = {trip for view in clients for trip in view.leave}
        running, vehicles, positions = await truth(api, org, watched)
        for view in clients:
            await until(lambda view=view: view.running == running and view.vehicles == vehicles, within_s=20)
            seen = {trip: positions[trip] for trip in view.leave}
            await until(lambda view=view, seen=seen: {t: view.trips.get(t) for t in view.leave} == seen, within_s=20)
