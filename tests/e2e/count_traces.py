"""What recorded traces hold, counted from the CSV alone: no code of the server is used, so that neither hides a fault
of the other.

A vehicle is (source, vehicle_id): the name is stable inside a source, whose days are files of their own. A fix is
(vehicle, time in ms, latitude and longitude in 1e-7 degree). Run it: ``python -m tests.e2e.count_traces FILE...``
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

STEPS = 10**7  # of a degree


class Row(NamedTuple):
    """A line of a file, as text."""

    source: str
    vehicle_id: str
    trip_id: str
    recorded_at: str
    latitude: str
    longitude: str
    speed_mps: str
    heading_deg: str
    accuracy_m: str


Fix = tuple[str, str, int, int, int]  # source, vehicle, ms since 1970, latitude and longitude in 1e-7 degree


@dataclass
class Count:
    """``distinct``: the good ones, each once."""

    rows: int = 0
    bad_coordinates: int = 0
    zero_island: int = 0
    repeats: int = 0
    distinct: set[Fix] = field(default_factory=set)
    vehicles: set[tuple[str, str]] = field(default_factory=set)

    def add(self, row: Row) -> None:
        self.rows += 1
        self.vehicles.add((row.source, row.vehicle_id))
        latitude, longitude = Decimal(row.latitude), Decimal(row.longitude)
        if abs(latitude) > 90 or abs(longitude) > 180:
            self.bad_coordinates += 1
        elif latitude == longitude == 0:
            self.zero_island += 1
        else:
            fix = (row.source, row.vehicle_id, milliseconds(row.recorded_at), steps(latitude), steps(longitude))
            self.repeats += fix in self.distinct
            self.distinct.add(fix)


def traces(folder: Path) -> list[Path]:
    """The files of a folder that hold fixes, by their first line."""
    return [path for path in sorted(folder.glob("*.csv*")) if _heading(path) == list(Row._fields)]


def rows(path: Path) -> Iterator[Row]:
    with opened(path) as file:
        lines = csv.reader(file)
        next(lines)
        for line in lines:
            yield Row(*line)


def count(files: Iterable[Path]) -> Count:
    found = Count()
    for path in files:
        for row in rows(path):
            found.add(row)
    return found


def milliseconds(text: str) -> int:
    """Since 1970, of a time in UTC that has milliseconds or none."""
    moment, _, fraction = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(moment) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - both are UTC
    return int(seconds) * 1000 + int((fraction + "000")[:3])


def steps(degrees: Decimal) -> int:
    whole = degrees * STEPS
    assert whole == whole.to_integral_value(), f"{degrees} has more places than a fix keeps"
    return int(whole)


def _heading(path: Path) -> list[str]:
    with opened(path) as file:
        return next(csv.reader(file), [])


def opened(path: Path):  # type: ignore[no-untyped-def]  # of either kind
    return gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="")


if __name__ == "__main__":
    counted = count(map(Path, sys.argv[1:]))
    parts = (counted.rows, len(counted.vehicles), counted.bad_coordinates, counted.zero_island, counted.repeats)
    print("rows, vehicles, bad coordinates, at 0,0, repeats, distinct:", *parts, len(counted.distinct))  # noqa: T201
