"""Time zones by their IANA names."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

REMEMBER_AT_MOST = 700  # there are about 600


@lru_cache(REMEMBER_AT_MOST)
def zone_named(name: str) -> ZoneInfo:
    """The zone. ``ValueError`` when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:  # unknown; a folder of the zone database
        raise ValueError("there is no such time zone; give a name such as Africa/Harare") from error


def zone_or_utc(name: str) -> ZoneInfo:
    """The same for a stored name: one that this machine does not know must not stop what runs by it."""
    try:
        return zone_named(name)
    except ValueError:
        return ZoneInfo("UTC")
