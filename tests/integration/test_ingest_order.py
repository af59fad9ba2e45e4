"""However a device's fixes come, in the end the database holds the same of it (the third of what ingest must show)."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Api
from tests.drives import DAY, EDGE_E7, FAR_E7, HOUR, Drawn, deliveries
from tests.factories import Org, Phone
from tests.integration.test_sockets import far
from tests.waiting import Listener, listening
from waypost.identity.domain import OrgSettings, TrackingLimits
from waypost.platform.database import SYSTEM
from waypost.tracking.clocks import GPS_ROLLOVER_MS
from waypost.tracking.domain import Flag, ms_of
from waypost.tracking.judgement import SLOT_MS, metres
from waypost.tracking.trail import Stored, Trail
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.wiring import Services

__all__ = ["far"]  # the fixture

SPAN_MS = 40 * DAY
BEGIN_MS = SPAN_MS + HOUR  # ago
REPAIRED_MS = 6 * DAY  # so near to now a week that rolled over is understood
HOME_E7 = (-178_252_000, 310_335_000)
FIRST_TRIP, SECOND_TRIP = (2 * HOUR, 20 * HOUR), SPAN_MS - 5 * DAY  # from the beginning: from, to; and from then on
NOT_COMPARED = {"receipt", "received_at", "late", "org_id"}


@dataclass(frozen=True, slots=True)
class Sender:
    """A phone that was on two trips, and the four roads that its fixes may take."""

    services: Services
    phone: Phone
    trips: tuple[UUID, UUID]
    begin_ms: int
    nodes: Sequence[Api]
    sockets: Sequence[Listener]
    stream: str | None

    async def send(self, batch: Sequence[Drawn], numbers: dict[Drawn, int], road: int = 0) -> int:
        """How many were accepted; every one has an outcome."""
        body: dict[str, Any] = {"locations": [self._location(fix, numbers[fix]) for fix in batch]}
        if self.stream is not None:
            body["stream"] = self.stream
        if road < len(self.nodes):
            answer = await self.nodes[road].as_(self.phone.token)("POST", "/api/v1/tracking/ping", body)
            assert answer.status == 200, answer
            told = answer.json
        else:
            told = await self.sockets[road - len(self.nodes)].call("tracking:ping", body)
            assert told["ok"] is True, told
        assert told["rejected"] == []
        assert told["accepted"] + told["duplicates"] == len(batch)
        return int(told["accepted"])

    def _location(self, fix: Drawn, number: int) -> dict[str, Any]:
        """As a phone writes it; a skewed one says the week that its receiver's ten bits hold."""
        at_ms = self.begin_ms + fix.ms
        if fix.flags & Flag.CLOCK_SKEW and fix.ms > BEGIN_MS - REPAIRED_MS:
            at_ms -= GPS_ROLLOVER_MS
        longitude_e7 = fix.longitude_e7 + (HOME_E7[1] if abs(fix.longitude_e7) < 1_000_000_000 else 0)
        accuracy_m = 500.0 if fix.flags & Flag.POOR_ACCURACY else fix.accuracy_m
        told = {
            "latitude": (HOME_E7[0] + fix.latitude_e7) / 1e7, "longitude": longitude_e7 / 1e7, "timestamp": at_ms,
            "accuracy": accuracy_m, "speed": fix.speed_mps, "battery": 50, "n": number,
            "mock": bool(fix.flags & Flag.MOCK),
        }  # fmt: skip
        return {name: value for name, value in told.items() if value is not None}

    async def rows(self) -> dict[str, Any]:
        """All that is kept of it, under names that two phones share."""
        names = {self.phone.device_id: "device", self.phone.driver_id: "driver"}
        names |= {trip: f"trip {number}" for number, trip in enumerate(self.trips)}
        found: dict[str, Any] = {}
        async with self.services.database.transaction(SYSTEM) as conn:
            for table in ("fixes", "positions", "trip_positions"):
                rows = await conn.fetch(f"SELECT * FROM {table} WHERE device_id = $1", self.phone.device_id)
                found[table] = sorted((_named(row.items(), names, self.begin_ms) for row in rows), key=str)
            kept = await conn.fetchrow("SELECT * FROM device_tracks WHERE device_id = $1", self.phone.device_id)
        if kept is not None:
            found["newest"] = kept["newest_raw_ms"] - self.begin_ms
            found["trail"] = _shifted(msgspec.msgpack.decode(kept["state"], type=Trail), self.begin_ms)
        return found


