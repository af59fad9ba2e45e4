"""``ingest``: ours, the peer and bare COPY, side by side on one PostgreSQL; time to the ack; memory over many fixes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from loadtest import peer, wrk
from loadtest.client import with_token
from loadtest.copying import copy_rows
from loadtest.errors import LoadtestError
from loadtest.load import Drive, Load, closed, open_loop
from loadtest.machine import cpu_s, rss_mib
from loadtest.stand import Stand
from loadtest.table import table

SIZES = {"one": 1, "fifty": 50}
TRIPS = 1000  # of each part: each has drivers of its own, so that none finds another's fixes
FIXES_PER_S = 2000
SHAPES = {"200_phones_10_fixes": (200, 10), "500_phones_4_fixes": (500, 4)}
SOAK_BATCH = 50
SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float = 10
    connections: int = 32
    rounds: int = 1
    fixes: int = 500_000
    yardstick: Path | None = None


async def ingest(plan: Plan) -> dict[str, Any]:
    """Every part in one run on one machine; with several rounds the parts take turns, and the medians are compared."""
    async with Stand.open() as stand, _peer(stand, plan) as other:
        rounds: list[dict[str, Any]] = []
        for number in range(plan.rounds):
            say(f"round {number + 1} of {plan.rounds}")
            rounds.append(await _round(stand, plan, other))
        figures: dict[str, Any] = {"rounds": rounds, "ratios": ratios(rounds)}
        figures["ack_at_2000_fixes_per_s"] = await latency(stand, plan)
        figures["memory"] = await memory(stand, plan, median(found["fifty"]["fixes_per_s"] for found in rounds))
        return figures


@asynccontextmanager
async def _peer(stand: Stand, plan: Plan) -> AsyncIterator[peer.Peer | None]:
    """The running peer; None, with a word why, where it cannot run."""
    if why := wrk.why_not(plan.yardstick):
        say(f"load by our own generator, which costs more than wrk: {why}")
    if why := peer.why_not(plan.yardstick):
        say(f"without the peer: {why}")
        yield None
        return
    assert plan.yardstick is not None  # noqa: S101 - for the types
    async with peer.running(stand, plan.yardstick) as running:
        yield running


async def _round(stand: Stand, plan: Plan, other: peer.Peer | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, by_driver in (("copy", True), ("copy_encoded", False)):
        say("bare COPY, 5,000 rows at a time" + ("" if by_driver else ", encoded beforehand"))
        await stand.settle()
        world = await stand.world(TRIPS)
        found[name] = await copy_rows(stand, world, SIZES["fifty"], plan.seconds, by_driver=by_driver)
        say(f"  {found[name]['fixes_per_s']:,.0f} fixes/s")
    for name, batch in SIZES.items():
        found[name] = await ours(stand, plan, batch)
        if other is not None:
            found[f"peer_{name}"] = await _theirs(stand, plan, other, batch)
    return found


async def ours(stand: Stand, plan: Plan, batch: int) -> dict[str, Any]:
    """As many as our server takes; each acknowledged fix is then looked for in the database."""
    say(f"ours, {batch} a request, {plan.connections} connections")
    world = await stand.world(TRIPS)
    drive = Drive(stand.urls[0], world.driven, batch, plan.seconds, plan.connections, plan.yardstick)
    figures = await _measured(stand, stand.pids[0], drive)
    await _check_stored(stand, "waypost", "SELECT count(*) FROM fixes WHERE org_id = $1", figures, world.org_id)
    return figures


async def _theirs(stand: Stand, plan: Plan, other: peer.Peer, batch: int) -> dict[str, Any]:
    say(f"the peer, {batch} a request")
    driven = with_token((await stand.world(TRIPS)).driven, other.token)
    trips = [each.trip_id for each in driven]
    drive = Drive(other.url, driven, batch, plan.seconds, plan.connections, plan.yardstick)
    figures = await _measured(stand, other.pid, drive)
    await _check_stored(
        stand, peer.DATABASE, "SELECT count(*) FROM trip_location WHERE trip_id = ANY($1)", figures, trips
    )
    return figures


async def _measured(stand: Stand, pid: int, drive: Drive) -> dict[str, Any]:
    await stand.settle()
    server, database = cpu_s(pid), stand.database_cpu_s()
    load = await closed(drive)
    figures = _figures(load, drive.batch, cpu_s(pid) - server, stand.database_cpu_s() - database)
    say(f"  {figures['requests_per_s']:,.0f} requests/s, {figures['fixes_per_s']:,.0f} fixes/s")
    return figures


def _figures(load: Load, batch: int, server_s: float, database_s: float) -> dict[str, Any]:
    def share(cpu: float) -> float:
        return round(cpu / load.seconds, 2)

    return {
        "requests": load.requests,
        "fixes": load.requests * batch,
        "requests_per_s": round(load.requests / load.seconds, 1),
        "fixes_per_s": round(load.requests * batch / load.seconds, 1),
        **load.times_ms,
        "generator": load.generator,
        "server_cpu_us_per_request": round(server_s / load.requests * 1e6, 1),
        "cores": {"server": share(server_s), "database": share(database_s), "client": share(load.client_cpu_s)},
    }


async def _check_stored(stand: Stand, database: str, count: str, figures: Mapping[str, Any], whose: object) -> None:
    """What was answered must be there: a figure of a server that lost fixes is none."""
    async with stand.superuser(database) as conn:
        stored = await conn.fetchval(count, whose)
    if stored < figures["fixes"]:
        raise LoadtestError(f"{figures['fixes']} fixes were acknowledged, {stored} are in the database {database}")


def ratios(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Ours against the peer and COPY, of the rounds' medians."""
    rate = {
        name: median(found[name]["fixes_per_s"] for found in rounds)
        for name in rounds[0]
        if "fixes_per_s" in rounds[0][name]
    }
    compared = {
        "one_to_peer": ("one", "peer_one"),
        "fifty_to_peer": ("fifty", "peer_fifty"),
        "fifty_to_copy": ("fifty", "copy"),
        "fifty_to_copy_encoded": ("fifty", "copy_encoded"),
    }
    return {name: round(rate[a] / rate[b], 3) for name, (a, b) in compared.items() if a in rate and b in rate}


