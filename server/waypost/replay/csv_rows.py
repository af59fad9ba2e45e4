"""CSV traces: the format of the recorded traces, one line a fix."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from waypost.replay.rows import NotATrace, Row, TraceError, moment_ms, needed, optional

NEEDED = ("recorded_at", "latitude", "longitude")
OPTIONAL = ("speed_mps", "heading_deg", "accuracy_m", "battery_pct")
EXPECTED = "a CSV header with recorded_at, latitude, longitude (perhaps vehicle_id, speed_mps, heading_deg, accuracy_m)"
COMPANIONS = ("activity", "written_at")  # columns of the files that stand beside a trace


def rows(text: TextIO, path: Path, on_bad: Callable[[TraceError], None]) -> Iterator[Row]:
    """The file's fixes in its order; ``on_bad`` is told of each line that is not one.

    Raises NotATrace for a companion file and TraceError for any other header.
    """
    lines = csv.reader(text)
    header = [name.strip().lower() for name in next(lines, [])]
    _check(header, path)
    stem = path.name.split(".", 1)[0]
    vehicle_at = header.index("vehicle_id") if "vehicle_id" in header else None
    time_at, latitude_at, longitude_at = (header.index(name) for name in NEEDED)
    more_at = [header.index(name) if name in header else None for name in OPTIONAL]
    for line in lines:
        if not line:
            continue
        try:
            yield Row(
                (line[vehicle_at] or stem) if vehicle_at is not None else stem,
                moment_ms(line[time_at]),
                needed(line[latitude_at]),
                needed(line[longitude_at]),
                *[optional(line[at]) if at is not None and line[at] else None for at in more_at],
            )
        except IndexError:
            on_bad(TraceError(path, f"{len(line)} columns where {len(header)} were expected", line=lines.line_num))
        except (ValueError, OverflowError) as error:
            on_bad(TraceError(path, str(error), line=lines.line_num))


def _check(header: list[str], path: Path) -> None:
    if all(name in header for name in NEEDED):
        return
    if any(name in header for name in COMPANIONS):
        raise NotATrace(path, f"holds {', '.join(header)}, no positions")
    raise TraceError(path, f"expected {EXPECTED}; found {', '.join(header) or 'nothing'}"[:300], line=1)
