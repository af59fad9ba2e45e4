"""Every night: do providers' statements, rows, totals and books say the same? Each difference is an alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Final
from uuid import UUID

from asyncpg import Record

from waypost.kernel.clock import Clock
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import MONEY, Principal
from waypost.ledger.domain import Difference
from waypost.ledger.posting import balance
from waypost.ledger.upkeep import LedgerUpkeep
from waypost.notifications.alert_domain import RECONCILIATION_DIFFERENCE, STATEMENT_MISSING
from waypost.notifications.alerts import alert
from waypost.payments import storage_reconcile as storage
from waypost.payments.providers_register import ProviderRegister
from waypost.payments.storage_reconcile import Run, Span, Sum
from waypost.payments.storage_statements import Outcome
from waypost.platform.database import Database
from waypost.realtime.service import Publisher

ROWS_AT_ONCE: Final = 1_000
LOOK_BACK: Final = timedelta(days=40)  # of statements and payments; what is older was compared then
LATE: Final = timedelta(days=2)  # so long a payment may be missing in its provider's statement
FIRST_ID: Final = UUID(int=0)
# Lines that stand for money that is here.
HERE: Final = frozenset({Outcome.MATCHED, Outcome.BOOKED, Outcome.UNMATCHED, Outcome.REVERSED})


@dataclass(frozen=True, slots=True)
class Reconciliations:
    """What the comparisons found, for an organisation's bookkeepers."""

    database: Database

    async def list(self, principal: Principal, limit: int, cursor: str | None) -> Page[Run]:
        """Newest first."""
        principal.require(MONEY)
        before = decode_cursor(cursor, date) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            runs = await storage.list_runs(conn, principal.org_id, before, limit)
        return page_of(runs, limit, lambda run: run.day)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Compares one organisation's rows and sums. Changes nothing but alerts; safe to repeat, and twice at once."""

    database: Database
    clock: Clock
    publisher: Publisher
    register: ProviderRegister
    upkeep: LedgerUpkeep

    async def run(self, org_id: UUID, day: date) -> Run:
        """Compare what there is at the end of ``day`` (UTC) and later; what was found is kept under that day."""
        night = Night(self, org_id, datetime.combine(day + timedelta(days=1), time(), UTC))
        started_at = self.clock.now()
        await night.statements()
        for kind in storage.TOTALS:
            await night.totals(kind)
        await night.books()
        await night.ledger()
        run = Run(day, dict(night.checked), night.sums, night.differences, started_at, self.clock.now())
        async with self.database.transaction(org_id) as conn:
            await storage.keep(conn, org_id, run)
        return run


