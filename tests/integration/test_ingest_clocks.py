"""Phones' clocks, from what they send to what is stored: the time that counts, and the one that the phone said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.conftest import Api
from tests.factories import Org, Phone
from tests.integration.test_group_commit import HOUR, fetch
from tests.integration.test_http_tracking import location, ping
from waypost.tracking.clocks import EPOCH_2001_MS, GPS_ROLLOVER_MS
from waypost.tracking.domain import Flag, ms_of
from waypost.wiring import Services


async def stored_times(services: Services, phone: Phone) -> list[tuple[datetime, datetime, int, int | None]]:
    query = "SELECT raw_at, recorded_at, flags, raw_ms FROM fixes WHERE device_id = $1 ORDER BY receipt"
    return [(row[0], row[1], row[2], row[3]) for row in await fetch(services, query, phone.device_id)]


def apart_s(one: datetime, other: datetime) -> float:
    return abs((one - other).total_seconds())


async def test_a_clock_an_hour_ahead_is_corrected_at_once_and_its_own_time_kept(api: Api, services: Services, org: Org):
    phone = await org.phone()
    for n in range(2):
        wrong_now = datetime.now(UTC) + timedelta(hours=1)
        at = wrong_now - timedelta(seconds=30 - n)
        answer = await ping(api, phone, location(timestamp=at.isoformat()), sentAt=wrong_now.isoformat())
        assert answer["flagged"] == [{"index": 0, "flags": ["clock_skew"]}]
        raw_at, recorded_at, flags, raw_ms = (await stored_times(services, phone))[n]
        assert (flags, raw_ms) == (Flag.CLOCK_SKEW, None)
        assert apart_s(raw_at, at) < 0.002
        assert apart_s(recorded_at, at - timedelta(hours=1)) < 5
        assert answer["latest"]["recordedAt"][:20] == recorded_at.isoformat()[:20].replace("+", ".")
    again = await ping(
        api, phone, location(timestamp=at.isoformat()), sentAt=(wrong_now + timedelta(seconds=3)).isoformat()
    )
    assert (again["accepted"], again["duplicates"]) == (0, 1)


async def test_a_clock_ahead_without_a_time_of_sending_is_the_future(api: Api, org: Org):
    phone = await org.phone()
    answer = await ping(api, phone, location(-HOUR))
    assert [each["reason"] for each in answer["rejected"]] == ["future"]


async def test_a_clock_behind_is_corrected_when_three_sendings_agree(api: Api, services: Services, org: Org):
    phone, stream = await org.phone(), str(uuid4())
    for n in range(4):
        wrong_now = datetime.now(UTC) - timedelta(hours=1)
        sent = location(timestamp=(wrong_now - timedelta(seconds=30 - n)).isoformat(), n=n)
        await ping(api, phone, sent, sentAt=ms_of(wrong_now), stream=stream)
    rows = await stored_times(services, phone)
    assert [flags for _, _, flags, _ in rows] == [0, 0, Flag.CLOCK_SKEW, Flag.CLOCK_SKEW]
    for raw_at, recorded_at, flags, _ in rows:
        offset_s = (recorded_at - raw_at).total_seconds()
        assert abs(offset_s - (HOUR if flags else 0)) < 5
    other = await ping(
        api, phone, location(HOUR + 10), sentAt=ms_of(datetime.now(UTC) - timedelta(hours=1)), stream=str(uuid4())
    )
    assert other["flagged"] == []  # another stream, another clock


async def test_an_age_tells_the_clock_as_a_time_of_sending_does(api: Api, services: Services, org: Org):
    phone = await org.phone()
    at = datetime.now(UTC) + timedelta(hours=1, seconds=-20)
    answer = await ping(api, phone, location(timestamp=at.isoformat(), age=20_000))
    assert answer["flagged"] == [{"index": 0, "flags": ["clock_skew"]}]
    ((_, recorded_at, _, _),) = await stored_times(services, phone)
    assert apart_s(recorded_at, datetime.now(UTC) - timedelta(seconds=20)) < 5


async def test_a_request_that_was_kept_for_hours_is_not_taken_for_a_slow_clock(api: Api, services: Services, org: Org):
    phone, now = await org.phone(), datetime.now(UTC)
    for hours_ago in (9, 6, 3):  # sent again as it was; the network was away
        sent_at = now - timedelta(hours=hours_ago)
        await ping(api, phone, location(hours_ago * HOUR + 5), sentAt=sent_at.isoformat())
    assert {flags for _, _, flags, _ in await stored_times(services, phone)} == {0}


async def test_times_that_a_constant_repairs_are_stored_repaired_with_what_was_said(
    api: Api, services: Services, org: Org
):
    phone = await org.phone()
    now = ms_of(datetime.now(UTC))
    meant = [now - 1000 * seconds for seconds in (50, 40, 30, 20, 10)]
    said = [meant[0] - GPS_ROLLOVER_MS, meant[1] - EPOCH_2001_MS, meant[2] // 1000, meant[3] * 1000, meant[4]]
    sent = [location(timestamp=at) for at in said]
    answer = await ping(api, phone, *sent)
    assert answer["flagged"] == [{"index": n, "flags": ["clock_skew"]} for n in range(4)]
    rows = await stored_times(services, phone)
    expected = [meant[0], meant[1], meant[2] // 1000 * 1000, meant[3], meant[4]]
    assert sorted(ms_of(recorded_at) for _, recorded_at, _, _ in rows) == expected
    assert {raw_ms for *_, raw_ms in rows} == {*said[:4], None}
    assert (await ping(api, phone, *sent))["duplicates"] == 5
