"""When people are left in peace: plain arithmetic on the clock of their place. Pure.

A time belongs to quiet hours when the clock on the wall there shows one from their start to before their end. So on
days when the clock is changed they are as long as the wall says: an hour that comes twice counts twice, one that is
skipped does not count, and an end inside it comes with the jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from waypost.identity.domain import QuietHours, Telling, Weekday

DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY, _GRAIN = timedelta(days=1), timedelta(seconds=1)
LONGEST_CHAIN = 16  # quiet hours of one day that lead into the next day's: by then there was a free minute


def quiet_until(telling: Telling, zone: str, now: datetime) -> datetime | None:
    """When the quiet hours that ``now`` lies in are over, in UTC; None: it lies in none. ``zone``: IANA's name of the
    recipient's, or the business's; an unknown one counts as UTC.
    """
    there, at = zone_of(zone), now
    for _ in range(LONGEST_CHAIN):
        end = _end_of_quiet(telling, at.astimezone(there).replace(tzinfo=None))
        if end is None:
            break
        at = _when_shown(end, there, at)
    return at if at != now else None


def _end_of_quiet(telling: Telling, wall: datetime) -> datetime | None:
    """What the wall clock shows when the quiet hours around ``wall`` end; the latest, where two overlap."""
    return max((end for start, end in _around(telling, wall.date()) if start <= wall < end), default=None)


def _around(telling: Telling, day: date) -> Iterator[tuple[datetime, datetime]]:
    """The quiet hours that begin on a day and on the one before, by the wall clock."""
    for begins in (day - _DAY, day):
        hours = telling.quiet_days.get(DAYS[begins.weekday()], telling.quiet)
        start, end = _times(hours)
        if start != end:
            ends = begins + _DAY if end < start else begins
            yield datetime.combine(begins, start), datetime.combine(ends, end)


def _when_shown(wall: datetime, zone: ZoneInfo, after: datetime) -> datetime:
    """The first moment after ``after`` at which the clock there shows ``wall`` or, where that is skipped, jumps over
    it.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:  # shown once, or twice
        return first if first > after else second
    low, high = second, first  # skipped: the jump lies between the two readings of a time that is none
    while high - low > _GRAIN:
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


@lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """By IANA's name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=512)
def _times(hours: QuietHours) -> tuple[time, time]:
    return time.fromisoformat(hours.start), time.fromisoformat(hours.end)
