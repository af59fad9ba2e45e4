"""Reports as CSV files: kinds of jobs (``jobs.ports.JobKind``).

Each is read in parts, so that no part takes long; a report of a shop that goes on selling meanwhile has each layby as
it was when its part was read. The last lines are totals, one a currency. Money is in major units, as people read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec

from waypost.analytics import storage_reports as storage
from waypost.analytics.domain import AGES
from waypost.identity.service import settings_of
from waypost.jobs.domain import Asked, Plan, Step
from waypost.jobs.ports import JobKind
from waypost.kernel import csv_text
from waypost.kernel.errors import invalid_field
from waypost.kernel.money import plain_text
from waypost.kernel.zones import zone_or_utc
from waypost.platform.database import Connection

LAYBYS_A_STEP = 1000
DAYS_A_STEP = 31
MOST_DAYS = 3660
AHEAD = timedelta(days=90)
NONE = UUID(int=0)
LONG_AGO = date(1970, 1, 1)
TOTAL, OVERDUE, LATER = "total", "overdue", "later"


class Sums(msgspec.Struct):
    """Where a report is: ``after`` and ``day`` of the last row, and what the rows came to, by currency and column."""

    after: UUID = NONE
    day: date = LONG_AGO
    sums: dict[str, dict[str, int]] = {}

    def add(self, currency: str, **amounts: int) -> None:
        mine = self.sums.setdefault(currency, {})
        for name, amount in amounts.items():
            mine[name] = mine.get(name, 0) + amount


def _at(cursor: object | None) -> Sums:
    return msgspec.convert(cursor, Sums) if cursor is not None else Sums()


@dataclass(slots=True)
class _File:
    """A step's part of the file."""

    lines: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, plan: Plan, header: Iterable[str], cursor: object | None) -> _File:
        part = cls()
        if cursor is None:
            part.lines.append((csv_text.BOM if plan.params.get("bom") else "") + csv_text.line(header))
        return part

    def add(self, *cells: object) -> None:
        self.lines.append(csv_text.line(None if cell is None else str(cell) for cell in cells))

    def step(self, rows: int, at: Sums | None) -> Step:
        """``at`` None: this was the last."""
        return Step("".join(self.lines).encode(), rows, None if at is None else msgspec.to_builtins(at))


async def _today(conn: Connection, org_id: UUID, now: datetime) -> tuple[date, str]:
    zone = zone_or_utc((await settings_of(conn, org_id)).time_zone)
    return now.astimezone(zone).date(), zone.key


def _plan(name: str, today: date, zone: str, asked: Asked, **params: object) -> Plan:
    if asked.status is not None:
        raise invalid_field("status", "a report takes none")
    fixed = {"day": today.isoformat(), "timeZone": zone, "bom": asked.bom, **params}
    return Plan(fixed, f"{name}-{today.isoformat()}.csv", "text/csv; charset=utf-8")


def _day(params: Mapping[str, object], name: str = "day") -> date:
    return date.fromisoformat(str(params[name]))


class Outstanding:
    """Every layby that runs, is on hold or has defaulted: what is paid of it, what is owed."""

    header = ("reference", "customer", "status", "currency", "price", "lateFees", "paid", "balance", "nextDue",
              "nextDueDate", "startDate", "finalDate")  # fmt: skip

    async def plan(self, conn: Connection, org_id: UUID, asked: Asked, now: datetime) -> Plan:
        return _plan("outstanding", *await _today(conn, org_id, now), _without_span(asked))

    async def count(self, conn: Connection, org_id: UUID, _plan: Plan) -> int:
        return await storage.count_open(conn, org_id)

    async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
        at, part = _at(cursor), _File.begin(plan, self.header, cursor)
        rows = await storage.outstanding(conn, org_id, at.after, LAYBYS_A_STEP)
        for row in rows:
            money = _money(row, "price_minor", "late_fees_minor", "paid_minor", "balance_minor", "next_due_minor")
            part.add(row["reference"], row["customer_name"], row["status"], row["currency"], *money,
                     row["next_due_date"], row["start_date"], row["final_date"])  # fmt: skip
            at.add(row["currency"], **{n: row[f"{n}_minor"] for n in ("price", "late_fees", "paid", "balance")})
            at.after = row["id"]
        if len(rows) == LAYBYS_A_STEP:
            return part.step(len(rows), at)
        for currency, sums in sorted(at.sums.items()):
            shown = [plain_text(sums[name], currency) for name in ("price", "late_fees", "paid", "balance")]
            part.add(TOTAL, None, None, currency, *shown, None, None, None, None)
        return part.step(len(rows), None)


class Overdue:
    """Running laybys of which something is past its date, the longest first, with the age of the oldest part."""

    header = ("reference", "customer", "phone", "currency", "daysOverdue", "age", "overdue", "balance", "oldestDueDate")

    async def plan(self, conn: Connection, org_id: UUID, asked: Asked, now: datetime) -> Plan:
        return _plan("overdue", *await _today(conn, org_id, now), _without_span(asked))

    async def count(self, conn: Connection, org_id: UUID, plan: Plan) -> int:
        return await storage.count_overdue(conn, org_id, _day(plan.params))

    async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
        at, part = _at(cursor), _File.begin(plan, self.header, cursor)
        rows = await storage.overdue(conn, org_id, _day(plan.params), (at.day, at.after), LAYBYS_A_STEP)
        for row in rows:
            money = _money(row, "open_minor", "balance_minor")
            part.add(row["reference"], row["customer_name"], row["phone"], row["currency"], row["days"],
                     age_of(row["days"]), *money, row["next_due_date"])  # fmt: skip
            at.add(row["currency"], open=row["open_minor"], balance=row["balance_minor"])
            at.day, at.after = row["next_due_date"], row["id"]
        if len(rows) == LAYBYS_A_STEP:
            return part.step(len(rows), at)
        for currency, sums in sorted(at.sums.items()):
            shown = [plain_text(sums[name], currency) for name in ("open", "balance")]
            part.add(TOTAL, None, None, currency, None, None, *shown, None)
        return part.step(len(rows), None)


