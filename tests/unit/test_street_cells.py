"""Which cells a drive goes through, and how a tile shows them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vector_tiles import points
from waypost.tracking import streets
from waypost.tracking.street_map import drawn
from waypost.tracking.streets import Cell, Driven, Learner, line, rank
from waypost.tracking.summary import Spot
from waypost.tracking.tiles import Tile, encode

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORG, VAN, TRIP = UUID(int=1), UUID(int=2), UUID(int=3)
CELL = streets.CELL_E7


def fix(s: float = 0, north: int = 0, east: int = 0, **values: Any) -> Driven:
    """``north``, ``east``: in cells from a place in Harare."""
    known = {"receipt": 1, "org_id": ORG, "device_id": VAN, "vehicle_id": VAN, "trip_id": TRIP, "speed_mps": 12.0}
    return Driven(
        recorded_at=NOON + timedelta(seconds=s),
        latitude_e7=-178_000_000 + north * CELL + 500,
        longitude_e7=310_500_000 + east * CELL + 500,
        **(known | values),
    )


def finest(*fixes: Driven) -> dict[tuple[int, int], int]:
    """Passes by (row, column) of the finest cells, from the same place."""
    base = Cell.of(0, *_index(fix()))
    found = Learner().learn(fixes).get(ORG, {})
    return {(cell.row - base.row, cell.column - base.column): len(seen.passes)
            for cell, seen in found.items() if cell.level == 0}  # fmt: skip


def _index(of: Driven) -> tuple[int, int]:
    return (of.latitude_e7 + 900_000_000) // CELL, (of.longitude_e7 + 1_800_000_000) // CELL


def test_two_near_fixes_are_joined_and_two_far_ones_are_not():
    assert finest(fix(), fix(10, 4, 2)) == {(0, 0): 1, (1, 0): 1, (2, 1): 1, (3, 2): 1, (4, 2): 1}
    assert finest(fix(), fix(15.1, 4, 2)) == {(0, 0): 1, (4, 2): 1}
    assert finest(fix(), fix(10, 60)) == {(0, 0): 1, (60, 0): 1}, "660 m in 10 s are no street"


def test_the_way_from_or_to_a_stand_is_not_drawn_through_it():
    assert finest(fix(speed_mps=0), fix(5, 3)) == {(3, 0): 1}
    assert finest(fix(), fix(5, 1, speed_mps=1.9)) == {(0, 0): 1}


def test_without_a_reported_speed_the_way_since_the_fix_before_says_whether_it_moves():
    assert finest(fix(speed_mps=None)) == {}
    assert finest(fix(speed_mps=None), fix(10, 1, speed_mps=None)) == {}
    assert finest(fix(speed_mps=None), fix(60, 20, speed_mps=None)) == {(20, 0): 1}
    assert finest(fix(speed_mps=None), fix(301, 300, speed_mps=None)) == {}, "too long ago to say"


def test_a_pass_is_a_trip_or_a_vehicles_day():
    other = UUID(int=9)
    assert finest(fix(), fix(3600), fix(86400)) == {(0, 0): 1}
    assert finest(fix(), fix(1, trip_id=other), fix(2)) == {(0, 0): 2}
    assert finest(fix(trip_id=None), fix(3600, trip_id=None), fix(86400, trip_id=None)) == {(0, 0): 2}
    assert finest(fix(trip_id=None), fix(1, trip_id=None, vehicle_id=other, device_id=other)) == {(0, 0): 2}


def test_fixes_that_come_in_the_wrong_order_are_put_right_within_a_step_and_stand_alone_after():
    assert finest(fix(10, 3), fix(0), fix(5, 1)) == finest(fix(0), fix(5, 1), fix(10, 3))
    learner = Learner()
    learner.learn([fix(100, 50)])
    late = learner.learn([fix(99, 45)])[ORG]
    assert len([cell for cell in late if cell.level == 0]) == 1


def test_a_drive_goes_on_over_steps():
    learner = Learner()
    learner.learn([fix(0)])
    assert len([cell for cell in learner.learn([fix(5, 4)])[ORG] if cell.level == 0]) == 5


def test_organisations_are_kept_apart():
    found = Learner().learn([fix(), fix(1, org_id=UUID(int=7), device_id=UUID(int=8))])
    assert set(found) == {ORG, UUID(int=7)}


def test_the_memory_of_devices_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streets, "MOST_DEVICES", 3)
    learner = Learner()
    learner.learn([fix(0, device_id=UUID(int=number)) for number in range(10)])
    assert len(learner._last) == 3


cells = st.tuples(st.integers(0, 1_799_999), st.integers(0, 3_599_999))


@given(cells, st.sampled_from(range(3)))
def test_a_cells_place_fits_the_table_and_comes_back(place: tuple[int, int], level: int):
    row, column = (number // streets.WIDTHS[level] for number in place)
    cell = Cell.of(level, row, column)
    assert all(0 <= number < 2**15 for number in cell)
    assert (cell.row, cell.column) == (row, column)


@given(st.integers(-50, 50), st.integers(-50, 50))
def test_each_cell_of_a_line_touches_the_next(north: int, east: int):
    begin, end = (Spot(NOON, f.latitude_e7, f.longitude_e7, 0.0) for f in (fix(), fix(1, north, east)))
    path = list(line(begin, end))
    assert len(path) == max(abs(north), abs(east)) + 1
    assert (path[-1][0] - path[0][0], path[-1][1] - path[0][1]) == (north, east)
    assert all(max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1 for a, b in itertools.pairwise(path))


def test_over_the_antimeridian_no_line_goes_round_the_earth():
    begin, end = Spot(NOON, 0, 1_799_999_000, 0), Spot(NOON, 0, -1_799_999_000, 0)
    assert len(list(line(begin, end))) == 1


def test_ranks():
    assert [rank(number) for number in (2, 4, 5, 19, 20, 500)] == [1, 1, 2, 2, 3, 3]


def test_a_tile_holds_the_middles_of_its_cells_and_nothing_of_its_neighbours():
    tile = Tile(12, 2401, 2253)
    west, south, east, north = tile.box_deg()
    assert (west, east) == (pytest.approx(31.0254, abs=1e-3), pytest.approx(31.1133, abs=1e-3))
    assert south < -17.8 < north
    inside, outside = fix(), fix(north=-5000)
    found = [(Cell.of(0, *_index(each)), passes) for each, passes in ((inside, 2), (outside, 30))]
    (layer,) = points(drawn(tile, 0, found)).values()
    ((column, row),) = layer[1]
    assert list(layer) == [1]
    assert tile.column(31.0500500) == pytest.approx(column, abs=0.51)
    assert tile.row(-17.79995) == pytest.approx(row, abs=0.51)


@given(st.dictionaries(st.integers(1, 300), st.lists(st.tuples(st.integers(-200, 5000), st.integers(-200, 5000)),
                                                     max_size=300, min_size=1), max_size=3))  # fmt: skip
def test_a_tile_reads_back_as_it_was_written(features: dict[int, list[tuple[int, int]]]):
    assert points(encode("streets", "rank", features)) == {"streets": features}
