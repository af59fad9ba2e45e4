"""Learned streets: counted once however often and by however many, shown to their own organisation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.factories import Org, Phone, organisation
from tests.tracks import At, drive, now_ms, store
from tests.vector_tiles import points
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.tracking import street_map
from waypost.tracking.domain import Flag
from waypost.tracking.street_map import StreetUpkeep
from waypost.tracking.tiles import Tile
from waypost.trips.service import NewTrip
from waypost.wiring import Services

CELLS = "SELECT level, passes, last_on FROM street_cells WHERE org_id = $1 AND level = 0"


def upkeep(services: Services) -> StreetUpkeep:
    return StreetUpkeep(services.database, services.clock, settles_s=0.01)


async def passes(services: Services, org_id: UUID) -> dict[int, int]:
    """How many of the finest cells have how many passes."""
    async with services.database.transaction(org_id) as conn:
        rows = await conn.fetch(CELLS, org_id)
    return {number: sum(row["passes"] == number for row in rows) for number in {row["passes"] for row in rows}}


def tile_of(at: At, z: int = 12) -> tuple[int, int, int]:
    whole = Tile(0, 0, 0)
    return z, int(whole.column(at.longitude) / 4096 * 2**z), int(whole.row(at.latitude) / 4096 * 2**z)


def path(z: int, x: int, y: int) -> str:
    return f"/api/v1/tracking/streets/{z}/{x}/{y}"


async def another_trip(org: Org, phone: Phone) -> UUID:
    """Of the same driver; it need not run to have fixes."""
    return (await org.services.trips.create(org.owner, NewTrip(driver_id=phone.driver_id))).id


async def test_a_street_is_continuous_and_counted_once_a_trip(services: Services, org: Org):
    phone, begin = await org.phone(), now_ms() - timedelta(hours=4)
    await store(services, phone, drive(60, begin=begin))
    assert await upkeep(services).learn() == 60
    first = await passes(services, org.org_id)
    metres = 59 * 5 * 12
    assert first == {1: pytest.approx(metres / 11.1, abs=3)}, "a cell each 11 m, also between the fixes"

    back_and_forth = drive(60, begin=begin + timedelta(hours=1))
    await store(services, phone, back_and_forth)
    await upkeep(services).learn()
    assert await passes(services, org.org_id) == first, "the same trip again is the same pass"

    await store(services, phone, drive(60, begin=begin + timedelta(hours=2)), trip_id=await another_trip(org, phone))
    await upkeep(services).learn()
    assert set(await passes(services, org.org_id)) == {2}


async def test_outside_of_trips_a_vehicles_day_is_a_pass(services: Services, org: Org):
    phone = await org.phone(running=False)
    noon = now_ms().replace(hour=12) - timedelta(days=3)
    for days in (0, 0, 1):
        await store(services, phone, drive(20, begin=noon + timedelta(days=days, minutes=await count(services))))
    await upkeep(services).learn()
    assert set(await passes(services, org.org_id)) == {2}


async def count(services: Services) -> int:
    async with services.database.transaction(SYSTEM) as conn:
        return int(await conn.fetchval("SELECT count(*) FROM fixes"))


def parked(begin: datetime) -> Iterable[At]:
    return [replace(fix, speed_mps=n % 2 * 0.4, latitude=-17.8) for n, fix in enumerate(drive(40, begin=begin))]


def mocked(begin: datetime) -> Iterable[At]:
    return [replace(fix, flags=int(Flag.MOCK)) for fix in drive(40, begin=begin)]


def vague(begin: datetime) -> Iterable[At]:
    return [replace(fix, accuracy_m=30.0) for fix in drive(40, begin=begin)]


def silent_and_still(begin: datetime) -> Iterable[At]:
    """No speed is reported, and it does not get away."""
    return [replace(fix, speed_mps=None, latitude=-17.8 + n % 2 * 2e-5) for n, fix in enumerate(drive(40, begin=begin))]


@pytest.mark.parametrize("fixes", [parked, mocked, vague, silent_and_still])
async def test_what_is_parked_doubtful_or_vague_makes_no_street(services: Services, org: Org, fixes: object):
    phone = await org.phone()
    await store(services, phone, fixes(now_ms() - timedelta(hours=1)))  # type: ignore[operator]
    await upkeep(services).learn()
    assert await passes(services, org.org_id) == {}


async def test_unknown_accuracy_and_speed_count_where_it_gets_on(services: Services, org: Org):
    phone = await org.phone()
    fixes = [replace(fix, accuracy_m=None, speed_mps=None) for fix in drive(30, begin=now_ms() - timedelta(hours=1))]
    await store(services, phone, fixes)
    await upkeep(services).learn()
    assert sum((await passes(services, org.org_id)).values()) > 100


async def test_two_workers_at_once_and_a_run_again_count_nothing_twice(
    services: Services, org: Org, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(street_map, "FIXES_A_STEP", 7)
    phones = [await org.phone() for _ in range(3)]
    begin = now_ms() - timedelta(hours=4)
    for phone in phones:
        await store(services, phone, drive(50, begin=begin))
    learned = await asyncio.gather(*(upkeep(services).learn() for _ in range(4)))
    while more := await upkeep(services).learn():
        learned.append(more)
    assert sum(learned) == 150
    assert set(await passes(services, org.org_id)) <= {2, 3}
    assert max(await passes(services, org.org_id)) == 3


async def test_a_fix_that_is_committed_late_is_not_passed_over(services: Services, org: Org):
    """Its receipt is lower than those of others that were committed before it."""
    slow, quick = await org.phone(), await org.phone()
    begin = now_ms() - timedelta(hours=1)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            "INSERT INTO fixes (org_id, device_id, vehicle_id, received_at, raw_at, recorded_at, latitude_e7, "
            "longitude_e7, speed_mps) VALUES ($1, $2, $2, now(), $3, $3, -170000000, 300000000, 10)",
            org.org_id, slow.device_id, begin,
        )  # fmt: skip
        await store_apart(services, quick, drive(10, begin=begin))
        learning = asyncio.create_task(upkeep(services).learn())
        done, _ = await asyncio.wait({learning}, timeout=0.3)
        assert not done, "it waits for who has a lower receipt"
    assert await learning == 11


async def store_apart(services: Services, phone: Phone, fixes: list[At]) -> None:
    """In a transaction of its own, on another connection."""
    await asyncio.create_task(store(services, phone, fixes))


async def test_a_tile_shows_what_was_driven_twice_and_only_to_its_own_people(api: Api, org: Org, services: Services):
    phone, begin = await org.phone(), now_ms() - timedelta(hours=4)
    fixes = drive(60, begin=begin)
    await store(services, phone, fixes)
    await store(services, phone, drive(30, begin=begin + timedelta(hours=1)), trip_id=await another_trip(org, phone))
    await upkeep(services).learn()
    staff = api.as_(await org.token())
    for z in range(8, 15):
        answer = await staff("GET", path(*tile_of(fixes[0], z)))
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/vnd.mapbox-vector-tile")
        assert points(answer.json)["streets"][1], z
    shown = points((await staff("GET", path(*tile_of(fixes[0])))).json)["streets"][1]
    assert len(shown) == pytest.approx(29 * 60 / 11.1, abs=5), "only the part that was driven twice"
    z, x, y = tile_of(fixes[0])
    column, row = shown[0]
    assert Tile(z, x, y).column(31.05) == pytest.approx(column, abs=3)
    assert 0 <= row < 4096

    tag = (await staff("GET", path(z, x, y))).headers["ETag"]
    assert (await staff("GET", path(z, x, y), headers={"If-None-Match": tag})).status == 304
    other = api.as_(await (await organisation(services, "Elsewhere")).token())
    assert points((await other("GET", path(z, x, y))).json) == {"streets": {}}
    _, number = await org.person(Role.DRIVER)
    for caller in (api.as_(phone.token), api.as_(await org.token(number))):
        assert (await caller("GET", path(z, x, y))).status == 403


@pytest.mark.parametrize("which", ["7/1/1", "15/1/1", "12/4096/0", "12/0/4096", "12/-1/0", "x/y/z", "12/1/1e3",
                                   "12/٣/1", "99999999999999999999/0/0"])  # fmt: skip
async def test_a_tile_that_there_is_not_is_404(api: Api, org: Org, which: str):
    answer = await api.as_(await org.token())("GET", f"/api/v1/tracking/streets/{which}")
    assert (answer.status, answer.json["code"]) == (404, "no-such-tile")


async def test_a_full_tile_shows_the_most_driven(
    api: Api, org: Org, services: Services, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(street_map, "CELLS_A_TILE", 20)
    phone, begin = await org.phone(), now_ms() - timedelta(hours=9)
    fixes = drive(60, begin=begin)
    for hours in range(6):
        part = fixes if hours < 2 else fixes[:4]
        moved = [replace(fix, at=fix.at + timedelta(hours=hours)) for fix in part]
        await store(services, phone, moved, trip_id=await another_trip(org, phone))
    await upkeep(services).learn()
    found = points((await api.as_(await org.token())("GET", path(*tile_of(fixes[0])))).json)["streets"]
    assert sum(map(len, found.values())) == 20
    assert len(found[2]) >= 15, "of what all six have driven nothing is left out"


async def test_cells_are_forgotten_with_the_fixes_that_made_them(services: Services, org: Org):
    phone = await org.phone()
    old, new = now_ms() - timedelta(days=50), now_ms() - timedelta(hours=1)
    await store(services, phone, drive(30, begin=old))
    east = [replace(fix, longitude=31.2) for fix in drive(30, begin=new)]
    await store(services, phone, east)
    await upkeep(services).learn()
    both = sum((await passes(services, org.org_id)).values())
    assert await upkeep(services).forget(org.org_id, timedelta(days=40)) > both / 3
    assert sum((await passes(services, org.org_id)).values()) == pytest.approx(both / 2, abs=5)