class Expected:
    """What running laybys will bring on each day of a span, by their schedules; what is overdue, and what comes later,
    in a line of its own. The total is what all of them owe.
    """

    header = ("currency", "dueDate", "expected")

    async def plan(self, conn: Connection, org_id: UUID, asked: Asked, now: datetime) -> Plan:
        today, zone = await _today(conn, org_id, now)
        first = asked.since.astimezone(zone_or_utc(zone)).date() if asked.since else today
        last = asked.until.astimezone(zone_or_utc(zone)).date() if asked.until else first + AHEAD
        _check_span(first, last)
        return _plan("expected-income", today, zone, asked, first=first.isoformat(), last=last.isoformat())

    async def count(self, conn: Connection, org_id: UUID, _plan: Plan) -> None:
        """Who knows: it has a line a day on which something is due."""

    async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
        at, part = _at(cursor), _File.begin(plan, self.header, cursor)
        first, last = _day(plan.params, "first"), _day(plan.params, "last")
        rows = await storage.expected(conn, org_id, at.after, LAYBYS_A_STEP)
        for row in rows:
            due = row["due_date"]
            word = OVERDUE if due < first else LATER if due > last else due.isoformat()
            at.add(row["currency"], **{word: row["open_minor"]})
        if rows and rows[0]["laybys"] == LAYBYS_A_STEP:
            at.after = rows[0]["last"]
            return part.step(0, at)
        lines = 0
        for currency, sums in sorted(at.sums.items()):
            for word in (OVERDUE, *sorted(set(sums) - {OVERDUE, LATER}), LATER):
                if sums.get(word):
                    part.add(currency, word, plain_text(sums[word], currency))
                    lines += 1
            part.add(currency, TOTAL, plain_text(sum(sums.values()), currency))
        return part.step(lines, None)


class PaymentsByDay:
    """What came and went on each local day, by kind and way; amount = applied + credit + suspense."""

    header = ("day", "currency", "kind", "method", "provider", "count", "amount", "applied", "credit", "suspense")

    async def plan(self, conn: Connection, org_id: UUID, asked: Asked, now: datetime) -> Plan:
        today, name = await _today(conn, org_id, now)
        zone = zone_or_utc(name)
        since = asked.since or await storage.first_payment(conn, org_id) or now
        last = (asked.until - timedelta(microseconds=1) if asked.until else now).astimezone(zone).date()
        first = max(since.astimezone(zone).date(), last - timedelta(days=MOST_DAYS)) if not asked.since else None
        first = first or since.astimezone(zone).date()
        _check_span(first, last)
        return _plan("payments-by-day", today, name, asked, first=first.isoformat(), last=last.isoformat())

    async def count(self, conn: Connection, org_id: UUID, _plan: Plan) -> None:
        """Who knows: it has a line a day, kind and way."""

    async def step(self, conn: Connection, org_id: UUID, plan: Plan, cursor: object | None) -> Step:
        at, part = _at(cursor), _File.begin(plan, self.header, cursor)
        name = str(plan.params["timeZone"])
        first, last = max(at.day, _day(plan.params, "first")), _day(plan.params, "last")
        until = min(first + timedelta(days=DAYS_A_STEP), last + timedelta(days=1))
        since, end = (datetime.combine(day, time(), zone_or_utc(name)) for day in (first, until))
        rows = await storage.payments(conn, org_id, since, end, name)
        columns = ("amount_minor", "applied_minor", "credit_minor", "suspense_minor")
        for row in rows:
            part.add(row["day"], row["currency"], row["kind"], row["method"], row["provider"], row["count"],
                     *_money(row, *columns))  # fmt: skip
            at.add(row["currency"], count=row["count"], **{column: row[column] for column in columns})
        if until <= last:
            at.day = until
            return part.step(len(rows), at)
        for currency, sums in sorted(at.sums.items()):
            shown = [plain_text(sums[column], currency) for column in columns]
            part.add(TOTAL, currency, None, None, None, sums["count"], *shown)
        return part.step(len(rows), None)


def age_of(days: int) -> str:
    """The group of an age in days, as in the figures: "1-7" … "91-"."""
    first = 1
    for last in AGES:
        if days <= last:
            return f"{first}-{last}"
        first = last + 1
    return f"{first}-"


def _money(row: Any, *columns: str) -> list[str | None]:
    """Major units with all their places; None where there is none."""
    return [None if row[column] is None else plain_text(row[column], row["currency"]) for column in columns]


def _without_span(asked: Asked) -> Asked:
    if asked.since is not None or asked.until is not None:
        raise invalid_field("from", "this report is of now; leave `from` and `to` out")
    return asked


def _check_span(first: date, last: date) -> None:
    if not 0 <= (last - first).days <= MOST_DAYS:
        raise invalid_field("to", f"the span must not end before it begins, nor have more than {MOST_DAYS} days")


REPORTS: Mapping[str, JobKind] = {
    "report.outstanding": Outstanding(),
    "report.overdue": Overdue(),
    "report.expected-income": Expected(),
    "report.payments-by-day": PaymentsByDay(),
}
