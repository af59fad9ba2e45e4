"""``latency``: 500 fixes a second at one node, watched from another: ack to socket; joins meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import cpu_s
from loadtest.percentiles import percentiles
from loadtest.sockets import Socket
from loadtest.stand import Stand
from loadtest.walkers import Reports, Walker
from loadtest.world import World
from waypost.platform.codec import instant_of_ms

FIXES_PER_S = 500
TRIPS = 500
ROOMS_EACH = 125  # of a busy watcher: a connection may be in 128
AT_ONCE = 32
JOINS_PER_S = 20
NEAR, FAR = 0, 1
ALL_SEEN_WITHIN_S, LOOK_S = 5, 0.05
GRACE_S = 4  # then a node hears no more of rooms that its members have left


class Sightings:
    """When each fix was acknowledged, and when its watcher had it."""

    def __init__(self) -> None:
        self.acked: dict[tuple[str, str], float] = {}
        self.seen: dict[tuple[str, str], float] = {}

    def note_ack(self, walker: Walker, at_ms: int, moment: float) -> None:
        self.acked[str(walker.driven.trip_id), instant_of_ms(at_ms)] = moment

    def note_event(self, name: str, body: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if name == "trip:location":
            for fix in body["locations"]:
                self.seen.setdefault((body["tripId"], fix["recordedAt"]), now)

    def delays(self) -> list[float]:
        """Of every fix that was acknowledged; seen before its ack: none. ``LoadtestError`` for one never seen."""
        if missing := self.acked.keys() - self.seen.keys():
            raise LoadtestError(f"of {len(self.acked)} fixes {len(missing)} were never seen")
        return [max(0.0, self.seen[fix] - moment) for fix, moment in self.acked.items()]


async def latency(seconds: float, *, trips: int = TRIPS, fixes_per_s: float = FIXES_PER_S) -> dict[str, Any]:
    """Each trip reports once a second. On the other node each has a watcher of its own, another who watches 125 trips,
    and a dashboard of the whole fleet.
    """
    async with Stand.open(nodes=2) as stand:
        world = await stand.world(trips)
        token = await stand.sign_in(world.org_id)
        quiet = await _joins(stand, world, token, seconds)
        found = {"join_quiet": quiet, **await _under_load(stand, world, token, seconds, fixes_per_s)}
        found["elsewhere"] = await _elsewhere(stand, world, token, seconds, fixes_per_s)
    for name in ("ack_to_socket", "ack_to_busy_socket", "ack_to_fleet", "join_quiet", "join", "fleet_join"):
        say(f"  {name.replace('_', ' ')}: p50 {found[name]['p50_ms']}, p95 {found[name]['p95_ms']} ms")
    return found


async def _under_load(stand: Stand, world: World, token: str, seconds: float, fixes_per_s: float) -> dict[str, Any]:
    say(f"{fixes_per_s:g} fixes/s at one node, {len(world.driven)} trips and their fleet watched from the other")
    sightings, fleet = Sightings(), _Fleet()
    watchers = [await _watch(stand.urls[FAR], token, [trip], sightings) for trip in _trips(world)]
    busy = Sightings()
    watchers += [await _watch(stand.urls[FAR], token, some, busy) for some in _shares(world)]
    dashboard = await Socket.to(stand.urls[FAR], token, heard=lambda payload: fleet.note(dashboard, payload))
    await dashboard.call("fleet:join", {})
    reports = await Reports.to(stand.urls[NEAR], AT_ONCE)
    walkers = [Walker(driven, place) for place, driven in enumerate(world.driven)]
    try:
        posting = asyncio.create_task(reports.steadily(walkers, fixes_per_s, seconds, sightings.note_ack))
        joins = await _joins(stand, world, token, seconds - 1)
        fleet_joins = await _fleet_joins(stand, token)
        posted = await posting
        busy.acked = sightings.acked
        await _all_seen(sightings)
        await _all_seen(busy)
        delays, busy_delays, fleet_delays = sightings.delays(), busy.delays(), fleet.delays(sightings.acked)
    finally:
        reports.close()
        for socket in (*watchers, dashboard):
            socket.close()
    return {
        "ack_to_socket": {"fixes": posted, **percentiles(delays)},
        "ack_to_busy_socket": {"fixes": posted, **percentiles(busy_delays)},
        "ack_to_fleet": {"positions": len(fleet_delays), **percentiles(fleet_delays)},
        "join": joins,
        "fleet_join": fleet_joins,
    }


def _trips(world: World) -> list[str]:
    return [str(driven.trip_id) for driven in world.driven]


def _shares(world: World) -> list[list[str]]:
    ids = _trips(world)
    return [ids[at : at + ROOMS_EACH] for at in range(0, len(ids), ROOMS_EACH)]


async def _watch(url: str, token: str, trips: Sequence[str], sightings: Sightings) -> Socket:
    watcher = await Socket.to(url, token, heard=lambda payload: sightings.note_event(*watcher.read(payload)))
    for trip in trips:
        await watcher.call("trip:join", {"tripId": trip})
    return watcher


class _Fleet:
    """When the dashboard had each vehicle's position."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    def note(self, socket: Socket, payload: bytes) -> None:
        name, body = socket.read(payload)
        if name == "fleet:positions":
            now = time.monotonic()
            for position in body["positions"]:
                self.seen.setdefault(position["recordedAt"], now)

    def delays(self, acked: Mapping[tuple[str, str], float]) -> list[float]:
        """Of those positions that were not overtaken by a newer one within the tick."""
        return [max(0.0, self.seen[at] - moment) for (_, at), moment in acked.items() if at in self.seen]


