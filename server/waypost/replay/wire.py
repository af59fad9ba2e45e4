"""What goes over the wire: the ping batch and its answer, as the ingest contract has them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from waypost.replay.rows import Row


class Location(msgspec.Struct, rename="camel", omit_defaults=True, gc=False, frozen=True):
    """One fix of a batch. What is unknown is left out; the names are the contract's, units SI and degrees."""

    latitude: float
    longitude: float
    timestamp: str  # ISO 8601 with milliseconds, Z
    n: int
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    battery: float | None = None


class Envelope(msgspec.Struct, rename="camel", omit_defaults=True):
    """A batch as it is sent; ``sent_at`` is the time of this sending, the rest is the same at each."""

    sent_at: int
    stream: str
    locations: tuple[Location, ...]
    trip_id: str | None = None


class Rejected(msgspec.Struct):
    """A location that was not stored."""

    index: int
    reason: str


class Flagged(msgspec.Struct):
    """A location that was stored with doubts."""

    index: int
    flags: list[str]


class Outcome(msgspec.Struct, rename="camel"):
    """The answer to a stored batch."""

    accepted: int
    duplicates: int = 0
    rejected: list[Rejected] = msgspec.field(default_factory=list)
    late: int = 0
    flagged: list[Flagged] = msgspec.field(default_factory=list)
    next_ms: int | None = None


def location(row: Row, stamp_ms: int, n: int) -> Location:
    """The fix as a phone would send it at ``stamp_ms``, the ``n``-th of its stream; negative means unknown."""
    return Location(
        row.latitude,
        row.longitude,
        iso_ms(stamp_ms),
        n,
        _known(row.accuracy_m),
        _known(row.speed_mps),
        _known(row.heading_deg),
        _known(row.battery_pct),
    )


def iso_ms(moment_ms: int) -> str:
    """Milliseconds since 1970 as ``2026-11-22T01:49:00.000Z``."""
    seconds, ms = divmod(moment_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z"


def _known(value: float | None) -> float | None:
    return value if value is not None and value >= 0 else None
