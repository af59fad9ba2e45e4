"""Simulated vans behave like vans with phones in them."""

# ruff: noqa: S311 - movement and jitter, no secrets

from __future__ import annotations

from itertools import groupby, islice, pairwise
from random import Random

import pytest

from waypost.replay.geometry import Place, distance_m, moved
from waypost.replay.rows import Row
from waypost.replay.simulate import HARARE, REACH_M, TOP_MPS, van

CENTRE = Row("centre", 0, *HARARE)


@pytest.fixture(scope="module")
def day() -> list[Row]:
    return list(islice(van("van-01", Random(7)), 8_000))


def moving(rows: list[Row]) -> list[float]:
    return [row.heading_deg for row in rows if row.heading_deg is not None]


def test_the_same_randomness_gives_the_same_drive():
    assert list(islice(van("v", Random(1)), 50)) == list(islice(van("v", Random(1)), 50))


def test_fixes_come_every_3_to_5_seconds_with_gaps_and_some_repeats(day):
    spacings_s = [(b.recorded_ms - a.recorded_ms) / 1000 for a, b in pairwise(day)]
    assert all(s == 0 or 2.9 < s < 120.1 for s in spacings_s)
    assert 0.98 < sum(s == 0 or s < 5.1 for s in spacings_s) / len(spacings_s) < 1
    assert 0 < sum(a == b for a, b in pairwise(day)) < len(day) * 0.02


def test_a_van_stays_around_its_centre_and_moves_as_fast_as_a_van(day):
    assert max(distance_m(CENTRE, row) for row in day) < 2 * REACH_M
    speeds = [distance_m(a, b) * 1000 / (b.recorded_ms - a.recorded_ms) for a, b in pairwise(day) if a != b]
    assert max(speeds) < TOP_MPS + 10  # noise of two fixes
    assert all(row.speed_mps is not None and 0 <= row.speed_mps <= TOP_MPS for row in day)


def test_headings_follow_the_street_grid(day):
    off_deg = [min(heading % 90, 90 - heading % 90) for heading in moving(day)]
    assert sum(off < 12 for off in off_deg) / len(off_deg) > 0.97
    assert all(0 <= heading < 360 for heading in moving(day))
    assert {round(heading / 90) % 4 for heading in moving(day)} == {0, 1, 2, 3}


def test_a_van_stops_at_doors_for_half_a_minute_to_three(day):
    standing = [row.speed_mps == 0 for row in day]
    assert 0.05 < sum(standing) / len(standing) < 0.6
    stands = [list(rows) for stands, rows in groupby(day, key=lambda row: row.speed_mps == 0) if stands]
    lengths_s = [(rows[-1].recorded_ms - rows[0].recorded_ms) / 1000 for rows in stands]
    assert (
        sum(20 <= length <= 181 for length in lengths_s) / len(lengths_s) > 0.8
    )  # two calls may meet, a van may crawl


def test_the_phone_tells_its_accuracy_and_its_battery_drains(day):
    assert all(row.accuracy_m is not None and 3 <= row.accuracy_m < 30 for row in day)
    levels = [row.battery_pct for row in day if row.battery_pct is not None]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > levels[-1] >= 1


def test_moved_is_the_inverse_of_distance():
    place: Place = Row("p", 0, *moved(*HARARE, north_m=300, east_m=400))
    assert distance_m(CENTRE, place) == pytest.approx(500, rel=0.01)
