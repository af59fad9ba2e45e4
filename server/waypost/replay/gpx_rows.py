"""GPX 1.0 and 1.1 tracks, with or without namespaces.

expat is used directly: it is told to stop at a document type declaration before it reads one, so no entity can ever be
declared, whatever the file's encoding; and it knows the line of every point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from waypost.replay.rows import Row, TraceError, moment_ms, needed, optional

CHUNK_BYTES = 65_536
EXPECTED = "GPX track points (trkpt) that have a time"
VALUES = {"time": "time", "speed": "speed", "course": "heading", "heading": "heading", "bearing": "heading",
          "accuracy": "accuracy", "hacc": "accuracy"}  # fmt: skip


class _Forbidden(Exception):
    """A document type declaration was met."""


def rows(file: BinaryIO, path: Path, on_bad: Callable[[TraceError], None]) -> Iterator[Row]:
    """The track points in file order; those without time or place go to ``on_bad``.

    The vehicle is the track's name, or the file's. Raises TraceError for a DTD and for what is not well-formed.
    """
    reader = _Reader(path, on_bad)
    while True:
        chunk = file.read(CHUNK_BYTES)
        reader.feed(chunk)
        yield from reader.ready
        reader.ready.clear()
        if not chunk:
            return


class _Reader:
    def __init__(self, path: Path, on_bad: Callable[[TraceError], None]) -> None:
        self.ready: list[Row] = []
        self._path = path
        self._on_bad = on_bad
        self._stem = path.name.split(".", 1)[0]
        self._track = ""
        self._open: list[str] = []  # local names of the open elements
        self._text: list[str] = []
        self._point: dict[str, str] | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append

    def feed(self, chunk: bytes) -> None:
        """Read on; an empty chunk is the end of the file."""
        try:
            self._parser.Parse(chunk, not chunk)
        except _Forbidden:
            raise TraceError(
                self._path, "has a document type declaration (DTD), which is refused", line=self._line
            ) from None
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise TraceError(self._path, f"is not well-formed XML: {error}", line=self._line) from error

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber

    def _doctype(self, *_declaration: object) -> None:
        raise _Forbidden

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        self._open.append(local)
        self._text.clear()
        if local == "trk":
            self._track = ""
        elif local == "trkpt":
            self._point = dict(attributes)

    def _end(self, _name: str) -> None:
        local = self._open.pop()
        text = "".join(self._text).strip()
        self._text.clear()
        if local == "trkpt" and self._point is not None:
            self._finish(self._point)
            self._point = None
        elif self._point is not None and local in VALUES:
            self._point.setdefault(VALUES[local], text)
        elif local == "name" and self._open[-1:] == ["trk"]:
            self._track = text

    def _finish(self, point: dict[str, str]) -> None:
        try:
            if "time" not in point:
                raise ValueError("a point without a time")
            row = Row(
                self._track or self._stem, moment_ms(point["time"]), needed(point.get("lat")), needed(point.get("lon")),
                optional(point.get("speed")), optional(point.get("heading")), optional(point.get("accuracy")),
            )  # fmt: skip
        except (ValueError, OverflowError) as error:
            self._on_bad(TraceError(self._path, str(error), line=self._line))
        else:
            self.ready.append(row)
