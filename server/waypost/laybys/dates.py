"""How the open dates of a layby move; pure. What is covered keeps its date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from waypost.kernel.errors import invalid_field
from waypost.laybys import schedule
from waypost.laybys.domain import Instalment, Layby, covered, open_parts

TIME_TO_PAY = timedelta(days=7)  # for what was paid, and is owed again


def open_instalments(layby: Layby) -> list[Instalment]:
    """Those that are not covered; where only late fees are owed the last one, which they are due with."""
    pairs = zip(layby.instalments, covered(layby), strict=True)
    return [each for each, part in pairs if part < each.amount_minor] or list(layby.instalments[-1:])


def later(layby: Layby, days: int) -> Layby:
    """Every open date later by so many days."""
    open_ = open_instalments(layby)
    if not open_ or not days:
        return layby
    return _with(layby, schedule.moved(layby.instalments, days, open_[0].n))


def behind(layby: Layby, today: date) -> int:
    """How many days the oldest open date has passed."""
    open_ = open_instalments(layby)
    return max(0, (today - open_[0].due_date).days) if open_ else 0


def with_time_to_pay(before: Layby, after: Layby, today: date) -> Layby:
    """``after``, of which money was taken back: what was covered ``before`` and is owed again falls due in
    ``TIME_TO_PAY`` at the earliest; the dates behind it move with it.
    """
    earliest, owed = today + TIME_TO_PAY, zip(open_parts(before), open_parts(after), strict=True)
    again = next((each for each, (old, new) in zip(after.instalments, owed, strict=True) if new > 0 >= old), None)
    if again is not None:
        days = max(0, (earliest - again.due_date).days)
        return _with(after, schedule.moved(after.instalments, days, again.n))
    if not after.instalments and before.balance_minor <= 0 < after.balance_minor:
        return replace(after, final_date=max(earliest, after.final_date))
    return after


def extended(layby: Layby, days: int | None, to: Sequence[date], today: date) -> Layby:
    """Every open date later by ``days``, or each as ``to`` says; ``Invalid`` beyond what the rules allow."""
    most, open_ = layby.terms.rules.extension_days, open_instalments(layby)
    if (days is None) == (not to):
        raise invalid_field("days", "give either days or dates")
    if days is not None:
        if not 1 <= days <= most:
            raise invalid_field("days", f"from 1 to {most}")
        return later(layby, days)
    if len(to) != len(open_):
        raise invalid_field("dates", f"one for each of the {len(open_)} open instalments")
    if to[0] <= today or any(after <= before for before, after in pairwise(to)):
        raise invalid_field("dates", "each later than the one before, and than today")
    if any(not 0 <= (day - each.due_date).days <= most for each, day in zip(open_, to, strict=True)):
        raise invalid_field("dates", f"none earlier than it was, nor later by more than {most} days")
    moved = {each.n: day for each, day in zip(open_, to, strict=True)}
    return _with(layby, [replace(each, due_date=moved.get(each.n, each.due_date)) for each in layby.instalments])


def differing(before: Layby, after: Layby) -> Mapping[int, date]:
    """The new dates, by number of instalment."""
    pairs = zip(before.instalments, after.instalments, strict=True)
    return {new.n: new.due_date for old, new in pairs if new.due_date != old.due_date}


def said(before: Layby, after: Layby) -> Mapping[str, object]:
    """The history of a change of dates, for its event."""
    pairs = zip(before.instalments, after.instalments, strict=True)
    return {
        "dates": [{"n": new.n, "from": old.due_date, "to": new.due_date} for old, new in pairs if new != old],
        "finalDate": after.final_date,
    }


def _with(layby: Layby, instalments: Sequence[Instalment]) -> Layby:
    final = schedule.final_date(instalments, layby.start_date)
    return replace(layby, instalments=instalments, final_date=max(final, layby.final_date))
