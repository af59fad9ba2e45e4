"""Pure reading of what a device sent: a number, a moment, a place; what cannot be one is unknown (None)."""

from __future__ import annotations

import math
from datetime import UTC, datetime

E7 = 10_000_000
FULL_CIRCLE_DEG = 360.0
FULL_BATTERY_PCT = 100.0
MAX_TEXT = 64  # of a timestamp; a longer one is none
PAST_ANY_UNIT = 1e9
# Far beyond any calendar, since milliseconds may have been sent as seconds; 2**53 is what JSON carries exactly.
LARGEST_MS = 2**53


def epoch_ms(value: object) -> int | None:
    """Milliseconds since 1970 from ISO 8601 text (without an offset: UTC) or from epoch milliseconds; above zero."""
    kind = type(value)
    if kind is int or kind is float:
        return int(value) if 0 < value < LARGEST_MS else None  # type: ignore[operator,call-overload]
    if kind is str and 0 < len(value) <= MAX_TEXT:  # type: ignore[arg-type]
        try:
            moment = datetime.fromisoformat(value)  # type: ignore[arg-type]
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            ms = math.floor(moment.timestamp() * 1000 + 0.0005)  # a float of seconds is exact to a quarter of a us
        except (ValueError, OverflowError):
            return None
        return ms if ms > 0 else None
    return None


def number(value: object) -> float | None:
    """A finite number within any of our units."""
    kind = type(value)
    if kind is not float and kind is not int:
        return None
    return float(value) if -PAST_ANY_UNIT < value < PAST_ANY_UNIT else None  # type: ignore[operator,arg-type]


def at_least_zero(value: object) -> float | None:
    """Negative means unknown, as some apps say it."""
    result = number(value)
    return result if result is not None and result >= 0 else None


def positive(value: object) -> float | None:
    """An accuracy of 0 or less means unknown."""
    result = number(value)
    return result if result is not None and result > 0 else None


def heading(value: object) -> float | None:
    """Degrees from north in [0, 360); 360 is 0."""
    result = at_least_zero(value)
    return None if result is None or result > FULL_CIRCLE_DEG else result % FULL_CIRCLE_DEG


def battery(value: object) -> float | None:
    """Percent."""
    result = at_least_zero(value)
    return result if result is not None and result <= FULL_BATTERY_PCT else None


def degrees_e7(value: object, limit: int) -> int | None:
    """Degrees times 10^7, within plus or minus ``limit`` degrees."""
    kind = type(value)
    if (kind is float or kind is int) and -limit <= value <= limit:  # type: ignore[operator]
        return round(value * E7)  # type: ignore[operator]
    return None


def tidy(value: float | None) -> float | None:
    """A measurement to the hundredth: it is kept in four bytes, whose decimal form has noise in its tail."""
    return None if value is None else round(value, 2)
