"""Screening: one outcome a location; which fix is the newest."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON
from waypost.identity.domain import TrackingLimits
from waypost.tracking.domain import (
    Fix,
    Flag,
    Reason,
    Rejected,
    Report,
    assign,
    newest,
    parse_time,
    screen,
    screen_batch,
)
from waypost.trips.domain import Run

LIMITS = TrackingLimits()
RECENT = "2026-11-22T11:59:00.000Z"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def report(index: int = 0, **fields: object) -> Report:
    return Report(index, **{"latitude": -17.8, "longitude": 31.0, "timestamp": RECENT, **fields})  # type: ignore[arg-type]


def fix(**fields: object) -> Fix:
    outcome = screen(report(**fields), NOON, LIMITS)
    assert isinstance(outcome, Fix)
    return outcome


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"latitude": 90.1}, Reason.BAD_COORDINATES),
        ({"longitude": 1555}, Reason.BAD_COORDINATES),
        ({"latitude": math.nan}, Reason.BAD_COORDINATES),
        ({"longitude": math.inf}, Reason.BAD_COORDINATES),
        ({"latitude": "17"}, Reason.BAD_COORDINATES),
        ({"latitude": None}, Reason.BAD_COORDINATES),
        ({"latitude": True}, Reason.BAD_COORDINATES),
        ({"latitude": 10**400}, Reason.BAD_COORDINATES),
        ({"latitude": 0, "longitude": 0}, Reason.ZERO_ISLAND),
        ({"latitude": -0.0, "longitude": 0.0}, Reason.ZERO_ISLAND),
        ({"timestamp": None}, Reason.BAD_TIME),
        ({"timestamp": 0}, Reason.BAD_TIME),
        ({"timestamp": -5}, Reason.BAD_TIME),
        ({"timestamp": math.nan}, Reason.BAD_TIME),
        ({"timestamp": 1e300}, Reason.BAD_TIME),
        ({"timestamp": "noon"}, Reason.BAD_TIME),
        ({"timestamp": "x" * 100_000}, Reason.BAD_TIME),
        ({"timestamp": "2026-11-22T12:05:01Z"}, Reason.FUTURE),
        ({"timestamp": "2025-11-21T12:00:00Z"}, Reason.TOO_OLD),
        ({"malformed": True}, Reason.MALFORMED),
    ],
)
def test_what_cannot_be_a_fix_is_rejected_with_its_reason(fields: dict[str, object], reason: Reason):
    outcome = screen(report(3, **fields), NOON, LIMITS)
    assert isinstance(outcome, Rejected)
    assert (outcome.index, outcome.reason) == (3, reason)
    assert outcome.detail


def test_a_fast_clock_is_taken_as_now_and_keeps_its_own_time():
    ahead = fix(timestamp="2026-11-22T12:04:59Z")
    assert ahead.recorded_at == NOON
    assert ahead.raw_at == NOON + timedelta(minutes=4, seconds=59)


def test_unknown_values_are_none_never_a_number():
    unknown = fix(speed=-1, heading=-1, accuracy=0, battery=-1, altitude=math.nan)
    assert (unknown.speed_mps, unknown.heading_deg, unknown.accuracy_m) == (None, None, None)
    assert (unknown.battery_pct, unknown.altitude_m) == (None, None)
    assert fix(heading=360).heading_deg == 0
    assert fix(heading=361).heading_deg is None
    assert fix(battery=101).battery_pct is None
    assert fix(speed=500).speed_mps is None
    assert fix(altitude=-120).altitude_m == -120


def test_doubts_are_flags_and_keep_a_fix_out_of_the_live_view():
    assert fix(accuracy=201).flags == Flag.POOR_ACCURACY
    assert fix(mock=True).flags == Flag.MOCK
    assert fix(accuracy=200, mock=False).flags == Flag.NONE
    assert not fix(mock=True).is_good
    allowed = screen(report(mock=True), NOON, TrackingLimits(allow_mock=True))
    assert isinstance(allowed, Fix)
    assert allowed.is_good


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-22T12:00:00Z",
        "2026-11-22T14:00:00+02:00",
        "2026-11-22 12:00:00.000",
        "20261122T120000Z",
        1795348800000,
        1795348800000.0,
    ],
)
def test_a_time_is_iso_text_or_epoch_milliseconds(value: object):
    assert parse_time(value) == NOON


def test_a_time_is_cut_to_whole_milliseconds_so_that_both_forms_agree():
    assert parse_time("2026-11-22T12:00:00.1239999Z") == parse_time(1795348800123) == NOON.replace(microsecond=123000)


@given(anything, anything, anything, anything)
def test_every_location_gets_exactly_one_outcome_whatever_is_in_it(a: object, b: object, c: object, d: object):
    reports = [Report(n, a, b, c, d, d, d, d, d, d) for n in range(3)]
    fixes, repeats, rejected = screen_batch(reports, NOON, LIMITS)
    assert sorted([f.index for f in fixes] + repeats + [r.index for r in rejected]) == [0, 1, 2]
    for stored in fixes:
        assert abs(stored.latitude_e7) <= 900_000_000
        assert abs(stored.longitude_e7) <= 1_800_000_000
        assert stored.recorded_at <= NOON


def test_of_a_repeat_in_one_batch_the_first_stays():
    same_place = [report(0), report(1), report(2, latitude=-18.0)]
    same_key = [report(0, key="s:1"), report(1, key="s:1", latitude=-18.0), report(2, key="s:2", latitude=-18.0)]
    for reports, expected in ((same_place, [0, 2]), (same_key, [0, 2])):
        fixes, repeats, _ = screen_batch(reports, NOON, LIMITS)
        assert [f.index for f in fixes] == expected
        assert repeats == [1]


@given(st.permutations(range(6)))
def test_the_newest_is_the_same_in_every_order(order: list[int]):
    fixes = [fix(timestamp=f"2026-11-22T11:5{n}:00Z", mock=n == 5) for n in range(6)]
    best = newest(fixes[n] for n in order)
    assert best is not None
    assert best.recorded_at == datetime(2026, 11, 22, 11, 54, tzinfo=UTC)


def test_of_two_fixes_of_one_time_the_first_received_is_the_newest():
    first, second = fix(latitude=1), fix(latitude=2)
    assert newest([first, second]) is first
    assert newest([]) is None
    assert newest([fix(mock=True)]) is None


MORNING, NOW = UUID(int=1), UUID(int=2)
RUNS = [
    Run(NOW, NOON - timedelta(hours=1), None),
    Run(MORNING, NOON - timedelta(hours=4), NOON - timedelta(hours=2)),
]


@pytest.mark.parametrize(
    ("minutes_ago", "named", "belongs_to"),
    [
        (10, None, NOW),
        (180, None, MORNING),
        (90, None, None),
        (10, MORNING, NOW),
        (180, NOW, MORNING),
        (62, NOW, NOW),
        (62, None, None),
        (118, MORNING, MORNING),
        (66, NOW, None),
    ],
)
def test_a_fix_belongs_to_the_trip_that_was_running_at_its_time(
    minutes_ago: int, named: UUID | None, belongs_to: UUID | None
):
    at = (NOON - timedelta(minutes=minutes_ago)).astimezone(timezone(timedelta(hours=2)))
    (assigned,) = assign([fix(timestamp=at.isoformat())], RUNS, named)
    assert assigned.trip_id == belongs_to