def _named(row: Iterable[tuple[str, Any]], names: dict[UUID, str], begin_ms: int) -> dict[str, Any]:
    """A row without what tells of its coming; ids by name, moments from the beginning."""
    return {column: _from_the_beginning(value, names, begin_ms) for column, value in row if column not in NOT_COMPARED}


def _from_the_beginning(value: Any, names: dict[UUID, str], begin_ms: int) -> Any:
    if isinstance(value, UUID):
        return names.get(value, value)
    return (value - timedelta(milliseconds=begin_ms)).isoformat() if isinstance(value, datetime) else value


def _shifted(trail: Trail, begin_ms: int) -> object:
    begins = [n for n in range(1, len(trail.tail)) if trail.tail[n].raw_ms - trail.tail[n - 1].raw_ms > DAY]
    last_run = trail.tail[begins[-1] if begins else 0 :]  # what was before a day's silence is nobody's neighbour
    tail = [msgspec.structs.replace(fix, raw_ms=fix.raw_ms - begin_ms) for fix in last_run]
    anchor = (trail.anchor[0] - begin_ms // SLOT_MS, *trail.anchor[1:]) if trail.anchor else None
    position = (*(at - begin_ms for at in trail.position[:2]), *trail.position[2:]) if trail.position else None
    return tail, anchor, position


@dataclass(frozen=True, slots=True)
class Roads:
    """Where senders come from."""

    org: Org
    nodes: Sequence[Api]

    async def sender(self, begin_ms: int, stream: str | None, stack: AsyncExitStack | None = None) -> Sender:
        """A new phone that completed one trip and is on its second. ``stack``: with sockets, which it closes."""
        services, owner = self.org.services, self.org.owner
        phone = await self.org.phone(running=False)
        both = [await services.trips.create(owner, NewTrip(driver_id=phone.driver_id)) for _ in range(2)]
        for trip, move in ((both[0], Move.START), (both[0], Move.COMPLETE), (both[1], Move.START)):
            await services.trips.move(owner, trip.id, move)
        await self._move_back(phone, [trip.id for trip in both], begin_ms)
        sockets: list[Listener] = []
        if stack is not None:
            sockets = [await stack.enter_async_context(listening(node.url, phone.token)) for node in self.nodes]
        return Sender(services, phone, (both[0].id, both[1].id), begin_ms, self.nodes, sockets, stream)

    async def _move_back(self, phone: Phone, trips: Sequence[UUID], begin_ms: int) -> None:
        moments = [begin_ms + FIRST_TRIP[0], begin_ms + FIRST_TRIP[1], begin_ms + SECOND_TRIP]
        async with self.org.services.database.transaction(SYSTEM) as conn:
            await conn.execute(
                "UPDATE trips SET started_at = to_timestamp($2 / 1000.0), completed_at = to_timestamp($3 / 1000.0)"
                " WHERE id = $1", trips[0], *moments[:2],
            )  # fmt: skip
            await conn.execute(
                "UPDATE trips SET started_at = to_timestamp($2 / 1000.0) WHERE id = $1", trips[1], moments[2]
            )
            await conn.execute(
                "UPDATE device_assignments SET from_at = to_timestamp($2 / 1000.0) WHERE device_id = $1",
                phone.device_id, begin_ms - HOUR,
            )  # fmt: skip

    async def check(
        self, drive: list[Drawn], plan: Sequence[Sequence[tuple[int, list[Drawn]]]], *, numbered: bool
    ) -> None:
        """``plan``: what is sent at once, one after the other; each batch with its road. Against all in order."""
        begin_ms = (ms_of(self.org.services.clock.now()) - BEGIN_MS) // SLOT_MS * SLOT_MS
        numbers = {fix: number for number, fix in enumerate(drive)}
        async with AsyncExitStack() as stack:
            stream = str(uuid4()) if numbered else None
            plain, mixed = await self.sender(begin_ms, stream), await self.sender(begin_ms, stream, stack)
            for begin in range(0, len(drive), 20):
                await plain.send(drive[begin : begin + 20], numbers)
            accepted = 0
            for at_once in plan:
                accepted += sum(await asyncio.gather(*(mixed.send(batch, numbers, road) for road, batch in at_once)))
            assert accepted == len(drive)
            assert await mixed.rows() == await plain.rows()


@pytest.fixture
async def roads(api: Api, far: Api, org: Org) -> Roads:
    """Two nodes, each by HTTP and by socket."""
    free = OrgSettings(tracking=TrackingLimits(requests_per_s=0, fixes_per_s=0))
    await org.services.identity.save_settings(org.org_id, free)
    return Roads(org, (api, far))


def in_any_order(roads: Roads, examples: int, largest: int, loop: asyncio.AbstractEventLoop) -> int:
    """Drives as hypothesis makes them up, on the loop of the servers; how many."""
    done = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # to make a failing one small takes too many phones
    )
    @given(deliveries(largest, least=8, longest_ms=SPAN_MS), st.randoms(use_true_random=False), st.booleans())
    def check(delivered: tuple[list[Drawn], list[list[Drawn]]], chance: Any, numbered: bool) -> None:
        nonlocal done
        drive, rest = delivered[0], [(chance.randrange(4), batch) for batch in delivered[1]]
        plan = []
        while rest:
            many = chance.choice([1, 1, 2, 4])
            plan.append(rest[:many])
            rest = rest[many:]
        asyncio.run_coroutine_threadsafe(roads.check(drive, plan, numbered=numbered), loop).result(60)
        done += 1

    check()
    return done


