"""A recording is played as if it happened now."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.replay.recordings import Recording
from waypost.replay.rows import Row
from waypost.replay.timeline import Slot, Timing, auto_speed, live, offsets_s, play

TIMES = st.lists(st.integers(0, 10_000_000), min_size=1, max_size=60)
SPEEDS = st.floats(0.5, 60)


def recording(times_ms: list[int], *, step_deg: float = 0.0001) -> Recording:
    """Latitudes tell the rows apart."""
    made = Recording("v", Path("v.csv"), "v")
    for at, time_ms in enumerate(times_ms):
        made.add(Row("v", time_ms, at * step_deg, 31.0))
    return made


def alone(times_ms: list[int], timing: Timing, spread_s: float = 0.0) -> list[Slot]:
    return list(play([recording(times_ms)], timing, [spread_s])[0])


@given(TIMES, SPEEDS)
def test_rows_are_sent_in_the_order_of_the_file(times_ms, speed):
    slots = alone(times_ms, Timing(speed))
    assert [slot.row for slot in slots] == list(recording(times_ms))
    assert all(before.send_s <= after.send_s for before, after in pairwise(slots))


@given(TIMES, SPEEDS)
def test_the_shifted_spacing_is_the_recorded_spacing_over_the_speed(times_ms, speed):
    slots = alone(times_ms, Timing(speed))
    for before, after in pairwise(slots):
        recorded_s = (after.row.recorded_ms - before.row.recorded_ms) / 1000
        assert after.stamp_s - before.stamp_s == pytest.approx(recorded_s / speed, abs=1e-6)


@given(TIMES, SPEEDS, st.floats(0, 10), st.floats(1, 100))
def test_nothing_is_sent_before_its_own_time_nor_before_the_start(times_ms, speed, spread_s, max_gap_s):
    for timing in (Timing(speed), Timing(speed, max_gap_s)):
        assert all(slot.stamp_s <= slot.send_s >= spread_s for slot in alone(times_ms, timing, spread_s))


@given(TIMES, SPEEDS, st.floats(1, 100))
def test_with_a_longest_gap_no_silence_is_longer_and_no_two_rows_change_their_order(times_ms, speed, max_gap_s):
    stamps = offsets_s(times_ms, times_ms[0], Timing(speed, max_gap_s))
    assert all(b - a <= max_gap_s + 1e-6 for a, b in pairwise(sorted(stamps)))
    by_time = sorted(zip(times_ms, stamps, strict=True))
    assert all(a[1] <= b[1] and (a[0] != b[0] or a[1] == b[1]) for a, b in pairwise(by_time))


def test_a_late_row_stays_late_and_a_duplicate_a_duplicate():
    slots = alone([0, 60_000, 20_000, 60_000], Timing(speed=2))
    assert [(slot.send_s, slot.stamp_s) for slot in slots] == [(0, 0), (30, 30), (30, 10), (30, 30)]


def test_a_row_older_than_the_first_is_sent_at_once_with_a_stamp_before_the_start():
    assert [slot[:2] for slot in alone([50_000, 20_000], Timing())] == [(0, 0), (0, -30)]


def test_vehicles_of_a_file_keep_the_times_between_them_unless_they_are_aligned():
    group = [recording([100_000, 110_000]), recording([160_000])]
    kept = [[slot.send_s for slot in line] for line in play(group, Timing())]
    aligned = [[slot.send_s for slot in line] for line in play(group, Timing(), [0.0, 2.5])]
    assert kept == [[0, 10], [60]]
    assert aligned == [[0, 10], [2.5]]


def test_a_loop_begins_again_for_the_whole_file_when_its_last_recording_has_ended():
    group = [recording([0, 10_000]), recording([60_000])]
    first, second = ([slot.stamp_s for slot in islice(line, 4)] for line in play(group, Timing(loop=True)))
    assert first == [0, 10, 61, 71]
    assert second == [60, 121, 182, 243]


def test_an_aligned_loop_begins_again_for_each_vehicle():
    line = play([recording([0, 10_000])], Timing(loop=True), [3.0])[0]
    assert [slot.send_s for slot in islice(line, 4)] == [3, 13, 14, 24]


@pytest.mark.parametrize(("spacing_s", "speed"), [(120, 30), (5, 1.25), (1, 1), (360, 60)])
def test_the_automatic_speed_makes_the_usual_spacing_four_seconds_within_1_and_60(spacing_s, speed):
    times_ms = [at * spacing_s * 1000 for at in range(20)]
    assert auto_speed([recording([*times_ms, times_ms[3], 10**8])]) == speed


def test_the_automatic_speed_keeps_the_movement_plausible_if_asked_to():
    bus = recording([at * 120_000 for at in range(100)], step_deg=0.0108)  # 1,201 m in 120 s
    assert auto_speed([bus]) == 30
    assert auto_speed([bus], plausible_mps=60) == pytest.approx(6, rel=0.01)


def test_a_group_without_two_times_plays_at_the_recorded_speed():
    assert auto_speed([recording([5, 5])]) == 1
    assert auto_speed([recording([5])], plausible_mps=60) == 1


def test_rows_made_as_they_are_needed_come_at_their_own_times():
    rows = iter([Row("v", 0, 0, 0), Row("v", 4000, 0, 0)])
    assert [slot[:2] for slot in live(rows, 2.0)] == [(2, 2), (6, 6)]
