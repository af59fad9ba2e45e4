"""``roads``: a message by WebSocket, by long-polling and by plain requests, as JSON and as msgpack: bytes and CPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from loadtest import polling
from loadtest.client import Connection
from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import cpu_s
from loadtest.publishing import on_bus
from loadtest.sockets import Codec, Json, Packed, Socket
from loadtest.stand import Stand
from loadtest.table import table
from loadtest.walkers import Reports, Walker
from loadtest.world import Driven, World

MEMBERS = 200
EVENTS_PER_S = 10  # of one trip; each is a message to everyone
ASKS_PER_S = 1  # of each who asks by plain requests
SETTLED_S = 2  # who watches has been told
SILENT_S = 0.5
OK = 200


class Member(Protocol):
    """Who gets messages, by whatever road."""

    events: int

    @property
    def bytes_in(self) -> int: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured."""

    stand: Stand
    world: World
    token: str

    @property
    def driven(self) -> Driven:
        return self.world.driven[0]

    @property
    def join(self) -> tuple[str, dict[str, str]]:
        return "trip:join", {"tripId": str(self.driven.trip_id)}


async def roads(seconds: float = 5, members: int = MEMBERS) -> dict[str, Any]:
    """The same trip for as many members each time, told by way of the bus, so that no report is counted."""
    found: dict[str, Any] = {"members": members, "events_per_s": EVENTS_PER_S}
    async with Stand.open() as stand:
        world = await stand.world(1)
        place = Place(stand, world, await stand.sign_in(world.org_id))
        ways: dict[str, Callable[[], AbstractAsyncContextManager[Sequence[Member]]]] = {
            "websocket_json": lambda: _sockets(place, members, Json()),
            "websocket_msgpack": lambda: _sockets(place, members, Packed()),
            "polling_json": lambda: _polls(place, members),
        }
        for name, way in ways.items():
            async with way() as some:
                found[name] = await _measured(place, some, seconds)
            say(f"  {name.replace('_', ' ')}: {found[name]}")
        found["plain_requests"] = await _asking(place, members, seconds)
        say(f"  plain requests: {found['plain_requests']}")
    return found


@asynccontextmanager
async def _sockets(place: Place, count: int, codec: Codec) -> AsyncIterator[Sequence[Member]]:
    made: list[Socket] = []
    try:
        for _ in range(count):
            made.append(await Socket.to(place.stand.urls[0], place.token, codec=codec))
            await made[-1].call(*place.join)
        yield made
    finally:
        for member in made:
            member.close()


@asynccontextmanager
async def _polls(place: Place, count: int) -> AsyncIterator[Sequence[Member]]:
    made, running = await polling.members(place.stand.urls[0], place.token, count, *place.join)
    try:
        yield made
    finally:
        running.cancel()
        for member in made:
            member.close()
        with suppress(asyncio.CancelledError):
            await running


async def _measured(place: Place, members: Sequence[Member], seconds: float) -> dict[str, float]:
    await asyncio.sleep(SETTLED_S)
    pid, told = place.stand.pids[0], round(seconds * EVENTS_PER_S)
    events, size, cpu = _events(members), sum(member.bytes_in for member in members), cpu_s(pid)
    async with on_bus(place.stand, place.world, place.driven) as tell:
        for _ in range(told):
            await tell(1)
            await asyncio.sleep(1 / EVENTS_PER_S)
    await _silence(members)
    cpu, messages = cpu_s(pid) - cpu, _events(members) - events
    size = sum(member.bytes_in for member in members) - size
    return {
        "messages": messages,
        "events_per_message": round(told * len(members) / messages, 2),
        "bytes_per_message": round(size / messages),
        "us_per_message": round(cpu / messages * 1e6, 1),
    }


def _events(members: Sequence[Member]) -> int:
    return sum(member.events for member in members)


async def _silence(members: Sequence[Member]) -> None:
    before = -1
    while before != (now := _events(members)):
        before = now
        await asyncio.sleep(SILENT_S)


async def _report(place: Place) -> None:
    """One fix, so that there is a position to ask for."""
    reports = await Reports.to(place.stand.urls[0], 1)
    try:
        await reports.post(Walker(place.driven))
    finally:
        reports.close()


async def _asking(place: Place, count: int, seconds: float) -> dict[str, float]:
    """`GET /tracking/trips/{id}/latest`, once a second each."""
    url, pid = place.stand.urls[0], place.stand.pids[0]
    await _report(place)
    connections = [await Connection.to(url) for _ in range(count)]
    request = (
        f"GET /api/v1/tracking/trips/{place.driven.trip_id}/latest HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {place.token}\r\n\r\n"
    ).encode()
    cpu, loop = cpu_s(pid), asyncio.get_running_loop()
    began, turns = loop.time(), max(1, round(seconds * ASKS_PER_S))

    async def ask(number: int, connection: Connection) -> None:
        for turn in range(turns):
            await asyncio.sleep(max(0.0, began + (turn + number / count) / ASKS_PER_S - loop.time()))
            status, answer = await connection.ask(request)
            if status != OK:
                raise LoadtestError(f"the server answered {status}: {answer[:200].decode(errors='replace')}")

    try:
        await asyncio.gather(*(ask(number, connection) for number, connection in enumerate(connections)))
    finally:
        for connection in connections:
            connection.close()
    answers = turns * count
    return {
        "messages": answers,
        "bytes_per_message": round(sum(each.bytes_in for each in connections) / answers),
        "us_per_message": round((cpu_s(pid) - cpu) / answers * 1e6, 1),
    }


def report(figures: Mapping[str, Any]) -> str:
    """The figures as a table."""
    rows = [["", "bytes a message, to the client", "us of server CPU a message"]]
    for name, found in figures.items():
        if isinstance(found, Mapping) and "messages" in found:
            title = name.replace("_", " ")
            rows.append([title, str(found["bytes_per_message"]), f"{found['us_per_message']:.1f}"])
    return table(rows)