async def test_any_split_order_repetition_and_road_gives_the_same_rows_and_positions(roads: Roads):
    assert await asyncio.to_thread(in_any_order, roads, 20, 40, asyncio.get_running_loop()) >= 20


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_any_of_five_hundred_drives_gives_the_same_rows_and_positions(roads: Roads):
    assert await asyncio.to_thread(in_any_order, roads, 500, 80, asyncio.get_running_loop()) >= 500


def drive(*points: tuple[int, int], **same: Any) -> list[Drawn]:
    """Fixes at (seconds, units of latitude) on the second trip."""
    return [Drawn(SECOND_TRIP + HOUR + seconds * 1000, latitude, 0, **same) for seconds, latitude in points]


MOCKED, LAST = int(Flag.MOCK), SECOND_TRIP // HOUR
DRIVES = {
    "a late fix shows a stored one to be a jump": (drive((0, 0), (10, FAR_E7), (20, 100)), [[0, 1], [2]]),
    "the position is withdrawn for an older one": (
        drive((0, 0), (10, 50), (20, FAR_E7), (30, 100)), [[1, 2], [0], [3]],
    ),
    "a jump is lifted by a late neighbour": (drive((0, 0), (20, FAR_E7), (25, FAR_E7 + 50), (40, 0)), [[0, 1, 3], [2]]),
    "a jump at the very end": (drive((0, 0), (10, 50)) + drive((20, FAR_E7), speed_mps=3.0), [[2], [1], [0]]),
    "the first turns out to be one": (drive((0, FAR_E7), speed_mps=3.0) + drive((10, 0), (20, 50)), [[0], [2], [1]]),
    "drift, the anchor last": (
        drive((0, 0), (10, 500), (20, 2500), (30, 200), accuracy_m=30.0, speed_mps=0.0), [[3], [2], [1], [0]],
    ),
    "one time, many places": (
        drive((0, 0), (0, 10), (0, 20), (0, 30), (0, FAR_E7), (1, 5)), [[4], [3, 1], [5], [0, 2]],
    ),
    "doubtful by themselves": (
        drive((0, 0)) + drive((10, FAR_E7), (20, 0), flags=MOCKED)
        + drive((30, FAR_E7), flags=int(Flag.POOR_ACCURACY)) + drive((40, 100)), [[4, 1], [3], [2, 0]],
    ),
    "a late one behind a newer mock": (
        drive((0, 0), (1, FAR_E7)) + drive((3600, 0), flags=MOCKED) + drive((3601, FAR_E7), (3602, FAR_E7 + 50)),
        [[0], [2], [1], [3], [4]],
    ),
    "a mock first of all": (
        drive((0, 0), (10, FAR_E7), (20, 0)) + drive((3600, 0), flags=MOCKED) + drive((3700, 50)),
        [[3], [0], [1], [2], [4]],
    ),
    "hours apart, all of them late, nothing else for weeks": (
        [Drawn(0, 0, 0), Drawn(7 * HOUR, 0, EDGE_E7), Drawn(14 * HOUR, 0, 0), Drawn(30 * DAY, 0, 0)],
        [[3], [0, 1, 2]],
    ),
    "hours apart, one by one, nothing else for weeks": (
        [Drawn(0, 0, 0), Drawn(23 * HOUR, 0, EDGE_E7), Drawn(46 * HOUR, 0, 0), Drawn(30 * DAY, 0, 0)],
        [[3], [2], [0], [1]],
    ),
    "before, between and on the trips": (
        [Drawn(hours * HOUR, hours * 50, 0) for hours in (0, 1, 2, 3, 19, 20, 21, LAST - 1, LAST, LAST + 1)],
        [[9, 0], [8, 1, 7], [2, 6, 3], [5, 4]],
    ),
}  # fmt: skip


