"""Pure rules of the figures: what span and steps are asked for, and how rows of sums become an answer that adds up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from waypost.kernel.errors import Malformed

LONGEST_DAYS = 3660
MOST_STEPS = 400
USUAL_DAYS = 30
DAILY_UP_TO, WEEKLY_UP_TO = 31, 182
# Overdue by the age of the oldest open instalment, in days: up to and with.
AGES = (7, 30, 60, 90)


class BadSpan(Malformed):
    """`from` must not be after `to`, and the two not too far apart for the steps."""

    code = "bad-span"


class Step(StrEnum):
    """How long a step of a trend is; a week begins on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Span:
    """Local days, both within, in steps."""

    first: date
    last: date
    step: Step
    zone: ZoneInfo

    @property
    def since(self) -> datetime:
        return datetime.combine(self.first, datetime.min.time(), self.zone)

    @property
    def until(self) -> datetime:
        return datetime.combine(self.last + timedelta(days=1), datetime.min.time(), self.zone)


class Sum(msgspec.Struct, frozen=True, rename="camel"):
    """So many laybys, and what they come to in minor units."""

    count: int = 0
    amount_minor: int = 0


class Ended(msgspec.Struct, frozen=True, rename="camel"):
    """A step of the trend, or a whole span; ``revenue_minor``: completed laybys, and what is kept of cancelled
    ones: the fee, and the price of what was handed over. ``paid_minor``: money that came, less what went back.
    """

    created: Sum = Sum()
    completed: Sum = Sum()
    cancelled: Sum = Sum()
    defaulted: int = 0
    revenue_minor: int = 0
    paid_minor: int = 0


class Period(msgspec.Struct, frozen=True, rename="camel"):
    """One step; ``first``: its first day within the span."""

    first: date
    figures: Ended


class Age(msgspec.Struct, frozen=True, rename="camel"):
    """Overdue laybys whose oldest open instalment is so many days late; ``to_days`` None: or more. ``open_minor``: what
    is past its date and not covered.
    """

    from_days: int
    to_days: int | None
    count: int
    open_minor: int


class InCurrency(msgspec.Struct, frozen=True, rename="camel"):
    """Figures of one currency: two are never added."""

    currency: str
    by_status: dict[str, Sum]
    total: Sum
    outstanding_minor: int
    held_minor: int
    refunds_due_minor: int
    average_minor: int
    completion_days: float | None
    overdue: Sum
    overdue_by_age: list[Age]
    ended: int
    defaulted: int
    default_rate: float | None
    span: Ended
    trend: list[Period]


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """All of an organisation's laybys as they were at ``at``; ``counts``: by status, over all currencies."""

    at: datetime
    first: date
    last: date
    step: Step
    counts: dict[str, int]
    currencies: list[InCurrency]


@dataclass(frozen=True, slots=True)
class Row:
    """A group's sums, as the statement gives them. ``part`` says which: see ``storage.FIGURES``."""

    part: str
    currency: str
    word: str
    count: int
    amount: int
    more: int
    third: int


STATUSES = ("active", "on_hold", "completed", "cancelled", "defaulted")
OUTSTANDING = ("active", "on_hold", "defaulted")


def span_of(first: date | None, last: date | None, step: Step | None, today: date, zone: ZoneInfo) -> Span:
    """The span that is asked for; by itself the last thirty days. ``BadSpan``."""
    last = last or today
    if last.year < 1970:  # noqa: PLR2004 - and nothing is counted back from the first days of all
        raise BadSpan
    first = first or last - timedelta(days=USUAL_DAYS - 1)
    days = (last - first).days + 1
    if not 1 <= days <= LONGEST_DAYS or first.year < 1970 or last.year >= 2200:  # noqa: PLR2004
        raise BadSpan
    step = step or (Step.DAY if days <= DAILY_UP_TO else Step.WEEK if days <= WEEKLY_UP_TO else Step.MONTH)
    span = Span(first, last, step, zone)
    if len(list(steps(span))) > MOST_STEPS:
        raise BadSpan(f"These are more than {MOST_STEPS} steps; ask for longer ones, or for fewer days.")
    return span


def steps(span: Span) -> Iterator[date]:
    """The first day of each step; the first step may be cut by the span."""
    day = span.first
    while day <= span.last:
        yield day
        day = _after(day, span.step)


