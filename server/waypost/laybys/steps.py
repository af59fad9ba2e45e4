"""When what is said, charged or ended: windows and days, by the organisation's own clock (R6-R8).

Every ``now`` here is the local time of the organisation. Days are compared as dates and hours as the clock on the wall
shows them, so a day of 23 or 25 hours is a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from waypost.laybys import domain
from waypost.laybys.domain import Instalment, Layby, Status
from waypost.laybys.holidays import after_business_days

SAID_AT = time(9)


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be said of a date: from 09:00 of the day ``opens`` days after it (before it: negative) until the day
    ``closes`` begins. ``kind``: of the notice.
    """

    name: str
    kind: str
    opens: int
    closes: int


REMINDERS = (
    Step("before_3", "payment_reminder", -3, -1),
    Step("before_1", "payment_reminder", -1, 0),
    Step("due", "payment_reminder", 0, 1),
)
OVERDUE = (
    Step("overdue_1", "payment_overdue", 1, 7),
    Step("overdue_7", "payment_overdue", 7, 14),
)
COMPLETION = (Step("final_7", "completion_reminder", -7, 0),)
COLLECTION = (  # of the day it was completed
    Step("collect_7", "collection_reminder", 7, 14),
    Step("collect_14", "collection_reminder", 14, 21),
)


def ends(step: Step, due: date, zone: tzinfo) -> datetime:
    """When the window of ``step`` closes: as its last day has passed."""
    return datetime.combine(due + timedelta(days=step.closes), time(0), zone).astimezone(UTC)


def step_of(steps: Iterable[Step], due: date, now: datetime) -> Step | None:
    """The step of ``due`` whose window is open."""
    return next((step for step in steps if due in open_dates(step, now)), None)


def open_dates(step: Step, now: datetime) -> list[date]:
    """The dates of which ``step`` may be said now, the earliest first."""
    today = now.date()
    latest = step.opens if now.time() >= SAID_AT else step.opens + 1
    return [today - timedelta(days=days) for days in range(step.closes - 1, latest - 1, -1)]


def open_steps(steps: Iterable[Step], now: datetime) -> Mapping[date, Step]:
    """Of each date the step that may be said now."""
    return {due: step for step in steps for due in open_dates(step, now)}


def late_fee_instalments(layby: Layby, today: date) -> list[Instalment]:
    """The instalments that a late fee falls due on by today: not covered, past grace, not charged before (R7)."""
    rules = layby.terms.rules
    if layby.status is not Status.ACTIVE or not rules.late_fee_minor:
        return []
    last = today - timedelta(days=rules.late_fee_after_days)
    parts = domain.covered(layby)
    return [
        instalment
        for instalment, part in zip(layby.instalments, parts, strict=True)
        if part < instalment.amount_minor and instalment.due_date <= last and instalment.late_fee_at is None
    ]


def last_grace_day(layby: Layby) -> date:
    """The last day on which what is owed may still be paid: after the agreed one, by the rule and by the law."""
    law = layby.terms.jurisdiction
    by_law = after_business_days(layby.final_date, law.grace_business_days, law.calendar)
    return max(by_law, layby.final_date + timedelta(days=layby.terms.rules.final_grace_days))


def default_reason(layby: Layby, today: date) -> str | None:
    """Why it defaults: "missed_instalments" (R8), "not_finished"; None: it does not."""
    if layby.status is not Status.ACTIVE or layby.balance_minor <= 0:
        return None
    if len(domain.missed(layby, today)) >= layby.terms.rules.default_after_missed:
        return "missed_instalments"
    return "not_finished" if today > last_grace_day(layby) else None