async def latency(stand: Stand, plan: Plan) -> dict[str, Any]:
    """Time to the ack at a constant 2,000 fixes a second, as two kinds of fleet send them."""
    found: dict[str, Any] = {}
    for name, (count, batch) in SHAPES.items():
        say(f"2,000 fixes/s: {count} phones, {batch} fixes a request")
        world = await stand.world(count)
        drive = Drive(stand.urls[0], world.driven, batch, plan.seconds)
        await stand.settle()
        server, database = cpu_s(stand.pids[0]), stand.database_cpu_s()
        load = await open_loop(drive, FIXES_PER_S / batch)
        found[name] = _figures(load, batch, cpu_s(stand.pids[0]) - server, stand.database_cpu_s() - database)
        say(f"  p50 {load.times_ms['p50_ms']} ms, p95 {load.times_ms['p95_ms']} ms, p99 {load.times_ms['p99_ms']} ms")
    return found


async def memory(stand: Stand, plan: Plan, fixes_per_s: float) -> dict[str, Any]:
    """Resident memory of our server over ``plan.fixes`` fixes at that rate, looked at twenty times on the way."""
    say(f"memory over {plan.fixes:,} fixes")
    seconds = max(1.0, plan.fixes / fixes_per_s)
    world = await stand.world(TRIPS)
    drive = Drive(stand.urls[0], world.driven, SOAK_BATCH, seconds, plan.connections, plan.yardstick)
    samples = [rss_mib(stand.pids[0])]

    async def look() -> None:
        while True:
            await asyncio.sleep(seconds / SAMPLES)
            samples.append(rss_mib(stand.pids[0]))

    looking = asyncio.create_task(look())
    try:
        load = await closed(drive)
    finally:
        looking.cancel()
    settled, ended = samples[len(samples) // 4], rss_mib(stand.pids[0])
    say(f"  {samples[0]:.0f} MiB before, {settled:.0f} after a quarter, {ended:.0f} at the end")
    return {
        "fixes": load.requests * SOAK_BATCH,
        "fixes_per_s": round(load.requests * SOAK_BATCH / load.seconds, 1),
        "rss_mib": [round(sample, 1) for sample in (*samples, ended)],
        "growth": round(ended / settled, 3),
    }


def report(figures: Mapping[str, Any]) -> str:
    """The figures as tables."""
    rows = [["", "requests/s", "fixes/s", "p50 ms", "p99 ms", "cores: server", "database", "client"]]
    names = {
        "copy": "bare COPY",
        "copy_encoded": "the same, encoded beforehand",
        "one": "ours, 1 a request",
        "peer_one": "peer, 1",
        "fifty": "ours, 50",
        "peer_fifty": "peer, 50",
    }
    for found in figures["rounds"]:
        for name, title in names.items():
            if name in found:
                rows.append([title, *_cells(found[name])])
    acks = [["2,000 fixes/s", "p50 ms", "p95 ms", "p99 ms", "cores: server", "database", "client"]]
    for name, found in figures["ack_at_2000_fixes_per_s"].items():
        cores = found["cores"]
        acks.append(
            [name.replace("_", " "), *(f"{found[f'p{p}_ms']:.1f}" for p in (50, 95, 99)), *map(str, cores.values())]
        )
    ratio = [["ratio", ""], *([name.replace("_", " "), f"{value:.2f}"] for name, value in figures["ratios"].items())]
    kept = figures["memory"]
    memory_line = f"memory over {kept['fixes']:,} fixes: x {kept['growth']:.3f} after its first quarter"
    return "\n\n".join((table(rows), table(ratio), table(acks), memory_line))


def _cells(found: Mapping[str, Any]) -> list[str]:
    cores = found.get("cores", {})
    return [
        f"{found['requests_per_s']:,.0f}" if "requests_per_s" in found else "",
        f"{found['fixes_per_s']:,.0f}",
        *(f"{found[name]:.1f}" if name in found else "" for name in ("p50_ms", "p99_ms")),
        *(str(cores.get(name, "")) for name in ("server", "database", "client")),
    ]


def say(line: str) -> None:
    """Progress."""
    print(line, flush=True)
