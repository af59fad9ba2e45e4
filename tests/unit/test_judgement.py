"""What a fix's neighbours say of it: a jump, or the drift of a parked phone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.tracking.judgement import (
    HALF_TURN_E7,
    NEIGHBOUR_MS,
    SLOT_MS,
    Anchor,
    drift,
    implied_mps,
    is_too_fast,
    jumps,
    metres,
)

MAX_MPS = 70.0
T = 1_795_348_800_000  # the begin of ten minutes
E7_A_KM = 89_832  # on a meridian


@dataclass(frozen=True, slots=True)
class At:
    """A fix, so many seconds after ``T`` and kilometres north of a place."""

    s: float
    km: float = 0.0
    accuracy_m: float | None = None
    speed_mps: float | None = None
    longitude_e7: int = 310_000_000

    @property
    def raw_ms(self) -> int:
        return T + round(self.s * 1000)

    @property
    def latitude_e7(self) -> int:
        return -178_000_000 + round(self.km * E7_A_KM)


def which(*chain: At) -> list[int]:
    """The places of the jumps."""
    return [index for index, is_jump in enumerate(jumps(chain, MAX_MPS)) if is_jump]


# Distance


def test_a_degree_is_111_km_on_a_meridian_and_less_on_a_parallel_in_the_south():
    home = At(0)
    assert metres(home, At(0, 111.32)) == pytest.approx(111_320, rel=1e-3)
    east = At(0, longitude_e7=320_000_000)
    assert metres(home, east) == pytest.approx(111_320 * math.cos(math.radians(17.8)), rel=1e-3)


def test_the_short_way_crosses_the_antimeridian():
    west, east = At(0, longitude_e7=HALF_TURN_E7 - 1000), At(60, longitude_e7=-HALF_TURN_E7 + 1000)
    assert metres(west, east) == pytest.approx(metres(At(0), At(0, longitude_e7=310_002_000)), rel=1e-6)
    assert metres(west, east) < 25
    assert which(west, east, At(120, longitude_e7=HALF_TURN_E7)) == []


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 3600))
def test_distance_and_speed_are_the_same_from_either_side(a_km: int, b_km: int, apart_s: int):
    a, b = At(0, a_km, accuracy_m=20), At(apart_s, b_km)
    assert metres(a, b) == metres(b, a)
    assert implied_mps(a, b) == implied_mps(b, a) >= 0


@given(
    st.floats(0, 200), st.floats(0, 1000), st.none() | st.floats(0.1, 5000), st.integers(-HALF_TURN_E7, HALF_TURN_E7)
)
def test_the_quick_look_and_the_exact_one_agree(km: float, apart_s: float, accuracy: float | None, longitude: int):
    a, b = At(0, accuracy_m=accuracy), At(apart_s, km, accuracy_m=accuracy, longitude_e7=longitude)
    assert is_too_fast(a, b, MAX_MPS) == (implied_mps(a, b) > MAX_MPS)


def test_within_a_second_a_second_counts():
    assert implied_mps(At(0), At(0, 0.06)) == pytest.approx(60, rel=1e-3)
    assert not is_too_fast(At(0), At(0.001, 0.06), MAX_MPS)
    assert is_too_fast(At(0), At(0.001, 0.08), MAX_MPS)


def test_two_accuracy_circles_that_reach_each_other_explain_a_distance():
    assert implied_mps(At(0, accuracy_m=600), At(1, 1, accuracy_m=500)) == 0
    far = At(10, 2)
    assert which(At(0), far, At(20)) == [1]
    assert which(At(0, accuracy_m=700), At(10, 2, accuracy_m=700), At(20, accuracy_m=700)) == []


# Jumps


def test_a_fix_too_far_from_both_neighbours_is_a_jump_whatever_speed_it_tells():
    for speed in (None, 0.0, 69.0):
        assert which(At(0), At(10, 50, speed_mps=speed), At(20)) == [1]


def test_a_fix_too_far_from_one_neighbour_only_is_none():
    """A teleport: a phone that was off in a plane, or woke at another place."""
    assert which(At(0), At(10, 0.1), At(20, 50), At(30, 50.1)) == []
    assert which(At(0), At(10, 50), At(20, 50.1)) == []


def test_the_last_is_a_jump_only_if_its_own_speed_disagrees():
    assert which(At(0), At(10, 0.1), At(20, 50)) == []
    assert which(At(0), At(10, 0.1), At(20, 50, speed_mps=12)) == [2]
    fast = At(20, 0.1 + 0.8, speed_mps=60)  # 80 m/s, as it says nearly itself
    assert which(At(0), At(10, 0.1), fast) == []
    slow = At(20, 0.1 + 0.8, speed_mps=39.9)
    assert which(At(0), At(10, 0.1), slow) == [2]


def test_the_first_is_a_jump_only_if_its_own_speed_disagrees_and_the_next_two_agree():
    assert which(At(0, 50), At(10), At(20, 0.1)) == []
    assert which(At(0, 50, speed_mps=12), At(10), At(20, 0.1)) == [0]
    assert which(At(0, 50, speed_mps=12), At(10)) == []


def test_of_two_fixes_that_contradict_each_other_the_first_stays():
    assert which(At(0, speed_mps=0.0), At(10, 50, speed_mps=0.0)) == [1]
    assert which(At(0, speed_mps=0.0), At(10, 50)) == []
    assert which(At(0)) == which() == []


def test_two_jumps_in_a_row_to_two_places_are_both_found():
    assert which(At(0), At(10, 50), At(20, -50), At(30, 0.1)) == [1, 2]


def test_the_last_is_judged_by_the_last_before_it_that_is_no_jump():
    assert which(At(0), At(10, 0.1), At(20, 50), At(30, 0.2, speed_mps=10)) == [2]
    assert which(At(0), At(10, 0.1), At(20, 50), At(30, -60, speed_mps=10)) == [2, 3]


def test_a_days_silence_separates():
    day = NEIGHBOUR_MS / 1000
    assert which(At(0), At(10, 9000), At(20)) == [1]
    assert which(At(0), At(day, 9000), At(2 * day)) == [1]
    assert which(At(0), At(day + 0.001, 9000), At(day + 10)) == []  # a place that it was brought to; then a teleport
    assert which(At(0), At(day, 9000), At(2 * day + 0.001)) == []
    assert which(At(0), At(day + 0.001, 9000, speed_mps=0.0)) == []
    assert which(At(0), At(day, 9000, speed_mps=0.0)) == [1]


def test_after_silence_the_first_and_before_it_the_last_are_judged_as_ends():
    day = NEIGHBOUR_MS / 1000
    before = [At(0), At(10, 0.1), At(20, 50, speed_mps=5)]
    later = [At(20 + day + 1 + at.s, at.km) for at in (At(0), At(10, 0.1))]
    assert which(*before, *later) == [2]
    after = [At(day * 2, 50, speed_mps=5), At(day * 2 + 10), At(day * 2 + 20, 0.1)]
    assert which(At(0), At(10, 0.1), *after) == [2]


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 40)), min_size=1, max_size=30))
def test_a_drive_at_any_speed_up_to_the_limit_has_no_jump(steps: list[tuple[int, int]]):
    at_s, km = 0, 0.0
    chain = []
    for seconds, mps in steps:
        at_s, km = at_s + seconds, km + seconds * mps / 1000
        chain.append(At(at_s, km, accuracy_m=5, speed_mps=float(mps)))
    assert which(*chain) == []


# Drift


def parked(s: float, m: float, accuracy: float | None = 30, speed: float | None = None) -> At:
    """So many metres from where it stands."""
    return At(s, m / 1000, accuracy, speed)


def drifts(*fixes: At) -> list[bool]:
    """Which of the fixes are drift, the anchor going from each to the next."""
    anchor: Anchor | None = None
    found = []
    for fix in fixes:
        is_drift, anchor = drift(fix, anchor)
        found.append(is_drift)
    return found


def test_a_parked_phone_that_stays_in_its_accuracy_circle_drifts():
    assert drifts(parked(0, 0), parked(10, 12), parked(20, -25), parked(30, 29)) == [False, True, True, True]


def test_drift_is_measured_from_the_last_place_that_was_none():
    creeping = [parked(n * 10, n * 10) for n in range(7)]
    assert drifts(*creeping) == [False, True, True, False, True, True, False]


def test_every_ten_minutes_the_position_is_renewed():
    border = SLOT_MS / 1000
    chain = [parked(0, 0), parked(border - 0.001, 1), parked(border, 1), parked(border + 1, 1), parked(3 * border, 1)]
    assert drifts(*chain) == [False, True, False, True, False]


def test_who_moves_never_drifts_however_coarse_the_circle():
    assert drifts(parked(0, 0), parked(10, 1, 150, 0.5)) == [False, False]
    assert drifts(parked(0, 0), parked(10, 1, 150, 0.49)) == [False, True]
    assert drifts(parked(0, 0), parked(10, 1, 150, 0.0)) == [False, True]


def test_without_an_accuracy_there_is_no_circle_to_stay_in():
    assert drifts(parked(0, 0, None), parked(10, 0, None), parked(20, 0, None)) == [False] * 3


def test_it_is_the_fixes_own_circle_that_counts():
    assert drifts(parked(0, 0, 5), parked(10, 20, 30)) == [False, True]
    assert drifts(parked(0, 0, 30), parked(10, 20, 5)) == [False, False]
