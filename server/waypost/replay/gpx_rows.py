"""GPX 1.0 and 1.1 tracks, with or without namespaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from waypost.kernel.gpx import GpxPoint, GpxReader, NotGpx
from waypost.replay.rows import Row, TraceError, moment_ms, needed, optional

CHUNK_BYTES = 65_536
EXPECTED = "GPX track points (trkpt) that have a time"
HEADINGS, ACCURACIES = ("course", "heading", "bearing"), ("accuracy", "hacc")
VALUES = frozenset({"time", "speed", *HEADINGS, *ACCURACIES})


def rows(file: BinaryIO, path: Path, on_bad: Callable[[TraceError], None]) -> Iterator[Row]:
    """The track points in file order; those without time or place go to ``on_bad``.

    The vehicle is the track's name, or the file's. Raises TraceError for a DTD and for what is not well-formed.
    """
    reader, stem = GpxReader(VALUES), path.name.split(".", 1)[0]
    while True:
        chunk = file.read(CHUNK_BYTES)
        try:
            points = reader.feed(chunk, last=not chunk)
        except NotGpx as error:
            raise TraceError(path, str(error), line=error.line) from error
        for point in points:
            try:
                row = _row(point, stem)
            except (ValueError, OverflowError) as error:
                on_bad(TraceError(path, str(error), line=point.line))
            else:
                yield row
        if not chunk:
            return


def _row(point: GpxPoint, stem: str) -> Row:
    values = point.values
    if "time" not in values:
        raise ValueError("a point without a time")
    return Row(
        point.track or stem,
        moment_ms(values["time"]),
        needed(values.get("lat")),
        needed(values.get("lon")),
        optional(values.get("speed")),
        optional(_first(values, HEADINGS)),
        optional(_first(values, ACCURACIES)),
    )


def _first(values: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((values[name] for name in names if name in values), None)
