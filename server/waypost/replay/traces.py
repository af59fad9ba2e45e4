"""Trace files: finding, reading and loading them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from waypost.replay import csv_rows, geojson_rows, gpx_rows
from waypost.replay.recordings import Recording, Selected, choose
from waypost.replay.rows import NotATrace, Row, TraceError

Word = Callable[[str], None]  # told, in one line, of what was left out
SUFFIXES = (".csv", ".gpx", ".geojson", ".json")
EXPECTED = {".csv": csv_rows.EXPECTED, ".gpx": gpx_rows.EXPECTED, ".geojson": geojson_rows.EXPECTED}
SHOWN_BAD_ROWS = 3


def read(path: Path, on_bad: Callable[[TraceError], None] | None = None) -> Iterator[Row]:
    """The fixes of a CSV, GPX or GeoJSON file, plain or ``.gz``, in file order.

    A row that cannot be read is given to ``on_bad`` and passed over. Raises NotATrace for a file that stands beside a
    trace (labels), TraceError for one that cannot be read or has no usable row.
    """
    kind = suffix(path)
    first_bad: TraceError | None = None

    def noted(error: TraceError) -> None:
        nonlocal first_bad
        first_bad = first_bad or error
        if on_bad is not None:
            on_bad(error)

    any_row = False
    try:
        with _opened(path) as file:
            for row in _rows(kind, file, path, noted):
                any_row = True
                yield row
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TraceError(path, f"cannot be read: {reason}") from error
    if not any_row:
        first = f"; first trouble: {first_bad}" if first_bad else ""
        raise TraceError(path, f"has no usable row; expected {EXPECTED[kind]}{first}")


def suffix(path: Path) -> str:
    """``.csv``, ``.gpx`` or ``.geojson``, also before a ``.gz``. Raises TraceError for any other."""
    found = next((end for end in path.suffixes[::-1] if end.lower() != ".gz"), "").lower()
    if found not in SUFFIXES:
        raise TraceError(path, "is no trace: expected .csv, .gpx or .geojson, plain or .gz")
    return ".geojson" if found == ".json" else found


def load(paths: Sequence[Path], vehicles: int | None = None, say: Word | None = None) -> list[Recording]:
    """The recordings of these files (a folder means the traces in it), all or ``vehicles`` of them, as `choose` does.

    Bad rows and files that are no traces are told to ``say``. Raises TraceError for a file that cannot be read, and if
    there is none to play.
    """
    tell = say or (lambda _line: None)
    found = [recordings for path in expand(paths) if (recordings := _recordings(path, tell))]
    if not found:
        raise TraceError(paths[0] if paths else Path(), "holds no trace to play")
    return choose(found, vehicles)


def select(paths: Sequence[Path], vehicles: int | None = None) -> list[Selected]:
    """The very selection that `load` makes, without its rows: the same files and number give the same names."""
    return [Selected(r.name, r.source, len(r), r.recorded_ms[0], r.recorded_ms[-1]) for r in load(paths, vehicles)]


def names(paths: Sequence[Path], vehicles: int | None = None) -> list[str]:
    """The names of the vehicles that `load` with the same arguments would play."""
    return [selected.name for selected in select(paths, vehicles)]


def expand(paths: Sequence[Path]) -> list[Path]:
    """Folders replaced by the trace files in them, by name; the order is otherwise kept."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [file for file in inside if file == path or _plausible(file)]
    return list(dict.fromkeys(files))


def _recordings(path: Path, tell: Word) -> list[Recording]:
    by_vehicle: dict[str, Recording] = {}
    bad = 0

    def noted(error: TraceError) -> None:
        nonlocal bad
        bad += 1
        if bad <= SHOWN_BAD_ROWS:
            tell(f"bad row: {error}")

    try:
        for row in read(path, noted):
            recording = by_vehicle.get(row.vehicle)
            if recording is None:
                recording = by_vehicle[row.vehicle] = Recording(row.vehicle, path)
            recording.add(row)
    except NotATrace as error:
        tell(f"skipped: {error}")
        return []
    if bad > SHOWN_BAD_ROWS:
        tell(f"bad rows: {path}: {bad} in all")
    return list(by_vehicle.values())


def _rows(kind: str, file: BinaryIO, path: Path, on_bad: Callable[[TraceError], None]) -> Iterator[Row]:
    if kind == ".gpx":
        yield from gpx_rows.rows(file, path, on_bad)
    elif kind == ".geojson":
        yield from geojson_rows.rows(file.read(), path, on_bad)
    else:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            yield from csv_rows.rows(text, path, on_bad)


def _opened(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _plausible(path: Path) -> bool:
    return path.is_file() and any(end.lower() in SUFFIXES for end in path.suffixes)
