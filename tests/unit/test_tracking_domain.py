"""Screening: one outcome a location, the time that counts, which fix is the newest."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON
from waypost.identity.domain import TrackingLimits
from waypost.tracking.clocks import DAY_MS
from waypost.tracking.domain import (
    BY_ITSELF,
    DOUBTFUL,
    Fix,
    Flag,
    Reason,
    Rejected,
    Report,
    flag_names,
    moment,
    ms_of,
    newest,
    screen,
    screen_batch,
    timed,
)
from waypost.tracking.values import epoch_ms

LIMITS = TrackingLimits()
NOW_MS = ms_of(NOON)
RECENT = "2026-11-22T11:59:00.000Z"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def report(index: int = 0, **fields: object) -> Report:
    return Report(index, **{"latitude": -17.8, "longitude": 31.0, "timestamp": RECENT, **fields})  # type: ignore[arg-type]


def outcome(limits: TrackingLimits = LIMITS, *, offset_ms: int = 0, **fields: object) -> Fix | Rejected:
    """What becomes of one location: screened, then timed."""
    screened = screen(report(3, **fields), NOW_MS, limits)
    if isinstance(screened, Rejected):
        return screened
    kept, rejected = timed([screened], NOW_MS, offset_ms, limits)
    (one,) = [*kept, *rejected]
    return one


def fix(limits: TrackingLimits = LIMITS, **fields: object) -> Fix:
    stored = outcome(limits, **fields)
    assert isinstance(stored, Fix)
    return stored


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
        ({"latitude": 4e-8, "longitude": -4e-8}, Reason.ZERO_ISLAND),
        ({"timestamp": None}, Reason.BAD_TIME),
        ({"timestamp": 0}, Reason.BAD_TIME),
        ({"timestamp": -5}, Reason.BAD_TIME),
        ({"timestamp": True}, Reason.BAD_TIME),
        ({"timestamp": math.nan}, Reason.BAD_TIME),
        ({"timestamp": math.inf}, Reason.BAD_TIME),
        ({"timestamp": 1e300}, Reason.BAD_TIME),
        ({"timestamp": 10**400}, Reason.BAD_TIME),
        ({"timestamp": "noon"}, Reason.BAD_TIME),
        ({"timestamp": ""}, Reason.BAD_TIME),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, Reason.BAD_TIME),
        ({"timestamp": "x" * 100_000}, Reason.BAD_TIME),
        ({"timestamp": "2026-11-22T12:05:00.001Z"}, Reason.FUTURE),
        ({"timestamp": 2**53 - 1}, Reason.FUTURE),
        ({"timestamp": "9999-12-31T23:59:59Z"}, Reason.FUTURE),
        ({"timestamp": "2025-11-22T11:59:59.999Z"}, Reason.TOO_OLD),
        ({"timestamp": 1}, Reason.TOO_OLD),
        ({"malformed": True}, Reason.MALFORMED),
    ],
)
def test_what_cannot_be_a_fix_is_rejected_with_its_reason(fields: dict[str, object], reason: Reason):
    rejected = outcome(**fields)
    assert isinstance(rejected, Rejected)
    assert (rejected.index, rejected.reason) == (3, reason)
    assert rejected.detail


def test_a_fast_clock_is_taken_as_now_and_keeps_its_own_time():
    ahead = fix(timestamp="2026-11-22T12:05:00Z")
    assert ahead.recorded_at == NOON
    assert moment(ahead.raw_ms) == NOON + timedelta(minutes=5)
    assert ahead.flags == Flag.NONE


def test_an_organisation_sets_how_far_ahead_and_how_far_back_a_time_may_be():
    strict = TrackingLimits(future_s=0, retention_days=1)
    assert fix(strict, timestamp=NOW_MS).recorded_ms == NOW_MS
    assert fix(strict, timestamp=NOW_MS - DAY_MS).recorded_ms == NOW_MS - DAY_MS
    reasons = [outcome(strict, timestamp=at) for at in (NOW_MS + 1, NOW_MS - DAY_MS - 1)]
    assert [one.reason for one in reasons if isinstance(one, Rejected)] == [Reason.FUTURE, Reason.TOO_OLD]
    assert fix(TrackingLimits(retention_days=4000), timestamp="2016-11-22T12:00:00Z").flags == Flag.NONE


def test_a_corrected_time_is_flagged_and_the_devices_own_stays_the_key():
    behind = fix(timestamp="2026-11-22T11:00:00Z", offset_ms=1_800_000)
    assert behind.recorded_at == NOON - timedelta(minutes=30)
    assert moment(behind.raw_ms) == NOON - timedelta(minutes=60)
    assert behind.flags == Flag.CLOCK_SKEW
    assert behind.is_good
    ahead = fix(timestamp="2026-11-22T20:00:00Z", offset_ms=-8 * 3_600_000)
    assert ahead.recorded_at == NOON
    too_far = outcome(timestamp="2026-11-22T12:00:00Z", offset_ms=301_000)
    assert isinstance(too_far, Rejected)
    assert too_far.reason is Reason.FUTURE


def test_a_time_off_by_a_constant_is_repaired_flagged_and_said_as_it_was():
    rolled = fix(timestamp="2007-04-08T11:59:00Z")  # 1,024 weeks
    assert rolled.recorded_at == datetime(2026, 11, 22, 11, 59, tzinfo=UTC)
    assert moment(rolled.said_ms or 0) == datetime(2007, 4, 8, 11, 59, tzinfo=UTC)
    assert rolled.flags == Flag.CLOCK_SKEW
    assert rolled.is_good
    assert fix(timestamp=RECENT).said_ms is None


def test_unknown_values_are_none_never_a_number():
    unknown = fix(speed=-1, heading=-1, accuracy=0, battery=-1, altitude=math.nan)
    assert (unknown.speed_mps, unknown.heading_deg, unknown.accuracy_m) == (None, None, None)
    assert (unknown.battery_pct, unknown.altitude_m) == (None, None)
    assert fix(heading=360).heading_deg == 0
    assert fix(heading=361).heading_deg is None
    assert fix(battery=101).battery_pct is None
    assert fix(speed=500).speed_mps is None
    assert fix(speed=True).speed_mps is None
    assert fix(accuracy=math.inf).accuracy_m is None
    assert fix(altitude=-120).altitude_m == -120
    assert fix(accuracy=0.001).accuracy_m is None


def test_doubts_are_flags_and_keep_a_fix_out_of_the_live_view():
    assert fix(accuracy=201).flags == Flag.POOR_ACCURACY
    assert fix(mock=True).flags == Flag.MOCK
    assert fix(mock=True, accuracy=201).flags == BY_ITSELF
    assert fix(accuracy=200, mock=False).flags == Flag.NONE
    assert fix(mock="true").flags == Flag.NONE
    assert fix(TrackingLimits(allow_mock=True), mock=True).is_good
    assert fix(TrackingLimits(max_accuracy_m=20), accuracy=21).flags == Flag.POOR_ACCURACY
    for flag in Flag:
        one = fix()
        one.flags |= flag
        assert one.is_good == (flag not in DOUBTFUL)


def test_flags_have_the_names_of_the_protocol():
    every = sum(Flag)
    assert flag_names(every) == ["speed_jump", "poor_accuracy", "drift", "mock", "clock_skew"]
    assert flag_names(0) == []


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
    assert epoch_ms(value) == NOW_MS


@given(st.integers(0, 999_999))
def test_a_time_is_cut_to_whole_milliseconds_so_that_both_forms_agree(microsecond: int):
    text = NOON.replace(microsecond=microsecond).isoformat()
    assert epoch_ms(text) == epoch_ms(NOW_MS + microsecond / 1000) == NOW_MS + microsecond // 1000
    assert epoch_ms("2026-11-22T12:00:00.1239999Z") == NOW_MS + 123


@given(st.integers(1, 2**42), st.integers(-14 * 4, 14 * 4))
def test_a_moment_and_its_milliseconds_are_one(ms: int, quarters: int):
    at = moment(ms)
    assert at.tzinfo is UTC
    assert ms_of(at) == ms
    assert ms_of(at + timedelta(microseconds=999)) == ms
    elsewhere = at.astimezone(timezone(timedelta(minutes=15 * quarters)))
    assert (ms_of(elsewhere), epoch_ms(elsewhere.isoformat())) == (ms, ms)


@given(anything, anything, anything, anything, st.sampled_from([0, 3_600_000, -3_600_000]))
def test_every_location_gets_exactly_one_outcome_whatever_is_in_it(
    a: object, b: object, c: object, d: object, offset_ms: int
):
    reports = [Report(n, a, b, c, d, d, d, d, d, d) for n in range(3)]
    screened, repeats, refused = screen_batch(reports, NOW_MS, LIMITS)
    stored, rejected = timed(screened, NOW_MS, offset_ms, LIMITS)
    assert sorted([f.index for f in stored] + repeats + [r.index for r in refused + rejected]) == [0, 1, 2]
    for one in stored:
        assert abs(one.latitude_e7) <= 900_000_000
        assert abs(one.longitude_e7) <= 1_800_000_000
        assert NOW_MS - 365 * DAY_MS <= one.recorded_ms <= NOW_MS


def test_of_a_repeat_in_one_batch_the_first_stays():
    reports = [report(0), report(1), report(2, latitude=-18.0), report(3, key="s:1"), report(4, accuracy=5)]
    fixes, repeats, rejected = screen_batch(reports, NOW_MS, LIMITS)
    assert ([f.index for f in fixes], repeats, rejected) == ([0, 2], [1, 3, 4], [])


def test_what_is_rejected_is_nobodys_first():
    reports = [report(0, longitude=1555), report(1), report(2, malformed=True), report(3)]
    fixes, repeats, rejected = screen_batch(reports, NOW_MS, LIMITS)
    assert ([f.index for f in fixes], repeats, [r.index for r in rejected]) == ([1], [3], [0, 2])


@given(st.permutations(range(6)))
def test_the_newest_is_the_same_in_every_order(order: list[int]):
    fixes = [fix(timestamp=f"2026-11-22T11:5{n}:00Z", mock=n == 5) for n in range(6)]
    best = newest(fixes[n] for n in order)
    assert best is not None
    assert best.recorded_at == datetime(2026, 11, 22, 11, 54, tzinfo=UTC)


@given(st.permutations(range(4)))
def test_of_fixes_that_all_count_as_now_the_device_and_then_the_place_decide(order: list[int]):
    ahead = [
        fix(timestamp="2026-11-22T12:01:00Z", latitude=9),
        fix(timestamp="2026-11-22T12:02:00Z", latitude=1, longitude=9),
        fix(timestamp="2026-11-22T12:02:00Z", latitude=2, longitude=1),
        fix(timestamp="2026-11-22T12:02:00Z", latitude=2, longitude=2),
    ]
    assert newest(ahead[n] for n in order) is ahead[3]


def test_of_doubtful_ones_none_is_the_newest():
    assert newest([]) is None
    assert newest([fix(mock=True)]) is None
