"""Business days: which days are none, by a place's calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

SUNDAY = 6
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays. ``fixed``: (month, day); ``easter``: days from Easter Sunday; ``moves``: one on a Sunday is kept
    on the Monday after it, too.
    """

    fixed: tuple[tuple[int, int], ...]
    easter: tuple[int, ...] = ()
    moves: bool = False


CALENDARS: Mapping[str, Calendar] = {
    # Public Holidays Act 36 of 1994
    "ZA": Calendar(
        fixed=((1, 1), (3, 21), (4, 27), (5, 1), (6, 16), (8, 9), (9, 24), (12, 16), (12, 25), (12, 26)),
        easter=(-2, 1),
        moves=True,
    ),
}


def after_business_days(day: date, n: int, calendar: str | None) -> date:
    """The ``n``-th business day after ``day``; that day itself for none."""
    while n > 0:
        day += DAY
        n -= is_business_day(day, calendar)
    return day


def is_business_day(day: date, calendar: str | None) -> bool:
    """No Saturday, Sunday or public holiday; without a calendar none is one."""
    return day.weekday() < SUNDAY - 1 and not (calendar and day in holidays(calendar, day.year))


@lru_cache(256)
def holidays(calendar: str, year: int) -> frozenset[date]:
    """The public holidays of a year."""
    rows = CALENDARS[calendar]
    days = {date(year, month, day) for month, day in rows.fixed}
    days |= {easter_sunday(year) + DAY * offset for offset in rows.easter}
    return frozenset(days | ({day + DAY for day in days if day.weekday() == SUNDAY} if rows.moves else set()))


def easter_sunday(year: int) -> date:
    """Western Easter, by the anonymous Gregorian computus (Nature, 20 April 1876)."""
    century, in_century = divmod(year, 100)
    epact = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (in_century // 4) - epact - in_century % 4) % 7
    shift = (year % 19 + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)