@dataclass(slots=True)
class Night:
    """One run, and what it has found so far."""

    of: Reconciliation
    org_id: UUID
    end: datetime
    checked: Counter[str] = field(default_factory=Counter)
    sums: list[Sum] = field(default_factory=list)
    differences: int = 0

    async def statements(self) -> None:
        """Statements against rows, each way."""
        async with self.of.database.transaction(self.org_id) as conn:
            spans = await storage.spans(conn, self.org_id, self.end - LOOK_BACK)
            accounts = {span.provider_id for span in spans}
            found = [await self.of.register.of(conn, self.org_id, account) for account in sorted(accounts)]
        keys = {account.id: account.key for account in found if account is not None}
        totals: dict[tuple[str, str], tuple[int, int]] = {}
        for span in spans:
            await self._lines(span, keys[span.provider_id], totals)
        for (key, currency), (there, here) in sorted(totals.items()):
            self.sums.append(Sum(f"provider:{key}", currency, there, here))
        for key in sorted(set(keys.values())):
            mine = [span for span in spans if keys[span.provider_id] == key]
            for first, last in merged(mine):
                ids = sorted({span.provider_id for span in mine})
                await self._missing(key, ids, max(first, self.end - LOOK_BACK), min(last, self.end - LATE))

    async def _lines(self, span: Span, key: str, totals: dict[tuple[str, str], tuple[int, int]]) -> None:
        """Each line that was taken for known or booked is still what its row says."""
        after = 0
        while True:
            async with self.of.database.transaction(self.org_id) as conn:
                rows = await storage.lines(conn, self.org_id, span.id, key, after, ROWS_AT_ONCE)
            for row in rows:
                if row["outcome"] in HERE:
                    self.checked["lines"] += 1
                    place = key, row["currency"] or "?"
                    there, here = totals.get(place, (0, 0))
                    totals[place] = there + row["amount_minor"], here + (row["here_minor"] or 0)
                    if row["amount_minor"] != row["here_minor"]:
                        await self._line_differs(span, key, row)
            if len(rows) < ROWS_AT_ONCE:
                return
            after = rows[-1]["n"]

    async def _line_differs(self, span: Span, key: str, row: Record) -> None:
        facts = {"statementId": str(span.id), "line": str(row["n"]), "receipt": row["receipt"], "provider": key}
        await self._differs(
            f"line:{key}:{row['receipt']}", "payment", row["payment_id"], row["amount_minor"], row["here_minor"], facts
        )

    async def _missing(self, key: str, accounts: Sequence[UUID], first: datetime, last: datetime) -> None:
        """What is known here and in no statement of its time; nothing of it is changed, and nothing deleted."""
        after = first, FIRST_ID
        while first < last:
            async with self.of.database.transaction(self.org_id) as conn:
                rows = await storage.missing(
                    conn, self.org_id, provider=key, accounts=accounts, between=(first, last), after=after,
                    limit=ROWS_AT_ONCE,
                )  # fmt: skip
            self.checked["payments"] += len(rows)
            for row in rows:
                if row["missing"]:
                    await self._is_missing(key, row)
            if len(rows) < ROWS_AT_ONCE:
                return
            after = rows[-1]["paid_at"], rows[-1]["id"]

    async def _is_missing(self, key: str, row: Record) -> None:
        facts = {
            "provider": key,
            "receipt": row["receipt"],
            "amountMinor": str(row["amount_minor"]),
            "currency": row["currency"],
            "paidAt": row["paid_at"].isoformat(),
        }
        await self._alert(STATEMENT_MISSING, f"statement-missing:{key}:{row['receipt']}", "payment", row["id"], facts)

    async def totals(self, kind: str) -> None:
        """What each layby, or invoice, says of itself, against its rows."""
        after, columns = FIRST_ID, storage.TOTALS[kind][1]
        while True:
            async with self.of.database.transaction(self.org_id) as conn:
                rows = await storage.totals(conn, self.org_id, kind, after, ROWS_AT_ONCE)
            self.checked[f"{kind}s"] += len(rows)
            for row, what in product(rows, columns):
                one, other = row[what], row[f"{what}_rows"]
                if one != other:
                    facts = {"reference": row["name"] or "", "currency": row["currency"], "sum": what}
                    await self._differs(f"{kind}:{row['id']}:{what}", kind, row["id"], one, other, facts)
            if len(rows) < ROWS_AT_ONCE:
                return
            after = rows[-1]["id"]

    async def books(self) -> None:
        """What should lie in an account by laybys, payments and invoices, against the account, at one moment."""
        found: list[Sum] = []
        async with self.of.database.transaction(self.org_id, snapshot=True) as conn:
            by_rows = await storage.by_rows(conn, self.org_id)
            kept = await storage.currencies(conn, self.org_id) | {currency for _, currency in by_rows}
            for account, currency in product((*storage.PARTS, *storage.ASSETS), sorted(kept)):
                sign = 1 if account in storage.ASSETS else -1  # each as a positive amount
                booked = await balance(conn, self.org_id, account, currency)
                found.append(Sum(str(account), currency, sign * by_rows[account, currency], sign * booked))
        self.sums += [each for each in found if each.one_minor or each.other_minor]
        for each in found:
            if each.one_minor != each.other_minor:
                key = f"account:{each.what}:{each.currency}:{each.other_minor - each.one_minor}"
                facts = {"account": each.what, "currency": each.currency}
                await self._differs(key, "account", None, each.one_minor, each.other_minor, facts)

    async def ledger(self) -> None:
        """The books against themselves."""
        wrong: Sequence[Difference] = await self.of.upkeep.check(self.org_id)
        for each in wrong:
            key = f"ledger:{each.wrong}:{each.subject_id}:{each.day}"
            facts = {"wrong": str(each.wrong), "currency": each.currency}
            await self._differs(key, "ledger", each.subject_id, each.expected_minor, each.found_minor, facts)

    async def _differs(
        self, key: str, kind: str, subject_id: UUID | None, one: int, other: int | None, facts: Mapping[str, str]
    ) -> None:
        """A difference is said once; one that grows is another."""
        by = "none" if other is None else str(other - one)
        facts = {**facts, "oneMinor": str(one), "otherMinor": "none" if other is None else str(other)}
        await self._alert(RECONCILIATION_DIFFERENCE, f"reconciliation:{key}:{by}", kind, subject_id, facts)

    async def _alert(
        self, kind: str, key: str, subject_kind: str, subject_id: UUID | None, facts: Mapping[str, str]
    ) -> None:
        self.differences += 1
        async with self.of.database.transaction(self.org_id) as conn:
            await alert(
                conn, self.of.publisher, self.of.clock, self.org_id, kind=kind, key=key, subject_kind=subject_kind,
                subject_id=subject_id, facts=facts,
            )  # fmt: skip


def merged(spans: Sequence[Span]) -> list[tuple[datetime, datetime]]:
    """The times that statements tell of, those that touch as one; they come in the order of their beginnings."""
    times: list[tuple[datetime, datetime]] = []
    for span in spans:
        if times and span.first_at <= times[-1][1]:
            times[-1] = times[-1][0], max(times[-1][1], span.last_at)
        else:
            times.append((span.first_at, span.last_at))
    return times
