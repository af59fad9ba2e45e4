"""Track points of GPX 1.0 and 1.1, with or without namespaces, as they come in.

expat is used directly: it is told to stop at a document type declaration before it reads one, so no entity can ever be
declared, whatever the file's encoding; and it knows the line and the bytes of every point.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from xml.parsers import expat

DEEPEST = 100


class NotGpx(ValueError):
    """No XML that is read here; the text says why, ``line`` says where."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


class GpxPoint(NamedTuple):
    """A ``trkpt``. ``values``: its attributes and the wanted elements in it, by local name, the first of each."""

    values: dict[str, str]
    track: str  # the name of the track that it stands in
    line: int  # where it ends
    begin: int  # its bytes
    end: int


class _Refused(Exception):
    """The parser is to stop here."""


class GpxReader:
    """Takes a file in pieces of any size and gives the points that each piece completes."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.elements = 0  # begun so far
        self._wanted = wanted
        self._ready: list[GpxPoint] = []
        self._track = ""
        self._open: list[str] = []  # local names of the open elements
        self._text: list[str] = []
        self._point: dict[str, str] | None = None
        self._begin = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append

    def feed(self, piece: bytes, *, last: bool = False) -> list[GpxPoint]:
        """``NotGpx`` for what is not well-formed or has a DTD; ``last``: nothing follows."""
        try:
            self._parser.Parse(piece, last)
        except _Refused as error:
            raise NotGpx(str(error), self._parser.CurrentLineNumber) from None
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise NotGpx(f"is not well-formed XML: {error}", self._parser.CurrentLineNumber) from error
        ready, self._ready = self._ready, []
        return ready

    def _doctype(self, *_declaration: object) -> None:
        raise _Refused("has a document type declaration (DTD), which is refused")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        local = name.rpartition(":")[2]
        self._open.append(local)
        if len(self._open) > DEEPEST:
            raise _Refused(f"is nested deeper than {DEEPEST} elements")
        self._text.clear()
        if local == "trk":
            self._track = ""
        elif local == "trkpt":
            self._point, self._begin = dict(attributes), self._parser.CurrentByteIndex

    def _end(self, _name: str) -> None:
        local = self._open.pop()
        text = "".join(self._text).strip()
        self._text.clear()
        if local == "trkpt" and self._point is not None:
            at = self._parser.CurrentByteIndex
            self._ready.append(GpxPoint(self._point, self._track, self._parser.CurrentLineNumber, self._begin, at))
            self._point = None
        elif self._point is not None and local in self._wanted:
            self._point.setdefault(local, text)
        elif local == "name" and self._open[-1:] == ["trk"]:
            self._track = text
