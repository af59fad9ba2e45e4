"""Phones' clocks: what one constant repairs, which offset of a stream is steady."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON
from waypost.tracking.clocks import DAY_MS, is_told_by, repaired, steady_offset_ms, with_sample
from waypost.tracking.domain import ms_of

NOW = ms_of(NOON)
WEEK = 7 * DAY_MS
ROLLOVER = 1024 * WEEK
SINCE_2001 = 978_307_200_000
HOUR = 3_600_000
NOW_MS = ms_of(NOON)

# How a true time is told wrongly, and to how many ms the truth can be told from it.
SLIPS = {
    "GPS weeks rolled over": (lambda ms: ms - ROLLOVER, 1),
    "ms since 2001": (lambda ms: ms - SINCE_2001, 1),
    "s since 1970 taken as ms": (lambda ms: ms // 1000, 1000),
    "ms since 1970 taken as s": (lambda ms: ms * 1000, 1),
    "s since 2001 taken as ms": (lambda ms: (ms - SINCE_2001) // 1000, 1000),
}


@pytest.mark.parametrize("slip", SLIPS)
@given(apart=st.integers(-WEEK + 1000, WEEK - 1000))
def test_a_constant_is_repaired_within_seven_days_of_now(slip: str, apart: int):
    wrong, step = SLIPS[slip]
    meant = NOW + apart
    assert repaired(wrong(meant), NOW) == meant // step * step


@pytest.mark.parametrize("slip", SLIPS)
@pytest.mark.parametrize("side", [-1, 1])
def test_a_constant_that_lands_further_than_seven_days_from_now_is_not_believed(slip: str, side: int):
    wrong, _ = SLIPS[slip]
    assert repaired(wrong(NOW + side * WEEK), NOW) is not None
    assert repaired(wrong(NOW + side * (WEEK + 1000)), NOW) is None


@given(st.integers(-300 * DAY_MS, 300 * DAY_MS))
def test_a_time_that_is_merely_wrong_stays_so(apart: int):
    assert repaired(NOW + apart, NOW) is None


def test_a_clock_within_ten_seconds_is_right():
    for offset in (0, 10_000, -10_000):
        assert steady_offset_ms([offset] * 3) == 0
    assert steady_offset_ms([]) == 0


def test_a_clock_behind_is_believed_when_three_samples_agree():
    assert steady_offset_ms([HOUR]) == 0
    assert steady_offset_ms([HOUR, HOUR]) == 0
    assert steady_offset_ms([HOUR, HOUR, HOUR + 1_500]) == HOUR
    assert steady_offset_ms([HOUR, HOUR, HOUR + 1_501]) == 0
    assert steady_offset_ms([0, HOUR, HOUR, HOUR]) == HOUR


def test_a_request_that_was_kept_and_sent_again_moves_nothing():
    kept_for_an_hour = HOUR + 200
    assert steady_offset_ms([150, kept_for_an_hour, 180]) == 0
    assert steady_offset_ms([HOUR, HOUR, HOUR, HOUR * 2]) == 0


def test_bodies_that_were_kept_and_are_all_sent_at_once_move_nothing():
    assert steady_offset_ms([HOUR + 8_000, HOUR + 4_000, HOUR]) == 0


def test_a_clock_is_told_only_by_fixes_that_it_has_timed():
    assert is_told_by(NOW_MS - HOUR, NOW_MS - HOUR - 1_000, NOW_MS)
    assert is_told_by(NOW_MS + HOUR, NOW_MS + HOUR - 1_000, NOW_MS)
    assert not is_told_by(NOW_MS + HOUR, NOW_MS - 1_000, NOW_MS), "the receiver's time is right, the phone's is not"
    assert not is_told_by(NOW_MS - HOUR, NOW_MS - 1_000, NOW_MS)
    assert not is_told_by(NOW_MS - HOUR, NOW_MS - HOUR - 600_001, NOW_MS), "an old backlog tells no clock"


def test_a_clock_ahead_is_believed_at_once():
    assert steady_offset_ms([-HOUR]) == -HOUR
    assert steady_offset_ms([200, 150, -HOUR]) == -HOUR
    assert steady_offset_ms([-10_001]) == -10_001
    assert steady_offset_ms([-HOUR, -HOUR, 100]) == 0  # it was set right


@given(st.integers(-WEEK, WEEK))
def test_three_like_offsets_are_the_offset_itself(offset: int):
    expected = offset if abs(offset) > 10_000 else 0
    assert steady_offset_ms([offset] * 3) == expected


def test_of_a_streams_samples_the_last_three_count_and_none_beyond_seven_days():
    samples: list[int] = []
    for offset in range(8):
        samples = with_sample(samples, offset)
    assert samples == [5, 6, 7]
    assert with_sample(samples, WEEK)[-1] == WEEK
    assert with_sample(samples, -WEEK)[-1] == -WEEK
    assert with_sample(samples, WEEK + 1) == with_sample(samples, -WEEK - 1) == samples
    assert with_sample((), 2**60) == []


@given(st.lists(st.integers(-2 * WEEK, 2 * WEEK), max_size=8))
def test_no_offset_is_ever_corrected_by_more_than_a_phone_has_shown(offsets: list[int]):
    samples: list[int] = []
    for offset in offsets:
        samples = with_sample(samples, offset)
        found = steady_offset_ms(samples)
        assert found == 0 or (found in samples and 10_000 < abs(found) <= WEEK)
