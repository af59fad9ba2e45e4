"""The compact form of a batch, as a client makes it: msgpack, in columns of integer differences (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from waypost.replay.wire import Envelope

MEDIA_TYPE = "application/msgpack"
PLACES = 6  # of latitude and longitude: 11 cm
SPEED_STEPS = 10  # of a metre a second
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_pack = msgspec.msgpack.Encoder().encode


def encode(envelope: Envelope, places: int = PLACES) -> bytes:
    """A batch in columns. ValueError unless its numbers follow one another; values are rounded to the form's steps."""
    rows = envelope.locations
    first = rows[0].n
    if [row.n for row in rows] != list(range(first, first + len(rows))):
        raise ValueError("the numbers of a batch in columns follow one another")
    columns = {
        "t": steps((datetime.fromisoformat(row.timestamp) - EPOCH) // MILLISECOND for row in rows),
        "la": steps(scaled((row.latitude for row in rows), 10**places)),
        "lo": steps(scaled((row.longitude for row in rows), 10**places)),
        "ac": steps(scaled(row.accuracy for row in rows)),
        "sp": steps(scaled((row.speed for row in rows), SPEED_STEPS)),
        "he": steps(scaled(row.heading for row in rows)),
        "ba": steps(scaled(row.battery for row in rows)),
    }
    batch: dict[str, object] = {"v": 1, "stream": UUID(envelope.stream).bytes, "n0": first, "sentAt": envelope.sent_at}
    if envelope.trip_id is not None:
        batch["tripId"] = envelope.trip_id
    if places != PLACES:
        batch["k"] = places
    known = {name: column for name, column in columns.items() if any(step is not None for step in column)}
    return _pack(batch | known)


def scaled(values: Iterable[float | None], scale: int = 1) -> Iterable[int | None]:
    """In whole steps; None stays None."""
    return (None if value is None else round(value * scale) for value in values)


def steps(values: Iterable[int | None]) -> list[int | None]:
    """The first value, then differences; each counts from the last value that is known, at first from 0."""
    found: list[int | None] = []
    last = 0
    for value in values:
        found.append(None if value is None else value - last)
        last = last if value is None else value
    return found
