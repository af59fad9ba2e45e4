"""A server that dies on the way between the commit and the bus loses no event, and doubles none.

The processes are the real ones, fsync is on; who watches sits at another node.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.chaos.proxy import proxy_to
from tests.e2e.commands import Running, free_port, is_ready, serving
from tests.e2e.senders import World
from tests.e2e.workers import RELAY, begin, running
from tests.waiting import Listener, listening, until
from waypost.trips.domain import Trip
from waypost.trips.service import NewTrip
from waypost.wiring import Services

MORTAL = ("tests.e2e.mortal_server",)
WITHIN_S = 40
CHANCE = SystemRandom()


async def planned_trip(world: World) -> Trip:
    services: Services = world.org.services
    driver = await services.directory.add_driver(world.org.owner, name=f"Driver {CHANCE.random()}")
    return await services.trips.create(world.org.owner, NewTrip(driver_id=driver.id))


async def post(world: World, url: str, path: str, body: object = None) -> int:
    """The answer's status; 0: there was none."""
    headers = {"Authorization": f"Bearer {world.token}"}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/api/v1{path}", headers=headers, json=body or {}) as response,
        ):
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return 0


async def rows(world: World) -> int:
    conn = await world.servers.stack.postgres.connect(world.database)
    try:
        return int(await conn.fetchval("SELECT count(*) FROM room_events"))
    finally:
        await conn.close()


async def status(world: World, trip: Trip) -> str:
    return str((await world.org.services.trips.find(world.org.owner, trip.id)).status)


@asynccontextmanager
async def watching(world: World, node: Running, trip: Trip) -> AsyncIterator[Listener]:
    async with listening(node.url, world.token) as socket:
        await socket.join(trip.id)
        await socket.join_fleet()
        yield socket


def kinds(socket: Listener, trip: Trip, room: str) -> list[str]:
    """What was told of the trip in its own room, or in the fleet's. Nothing may be told twice."""
    found: list[Any] = [
        one for one in socket.all("trip:event") if one["room"] == room and one["tripId"] == str(trip.id)
    ]
    assert len({one["eventId"] for one in found}) == len(found)
    return [one["kind"] for one in found if one["kind"] != "created"]  # the test's own process never published that


async def dies(world: World, point: str, trip: Trip) -> None:
    """Start the trip at a server that is killed at that point of it."""
    port = free_port()
    server = await begin(*MORTAL, point, str(port), env=world.env)
    await until(lambda: is_ready(f"http://127.0.0.1:{port}"), WITHIN_S)
    await post(world, f"http://127.0.0.1:{port}", f"/trips/{trip.id}/start")
    assert await asyncio.wait_for(server.wait(), WITHIN_S) == -signal.SIGKILL


@pytest.mark.timeout(300)
async def test_killed_just_before_the_commit_nothing_happened_and_nobody_hears_of_it(world: World):
    trip = await planned_trip(world)
    async with running(*RELAY, env=world.env), serving(world.env) as node, watching(world, node, trip) as socket:
        await dies(world, "promised", trip)
        assert await status(world, trip) == "planned"
        await nothing_is_left(world)
        assert await post(world, node.url, f"/trips/{trip.id}/start") == 200
        await until(lambda: kinds(socket, trip, "trip") and kinds(socket, trip, "fleet"), WITHIN_S)
        assert kinds(socket, trip, "trip") == kinds(socket, trip, "fleet") == ["started"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", ["committed", "sent"])
async def test_killed_after_the_commit_it_is_told_once_at_another_node(world: World, point: str):
    trip = await planned_trip(world)
    async with running(*RELAY, env=world.env), serving(world.env) as node, watching(world, node, trip) as socket:
        await dies(world, point, trip)
        assert await status(world, trip) == "started"
        await until(lambda: kinds(socket, trip, "trip") and kinds(socket, trip, "fleet"), WITHIN_S)
        await nothing_is_left(world)  # so the relay has published what it found, whether that was told or not
        assert await post(world, node.url, f"/trips/{trip.id}/complete") == 200
        await until(lambda: "completed" in kinds(socket, trip, "trip"), WITHIN_S)
        await until(lambda: "completed" in kinds(socket, trip, "fleet"), WITHIN_S)
        assert kinds(socket, trip, "trip") == kinds(socket, trip, "fleet") == ["started", "completed"]
        told = [one["seq"] for one in socket.all("trip:event") if one["room"] == "trip"]
        assert told == list(range(told[0], told[0] + len(told)))  # a repeat that was dropped took no number


@pytest.mark.timeout(300)
async def test_without_a_relay_another_server_tells_it(world: World):
    trip = await planned_trip(world)
    async with serving(world.env) as node, watching(world, node, trip) as socket:
        await dies(world, "committed", trip)
        await until(lambda: kinds(socket, trip, "trip") == ["started"], WITHIN_S)
        await nothing_is_left(world)


async def nothing_is_left(world: World) -> None:
    async def none() -> bool:
        return await rows(world) == 0

    await until(none, WITHIN_S)


@pytest.mark.timeout(300)
async def test_what_happened_while_redis_was_away_is_told_once_it_is_back(world: World):
    """To the node whose link was cut; others reach Redis all the time."""
    upstream = urlsplit(world.env["WAYPOST_REDIS_URL"])
    async with proxy_to(Path(upstream.path) if upstream.scheme == "unix" else int(upstream.port or 0)) as link:
        cut_off = world.env | {"WAYPOST_REDIS_URL": f"redis://127.0.0.1:{link.port}"}
        trips = [await planned_trip(world) for _ in range(5)]
        async with (
            running(*RELAY, env=world.env),
            serving(world.env) as node,
            serving(cut_off) as other,
            listening(node.url, world.token) as socket,
        ):
            for trip in trips:
                await socket.join(trip.id)
            link.refusing = True
            link.cut()
            for trip in trips[:-1]:
                assert await post(world, other.url, f"/trips/{trip.id}/start") == 200
            for trip in trips[:-1]:  # the relay's link is good
                await until(lambda trip=trip: kinds(socket, trip, "trip") == ["started"], WITHIN_S)
            link.heal()
            assert await post(world, other.url, f"/trips/{trips[-1].id}/start") == 200
            await until(lambda: kinds(socket, trips[-1], "trip") == ["started"], WITHIN_S)
            await nothing_is_left(world)
        assert [kinds(socket, trip, "trip") for trip in trips] == [["started"]] * 5


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [5, pytest.param(40, marks=pytest.mark.long)])
async def test_kills_at_any_moment_lose_and_double_no_event_of_what_was_committed(world: World, rounds: int):
    async with running(*RELAY, env=world.env), serving(world.env) as node, listening(node.url, world.token) as socket:
        await socket.join_fleet()
        trips = [[await planned_trip(world) for _ in range(8)] for _ in range(rounds)]
        for batch in trips:
            async with serving(world.env) as mortal:
                starts = [asyncio.create_task(post(world, mortal.url, f"/trips/{t.id}/start")) for t in batch]
                await asyncio.sleep(CHANCE.random() / 10)  # a moment of no meaning, not one to wait for
                await mortal.kill()
                await asyncio.gather(*starts)
        await nothing_is_left(world)
        for trip in [trip for batch in trips for trip in batch]:
            expected = ["started"] if await status(world, trip) == "started" else []
            await until(lambda trip=trip, expected=expected: kinds(socket, trip, "fleet") == expected, WITHIN_S)