async def _all_seen(sightings: Sightings) -> None:
    for _ in range(round(ALL_SEEN_WITHIN_S / LOOK_S)):
        if not sightings.acked.keys() - sightings.seen.keys():
            return
        await asyncio.sleep(LOOK_S)


async def _joins(stand: Stand, world: World, token: str, seconds: float) -> dict[str, float]:
    """Somebody opens one trip after another: from the event to its ack, which holds the snapshot."""
    took: list[float] = []
    socket = await Socket.to(stand.urls[FAR], token)
    try:
        for number in range(max(1, round(seconds * JOINS_PER_S))):
            trip = {"tripId": str(world.driven[number % len(world.driven)].trip_id)}
            began = time.monotonic()
            await socket.call("trip:join", trip)
            took.append(time.monotonic() - began)
            await socket.call("trip:leave", trip)
            await asyncio.sleep(max(0.0, began + 1 / JOINS_PER_S - time.monotonic()))
    finally:
        socket.close()
    return {"joins": len(took), **percentiles(took)}


async def _fleet_joins(stand: Stand, token: str, count: int = 10) -> dict[str, float]:
    """The same of a whole fleet, each on a connection of its own."""
    took: list[float] = []
    for _ in range(count):
        socket = await Socket.to(stand.urls[FAR], token)
        began = time.monotonic()
        await socket.call("fleet:join", {})
        took.append(time.monotonic() - began)
        socket.close()
    return {"joins": len(took), **percentiles(took)}


async def _elsewhere(stand: Stand, world: World, token: str, seconds: float, fixes_per_s: float) -> dict[str, Any]:
    """What a node uses while another publishes to rooms that only have members there; and while nobody publishes."""
    say("a node that has no member of the rooms that another publishes to")
    near = [await _watch(stand.urls[NEAR], token, some, Sightings()) for some in _shares(world)]
    far = await Socket.to(stand.urls[FAR], token)
    await asyncio.sleep(GRACE_S)
    reports = await Reports.to(stand.urls[NEAR], AT_ONCE)
    try:
        cpu = cpu_s(stand.pids[FAR])
        await asyncio.sleep(seconds)
        silent, cpu = cpu_s(stand.pids[FAR]) - cpu, cpu_s(stand.pids[FAR])
        walkers = [Walker(driven, place) for place, driven in enumerate(world.driven)]
        posted = await reports.steadily(walkers, fixes_per_s, seconds)
        busy = cpu_s(stand.pids[FAR]) - cpu
    finally:
        reports.close()
        for socket in (*near, far):
            socket.close()
    say(f"  {silent / seconds:.3f} of a core without, {busy / seconds:.3f} with")
    return {
        "silent_cores": round(silent / seconds, 4),
        "publishing_cores": round(busy / seconds, 4),
        "us_per_event": round((busy - silent) / posted * 1e6, 1),
    }
