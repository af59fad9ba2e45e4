"""``fanout``: server CPU for each message to a room of a thousand: ours, the limit, the peer, the stock library."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from loadtest import flood, peer
from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import ROOT, cpu_s
from loadtest.publishing import Publish, busily, by_bus, steadily
from loadtest.sockets import Socket
from loadtest.stand import Stand, free_port, ready
from loadtest.table import table
from loadtest.world import World

JOINED_WITHIN_S = 8  # all members' joins are answered
HEARD_WITHIN_S = 3  # after the last fix
SILENT_S = 0.4
UPDATES_PER_S = 200
VEHICLES = 50
# How many messages a second are sent to be measured: less than each can, so that none piles up.
LIMIT_PER_S, PEER_PER_S, STOCK_PER_S = 100, 40, 8
NO_TICK = {"WAYPOST_CROWD_TICK_MS": "0", "WAYPOST_SOCKET_TICK_MS": "0"}
NEAR, TICKED = 0, 1  # the nodes: without a tick, and with the settings that a node has by itself
OURS = ("ours", "ours_near", "ours_elsewhere")
TITLES = {
    "limit": "limit: send(2) in C",
    "ours": "ours, events as fast as they come",
    "ours_near": "ours, each by a fix, all that it costs",
    "ours_elsewhere": "ours, each by a fix to another node",
    "peer": "peer",
    "stock": "stock python-socketio",
    "limit_ten": "limit, ten frames a send",
    "tick_trip": "ours, 50 ms tick, a trip at 200 fixes/s",
    "tick_fleet": "ours, 50 ms tick, a fleet at 200 fixes/s",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float = 10
    rounds: int = 1
    members: int = 1000
    yardstick: Path | None = None
    only: frozenset[str] = frozenset()  # of the parts; empty: all


@dataclass(frozen=True, slots=True)
class Arena:
    """What all parts share."""

    plan: Plan
    stand: Stand
    tools: flood.Tools
    world: World
    token: str
    other: peer.Peer | None
    library: tuple[str, int]  # address and process of the stock library's server


async def fanout(plan: Plan) -> dict[str, Any]:
    """Every part in one run on one machine, in turns; the medians are compared."""
    async with _arena(plan) as arena:
        rounds: list[dict[str, Any]] = []
        for number in range(plan.rounds):
            say(f"round {number + 1} of {plan.rounds}")
            rounds.append(await _round(arena))
    return {"members": plan.members, "rounds": rounds, "medians": medians(rounds), "ratios": ratios(medians(rounds))}


@asynccontextmanager
async def _arena(plan: Plan) -> AsyncIterator[Arena]:
    async with AsyncExitStack() as exits:
        tools = await flood.build(plan.yardstick, Path(exits.enter_context(tempfile.TemporaryDirectory())))
        stand = await exits.enter_async_context(Stand.open(nodes=0))
        for settings in (NO_TICK, {}):
            await exits.enter_async_context(stand.node(settings))
        world = await stand.world(1 + VEHICLES)
        token = await stand.sign_in(world.org_id)
        yield Arena(
            plan, stand, tools, world, token, await _peer(plan, stand, exits), await exits.enter_async_context(stock())
        )


async def _peer(plan: Plan, stand: Stand, exits: AsyncExitStack) -> peer.Peer | None:
    if why := peer.why_not(plan.yardstick):
        say(f"without the peer: {why}")
        return None
    assert plan.yardstick is not None  # noqa: S101 - for the types
    return await exits.enter_async_context(peer.running(stand, plan.yardstick))


@asynccontextmanager
async def stock() -> AsyncIterator[tuple[str, int]]:
    """The stock library's server: its address and process."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "loadtest.stock", str(port), cwd=ROOT)
    try:
        await ready(f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling", process)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _round(arena: Arena) -> dict[str, Any]:
    plan, stand, found = arena.plan, arena.stand, dict[str, Any]()
    trip, *fleet = arena.world.driven
    parts: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "ours": lambda: _trip(arena, NEAR, by_bus(stand, arena.world, trip, plan.seconds)),
        "ours_near": lambda: _trip(arena, NEAR, busily(stand.urls[NEAR], trip, plan.seconds)),
        "ours_elsewhere": lambda: _trip(arena, NEAR, busily(stand.urls[TICKED], trip, plan.seconds)),
        "stock": lambda: _bench(plan, arena.tools, arena.library, STOCK_PER_S),
        "tick_trip": lambda: _trip(arena, TICKED, steadily(stand.urls[TICKED], [trip], UPDATES_PER_S, plan.seconds)),
        "tick_fleet": lambda: _measured(
            arena, TICKED, ["fleet:join", {}], steadily(stand.urls[TICKED], fleet, UPDATES_PER_S, plan.seconds)
        ),
    }
    if arena.tools.siolimit and arena.tools.sioflood:
        messages = round(plan.seconds * LIMIT_PER_S)
        parts["limit"] = lambda: flood.limit(arena.tools, plan.members, messages)
        parts["limit_ten"] = lambda: flood.limit(arena.tools, plan.members, messages * 5, frames_a_send=10)
    if (other := arena.other) is not None:
        parts["peer"] = lambda: _bench(plan, arena.tools, (other.url, other.pid), PEER_PER_S)
    for name, title in TITLES.items():
        if name in parts and (not plan.only or name in plan.only):
            found[name] = await parts[name]()
            say(f"  {title}: {found[name].get('us_per_update', found[name]['us_per_delivery'])} us")
    return found


