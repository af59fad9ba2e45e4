"""Many phones' batches in one transaction: none waits on another's fault, none is promised what is not stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from tests.conftest import Api
from tests.factories import Org, Phone, organisation
from tests.integration.test_http_tracking import location, ping
from tests.servers import Servers
from tests.waiting import listening, until
from waypost.identity.domain import OrgSettings, TrackingLimits
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.tracking.domain import Flag, Report, ms_of
from waypost.tracking.service import Reported
from waypost.tracking.shares import WaitingRoom
from waypost.trips.domain import TripNotFound
from waypost.wiring import Services, open_services

T = TypeVar("T")
HOME, ELSEWHERE = -17.8, -18.7
HOUR = 3600


@pytest.fixture(autouse=True)
async def _free(services: Services, org: Org) -> None:
    """Devices may send as much as they like."""
    free = OrgSettings(tracking=TrackingLimits(requests_per_s=0, fixes_per_s=0))
    await services.identity.save_settings(org.org_id, free)


def reports(
    *seconds_ago: float, latitude: float = HOME, keys: Sequence[str | None] = (), **fields: Any
) -> list[Report]:
    now = ms_of(datetime.now(UTC))
    found = []
    for index, seconds in enumerate(seconds_ago):
        key = keys[index] if keys else None
        found.append(Report(index, latitude, 31.05, now - round(seconds * 1000), key=key, **fields))
    return found


@asynccontextmanager
async def held_back(services: Services, many: int) -> AsyncIterator[None]:
    """Nobody commits until ``many`` batches wait: they go into one group (the window being longer than nothing)."""
    commit = services.tracking.commit
    async with commit.gathering:
        yield
        await until(lambda: len(commit.queue) == many)


async def together(services: Services, *batches: Awaitable[T]) -> list[T | BaseException]:
    """What comes of batches that are in one group, each its own."""
    async with held_back(services, len(batches)):
        tasks = [asyncio.ensure_future(batch) for batch in batches]
    return await asyncio.gather(*tasks, return_exceptions=True)


def accepted(outcomes: Sequence[Reported | BaseException]) -> list[int]:
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome.accepted for outcome in outcomes if isinstance(outcome, Reported)]


async def fetch(services: Services, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    async with services.database.transaction(SYSTEM) as conn:
        return [tuple(row) for row in await conn.fetch(query, *arguments)]


async def run(services: Services, statement: str, *arguments: object) -> None:
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(statement, *arguments)


async def transactions(services: Services) -> int:
    """In how many transactions the fixes were stored."""
    ((found,),) = await fetch(services, "SELECT count(DISTINCT xmin::text) FROM fixes")
    return int(found)


async def fixes_of(services: Services, phone: Phone) -> list[tuple[int, int]]:
    """(latitude, flags) of what is stored of a phone, by its own time."""
    query = "SELECT latitude_e7, flags FROM fixes WHERE device_id = $1 ORDER BY raw_at, latitude_e7"
    return [(row[0], row[1]) for row in await fetch(services, query, phone.device_id)]


# Many in one


async def test_what_many_devices_send_at_once_is_one_transaction(services: Services, org: Org):
    phones = [await org.phone() for _ in range(30)]
    report = services.tracking.report
    answers = await together(services, *(report(each.principal, reports(*range(1, 21))) for each in phones))
    assert accepted(answers) == [20] * 30
    assert await transactions(services) == 1
    for phone in phones:
        assert len(await fixes_of(services, phone)) == 20


async def test_with_a_window_of_0_each_batch_is_a_transaction_of_its_own(services: Services, org: Org):
    services.tracking.commit.window_s = 0
    phones = [await org.phone() for _ in range(6)]
    report = services.tracking.report
    answers = await together(services, *(report(each.principal, reports(1, 2)) for each in phones))
    assert accepted(answers) == [2] * 6
    assert await transactions(services) == 6


async def test_batches_of_both_roads_and_of_several_organisations_share_one(api: Api, services: Services, org: Org):
    other = await organisation(services, "Bulawayo Bakers")
    phones = [await (org, other)[n % 2].phone() for n in range(8)]
    async with listening(api.url, phones[0].token) as first, listening(api.url, phones[1].token) as second:
        sent = {"locations": [location(1), location(2)]}
        async with held_back(services, 8):
            calls = [asyncio.create_task(socket.call("tracking:ping", sent)) for socket in (first, second)]
            posts = [asyncio.create_task(ping(api, phone, *sent["locations"])) for phone in phones[2:]]
        answers = await asyncio.gather(*calls, *posts)
    assert [answer["accepted"] for answer in answers] == [2] * 8
    assert await transactions(services) == 1
    owners = await fetch(services, "SELECT org_id, count(*) FROM fixes GROUP BY 1")
    assert dict(owners) == {org.org_id: 8, other.org_id: 8}


async def test_more_than_fits_into_one_group_goes_into_the_next(services: Services, org: Org):
    phones = [await org.phone(running=False) for _ in range(6)]
    report = services.tracking.report
    answers = await together(
        services, *(report(each.principal, reports(*(n / 2 for n in range(1, 1000)))) for each in phones)
    )
    assert accepted(answers) == [999] * 6
    assert await transactions(services) == 2


# One that spoils it


@asynccontextmanager
async def refusing(servers: Servers, environment: dict[str, str], phone: Phone) -> AsyncIterator[None]:
    """The database refuses every fix of one phone."""
    name = Settings.from_env(environment).database_url
    assert name is not None
    conn = await asyncpg.connect(name.get_secret_value())
    database = await conn.fetchval("SELECT current_database()")
    await conn.close()
    superuser = await servers.stack.postgres.connect(database)
    try:
        await superuser.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;"
            f"CREATE TRIGGER refuse BEFORE INSERT ON fixes FOR EACH ROW WHEN (NEW.device_id = '{phone.device_id}')"
            " EXECUTE FUNCTION refuse()"
        )
        yield
        await superuser.execute("DROP TRIGGER refuse ON fixes; DROP FUNCTION refuse()")
    finally:
        await superuser.close()


async def is_put_off(services: Services) -> bool:
    """Was a batch of the queue tried, and left for later?"""
    return any(waiting.batch.tries for waiting in services.tracking.commit.queue)


async def test_a_batch_that_the_database_refuses_fails_alone(
    api: Api, services: Services, org: Org, servers: Servers, environment: dict[str, str]
):
    phones = [await org.phone() for _ in range(5)]
    bad = phones[2]
    async with refusing(servers, environment, bad):
        async with held_back(services, 5):
            bodies = {phone.device_id: {"locations": [location(1), location(2)]} for phone in phones}
            posts = [
                asyncio.create_task(api.as_(p.token)("POST", "/api/v1/tracking/ping", bodies[p.device_id]))
                for p in phones
            ]
        answers = await asyncio.gather(*posts)
        assert [answer.status for answer in answers] == [200, 200, 500, 200, 200]
        assert [answer.json.get("accepted") for answer in answers] == [2, 2, None, 2, 2]
        assert await fixes_of(services, bad) == []
    again = await api.as_(bad.token)("POST", "/api/v1/tracking/ping", bodies[bad.device_id])
    assert (again.json["accepted"], again.json["duplicates"]) == (2, 0)
    assert await transactions(services) == 3, "the two before it, the two after it, and it alone"


async def test_a_key_that_the_database_cannot_hold_fails_alone(services: Services, org: Org):
    good, bad = await org.phone(), await org.phone()
    report = services.tracking.report
    outcomes = await together(
        services, report(good.principal, reports(1)), report(bad.principal, reports(1, keys=["id:\0"]))
    )
    assert accepted(outcomes[:1]) == [1]
    assert isinstance(outcomes[1], asyncpg.DataError)
    assert await fixes_of(services, bad) == []
    assert accepted([await report(bad.principal, reports(1))]) == [1]


async def test_a_batch_for_anothers_trip_is_told_so_and_its_neighbours_are_stored(services: Services, org: Org):
    mine, theirs, third = [await org.phone() for _ in range(3)]
    assert theirs.trip is not None
    report = services.tracking.report
    outcomes = await together(
        services,
        report(theirs.principal, reports(1), theirs.trip.id),
        report(mine.principal, reports(1, 2, keys=["id:a", "id:b"]), theirs.trip.id),
        report(third.principal, reports(1), uuid4()),
        report(mine.principal, reports(3)),
    )
    assert isinstance(outcomes[1], TripNotFound)
    assert isinstance(outcomes[2], TripNotFound)
    assert accepted([outcomes[0], outcomes[3]]) == [1, 1]
    assert (len(await fixes_of(services, mine)), await fixes_of(services, third)) == (1, [])
    assert await fetch(services, "SELECT key FROM fix_keys") == []
    assert accepted([await report(mine.principal, reports(1, 2, keys=["id:a", "id:b"]))]) == [2]
    assert await transactions(services) == 2


async def test_one_that_waits_for_a_lock_of_the_database_does_not_hold_up_the_next_group(services: Services, org: Org):
    held, free = await org.phone(), await org.phone()
    report = services.tracking.report
    await report(held.principal, reports(60))
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT FROM device_tracks WHERE device_id = $1 FOR UPDATE", held.device_id)
        waits = asyncio.create_task(report(held.principal, reports(1)))
        await until(lambda: is_put_off(services))
        assert accepted([await report(free.principal, reports(1))]) == [1]
        assert not waits.done()
    assert accepted([await waits]) == [1]


# Repeats within a group


async def test_two_halves_that_overlap_are_stored_once(services: Services, org: Org):
    phone = await org.phone()
    all_of_them = reports(*range(30, 0, -1))
    report = services.tracking.report
    outcomes = await together(
        services,
        report(phone.principal, all_of_them[:20]),
        report(phone.principal, all_of_them[10:]),
        report(phone.principal, all_of_them[5:15]),
    )
    assert accepted(outcomes) == [20, 10, 0]
    assert [outcome.duplicates for outcome in outcomes if isinstance(outcome, Reported)] == [0, 10, 10]
    assert len(await fixes_of(services, phone)) == 30
    assert await transactions(services) == 1


async def test_of_one_key_in_two_batches_of_a_group_the_first_stays(services: Services, org: Org):
    phone, neighbour = await org.phone(), await org.phone()
    report = services.tracking.report
    outcomes = await together(
        services,
        report(phone.principal, reports(5, 4, keys=["s:1", "s:2"])),
        report(phone.principal, reports(3, 2, latitude=HOME + 0.0001, keys=["s:2", "s:3"])),
        report(neighbour.principal, reports(5, keys=["s:1"])),
    )
    assert accepted(outcomes) == [2, 1, 1]
    assert [row[0] for row in await fixes_of(services, phone)] == [-178_000_000, -178_000_000, -177_999_000]
    again = await report(phone.principal, reports(1, keys=["s:3"]))
    assert (again.accepted, again.duplicates) == (0, 1)


async def test_of_one_key_in_one_batch_the_first_that_can_be_stored_stays(services: Services, org: Org):
    phone = await org.phone()
    sent = [
        *reports(-HOUR, 0, keys=["s:1", "s:2"]),
        *reports(9, 8, 7, latitude=HOME + 0.0001, keys=["s:1", "s:1", "s:2"]),
    ]
    answer = await services.tracking.report(
        phone.principal, [msgspec.structs.replace(r, index=n) for n, r in enumerate(sent)]
    )
    assert (answer.accepted, answer.duplicates, [one.index for one in answer.rejected]) == (2, 2, [0])
    assert [row[0] for row in await fixes_of(services, phone)] == [-177_999_000, -178_000_000]


async def test_a_group_tells_each_batch_which_of_its_own_fixes_came_late(services: Services, org: Org):
    phone = await org.phone()
    report = services.tracking.report
    outcomes = await together(
        services, report(phone.principal, reports(20, 10)), report(phone.principal, reports(15, 5)),
    )  # fmt: skip
    assert [outcome.late for outcome in outcomes if isinstance(outcome, Reported)] == [0, 1]
    latest = [outcome.latest_at for outcome in outcomes if isinstance(outcome, Reported)]
    assert latest[0] is not None
    assert latest[1] is not None
    assert round((latest[1] - latest[0]).total_seconds()) == 5


# Partitions, rejections


async def test_a_week_without_a_partition_is_made_and_nothing_else_of_the_group_suffers(services: Services, org: Org):
    old, fresh = await org.phone(), await org.phone()
    assert old.trip is not None
    weeks = [86_400 * 7 * week for week in (20, 30, 40)]
    jump = [Report(9, ELSEWHERE, 31.05, reports(40)[0].timestamp)]
    report = services.tracking.report
    outcomes = await together(
        services,
        report(fresh.principal, [*reports(50), *jump, *reports(30)]),
        report(old.principal, reports(*weeks, 1, keys=["s:1", "s:2", "s:3", "s:4"])),
    )
    assert accepted(outcomes) == [3, 4]
    assert [len(outcome.flagged) for outcome in outcomes if isinstance(outcome, Reported)] == [1, 0]
    assert [flags for _, flags in await fixes_of(services, fresh)] == [0, Flag.SPEED_JUMP, 0]
    booked = await fetch(services, "SELECT trip_id FROM fixes WHERE device_id = $1 ORDER BY raw_at", old.device_id)
    assert [row[0] for row in booked[:3]] == [None] * 3
    assert await transactions(services) == 1


async def test_batches_of_which_nothing_can_be_stored_keep_their_reasons(api: Api, services: Services, org: Org):
    first, second, good = [await org.phone() for _ in range(3)]
    async with held_back(services, 3):
        tasks = [
            asyncio.create_task(ping(api, first, location(1, latitude=0, longitude=0), location(1, longitude=1555))),
            asyncio.create_task(ping(api, second, location(-7200), "nothing at all", location(86_400 * 500))),
            asyncio.create_task(ping(api, good, location(1))),
        ]
    answers = await asyncio.gather(*tasks)
    assert [(answer["accepted"], len(answer["rejected"])) for answer in answers] == [(0, 2), (0, 3), (1, 0)]
    query = "SELECT reason, detail <> '', record FROM fix_rejections WHERE device_id = $1 ORDER BY id"
    kept = await fetch(services, query, first.device_id)
    assert [row[:2] for row in kept] == [("zero_island", True), ("bad_coordinates", True)]
    assert b"1555" in kept[1][2]
    kept = await fetch(services, query, second.device_id)
    assert sorted(row[0] for row in kept) == ["future", "malformed", "too_old"]
    assert b'"nothing at all"' in {row[2] for row in kept}
    assert await fetch(services, query, good.device_id) == []
    assert "latest" not in answers[0] or answers[0]["latest"] is None


# Too much


async def test_what_has_no_room_is_refused_at_once_and_the_places_are_given_back(
    api: Api, services: Services, org: Org
):
    commit = services.tracking.commit
    commit.room = WaitingRoom(30)
    waiting, refused = await org.phone(), await org.phone()
    stream, sent = str(uuid4()), [location(n, n=n) for n in range(1, 10)]
    body = {"stream": stream, "locations": sent}
    async with listening(api.url, refused.token) as socket:
        async with held_back(services, 2):
            stays = [asyncio.create_task(ping(api, waiting, location(n), *sent[1:])) for n in (1, 20)]
            await until(lambda: len(commit.queue) == 2)
            answer = await api.as_(refused.token)("POST", "/api/v1/tracking/ping", body)
            assert (answer.status, answer.json["code"]) == (503, "overloaded")
            assert int(answer.headers["Retry-After"]) >= 1
            ack = await socket.call("tracking:ping", body)
            assert (ack["ok"], ack["error"]["code"], ack["error"]["retry"]) == (False, "overloaded", True)
            assert len(commit.queue) == 2
        assert [told["accepted"] for told in await asyncio.gather(*stays)] == [9, 1]
        assert await fixes_of(services, refused) == []
        assert await fetch(services, "SELECT key FROM fix_keys WHERE device_id = $1", refused.device_id) == []
        assert (commit.room.taken, commit.room.by_org) == (0, {})
        assert (await socket.call("tracking:ping", body))["accepted"] == 9
    again = await api.as_(refused.token)("POST", "/api/v1/tracking/ping", body)
    assert (again.json["accepted"], again.json["duplicates"]) == (0, 9)


async def test_the_fuller_the_longer_phones_are_asked_to_wait(services: Services, org: Org):
    commit = services.tracking.commit
    first, second = await org.phone(), await org.phone()
    report = services.tracking.report
    at_rest = await report(first.principal, reports(30))
    commit.room = WaitingRoom(100)
    async with services.database.transaction(SYSTEM) as conn:
        await report(second.principal, reports(30))
        await conn.execute("SELECT FROM device_tracks WHERE device_id = $1 FOR UPDATE", second.device_id)
        waits = asyncio.create_task(report(second.principal, reports(*range(1, 25))))
        await until(lambda: is_put_off(services))
        busy = await report(first.principal, reports(1))
    await waits
    assert busy.next_ms > 2 * at_rest.next_ms
    assert (await report(first.principal, reports(0.5))).next_ms == at_rest.next_ms


@pytest.mark.parametrize("failing", [False, True])
async def test_places_are_given_back_whatever_becomes_of_a_batch(services: Services, org: Org, failing: bool):
    phone = await org.phone()
    report = services.tracking.report
    outcomes = await together(
        services,
        report(phone.principal, reports(1, keys=["id:\0" if failing else "id:a"])),
        report(phone.principal, reports(2), uuid4()),
    )
    assert [isinstance(outcome, BaseException) for outcome in outcomes] == [failing, True]
    room = services.tracking.commit.room
    assert (room.taken, room.by_org) == (0, {})


# Requests that go away, processes that stop


async def test_a_request_that_goes_away_while_it_waits_is_not_stored(services: Services, org: Org):
    gone, stays = await org.phone(), await org.phone()
    commit, report = services.tracking.commit, services.tracking.report
    async with held_back(services, 2):
        leaves = asyncio.create_task(report(gone.principal, reports(1, 2, 3)))
        remains = asyncio.create_task(report(stays.principal, reports(1)))
        await until(lambda: len(commit.queue) == 2)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        assert commit.room.taken == 2
    assert accepted([await remains]) == [1]
    assert await fixes_of(services, gone) == []
    assert (commit.room.taken, commit.room.by_org) == (0, {})


async def test_a_request_that_goes_away_during_the_commit_harms_nobody(services: Services, org: Org):
    gone, stays = await org.phone(), await org.phone()
    commit, report = services.tracking.commit, services.tracking.report
    await report(gone.principal, reports(60))
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT FROM device_tracks WHERE device_id = $1 FOR UPDATE", gone.device_id)
        async with held_back(services, 2):
            leaves = asyncio.create_task(report(gone.principal, reports(1)))
            remains = asyncio.create_task(report(stays.principal, reports(1)))
        await until(lambda: is_put_off(services))
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
    assert accepted([await remains]) == [1]
    assert commit.room.taken == 0
    assert accepted([await report(gone.principal, reports(0.5))]) == [1]


async def test_a_stop_waits_for_what_was_taken_in(environment: dict[str, str], services: Services, org: Org):
    phones = [await org.phone() for _ in range(6)]
    async with open_services(Settings.from_env(environment | {"WAYPOST_INGEST_WINDOW_MS": "300"})) as stopping:
        report = stopping.tracking.report
        tasks = [asyncio.create_task(report(phone.principal, reports(1, 2))) for phone in phones]
        await until(lambda: len(stopping.tracking.commit.queue) == 6)
    assert accepted(await asyncio.gather(*tasks)) == [2] * 6
    assert [len(await fixes_of(services, phone)) for phone in phones] == [2] * 6


async def test_a_device_that_somebody_is_busy_with_for_long_costs_its_neighbours_nothing(services: Services, org: Org):
    stuck, free = await org.phone(), [await org.phone() for _ in range(4)]
    report = services.tracking.report
    await report(stuck.principal, reports(60))
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT FROM device_tracks WHERE device_id = $1 FOR UPDATE", stuck.device_id)
        waits = asyncio.create_task(report(stuck.principal, reports(1)))
        for age_s in (5, 4, 3):
            outcomes = await asyncio.gather(*(report(phone.principal, reports(age_s)) for phone in free))
            assert accepted(outcomes) == [1, 1, 1, 1]
        assert not waits.done()
    assert accepted([await waits]) == [1]
