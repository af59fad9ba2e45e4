"""``stalled``: members of a room that stop reading beside others that read: the delay of those, the server's memory.

Two parts, each on a server process of its own, with ticks off so that nothing hides a delay: *events*, which are never
joined, so that a member is cut for what waits for it, and *positions*, which are, so that it is cut for taking nothing.
Each event is timed from the bus to every reading member. Some of those that are cut read on at once, the rest never.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loadtest.errors import LoadtestError
from loadtest.fanout import NO_TICK
from loadtest.ingest import say
from loadtest.machine import rss_mib
from loadtest.percentiles import percentiles
from loadtest.publishing import Tell, location, on_bus
from loadtest.sockets import Socket
from loadtest.stalling import Stalling
from loadtest.stand import Stand
from loadtest.table import table
from loadtest.world import Driven, World
from waypost.realtime.port import Options

SECONDS = 5.0
MEMBERS, STALLED, EVENTS_PER_S = 100, 100, 500.0
PARTS = {"events": "trip:event", "positions": "trip:location"}
PAD = "." * 1800  # what the kernel holds of a socket, some MB, is to be full after some seconds
MOST_AT_ONCE = 50  # of what is due, where the publisher is behind
WARM_S, LATE_S, LOOK_S = 1.0, 0.5, 0.1
CUT_WITHIN_S, GONE_WITHIN_S, HEARD_WITHIN_S = 40, 15, 10
CUT = re.compile(r"^waypost_slow_clients_cut ([0-9.e+]+)$", re.MULTILINE)
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. ``seconds``: before some stall, and after; ``only``: of the parts; empty: both."""

    seconds: float = SECONDS
    members: int = MEMBERS
    stalled: int = STALLED
    per_s: float = EVENTS_PER_S
    only: frozenset[str] = frozenset()

    @property
    def read_on(self) -> int:
        """So many of the stalled read on once they are cut."""
        return max(1, self.stalled // 10)


@dataclass(slots=True)
class Heard:
    """What the reading members have heard, and its delays in the present phase, seconds. ``prefix``: of an event, up to
    when it was sent.
    """

    prefix: bytes
    count: int = 0
    delays: list[float] = field(default_factory=list)

    def note(self, payload: bytes) -> None:
        if payload.startswith(self.prefix):
            self.count += 1
            begin = len(self.prefix)
            sent_ns = int(payload[begin : payload.index(b",", begin)])
            self.delays.append((time.monotonic_ns() - sent_ns) / 1e9)

    def begin(self) -> list[float]:
        """A phase: its list, which fills."""
        self.delays = []
        return self.delays


@dataclass(slots=True)
class Room:
    """Where one part is measured. ``sent``: how many events so far."""

    plan: Plan
    url: str
    pid: int
    token: str
    driven: Driven
    heard: Heard
    sent: int = 0

    async def join(self, socket: Socket) -> None:
        await socket.call("trip:join", {"tripId": str(self.driven.trip_id)})

    async def cut(self) -> int:
        """How many the server has cut since its start."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as response:
            found = CUT.search(await response.text())
        if found is None:
            raise LoadtestError("the server does not say how many it has cut")
        return int(float(found.group(1)))


async def stalled(plan: Plan) -> dict[str, Any]:
    """Both parts, one after another."""
    found: dict[str, Any] = {"members": plan.members, "stalled": plan.stalled, "events_per_s": plan.per_s}
    async with Stand.open(nodes=0) as stand:
        world, token = await stand.world(len(PARTS)), ""
        for place, part in enumerate(PARTS):
            if plan.only and part not in plan.only:
                continue
            async with stand.node(NO_TICK):
                token = token or await stand.sign_in(world.org_id)
                found[part] = await _part(stand, world, place, part, plan, token)
            del stand.urls[-1], stand.pids[-1]
            say(f"  {part}: {found[part]}")
    return found


async def _part(stand: Stand, world: World, place: int, part: str, plan: Plan, token: str) -> dict[str, Any]:
    heard = Heard(f'42["{PARTS[part]}",{{"at":'.encode())
    room = Room(plan, stand.urls[-1], stand.pids[-1], token, world.driven[place], heard)
    say(f"{part}: {plan.per_s:g}/s to {plan.members} members that read and {plan.stalled} that will stop")
    async with _readers(room):
        async with _published(stand, world, room, PARTS[part]):
            found, delays = await _phases(room)
        await _heard_all(room, part)
    figures = {name: {"heard": len(each), **percentiles(each)} for name, each in delays.items()}
    return {**figures, **found, "ratios": _ratios(figures, found)}


async def _phases(room: Room) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Before, while and after; the delays are looked at when nothing is measured any more."""
    plan, heard, rss = room.plan, room.heard, dict[str, float]()
    await asyncio.sleep(WARM_S)
    delays = {"before": heard.begin()}
    began, sent = time.monotonic(), room.sent
    await asyncio.sleep(plan.seconds)
    heard.begin()
    per_s, rss["before"] = (room.sent - sent) / (time.monotonic() - began), rss_mib(room.pid)
    async with Stalling.of(room.url, room.token, plan.stalled, room.join) as stalling:
        stalling.stop_reading()
        delays["while"], began = heard.begin(), time.monotonic()
        rss["while"] = await _all_cut(room)
        cut_after_s = time.monotonic() - began
        heard.begin()
        told = await stalling.read_on(plan.read_on, GONE_WITHIN_S)
        aborted = await stalling.aborted(GONE_WITHIN_S)
        gone_after_s = time.monotonic() - began
        delays["after"] = heard.begin()
        await asyncio.sleep(plan.seconds)
        heard.begin()
        rss["after"], orphans = rss_mib(room.pid), stalling.orphans()
    return {
        "events_per_s": round(per_s, 1),
        "cut": await room.cut(), "cut_after_s": round(cut_after_s, 1),
        "read_on": plan.read_on, "told": told, "aborted": aborted, "gone_after_s": round(gone_after_s, 1),
        "kernel_still_holds": orphans,
        "rss_mib": {name: round(value, 1) for name, value in rss.items()},
        "bound_mib": round(bound_mib(plan.stalled), 1),
    }, delays  # fmt: skip


def bound_mib(count: int, options: Options = Options()) -> float:  # noqa: B008 - frozen
    """What the settings let so many members hold of the server's memory if they shared nothing: what waits, and a write
    buffer, which is filled up to its mark by a write that is as large at most; with an event over each.
    """
    each = options.backlog_bytes + 2 * options.high_water_bytes + 2 * len(PAD)
    return count * each / MIB


def _ratios(figures: Mapping[str, Mapping[str, float]], found: Mapping[str, Any]) -> dict[str, float]:
    rss, before = found["rss_mib"], figures["before"]["p95_ms"]
    return {
        "p95_while": round(figures["while"]["p95_ms"] / before, 2),
        "p95_after": round(figures["after"]["p95_ms"] / before, 2),
        "rss_to_bound": round(max(0.0, rss["while"] - rss["before"]) / found["bound_mib"], 3),
    }


async def _all_cut(room: Room) -> float:
    """Until the server has cut all who stall, and a moment longer; its largest memory meanwhile."""
    most = rss_mib(room.pid)
    async with asyncio.timeout(CUT_WITHIN_S):
        while await room.cut() < room.plan.stalled:
            most = max(most, rss_mib(room.pid))
            await asyncio.sleep(LOOK_S)
    await asyncio.sleep(LATE_S)
    return max(most, rss_mib(room.pid))


@asynccontextmanager
async def _readers(room: Room) -> AsyncIterator[None]:
    async with AsyncExitStack() as exits:
        for _ in range(room.plan.members):
            reader = await Socket.to(room.url, room.token, heard=room.heard.note)
            exits.callback(reader.close)
            await room.join(reader)
        yield


@asynccontextmanager
async def _published(stand: Stand, world: World, room: Room, name: str) -> AsyncIterator[None]:
    """So many events a second while the block runs."""

    def body() -> dict[str, Any]:
        return {"at": time.monotonic_ns(), **location(room.driven), "pad": PAD}

    stop = asyncio.Event()
    async with on_bus(stand, world, room.driven, name, body) as tell:
        publishing = asyncio.create_task(_tell_steadily(tell, room, stop))
        try:
            yield
        finally:
            stop.set()
            await publishing


async def _tell_steadily(tell: Tell, room: Room, stop: asyncio.Event) -> None:
    """An open loop: each event has its moment, whatever became of those before it."""
    began = time.monotonic()
    while not stop.is_set():
        due = round((time.monotonic() - began) * room.plan.per_s) - room.sent
        if due > 0:
            count = min(due, MOST_AT_ONCE)
            await tell(count)
            room.sent += count
        else:
            await asyncio.sleep(1 / room.plan.per_s)


async def _heard_all(room: Room, part: str) -> None:
    """Nobody who reads has missed anything; a position that is overtaken may stand in a later one."""
    wanted = room.sent * room.plan.members
    with suppress(TimeoutError):
        async with asyncio.timeout(HEARD_WITHIN_S):
            while room.heard.count < wanted:  # noqa: ASYNC110 - another process decides when
                await asyncio.sleep(LOOK_S)
    if part == "events" and room.heard.count != wanted:
        raise LoadtestError(f"{room.sent} events to {room.plan.members} that read: {room.heard.count} came")


def report(figures: Mapping[str, Any]) -> str:
    """The figures, a table for each part."""
    tables = []
    for part in PARTS:
        if (found := figures.get(part)) is None:
            continue
        rows = [[part, "p50 ms", "p95 ms", "p99 ms", "most ms", "resident MiB"]]
        for phase in ("before", "while", "after"):
            of = found[phase]
            times = [f"{of[name]:g}" for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
            rows.append([phase, *times, f"{found['rss_mib'][phase]:g}"])
        ratios = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in found["ratios"].items())
        ends = (
            f"cut: {found['cut']} of {figures['stalled']} after {found['cut_after_s']:g} s; told why:"
            f" {found['told']} of {found['read_on']} who read on; aborted: {found['aborted']} who did not."
            f" Bound: {found['bound_mib']:g} MiB."
        )
        tables += [table(rows), f"{ends}\n{ratios}"]
    return "\n\n".join(tables)
