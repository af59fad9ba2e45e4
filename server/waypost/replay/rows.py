"""What every trace format is read into, and how its numbers and times are read."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import NamedTuple

SECONDS_END = 100_000_000_000  # a plain number below this counts seconds (until the year 5138), above it milliseconds


class Row(NamedTuple):
    """One fix as it was recorded, its defects included; None is unknown."""

    vehicle: str
    recorded_ms: int  # since 1970, by the device's own clock
    latitude: float  # degrees, possibly impossible ones
    longitude: float
    speed_mps: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None
    battery_pct: float | None = None


class TraceError(Exception):
    """A file, or one row of it, that cannot be read; the text names the file and the place in it."""

    def __init__(self, path: Path, what: str, *, line: int | None = None, item: str = "line") -> None:
        place = f"{path}:{line}" if line and item == "line" else f"{path}, {item} {line}" if line else str(path)
        super().__init__(f"{place}: {what}")


class NotATrace(TraceError):
    """A readable file that holds no positions, such as labels that belong to a trace."""


def needed(value: object) -> float:
    """A coordinate; text is accepted. Raises ValueError if it is no finite number; its range is not judged."""
    number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None
    if number is None or not isfinite(number):
        raise ValueError(f"{value!r} is not a coordinate")
    return number


def optional(value: object) -> float | None:
    """A value that may be unknown: absent, empty, unreadable and not finite are all None."""
    try:
        return needed(value) if value is not None and value != "" else None
    except ValueError:
        return None


def moment_ms(value: object) -> int:
    """Milliseconds since 1970 of ISO-8601 text (without an offset: UTC) or of a number of seconds or milliseconds.

    Raises ValueError for anything else.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return _number_ms(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    return _number_ms(value)


def _number_ms(value: object) -> int:
    try:
        number = needed(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a time") from None
    return round(number if abs(number) >= SECONDS_END else number * 1000)
