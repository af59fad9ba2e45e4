"""Recorded traces with all their defects, in random batches, by every road, over two nodes at once, twice over.

What must come out is counted by ``count_traces``, which shares no code with the server.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import pytest

from loadtest import world
from loadtest.world import Driven
from tests.e2e import roads
from tests.e2e.commands import serving
from tests.e2e.count_traces import Count, Fix, Row, count, milliseconds, rows, traces
from tests.e2e.roads import Roads
from tests.servers import Servers
from waypost.identity.domain import OrgSettings, TrackingLimits
from waypost.settings import Settings
from waypost.wiring import open_services

TRACES = Path(os.environ.get("WAYPOST_TRACES_DIR") or Path(__file__).parents[2] / "../shared/data").resolve()
# Each defect that the recordings have is in these: repeats, the same fix under two trips, hours out of order, 0,0,
# longitude 1555, a position that is repeated for hours.
SOME = ("capmetro-2016-09-01", "capmetro-2017-04-18", "emission-phones.", "gotrack", "rsk-twizy")
SENDERS = 12
LARGEST = 1000
ON_SOCKETS = 150  # vehicles that have a socket: opening one costs more than a batch
LIFTED = TrackingLimits(retention_days=36_500, requests_per_s=0, fixes_per_s=0)
LONG_AGO = timedelta(days=20 * 365)
STORED = """
SELECT device_id, (extract(epoch FROM raw_at) * 1000)::bigint AS ms, latitude_e7, longitude_e7 FROM fixes
 WHERE org_id = $1
"""

pytestmark = pytest.mark.skipif(
    not any(TRACES.glob("*.csv*")), reason=f"there are no recorded traces in {TRACES} (WAYPOST_TRACES_DIR names others)"
)


class Vehicle(NamedTuple):
    source: str
    name: str


class Part(NamedTuple):
    """Some of a vehicle's rows, one after the other, as it recorded them."""

    vehicle: Vehicle
    first: int
    rows: Sequence[Row]


@dataclass(slots=True)
class Outcomes:
    """What the server said of all."""

    accepted: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    by_road: Counter[str] = field(default_factory=Counter)

    def add(self, part: Part, answer: Mapping[str, Any], road: str) -> None:
        """Each location has exactly one outcome."""
        refused = [each["index"] for each in answer["rejected"]]
        assert len(set(refused)) == len(refused)
        assert all(0 <= index < len(part.rows) for index in refused)
        assert answer["accepted"] + answer["duplicates"] + len(refused) == len(part.rows), answer
        self.accepted += answer["accepted"]
        self.duplicates += answer["duplicates"]
        self.rejected.update(each["reason"] for each in answer["rejected"])
        self.by_road[road] += len(part.rows)


def by_vehicle(files: Sequence[Path]) -> dict[Vehicle, list[Row]]:
    """Each vehicle's rows over all files of its source, in the order of the files."""
    found: dict[Vehicle, list[Row]] = defaultdict(list)
    for path in files:
        for row in rows(path):
            found[Vehicle(row.source, row.vehicle_id)].append(row)
    return found


def parts(vehicles: Mapping[Vehicle, Sequence[Row]], chance: random.Random) -> list[Part]:
    """Cut at random, shuffled."""
    found = []
    for vehicle, recorded in vehicles.items():
        first = 0
        while first < len(recorded):
            size = min(LARGEST, int(chance.paretovariate(0.35)))
            found.append(Part(vehicle, first, recorded[first : first + size]))
            first += size
    chance.shuffle(found)
    return found


def location(row: Row, n: int) -> dict[str, Any]:
    known = {"speed": row.speed_mps, "heading": row.heading_deg, "accuracy": row.accuracy_m}
    return {
        "latitude": float(row.latitude),
        "longitude": float(row.longitude),
        "timestamp": milliseconds(row.recorded_at),
        "n": n,
    } | {name: float(value) for name, value in known.items() if value}


def batch(part: Part, *, numbered: bool) -> dict[str, Any]:
    """``numbered``: with the stream that makes the numbers the client's own keys."""
    locations = [location(row, part.first + n) for n, row in enumerate(part.rows)]
    stream = {"stream": str(uuid5(UUID(int=7), "/".join(part.vehicle)))}
    return (stream if numbered else {}) | {"locations": locations}