async def test_what_is_known_to_be_hard_comes_out_the_same(roads: Roads):
    for story, (fixes, batches) in DRIVES.items():
        for road in (0, 3):
            plan = [[((road + number) % 4, [fixes[place] for place in batch])] for number, batch in enumerate(batches)]
            try:
                await roads.check(fixes, plan, numbered=True)
            except AssertionError as error:
                error.add_note(f"{story}, from road {road}")
                raise


def in_four_bytes(value: float) -> float:
    """As the table keeps it."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def between_four_bytes_and_eight(digits: int) -> list[tuple[int, float]]:
    """Ways north, and accuracies of so many digits whose circle holds them or not by how the accuracy is kept."""
    found = []
    home = Stored(0, *HOME_E7, None, None, 0)
    for away_e7 in range(300, 17_900):  # up to 200 m
        away_m = metres(home, Stored(0, HOME_E7[0] + away_e7, HOME_E7[1], None, None, 0))
        accuracy_m = round(math.nextafter(away_m, math.inf), digits)
        if (away_m < accuracy_m) != (away_m < in_four_bytes(accuracy_m)):
            found.append((away_e7, accuracy_m))
    return found


async def test_what_is_judged_before_it_is_stored_is_judged_as_it_will_be_read(roads: Roads):
    at_the_edge = [*between_four_bytes_and_eight(2)[:3], *between_four_bytes_and_eight(15)[:2]]
    assert len(at_the_edge) == 5
    for away_e7, accuracy_m in at_the_edge:
        fixes = [
            *drive((0, 60_000), (10, 0), accuracy_m=5.0),
            *drive((20, away_e7), accuracy_m=accuracy_m, speed_mps=0.0),
            *drive((30, 50), accuracy_m=30.0, speed_mps=math.nextafter(0.5, 0)),
        ]
        await roads.check(fixes, [[(0, fixes[1:])], [(1, fixes[:1])]], numbered=False)
