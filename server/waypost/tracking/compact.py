"""The compact form of a batch: columns of integer differences, eight to twelve bytes a fix (docs/protocol.md).

Pure: what msgpack has read becomes reports, equal to those that JSON gives; and back, for the clients of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import TooLarge, invalid_field
from waypost.tracking.domain import Report, Source

VERSION = 1
MAX_LOCATIONS = 1000
MAX_NUMBER = 2**63 - 1  # of a stream: what the database counts to
PLACES = (6, 7)
SPEED_STEPS = 10  # of a metre a second

Steps = list[int | None]  # the first value, then differences; None: unknown


class TooManyLocations(TooLarge):
    """A batch holds at most 1,000 locations; split it."""

    code = "too-many-locations"


class Envelope(msgspec.Struct, rename="camel"):
    """What a batch says beside its locations. Fields that are not known are ignored: driver apps differ."""

    trip_id: UUID | None = None
    stream: UUID | None = None
    sent_at: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)  # whatever it is, it spoils nothing


class Columns(Envelope, kw_only=True, rename="camel"):
    """A batch in columns, each a first value, then differences; null is unknown, as is a column that is left out."""

    v: Annotated[int | None, Meta(description="1")] = None
    n0: Annotated[int | None, Meta(description="the number of the first location in the stream")] = None
    k: Annotated[int, Meta(description="6 or 7: decimal places of la and lo")] = 6
    t: Annotated[Steps | None, Meta(description="milliseconds since 1970")] = None
    la: Annotated[Steps | None, Meta(description="latitude, in steps of 10^-k degrees")] = None
    lo: Annotated[Steps | None, Meta(description="longitude, the same")] = None
    ac: Annotated[Steps | None, Meta(description="accuracy, metres")] = None
    sp: Annotated[Steps | None, Meta(description="speed, tenths of a metre a second")] = None
    he: Annotated[Steps | None, Meta(description="heading, degrees")] = None
    al: Annotated[Steps | None, Meta(description="altitude, metres")] = None
    ba: Annotated[Steps | None, Meta(description="battery, percent")] = None
    mk: Annotated[list[int], Meta(description="indexes of those that are made up")] = []


NAMES = ("t", "la", "lo", "ac", "sp", "he", "al", "ba")


def reports(columns: Columns, sent: Source | bytes = b"") -> list[Report]:
    """The locations of a batch. ``TooManyLocations``; ``Invalid`` when it is no table: that is the whole request's."""
    many = _length(columns)
    scale = 10**columns.k
    table = zip(
        range(many),
        _scaled(columns.la, many, scale),
        _scaled(columns.lo, many, scale),
        _values(columns.t, many),
        _values(columns.ac, many),
        _scaled(columns.sp, many, SPEED_STEPS),
        _values(columns.he, many),
        _values(columns.al, many),
        _values(columns.ba, many),
        _mocked(columns.mk, many),
        keys(columns.stream, columns.n0, many),
        repeat(None, many),
        repeat(sent, many),
        strict=True,
    )
    return [Report(*row) for row in table]


def keys(stream: UUID | None, first: int | None, many: int) -> Iterable[str | None]:
    """The client's own key of each location: its stream and its number in it."""
    if stream is None or first is None:
        return repeat(None, many)
    name = str(stream)
    return [f"{name}:{number}" if 0 <= number <= MAX_NUMBER else None for number in range(first, first + many)]


def _length(columns: Columns) -> int:
    """That of every column."""
    if columns.v != VERSION:
        raise invalid_field("v", f"is {VERSION}; this server knows no other")
    if columns.k not in PLACES:
        raise invalid_field("k", "is 6 or 7: decimal places of la and lo")
    lengths = {name: len(steps) for name in NAMES if (steps := getattr(columns, name)) is not None}
    if not lengths:
        raise invalid_field("t", "is required")
    first, many = next(iter(lengths.items()))
    if many == 0:
        raise invalid_field(first, "has no values; a batch has one location at least")
    if max(lengths.values()) > MAX_LOCATIONS:
        raise TooManyLocations(limit=MAX_LOCATIONS)
    for name, length in lengths.items():
        if length != many:
            raise invalid_field(name, f"has {length} values where {first} has {many}")
    return many


def _values(steps: Steps | None, many: int) -> Iterable[int | None]:
    if steps is None:
        return repeat(None, many)
    if None not in steps:
        return accumulate(steps)
    return _over_gaps(steps)


def _scaled(steps: Steps | None, many: int, scale: int) -> Iterable[float | None]:
    """Divided, not multiplied by a fraction: that gives the very double which the decimal text in JSON gives."""
    if steps is not None and None not in steps:
        return [value / scale for value in accumulate(steps)]  # type: ignore[operator]  # no None is in it
    return [None if value is None else value / scale for value in _values(steps, many)]


def _over_gaps(steps: Steps) -> Iterator[int | None]:
    """After an unknown value the next difference counts from the last known one, at first from 0."""
    known = 0
    for step in steps:
        if step is not None:
            known += step
        yield None if step is None else known


def _mocked(indexes: Sequence[int], many: int) -> Iterable[bool | None]:
    if not indexes:
        return repeat(None, many)
    mocked = set(indexes)
    if not mocked <= set(range(many)):
        raise invalid_field("mk", f"holds indexes from 0 to {many - 1}")
    return [True if index in mocked else None for index in range(many)]
