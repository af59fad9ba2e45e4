"""Quiet hours, for every start, end, zone and day, those on which the clock is changed among them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from waypost.identity.domain import QuietHours, Telling
from waypost.notifications.quiet import DAYS, quiet_until

MINUTE = timedelta(minutes=1)
ZONES = ["Africa/Harare", "UTC", "America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "Pacific/Apia",
         "America/Santiago", "Asia/Kathmandu", "Africa/Casablanca"]  # fmt: skip
NIGHT = Telling()


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-22T20:59:59", None),
        ("2026-11-22T21:00", "2026-11-23T07:00"),
        ("2026-11-22T23:59:59", "2026-11-23T07:00"),
        ("2026-11-23T00:00", "2026-11-23T07:00"),
        ("2026-11-23T06:59:59", "2026-11-23T07:00"),
        ("2026-11-23T07:00", None),
        ("2026-11-23T12:00", None),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Africa/Harare", "America/New_York"])
def test_the_night_is_quiet_from_nine_to_before_seven_by_the_clock_of_the_place(now: str, until: str | None, zone: str):
    assert quiet_until(NIGHT, zone, at(now, zone)) == (at(until, zone) if until else None)


def test_the_same_start_and_end_means_no_quiet_hours():
    none = Telling(quiet=QuietHours("08:00", "08:00"))
    assert [quiet_until(none, "UTC", at("2026-11-22T00:00") + n * MINUTE) for n in range(0, 1440, 7)] == [None] * 206


def test_quiet_hours_may_lie_within_a_day():
    siesta = Telling(quiet=QuietHours("13:00", "14:30"))
    assert quiet_until(siesta, "UTC", at("2026-11-22T13:00")) == at("2026-11-22T14:30")
    assert quiet_until(siesta, "UTC", at("2026-11-22T12:59")) is None
    assert quiet_until(siesta, "UTC", at("2026-11-22T14:30")) is None


def test_a_weekday_has_its_own_hours_which_count_for_the_night_that_begins_on_it():
    telling = Telling(quiet_days={"sat": QuietHours("20:00", "09:00"), "sun": QuietHours("00:00", "23:59")})
    assert quiet_until(telling, "UTC", at("2026-11-20T20:30")) is None  # a Friday
    assert quiet_until(telling, "UTC", at("2026-11-21T06:30")) == at("2026-11-21T07:00")  # Friday's night
    assert quiet_until(telling, "UTC", at("2026-11-21T20:30")) == at("2026-11-22T23:59")  # on into Sunday's
    assert quiet_until(telling, "UTC", at("2026-11-22T23:59")) is None


@pytest.mark.parametrize(
    ("end", "until"),
    [("02:30", "2026-03-08T03:00"), ("03:00", "2026-03-08T03:00"), ("07:00", "2026-03-08T07:00")],
)
def test_an_end_that_the_clock_skips_comes_with_the_jump(end: str, until: str):
    telling = Telling(quiet=QuietHours("21:00", end))
    found = quiet_until(telling, "America/New_York", at("2026-03-07T22:00", "America/New_York"))
    assert found == at(until, "America/New_York")


def test_an_hour_that_comes_twice_is_quiet_twice_where_the_wall_says_so():
    telling, zone = Telling(quiet=QuietHours("21:00", "01:30")), "America/New_York"
    assert quiet_until(telling, zone, at("2026-11-01T01:15", zone)) == at("2026-11-01T01:30", zone)
    assert quiet_until(telling, zone, at("2026-11-01T01:45", zone)) is None
    assert quiet_until(telling, zone, at("2026-11-01T01:15", zone, fold=1)) == at("2026-11-01T01:30", zone, fold=1)


def test_an_unknown_zone_counts_as_utc():
    assert quiet_until(NIGHT, "Africa/Atlantis", at("2026-11-22T22:00")) == at("2026-11-23T07:00")


TIMES = st.times().map(lambda t: t.strftime("%H:%M"))
HOURS = st.builds(QuietHours, TIMES, TIMES)


def is_quiet(telling: Telling, wall: datetime) -> bool:
    """By the words of the rule alone."""
    for begins in (wall.date() - timedelta(days=1), wall.date()):
        hours = telling.quiet_days.get(DAYS[begins.weekday()], telling.quiet)
        start, end = (datetime.combine(begins, time.fromisoformat(text)) for text in (hours.start, hours.end))
        if end < start:
            end += timedelta(days=1)
        if start <= wall < end:
            return True
    return False


def wall_of(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


CHANGES = [at(day) for day in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-04", "2026-10-25",
                               "2026-11-01", "2026-02-15", "2026-03-22")]  # fmt: skip


@given(
    telling=st.builds(Telling, HOURS, st.dictionaries(st.sampled_from(DAYS), HOURS, max_size=3)),
    zone=st.sampled_from(ZONES),
    day=st.one_of(
        st.sampled_from(CHANGES), st.integers(0, 126_000_000).map(lambda s: at("2024-01-01") + timedelta(seconds=s))
    ),
    minutes=st.integers(-1440, 2880),
)  # fmt: skip
def test_it_holds_just_as_long_as_the_clock_on_the_wall_shows_quiet_hours(
    telling: Telling, zone: str, day: datetime, minutes: int
):
    now = day + minutes * MINUTE
    until = quiet_until(telling, zone, now)
    assert (until is not None) == is_quiet(telling, wall_of(now, zone))
    if until is None:
        return
    assert until > now
    assert not is_quiet(telling, wall_of(until, zone))
    assert is_quiet(telling, wall_of(until - timedelta(seconds=1), zone))
    assume(until - now < timedelta(days=4))
    steps = [now + n * MINUTE for n in range(int((until - now) / MINUTE))]
    walls = [wall_of(step, zone) for step in steps]
    if walls == sorted(walls):  # no clock was set back meanwhile
        assert all(is_quiet(telling, wall) for wall in walls)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Africa/Harare", "2026-11-22"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-10-04"),
    ],
)
def test_every_pair_of_start_and_end_is_right_on_days_with_and_without_a_change_of_the_clock(zone: str, day: str):
    hours = [f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 30)]
    begin = at(day, zone) - timedelta(hours=3)
    moments = [begin + n * timedelta(minutes=53) for n in range(34)]
    walls = [wall_of(moment, zone) for moment in moments]
    for start in hours:
        for end in hours:
            telling = Telling(quiet=QuietHours(start, end))
            for moment, wall in zip(moments, walls, strict=True):
                until = quiet_until(telling, zone, moment)
                assert (until is not None) == is_quiet(telling, wall), (start, end, moment)
                assert until is None or (until > moment and not is_quiet(telling, wall_of(until, zone)))