@dataclass(slots=True)
class Sending:
    """Many connections to all nodes that share one heap of parts."""

    nodes: Sequence[Roads]
    driven: Mapping[Vehicle, Driven]
    on_sockets: frozenset[Vehicle]
    seed: int

    async def send(self, waiting: list[Part]) -> Outcomes:
        outcomes = Outcomes()
        await asyncio.gather(*(self._go(waiting, outcomes, random.Random(f"{self.seed} {n}")) for n in range(SENDERS)))  # noqa: S311
        return outcomes

    async def _go(self, waiting: list[Part], outcomes: Outcomes, chance: random.Random) -> None:
        while waiting:
            part = waiting.pop()
            choice = roads.ALL if part.vehicle in self.on_sockets else roads.ALL[:3]
            road, node = chance.choice(choice), chance.choice(self.nodes)
            body = batch(part, numbered=chance.random() < 0.5)
            while True:
                status, answer = await road(node, self.driven[part.vehicle].token, body)
                if status == 200:
                    break
                assert status == 503, f"{status}: {answer}"
                await asyncio.sleep(0.1)  # a phone's patience
            outcomes.add(part, answer, road.__name__)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("names", [SOME, pytest.param((), marks=pytest.mark.long)], ids=["some", "all"])
async def test_all_that_was_recorded_is_stored_once_and_every_fix_has_one_outcome(
    servers: Servers, environment: dict[str, str], names: Sequence[str]
):
    files = [path for path in traces(TRACES) if not names or path.name.startswith(tuple(names))]
    counted, vehicles = count(files), by_vehicle(files)
    assert counted.vehicles == set(vehicles)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    chance = random.Random(seed)  # noqa: S311
    async with open_services(Settings.from_env(environment)) as services:
        await services.redis.flushall()
        made = await world.make(services, len(vehicles), settings=OrgSettings(tracking=LIFTED), began_before=LONG_AGO)
    driven = dict(zip(vehicles, made.driven, strict=True))
    on_sockets = frozenset(chance.sample(sorted(vehicles), min(ON_SOCKETS, len(vehicles))))
    async with AsyncExitStack() as exits:
        nodes = [await exits.enter_async_context(serving(environment)) for _ in range(2)]
        open_roads = [await exits.enter_async_context(Roads.to(node.url)) for node in nodes]
        sending = Sending(open_roads, driven, on_sockets, seed)
        check_first(await sending.send(parts(vehicles, chance)), counted)
        assert await stored(servers, environment, made.org_id, driven) == counted.distinct
        check_second(await sending.send(parts(vehicles, chance)), counted)
        assert await stored(servers, environment, made.org_id, driven) == counted.distinct
        assert [line for node in nodes for line in node.text.splitlines() if "error" in line] == []


def check_first(said: Outcomes, counted: Count) -> None:
    assert said.accepted == len(counted.distinct)
    assert said.duplicates == counted.repeats
    check_rejected(said, counted)
    assert set(said.by_road) == {road.__name__ for road in roads.ALL}


def check_second(said: Outcomes, counted: Count) -> None:
    assert said.accepted == 0
    assert said.duplicates == len(counted.distinct) + counted.repeats
    check_rejected(said, counted)


def check_rejected(said: Outcomes, counted: Count) -> None:
    expected = {"bad_coordinates": counted.bad_coordinates, "zero_island": counted.zero_island}
    assert said.rejected == Counter({reason: number for reason, number in expected.items() if number})


async def stored(
    servers: Servers, environment: Mapping[str, str], org_id: UUID, driven: Mapping[Vehicle, Driven]
) -> set[Fix]:
    """What the table holds; a row that is there twice fails."""
    vehicle_of = {each.device_id: vehicle for vehicle, each in driven.items()}
    async with open_services(Settings.from_env(environment)) as services:
        name = await services.database.pool.fetchval("SELECT current_database()")
    conn = await servers.stack.postgres.connect(name)
    try:
        found = await conn.fetch(STORED, org_id)
    finally:
        await conn.close()
    fixes = {(*vehicle_of[row["device_id"]], row["ms"], row["latitude_e7"], row["longitude_e7"]) for row in found}
    assert len(fixes) == len(found)
    return fixes
