"""Counters reach the tables whole, and staff read what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.conftest import Api
from tests.factories import Org, Phone, organisation
from tests.fakes.clock import NOON, FakeClock
from tests.waiting import until
from waypost.directory.domain import DeviceNotFound
from waypost.kernel.errors import Denied
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM, Database
from waypost.tracking.domain import IMPORTED, Flag, Reason
from waypost.tracking.quality import FLUSH_S, Noted, Quality
from waypost.tracking.quality_reports import QualityReports
from waypost.tracking.quality_upkeep import QualityUpkeep
from waypost.tracking.rejections import Rejection
from waypost.tracking.seen import Told
from waypost.tracking.silence import Code, Signal, State
from waypost.tracking.wire_quality import shown
from waypost.wiring import Services

DAY = "SELECT * FROM device_quality_days WHERE device_id = $1 ORDER BY day"
FACTS = "SELECT * FROM device_quality WHERE device_id = $1"
ONE_FIX = """
INSERT INTO fixes (org_id, device_id, vehicle_id, raw_at, recorded_at, received_at, latitude_e7, longitude_e7, flags)
VALUES ($1, $2, $2, $3, $3, now(), $4, $5, $6)
"""
COUNTS = "SELECT kind, what, count FROM device_quality_counts WHERE device_id = $1"


def noted(phone: Phone, at: datetime, **fields: Any) -> Noted:
    """A batch of one fix that was two seconds old."""
    own = at - timedelta(seconds=2)
    usual = {"accepted": 1, "newest_at": own, "oldest_at": own, "delay_sum_s": 2.0}
    return Noted(phone.principal.org_id, phone.device_id, at, **{**usual, **fields})


def rejection(phone: Phone, at: datetime, n: int = 0, reason: str = "future") -> Rejection:
    return Rejection(phone.principal.org_id, phone.device_id, at, "osmand", reason, "why", b"\x00\xff %d" % n)


async def rows(services: Services, query: str, *arguments: object) -> list[dict[str, Any]]:
    async with services.database.transaction(SYSTEM) as conn:
        return [dict(row) for row in await conn.fetch(query, *arguments)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def quality(services: Services, clock: FakeClock) -> Quality:
    return Quality(services.database, clock)


@pytest.fixture
def reports(services: Services, clock: FakeClock) -> QualityReports:
    return QualityReports(services.database, clock, services.rules)


async def told(reports: QualityReports, org: Org, phone: Phone) -> Told:
    page = await reports.list(org.owner, 200, None, revoked=True)
    return next(one for one in page.data if one.seen.device_id == phone.device_id)


async def test_counters_of_several_nodes_and_writings_add_up(services: Services, org: Org, quality: Quality):
    phone, other_node = await org.phone(), Quality(services.database, quality.clock)
    for n in range(3):
        for node in (quality, other_node):
            flags, reasons = [int(Flag.MOCK)], [Reason.FUTURE, Reason.MALFORMED]
            node.note(noted(phone, NOON, accepted=2, duplicates=1, late=1, flags=flags, rejected=reasons))
            node.note(noted(phone, NOON + timedelta(days=1), accuracy_sum_m=6.0 + n, accuracy_n=1))
        await asyncio.gather(quality.flush(), other_node.flush(), quality.flush())
    first, second = await rows(services, DAY, phone.device_id)
    assert (first["batches"], first["accepted"], first["duplicates"], first["late"]) == (6, 12, 6, 6)
    assert (first["flagged"], first["rejected"], first["delay_sum_s"]) == (6, 12, 12.0)
    assert (second["accuracy_sum_m"], second["accuracy_n"]) == (42.0, 6)
    counts = {(row["kind"], row["what"]): row["count"] for row in await rows(services, COUNTS, phone.device_id)}
    assert counts == {("flag", "mock"): 6, ("reason", "future"): 6, ("reason", "malformed"): 6}


async def test_the_newer_word_wins_part_by_part_whoever_writes_last(services: Services, org: Org, quality: Quality):
    phone = await org.phone()
    late, early = NOON + timedelta(seconds=9), NOON
    quality.note(noted(phone, late, battery_pct=50.0, source="osmand", rejected=[Reason.FUTURE], ahead_s=99.0))
    await quality.flush()
    older = noted(phone, early, battery_pct=90.0, source="api", flags=[int(Flag.MOCK)], rejected=[Reason.TOO_OLD])
    quality.note(replace(older, accuracy_sum_m=5.0, accuracy_n=1))
    quality.heard(org.org_id, phone.device_id, early, signal="lwt")
    await quality.flush()
    [facts] = await rows(services, FACTS, phone.device_id)
    assert (facts["heard_at"], facts["heard"], facts["source"]) == (late, 3, "osmand")
    assert (facts["battery_pct"], facts["battery_at"]) == (50.0, late - timedelta(seconds=2))  # of its fix
    assert (facts["reason"], facts["ahead_s"], facts["doubts"]) == ("future", 99.0, 0)
    assert (facts["stored_at"], facts["accuracy_m"], facts["signal"]) == (late, 5.0, "lwt")


async def test_how_often_a_device_is_heard_of_is_learnt_and_a_long_pause_is_no_rhythm(
    services: Services, org: Org, quality: Quality
):
    phone, at = await org.phone(), NOON
    for pause in (0, 60, 60, 60, 36_000, 60):
        at += timedelta(seconds=pause)
        quality.note(noted(phone, at))
        await quality.flush()
    [facts] = await rows(services, FACTS, phone.device_id)
    assert facts["every_s"] == pytest.approx(60.0)


async def test_while_the_database_is_away_counters_wait_and_none_is_lost_or_doubled(
    services: Services, org: Org, quality: Quality
):
    phone = await org.phone()
    away = Database(services.database.pool, Unreachable())  # type: ignore[arg-type]
    node = Quality(away, quality.clock)
    node.note(noted(phone, NOON))
    await node.flush()
    node.note(noted(phone, NOON))
    await node.flush()
    assert (len(node.waiting), len(node.tallies.of)) == (1, 1)
    node.database = services.database
    await node.flush()
    await node.flush()
    [day] = await rows(services, DAY, phone.device_id)
    assert (day["batches"], node.waiting, node.tallies.of) == (2, {}, {})


class Unreachable:
    """A pool whose server cannot be reached."""

    async def acquire(self, timeout: float) -> None:  # noqa: ASYNC109 - as asyncpg's own has it
        raise ConnectionRefusedError

    def get_size(self) -> int:
        return 0

    def get_max_size(self) -> int:
        return 1


async def test_what_cannot_be_written_is_given_up_and_the_next_counters_are_not(
    services: Services, org: Org, quality: Quality
):
    phone = await org.phone()
    quality.note(noted(phone, NOON, accepted=2**70))
    await quality.flush()
    assert await rows(services, DAY, phone.device_id) == []
    assert await rows(services, FACTS, phone.device_id) == []  # all of it or nothing
    quality.note(noted(phone, NOON))
    await quality.flush()
    assert len(await rows(services, DAY, phone.device_id)) == 1


@pytest.fixture
async def running(quality: Quality) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(quality.run())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_they_are_written_by_themselves_and_once_more_at_the_end(
    services: Services, org: Org, quality: Quality, clock: FakeClock, running: asyncio.Task[None]
):
    phone = await org.phone()
    quality.note(noted(phone, NOON))
    await until(lambda: clock.sleepers == 1)
    await clock.advance(FLUSH_S)

    async def batches() -> int:
        """So many have been written."""
        return sum(row["batches"] for row in await rows(services, DAY, phone.device_id))

    await until(batches)
    quality.note(noted(phone, NOON))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await batches() == 2


async def test_a_mad_phones_ten_thousand_leave_a_thousand_newest_and_are_all_counted(
    services: Services, org: Org, quality: Quality, reports: QualityReports
):
    phone, calm = await org.phone(), await org.phone()
    await quality.refuse([rejection(calm, NOON)])
    for n in range(40):  # batches, each within what one keeps, and more
        at = NOON + timedelta(seconds=n)
        await quality.refuse([rejection(phone, at, n * 250 + i, ("future", "malformed")[i % 2]) for i in range(250)])
        if n % 5 == 0:
            await quality.flush()
    await quality.flush()
    kept = await rows(services, "SELECT * FROM fix_rejections WHERE device_id = $1 ORDER BY id", phone.device_id)
    assert len(kept) == 1000
    assert kept[0]["received_at"] == NOON + timedelta(seconds=20)
    assert sum(row["more"] + 1 for row in kept) == 20 * 250
    assert len(await rows(services, "SELECT FROM fix_rejections WHERE device_id = $1", calm.device_id)) == 1
    _, days = await reports.of_device(org.owner, phone.device_id, 1)
    assert (days[0].rejected, dict(days[0].reasons)) == (10_000, {"future": 5000, "malformed": 5000})


async def test_what_is_old_is_forgotten_and_no_more(services: Services, org: Org, quality: Quality, clock: FakeClock):
    phone = await org.phone()
    for days in (0, 13, 15, 401):
        at = NOON - timedelta(days=days)
        await quality.refuse([rejection(phone, at)])
    await quality.flush()
    upkeep = QualityUpkeep(services.database, clock)
    assert await upkeep.forget_rejections(timedelta(days=14)) == 2
    assert await upkeep.forget_days(timedelta(days=400)) == 1
    assert await upkeep.forget_rejections(timedelta(days=14)) == await upkeep.forget_days(timedelta(days=400)) == 0
    assert len(await rows(services, "SELECT FROM fix_rejections")) == 2
    assert len(await rows(services, DAY, phone.device_id)) == len(await rows(services, COUNTS, phone.device_id)) == 3


async def test_within_a_minute_it_is_said_since_when_a_vehicle_is_silent_and_why(
    org: Org, quality: Quality, reports: QualityReports, clock: FakeClock
):
    weak, lost, well = await org.phone(in_truck=True), await org.phone(), await org.phone()
    for phone, battery in ((weak, 4.0), (lost, 80.0), (well, 80.0)):
        quality.note(noted(phone, NOON, battery_pct=battery))
    quality.heard(org.org_id, lost.device_id, NOON, signal=Signal.LOST, source="owntracks")
    await clock.advance(60)
    quality.note(noted(well, clock.now(), battery_pct=79.0))
    await quality.flush()
    first = await told(reports, org, weak)
    assert (first.judged.state, first.judged.since, first.detail) == (
        State.SILENT,
        NOON,
        "silent since 12:00, battery 4 %",
    )
    assert first.seen.truck_name is not None
    second = await told(reports, org, lost)
    assert second.judged.because is not None
    assert second.judged.because.code is Code.APP_STOPPED
    assert (await told(reports, org, well)).judged.state is State.LIVE


GAPS = """
INSERT INTO fixes (org_id, device_id, vehicle_id, raw_at, recorded_at, received_at, latitude_e7, longitude_e7)
SELECT $1, $2, $2, at, at, at, lat, 310000000 FROM unnest($3::timestamptz[], $4::int[]) AS f (at, lat)
"""


async def test_gaps_are_those_of_the_fixes_by_day_and_a_backlog_takes_them_away(
    services: Services, org: Org, reports: QualityReports
):
    phone = await org.phone()
    # Driven 1 km in 10 minutes unseen; a stay of an hour; over midnight unseen; a minute without one.
    way = [(0, 0), (10, 90_000), (70, 90_500), (71, 100_000), (13 * 60, 500_000), (13 * 60 + 1, 600_000)]

    async def store(*fixes: tuple[float, int]) -> None:
        times = [NOON - timedelta(days=1) + timedelta(minutes=minute) for minute, _ in fixes]
        async with services.database.transaction(SYSTEM) as conn:
            await conn.execute(GAPS, org.org_id, phone.device_id, times, [-178_000_000 + north for _, north in fixes])

    async def gaps() -> list[tuple[int, timedelta]]:
        _, days = await reports.of_device(org.owner, phone.device_id, 3)
        return [(day.gaps, day.longest_gap) for day in days]

    await store(*way)
    assert await gaps() == [(1, timedelta(minutes=13 * 60 - 71)), (1, timedelta(minutes=10)), (0, timedelta(0))]
    await store((5, 45_000))
    assert (await gaps())[1] == (0, timedelta(0))


async def test_a_gap_is_the_short_way_round_and_between_good_fixes_of_the_device_itself(
    services: Services, org: Org, reports: QualityReports
):
    phone = await org.phone()
    begin = NOON - timedelta(days=1)
    # 600 m over the antimeridian while standing about; then a jump and an imported point far off, in a long pause.
    way = [(0, 0, 1_799_999_800, 0), (10, 0, -1_799_999_800, 0), (20, 400_000, -1_799_999_800, int(Flag.SPEED_JUMP)),
           (30, 400_000, -1_799_999_800, IMPORTED), (40, 0, -1_799_999_800, 0)]  # fmt: skip
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("SELECT waypost_make_fix_partition($1)", begin)
        for minute, north, east, flags in way:
            at = begin + timedelta(minutes=minute)
            await conn.execute(ONE_FIX, org.org_id, phone.device_id, at, north, east, flags)
    _, days = await reports.of_device(org.owner, phone.device_id, 3)
    assert [day.gaps for day in days] == [0, 0, 0]


async def test_an_older_word_of_a_backlog_does_not_win_though_it_is_written_later(
    services: Services, org: Org, quality: Quality
):
    phone, ago, poor = await org.phone(), NOON - timedelta(hours=1), [int(Flag.POOR_ACCURACY)]
    quality.note(noted(phone, NOON, battery_pct=4.0, accuracy_sum_m=5.0, accuracy_n=1))
    await quality.flush()
    quality.note(
        noted(phone, NOON + timedelta(seconds=9), newest_at=ago, battery_pct=80.0, accuracy_sum_m=90.0, accuracy_n=1,
              flags=poor)
    )  # fmt: skip
    await quality.flush()
    (facts,) = await rows(services, FACTS, phone.device_id)
    assert (facts["battery_pct"], facts["accuracy_m"], facts["doubts"], facts["delay_s"]) == (4.0, 5.0, 0, 2.0)


def test_a_rejected_record_is_shown_so_that_two_of_them_never_look_alike():
    assert shown(b"\xff") == r"\xff"
    assert shown(rb"\xff") == r"\\xff"
    assert shown(b'{"a":"\x01"}') == r'{"a":"\x01"}'


async def test_only_staff_ask_and_only_of_their_own(
    services: Services, org: Org, quality: Quality, reports: QualityReports
):
    phone, stranger = await org.phone(), await organisation(services, "Other")
    await quality.refuse([rejection(phone, NOON)])
    await quality.flush()
    assert (await reports.list(stranger.owner, 50, None, revoked=True)).data == []
    with pytest.raises(DeviceNotFound):
        await reports.of_device(stranger.owner, phone.device_id, 1)
    with pytest.raises(DeviceNotFound):
        await reports.rejections(stranger.owner, phone.device_id, 9, None)
    viewer, _ = await org.person(Role.VIEWER)
    assert len((await reports.list(viewer, 50, None)).data) == 1
    for asking in (reports.of_device(viewer, phone.device_id, 1), reports.list(phone.principal, 50, None)):
        with pytest.raises(Denied):
            await asking
    async with services.database.transaction(stranger.org_id) as conn:
        for table in ("fix_rejections", "device_quality", "device_quality_days", "device_quality_counts"):
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with services.database.transaction(org.org_id) as conn:
            await conn.execute("DELETE FROM fix_rejections")


async def test_over_http_states_days_and_rejections_are_read_page_by_page(api: Api, services: Services, org: Org):
    phones = [await org.phone() for _ in range(3)]
    now = datetime.now(UTC)
    quality = services.quality
    for n in range(3):
        await quality.refuse([rejection(phones[0], now + timedelta(milliseconds=n), n)])
    quality.note(noted(phones[1], now, battery_pct=33.3, clock_offset_ms=-1500))
    await quality.flush()
    staff = api.as_(await org.token())
    first = (await staff("GET", "/api/v1/tracking/quality?limit=2")).json
    rest = (await staff("GET", f"/api/v1/tracking/quality?limit=2&cursor={first['nextCursor']}")).json
    states = {row["deviceId"]: row for row in [*first["data"], *rest["data"]]}
    assert (len(first["data"]), len(rest["data"]), rest["hasMore"]) == (2, 1, False)
    refused, live, never = (states[str(phone.device_id)] for phone in phones)
    assert (refused["state"], refused["because"]["code"], refused["today"]["rejected"]) == ("never", "clock_ahead", 3)
    assert (live["state"], live.get("because"), live["battery"], live["clockOffset"]) == ("live", None, 33.3, -1.5)
    assert (never["state"], never.get("silentSince"), never["because"]["code"]) == ("never", None, "never_heard")

    one = f"/api/v1/devices/{phones[0].device_id}"
    body = (await staff("GET", f"{one}/quality?days=3")).json
    assert (len(body["days"]), body["days"][0]["reasons"], body["device"]["lastReason"]) == (3, {"future": 3}, "future")
    page = (await staff("GET", f"{one}/rejections?limit=2")).json
    assert [row["record"] for row in page["data"]] == ["\\x00\\xff 2", "\\x00\\xff 1"]
    page = (await staff("GET", f"{one}/rejections?limit=2&cursor={page['nextCursor']}")).json
    assert ([row["record"] for row in page["data"]], page["nextCursor"]) == (["\\x00\\xff 0"], None)
    assert (await staff("GET", f"{one}/quality?days=32")).status == 400
    assert (await staff("GET", f"/api/v1/devices/{org.org_id}/quality")).status == 404


async def test_what_a_phone_sends_is_counted_and_what_is_refused_of_it_kept_as_it_was_sent(api: Api, org: Org):
    phone, now = await org.phone(), datetime.now(UTC)
    good = {"latitude": -17.8, "longitude": 31.0, "timestamp": now.isoformat(), "battery": 12, "accuracy": 8}
    strange = {"latitude": -17.8, "longitude": 1555, "timestamp": now.isoformat(), "note": "a\0b"}
    sent = [good, good, strange, "nothing", {**good, "timestamp": (now + timedelta(minutes=20)).isoformat()}]
    answer = await api.as_(phone.token)("POST", "/api/v1/tracking/ping", {"locations": sent})
    assert (answer.json["accepted"], answer.json["duplicates"], len(answer.json["rejected"])) == (1, 1, 3)
    await org.services.quality.flush()
    staff, one = api.as_(await org.token()), f"/api/v1/devices/{phone.device_id}"
    body = (await staff("GET", f"{one}/quality?days=1")).json
    [today] = body["days"]
    assert (today["accepted"], today["duplicates"], today["rejected"], today["meanAccuracy"]) == (1, 1, 3, 8.0)
    assert today["reasons"] == {"bad_coordinates": 1, "malformed": 1, "future": 1}
    assert (body["device"]["state"], body["device"]["battery"]) == ("live", 12.0)
    kept = (await staff("GET", f"{one}/rejections")).json["data"]
    records = {row["reason"]: row["record"] for row in kept}
    assert records.keys() == today["reasons"].keys()
    assert "1555" in records["bad_coordinates"]
    assert "nothing" in records["malformed"]


async def test_a_phone_with_a_fast_clock_is_told_by_how_much(api: Api, org: Org):
    phone, ahead = await org.phone(), datetime.now(UTC) + timedelta(minutes=20)
    location = {"latitude": -17.8, "longitude": 31.0, "timestamp": ahead.isoformat()}
    await api.as_(phone.token)("POST", "/api/v1/tracking/ping", {"locations": [location]})
    await org.services.quality.flush()
    [device] = (await api.as_(await org.token())("GET", "/api/v1/tracking/quality")).json["data"]
    assert (device["state"], device["because"]["code"]) == ("never", "clock_ahead")
    assert device["because"]["seconds"] == pytest.approx(1200, abs=5)
    assert "20 min ahead" in device["because"]["detail"] or "19 min ahead" in device["because"]["detail"]


async def test_a_withdrawn_phone_is_listed_only_on_request_and_says_so(org: Org, reports: QualityReports):
    phone = await org.phone()
    await org.services.directory.devices.revoke(org.owner, phone.device_id)
    assert (await reports.list(org.owner, 50, None)).data == []
    one = await told(reports, org, phone)
    assert one.judged.because is not None
    assert one.judged.because.code is Code.TOKEN_WITHDRAWN


async def test_the_organisations_own_clocks_are_used(
    services: Services, org: Org, quality: Quality, reports: QualityReports, clock: FakeClock
):
    phone = await org.phone()
    await services.organisations.change(org.owner, name=None, time_zone="Asia/Kathmandu", tracking={})
    quality.note(noted(phone, NOON, battery_pct=3.0))
    await quality.flush()
    await clock.advance(120)
    assert (await told(reports, org, phone)).detail == "silent since 17:45, battery 3 %"
