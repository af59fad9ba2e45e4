"""When a timed run is due: clocks that are put on and back, dates that were left out, spans that meet."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.jobs.timetable import Daily, Every, Schedule, due_runs, local_moment

ZONES = [
    "UTC", "Africa/Harare", "Africa/Casablanca", "America/New_York", "America/St_Johns", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Europe/Berlin", "Pacific/Apia", "Pacific/Chatham",
]  # fmt: skip
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone follows
spans = st.timedeltas(timedelta(0), timedelta(days=40))
times = st.times().map(lambda at: at.replace(microsecond=0))
schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Daily, times, st.frozensets(st.integers(0, 6), min_size=1)),
    st.builds(Every, st.sampled_from([timedelta(minutes=7), timedelta(hours=1), timedelta(days=1)])),
)


def due(schedule: Schedule, zone: ZoneInfo, last: datetime, now: datetime) -> list[datetime]:
    return list(due_runs(schedule, zone, last, now))


@given(schedules, zones, moments, spans, st.floats(0, 1))
def test_two_spans_that_meet_have_every_run_of_both_once(
    schedule: Schedule, zone: ZoneInfo, last: datetime, span: timedelta, part: float
):
    now, middle = last + span, last + span * part
    whole = due(schedule, zone, last, now)
    assert due(schedule, zone, last, middle) + due(schedule, zone, middle, now) == whole
    assert whole == sorted(set(whole))
    assert all(last < moment <= now for moment in whole)


@given(times, zones, moments, spans)
def test_a_daily_run_has_one_moment_a_day_by_the_local_clock(at: time, zone: ZoneInfo, last: datetime, span: timedelta):
    found = due(Daily(at), zone, last, last + span)
    for moment in found:
        local = moment.astimezone(zone)
        if local.time() != at:  # the clocks went over it: a second before it was not yet that late
            before = (moment - timedelta(seconds=1)).astimezone(zone)
            assert (before.date(), before.time()) < (local.date(), at) or before.date() < local.date()
            assert before.utcoffset() != local.utcoffset()
    left_out = zone.key == "Pacific/Apia"  # a whole day, in 2011
    assert left_out or all(timedelta(hours=22) <= b - a <= timedelta(hours=26) for a, b in pairwise(found))
    assert (
        abs(len(found) - span / timedelta(days=1)) <= 1 + 2 / 24 + left_out
    )  # the clocks may have gone back meanwhile


@pytest.mark.parametrize(
    ("zone", "day", "at", "moment"),
    [
        # 02:00 to 03:00 does not exist: due as the clocks go on.
        ("Europe/Berlin", date(2026, 3, 29), time(2, 30), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("America/New_York", date(2026, 3, 8), time(2, 0), datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
        # Half an hour only.
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        # 02:00 to 03:00 comes twice: the first.
        ("Europe/Berlin", date(2026, 10, 25), time(2, 30), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        # 30 December 2011 was left out in Samoa: due as the 31st begins.
        ("Pacific/Apia", date(2011, 12, 30), time(9, 0), datetime(2011, 12, 30, 10, 0, tzinfo=UTC)),
        ("Africa/Harare", date(2026, 11, 22), time(3, 10), datetime(2026, 11, 22, 1, 10, tzinfo=UTC)),
    ],
)
def test_a_local_time_that_does_not_exist_or_comes_twice_has_one_moment(
    zone: str, day: date, at: time, moment: datetime
):
    assert local_moment(day, at, ZoneInfo(zone)) == moment


def test_a_run_is_due_at_its_very_moment_and_not_a_second_time():
    at = datetime(2026, 11, 22, 1, 10, tzinfo=UTC)
    schedule, zone = Daily(time(3, 10)), ZoneInfo("Africa/Harare")
    assert due(schedule, zone, at - timedelta(seconds=1), at) == [at]
    assert due(schedule, zone, at, at + timedelta(hours=23)) == []


def test_only_the_days_of_the_week_that_are_named_have_a_run():
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    found = due(Daily(time(8), frozenset({0, 4})), ZoneInfo("UTC"), monday, monday + timedelta(days=14))
    assert [(moment.weekday(), moment.day) for moment in found] == [(0, 23), (4, 27), (0, 30), (4, 4)]


def test_an_interval_goes_by_no_local_clock():
    start = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    found = due(Every(timedelta(hours=1)), ZoneInfo("Europe/Berlin"), start, start + timedelta(hours=3))
    assert [moment.hour for moment in found] == [1, 2, 3]
