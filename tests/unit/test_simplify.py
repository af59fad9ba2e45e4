"""What is left out of a track lies within the tolerance of what is kept."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from waypost.tracking.simplify import Simplifier

METRE_E7 = 1e7 / 111_320


def rows_of(places: list[tuple[float, float]]) -> list[Any]:
    """(latitude, longitude) in 1e-7 degree as rows."""
    return [(n, None, n, round(latitude), round(longitude)) for n, (latitude, longitude) in enumerate(places)]


def simplified(rows: list[Any], tolerance_m: float, parts: int = 1) -> list[Any]:
    simplifier = Simplifier(tolerance_m)
    size = math.ceil(len(rows) / parts) or 1
    kept = [row for at in range(0, len(rows), size) for row in simplifier.feed(rows[at : at + size])]
    return kept + simplifier.end()


def distance_m(row: Any, begin: Any, end: Any) -> float:
    """From a place to the line between two others, by the book: on a plane that touches the place."""
    scale = math.cos(math.radians(row[3] / 1e7))

    def flat(other: Any) -> tuple[float, float]:
        east = (other[4] - row[4] + 1.8e9) % 3.6e9 - 1.8e9
        return east * scale / METRE_E7, (other[3] - row[3]) / METRE_E7

    (ax, ay), (bx, by) = flat(begin), flat(end)
    length = (bx - ax) ** 2 + (by - ay) ** 2
    along = 0.0 if length == 0 else max(0.0, min(1.0, -(ax * (bx - ax) + ay * (by - ay)) / length))
    return math.hypot(ax + along * (bx - ax), ay + along * (by - ay))


def worst_m(rows: list[Any], kept: list[Any]) -> float:
    """How far any place is from the line between the two kept around it."""
    numbers = [row[0] for row in kept]
    return max(
        (distance_m(rows[at], rows[begin], rows[end])
         for begin, end in itertools.pairwise(numbers) for at in range(begin, end + 1)),
        default=0.0,
    )  # fmt: skip


def wander(seed: int, count: int, step_m: float, latitude: float = -17.8) -> list[Any]:
    """A drive that turns, stops and jitters."""
    chance = random.Random(seed)  # noqa: S311 - test data
    heading, lat, lon = 0.0, latitude * 1e7, 31.0e7
    places = []
    for _ in range(count):
        heading += chance.gauss(0, 0.3)
        stride = step_m * chance.choice((0, 0.05, 1, 1, 2))
        lat += stride * math.cos(heading) * METRE_E7
        lon += stride * math.sin(heading) * METRE_E7 / math.cos(math.radians(latitude))
        places.append((lat, lon))
    return rows_of(places)


@pytest.mark.parametrize("tolerance_m", [1, 5, 20, 100])
@pytest.mark.parametrize("latitude", [0.0, -17.8, 60.0])
def test_every_fix_that_is_left_out_is_within_the_tolerance(tolerance_m: float, latitude: float):
    for seed in range(5):
        rows = wander(seed, 800, 30, latitude)
        kept = simplified(rows, tolerance_m)
        assert worst_m(rows, kept) <= tolerance_m
        assert (kept[0], kept[-1]) == (rows[0], rows[-1])
        assert [row[0] for row in kept] == sorted({row[0] for row in kept})


def test_it_leaves_out_most_of_a_drive():
    rows = wander(1, 2000, 15)
    assert len(simplified(rows, 10)) < len(rows) / 4
    straight = rows_of([(n * 100 * METRE_E7, n * 100 * METRE_E7) for n in range(1000)])
    assert len(simplified(straight, 1)) <= 2 + 1000 * 141 / 15_000  # a long line is divided
    parked = rows_of([(n * 7 % 10 / 10 * METRE_E7, 0) for n in range(500)])
    assert len(simplified(parked, 5)) == 2


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_shortest_tracks(count: int):
    rows = rows_of([(n * 1000.0, n % 2 * 5000.0) for n in range(count)])
    assert simplified(rows, 1) == rows


def test_it_makes_no_difference_in_which_parts_they_come():
    rows = wander(3, 500, 30)
    assert simplified(rows, 10) == simplified(rows, 10, parts=7) == simplified(rows, 10, parts=500)


def test_the_antimeridian_is_no_jump():
    rows = rows_of([(0, (1_799_990_000 + n * 1000 + 1_800_000_000) % 3_600_000_000 - 1_800_000_000) for n in range(40)])
    assert len(simplified(rows, 1)) == 2


places = st.tuples(st.integers(-200_000, 200_000), st.integers(-200_000, 200_000))


@given(st.lists(places, max_size=40), st.sampled_from([0.5, 10, 300]))
@example([(0, 0), (100_000, 0), (50_000, 0), (150_000, 0)], 10)  # turned back on the way
def test_whatever_the_way_the_bound_holds(way: list[tuple[int, int]], tolerance_m: float):
    rows = rows_of(way)  # type: ignore[arg-type]
    kept = simplified(rows, tolerance_m)
    assert worst_m(rows, kept) <= tolerance_m
