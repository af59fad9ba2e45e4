"""Recordings in memory, and choosing which of them to play."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

from waypost.replay.rows import Row


class Selected(NamedTuple):
    """A recording that was chosen: what `names`, and whoever makes its device, need of it."""

    name: str  # unique in the selection
    source: Path
    rows: int
    first_ms: int  # the time of its first row in the file, since 1970
    last_ms: int


@dataclass(slots=True)
class Recording:
    """One vehicle in one file: its rows in file order, in columns (about 50 bytes a row; NaN is unknown)."""

    vehicle: str
    source: Path
    name: str = ""
    recorded_ms: array[int] = field(default_factory=lambda: array("q"))
    latitude: array[float] = field(default_factory=lambda: array("d"))
    longitude: array[float] = field(default_factory=lambda: array("d"))
    speed_mps: array[float] = field(default_factory=lambda: array("d"))
    heading_deg: array[float] = field(default_factory=lambda: array("d"))
    accuracy_m: array[float] = field(default_factory=lambda: array("d"))
    battery_pct: array[float] = field(default_factory=lambda: array("d"))

    def add(self, row: Row) -> None:
        _, recorded_ms, latitude, longitude, speed, heading, accuracy, battery = row
        self.recorded_ms.append(recorded_ms)
        self.latitude.append(latitude)
        self.longitude.append(longitude)
        self.speed_mps.append(nan if speed is None else speed)
        self.heading_deg.append(nan if heading is None else heading)
        self.accuracy_m.append(nan if accuracy is None else accuracy)
        self.battery_pct.append(nan if battery is None else battery)

    def row(self, at: int) -> Row:
        known = (None if isnan(column[at]) else column[at]
                 for column in (self.speed_mps, self.heading_deg, self.accuracy_m, self.battery_pct))  # fmt: skip
        return Row(self.vehicle, self.recorded_ms[at], self.latitude[at], self.longitude[at], *known)

    def __len__(self) -> int:
        return len(self.recorded_ms)

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, range(len(self)))


def choose(files: Sequence[Sequence[Recording]], vehicles: int | None) -> list[Recording]:
    """All recordings, or ``vehicles`` of them in turns over the files, those with the most rows first.

    Each gets a name of its own: its vehicle's, with the file's if another file's recording of it was chosen before;
    a vehicle not chosen before is preferred to that.
    """
    if vehicles is None:
        chosen = [recording for recordings in files for recording in recordings]
    else:
        chosen = _in_turns(files, vehicles)
    taken: set[str] = set()
    for recording in chosen:
        recording.name = _free_name(recording, taken)
        taken.add(recording.name)
    return chosen


def _in_turns(files: Sequence[Sequence[Recording]], vehicles: int) -> list[Recording]:
    queues = [sorted(recordings, key=lambda r: (-len(r), r.vehicle)) for recordings in files]
    chosen: list[Recording] = []
    repeats: list[Recording] = []
    taken: set[str] = set()
    while any(queues) and len(chosen) < vehicles:
        for queue in queues:
            while queue and queue[0].vehicle in taken:
                repeats.append(queue.pop(0))
            if queue and len(chosen) < vehicles:
                taken.add(queue[0].vehicle)
                chosen.append(queue.pop(0))
    return chosen + repeats[: vehicles - len(chosen)]


def _free_name(recording: Recording, taken: set[str]) -> str:
    stem = recording.source.name.split(".", 1)[0]
    longer = f"{recording.vehicle} {stem}"
    numbered = (f"{longer} {number}" for number in count(2))
    return next(name for name in chain((recording.vehicle, longer), numbered) if name not in taken)