async def _trip(arena: Arena, node: int, publish: Publish) -> dict[str, Any]:
    return await _measured(arena, node, ["trip:join", {"tripId": str(arena.world.driven[0].trip_id)}], publish)


async def _measured(arena: Arena, node: int, join: Sequence[Any], publish: Publish) -> dict[str, Any]:
    """All CPU that the server process uses from the first fix on until the last message has come."""
    url, pid, plan = arena.stand.urls[node], arena.stand.pids[node], arena.plan
    others, hold_s = plan.members - 1, plan.seconds + JOINED_WITHIN_S + HEARD_WITHIN_S
    await arena.stand.settle()
    async with flood.members(arena.tools, url, others, hold_s, join=list(join), token=arena.token) as crowd:
        watcher = await Socket.to(url, arena.token)
        await watcher.call(*join)
        await flood.quiet(pid, JOINED_WITHIN_S)
        say(f"  {plan.members:,} members have joined")
        before, size, cpu, began = watcher.events, watcher.bytes_in, cpu_s(pid), asyncio.get_running_loop().time()
        updates = await publish(watcher)
        await _heard_all(watcher)
        cpu, seconds = cpu_s(pid) - cpu, asyncio.get_running_loop().time() - began
        events, size = watcher.events - before, watcher.bytes_in - size
        watcher.close()
        heard = await crowd.result()
    if not events or heard["messages"] < events * others:
        raise LoadtestError(f"{events} events for {others} members, {heard['messages']} messages came: some were lost")
    return {
        "us_per_delivery": round(cpu / events / plan.members * 1e6, 2),
        **({"us_per_update": round(cpu / updates / plan.members * 1e6, 2)} if updates > events else {}),
        "updates": updates,
        "events": events,
        "bytes_per_event": round(size / events),
        "cores": round(cpu / seconds, 2),
    }


async def _heard_all(watcher: Socket) -> None:
    """Nothing more comes."""
    before = -1
    while before != watcher.events:
        before = watcher.events
        await asyncio.sleep(SILENT_S)


async def _bench(plan: Plan, tools: flood.Tools, server: tuple[str, int], per_s: float) -> dict[str, Any]:
    """A server that sends by itself when it is told to."""
    (url, pid), messages = server, max(1, round(plan.seconds * per_s))
    hold_s = 2 * plan.seconds + JOINED_WITHIN_S
    async with flood.members(tools, url, plan.members, hold_s, join=["join", {"tripId": "1"}]) as crowd:
        await flood.quiet(pid, JOINED_WITHIN_S)
        cpu = cpu_s(pid)
        query = {"room": "1", "messages": str(messages), "clients": str(plan.members)}
        async with aiohttp.ClientSession() as session, session.post(f"{url}/bench/fanout", params=query) as response:
            if not response.ok:
                raise LoadtestError(f"{url} answered {response.status}: {await response.text()}")
        await flood.quiet(pid, JOINED_WITHIN_S)
        cpu = cpu_s(pid) - cpu
        heard = await crowd.result()
    if heard["messages"] != messages * plan.members:
        raise LoadtestError(f"{messages} messages for {plan.members} members, {heard['messages']} came")
    return {"us_per_delivery": round(cpu / heard["messages"] * 1e6, 2), "events": messages}


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Microseconds a message; with a tick: an update, of which one message may hold several."""
    return {
        name: round(median(found[name].get("us_per_update", found[name]["us_per_delivery"]) for found in rounds), 2)
        for name in TITLES
        if name in rounds[0]
    }


def ratios(of: Mapping[str, float]) -> dict[str, float]:
    """Ours against the others, of the medians."""
    compared = {f"{name}_to_{other}": (name, other) for name in OURS for other in ("limit", "peer", "stock")}
    return {name: round(of[a] / of[b], 3) for name, (a, b) in compared.items() if a in of and b in of}


def report(figures: Mapping[str, Any]) -> str:
    """The figures as tables."""
    rows = [["us of server CPU", "median", "least", "most", "events", "bytes", "cores"]]
    for name, value in figures["medians"].items():
        found = [each[name] for each in figures["rounds"]]
        each = [one.get("us_per_update", one["us_per_delivery"]) for one in found]
        last = [str(found[-1].get(key, "")) for key in ("events", "bytes_per_event", "cores")]
        rows.append([TITLES[name], f"{value:.2f}", f"{min(each):.2f}", f"{max(each):.2f}", *last])
    ratio = [["ratio", ""], *([name.replace("_", " "), f"{value:.2f}"] for name, value in figures["ratios"].items())]
    return "\n\n".join((table(rows), table(ratio)))
