"""Streets that are learned from where vehicles drove: which cells a drive goes through. Pure.

A cell is a square of degrees; a pass is one trip's drive through it, or, outside of trips, one vehicle's on one day, so
that neither a parked van nor a driver who turns in a yard makes a street. docs/decisions/0014-learned-streets.md.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple
from uuid import UUID

from waypost.tracking.summary import Spot, metres, seconds

CELL_E7 = 1000  # 1e-4 degree, 11 m northwards
WIDTHS = (1, 4, 16)  # of a cell of each level, in cells of the finest
BLOCK = 128
SOUTH_E7, WEST_E7 = -900_000_000, -1_800_000_000

MOVING_MPS = 2.0
SURE_M = 30.0  # accuracy; or unknown
JOIN_S, JOIN_M = 15.0, 600.0  # fixes so near to each other are joined by a line
IMPLIED_S = 300.0  # without a reported speed: what two fixes so near in time say of it
MOST_DEVICES = 20_000  # whose last fix is remembered


class Cell(NamedTuple):
    """Where it is, as the table has it."""

    level: int
    block_row: int
    block_column: int
    cell: int

    @classmethod
    def of(cls, level: int, row: int, column: int) -> Cell:
        return cls(level, row // BLOCK, column // BLOCK, row % BLOCK * BLOCK + column % BLOCK)

    @property
    def row(self) -> int:
        """Counted from the south pole."""
        return self.block_row * BLOCK + self.cell // BLOCK

    @property
    def column(self) -> int:
        """Counted from 180 degrees west."""
        return self.block_column * BLOCK + self.cell % BLOCK


class Driven(NamedTuple):
    """A good fix, as the table has it."""

    receipt: int
    org_id: UUID
    device_id: UUID
    vehicle_id: UUID
    trip_id: UUID | None
    recorded_at: datetime
    latitude_e7: int
    longitude_e7: int
    speed_mps: float | None


@dataclass(slots=True)
class Passes:
    """The distinct drives through a cell that a step has seen, in the order of their coming."""

    last_on: date
    passes: dict[int, None] = field(default_factory=dict)

    def add(self, number: int, on: date) -> None:
        self.passes[number] = None
        self.last_on = max(self.last_on, on)


class Learner:
    """Turns fixes into passes. Remembers each device's last fix, so that a drive goes on over the steps of a run."""

    def __init__(self) -> None:
        self._last: OrderedDict[UUID, tuple[Spot, bool]] = OrderedDict()

    def learn(self, fixes: Iterable[Driven]) -> dict[UUID, dict[Cell, Passes]]:
        """What these fixes add to each organisation's cells."""
        found: dict[UUID, dict[Cell, Passes]] = {}
        for fix in sorted(fixes, key=lambda fix: (fix.device_id, fix.recorded_at)):
            own = found.setdefault(fix.org_id, {})
            number, on = pass_of(fix), fix.recorded_at.astimezone(UTC).date()
            for cell in self._cells(fix):
                if cell not in own:
                    own[cell] = Passes(on)
                own[cell].add(number, on)
        return found

    def _cells(self, fix: Driven) -> Iterator[Cell]:
        here = Spot(fix.recorded_at, fix.latitude_e7, fix.longitude_e7, 0.0, fix.speed_mps)
        last, was_moving = self._last.pop(fix.device_id, (None, False))
        if last is not None and last.at >= here.at:
            last = None  # a late one stands for itself
        is_moving = moves(last, here)
        self._last[fix.device_id] = (here, is_moving)
        if len(self._last) > MOST_DEVICES:
            self._last.popitem(last=False)
        if is_moving:
            begin = last if last is not None and was_moving and joins(last, here) else here
            yield from with_coarser(line(begin, here))


def moves(last: Spot | None, here: Spot) -> bool:
    """Does the vehicle drive? By its own word; without one, by how far it has come since the fix before."""
    if here.speed_mps is not None:
        return here.speed_mps >= MOVING_MPS
    if last is None:
        return False
    passed_s = seconds(last.at, here.at)
    return 0 < passed_s <= IMPLIED_S and metres(last, here) >= MOVING_MPS * passed_s


def joins(last: Spot, here: Spot) -> bool:
    """Near enough in time that the vehicle went straight: 30 s at a town's corners already cut them."""
    return seconds(last.at, here.at) <= JOIN_S and metres(last, here) <= JOIN_M


def pass_of(fix: Driven) -> int:
    """The number of the drive: of its trip, else of its vehicle's day in UTC. 64 bits, signed."""
    of_day = fix.vehicle_id.bytes + fix.recorded_at.astimezone(UTC).date().isoformat().encode()
    name = fix.trip_id.bytes if fix.trip_id is not None else of_day
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)


def line(begin: Spot, end: Spot) -> Iterator[tuple[int, int]]:
    """The finest cells from one fix to another, each touching the next (Bresenham): (row, column)."""
    row, column = _index(begin)
    last_row, last_column = _index(end)
    steps = max(abs(last_row - row), abs(last_column - column))
    if steps > JOIN_M:  # over the antimeridian: no cell is so small
        row, column, steps = last_row, last_column, 0
    yield row, column
    for step in range(1, steps + 1):
        yield (
            row + round((last_row - row) * step / steps),
            column + round((last_column - column) * step / steps),
        )


def with_coarser(cells: Iterable[tuple[int, int]]) -> Iterator[Cell]:
    """The cells of every level, each once in a row."""
    before: list[Cell | None] = [None] * len(WIDTHS)
    for row, column in cells:
        for level, width in enumerate(WIDTHS):
            cell = Cell.of(level, row // width, column // width)
            if cell != before[level]:
                before[level] = cell
                yield cell


def _index(spot: Spot) -> tuple[int, int]:
    return int(spot.latitude_e7 - SOUTH_E7) // CELL_E7, int(spot.longitude_e7 - WEST_E7) // CELL_E7


def middle_deg(level: int, index: int, start_deg: float) -> float:
    """The middle of a row or a column in degrees; ``start_deg``: where they are counted from."""
    return start_deg + (index + 0.5) * CELL_E7 * WIDTHS[level] / 1e7


def rank(passes: int) -> int:
    """How a street is drawn: 1 seldom driven, 2 often, 3 always."""
    return 1 + sum(passes >= least for least in RANKS)


RANKS: Sequence[int] = (5, 20)
