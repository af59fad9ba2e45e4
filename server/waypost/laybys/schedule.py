"""Instalments: their amounts and dates (R4)."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from waypost.kernel.errors import invalid_field
from waypost.laybys.domain import Instalment, Rhythm

MOST_INSTALMENTS = 260
_DAYS = {Rhythm.WEEKLY: 7, Rhythm.FORTNIGHTLY: 14}
LATEST_START = date(2190, 1, 1)  # what is counted from it stays a date


def plan(
    remaining_minor: int, start: date, rhythm: Rhythm, n: int | None, dates: Sequence[date] = ()
) -> list[Instalment]:
    """Equal parts of what the deposit leaves, rounded down; the last one takes the rest.

    ``dates``: of a custom rhythm, one an instalment, rising. Nothing left: no instalments. ``Invalid`` for a number of
    instalments, or dates, that cannot be.
    """
    if not remaining_minor:
        return []
    when = _custom(start, n, dates) if rhythm is Rhythm.CUSTOM else _regular(start, rhythm, n, dates)
    if len(when) > remaining_minor:
        raise invalid_field("instalments", "more of them than there are units of money to pay")
    amounts = parts(remaining_minor, len(when))
    return [Instalment(i, day, day, amount) for i, (day, amount) in enumerate(zip(when, amounts, strict=True), 1)]


def parts(amount_minor: int, n: int) -> list[int]:
    """``n`` equal parts, rounded down; the last takes the rest."""
    each = amount_minor // n
    return [each] * (n - 1) + [amount_minor - each * (n - 1)]


def due_on(start: date, rhythm: Rhythm, i: int) -> date:
    """The date of the ``i``-th instalment, always counted from the start, never from the date before."""
    if days := _DAYS.get(rhythm):
        return start + timedelta(days=days * i)
    year, month = divmod(start.year * 12 + start.month - 1 + i, 12)
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


def most_instalments(start: date, rhythm: Rhythm, longest_days: int) -> int:
    """How many at most fit into the longest term; of dates of their own any."""
    if rhythm is Rhythm.CUSTOM:
        return MOST_INSTALMENTS
    last, n = start + timedelta(days=longest_days), 0
    while n < MOST_INSTALMENTS and due_on(start, rhythm, n + 1) <= last:
        n += 1
    return n


def moved(instalments: Sequence[Instalment], days: int, from_n: int) -> list[Instalment]:
    """The dates from instalment ``from_n`` on, later by ``days``; the agreed dates stay as they were agreed."""
    by = timedelta(days=days)
    return [replace(i, due_date=i.due_date + by) if i.n >= from_n else i for i in instalments]


def final_date(instalments: Sequence[Instalment], start: date) -> date:
    """The last day of all."""
    return max((i.due_date for i in instalments), default=start)


def _regular(start: date, rhythm: Rhythm, n: int | None, dates: Sequence[date]) -> list[date]:
    if dates:
        raise invalid_field("dates", "are given with the rhythm custom only")
    if n is None or not 1 <= n <= MOST_INSTALMENTS:
        raise invalid_field("instalments", f"from 1 to {MOST_INSTALMENTS}")
    if start > LATEST_START:
        raise invalid_field("startDate", f"until {LATEST_START}")
    return [due_on(start, rhythm, i) for i in range(1, n + 1)]


def _custom(start: date, n: int | None, dates: Sequence[date]) -> list[date]:
    if not 1 <= len(dates) <= MOST_INSTALMENTS:
        raise invalid_field("dates", f"from 1 to {MOST_INSTALMENTS} of them")
    if n not in (None, len(dates)):
        raise invalid_field("instalments", "is not the number of dates")
    if any(later <= earlier for earlier, later in zip([start, *dates], dates, strict=False)):
        raise invalid_field("dates", "each later than the one before, and than the start")
    if dates[-1] > LATEST_START:
        raise invalid_field("dates", f"until {LATEST_START}")
    return list(dates)