def _after(day: date, step: Step) -> date:
    if step is Step.DAY:
        return day + timedelta(days=1)
    if step is Step.WEEK:
        return day + timedelta(days=7 - day.weekday())
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def figures(rows: Sequence[Row], span: Span, at: datetime) -> Figures:
    """The answer; every total is the sum of its parts, by making it from them."""
    currencies = [_in_currency(code, [row for row in rows if row.currency == code], span) for code in _codes(rows)]
    counts = {status: sum(c.by_status[status].count for c in currencies) for status in STATUSES}
    return Figures(at, span.first, span.last, span.step, counts, currencies)


def _codes(rows: Sequence[Row]) -> list[str]:
    return sorted({row.currency for row in rows})


def _in_currency(currency: str, rows: Sequence[Row], span: Span) -> InCurrency:
    status = {row.word: row for row in rows if row.part == "status"}
    by_status = {word: Sum(row.count, row.amount) if (row := status.get(word)) else Sum() for word in STATUSES}
    total = Sum(sum(s.count for s in by_status.values()), sum(s.amount_minor for s in by_status.values()))
    ages = _ages([row for row in rows if row.part == "late"])
    ended = sum(by_status[word].count for word in ("completed", "cancelled", "defaulted"))
    defaulted = sum(row.third for row in rows if row.part == "ended")
    done = next((row for row in rows if row.part == "done"), None)
    trend = _trend([row for row in rows if row.part in _IN_TREND], span)
    return InCurrency(
        currency=currency,
        by_status=by_status,
        total=total,
        outstanding_minor=sum(status[word].more for word in OUTSTANDING if word in status),
        held_minor=sum(status[word].third for word in OUTSTANDING if word in status),
        refunds_due_minor=sum(row.amount for row in rows if row.part == "refunds"),
        average_minor=round_half_up(total.amount_minor, total.count),
        completion_days=round(done.amount / done.count / 86_400, 1) if done and done.count else None,
        overdue=Sum(sum(age.count for age in ages), sum(age.open_minor for age in ages)),
        overdue_by_age=ages,
        ended=ended,
        defaulted=defaulted,
        default_rate=round(defaulted / ended, 4) if ended else None,
        span=_sum([period.figures for period in trend]),
        trend=trend,
    )


def round_half_up(amount: int, count: int) -> int:
    """A mean in whole minor units; 0 of none."""
    return (2 * amount + count) // (2 * count) if count else 0


def _ages(rows: Sequence[Row]) -> list[Age]:
    edges = [0, *AGES]
    bounds = [(a + 1, b) for a, b in pairwise(edges)] + [(AGES[-1] + 1, None)]
    found = {int(row.word): row for row in rows}
    return [
        Age(first, last, found[n].count if n in found else 0, found[n].amount if n in found else 0)
        for n, (first, last) in enumerate(bounds)
    ]


_IN_TREND = ("created", "completed", "cancelled", "defaulted", "paid")


def _trend(rows: Sequence[Row], span: Span) -> list[Period]:
    found = {(row.part, row.word): row for row in rows}
    return [Period(day, _period(found, day.isoformat())) for day in steps(span)]


def _period(found: dict[tuple[str, str], Row], day: str) -> Ended:
    def of(part: str) -> Row:
        return found.get((part, day)) or Row(part, "", day, 0, 0, 0, 0)

    created, completed, cancelled = of("created"), of("completed"), of("cancelled")
    return Ended(
        created=Sum(created.count, created.amount),
        completed=Sum(completed.count, completed.amount),
        cancelled=Sum(cancelled.count, cancelled.amount),
        defaulted=of("defaulted").count,
        revenue_minor=completed.amount + cancelled.more,
        paid_minor=of("paid").amount,
    )


def _sum(parts: Sequence[Ended]) -> Ended:
    def add(name: str) -> Sum:
        sums = [getattr(part, name) for part in parts]
        return Sum(sum(s.count for s in sums), sum(s.amount_minor for s in sums))

    return Ended(
        created=add("created"),
        completed=add("completed"),
        cancelled=add("cancelled"),
        defaulted=sum(part.defaulted for part in parts),
        revenue_minor=sum(part.revenue_minor for part in parts),
        paid_minor=sum(part.paid_minor for part in parts),
    )
