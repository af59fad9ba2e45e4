"""SQL of the nightly comparison: rows against sums, a chunk at a time, each by its index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.ledger.domain import Account
from waypost.platform.database import Connection

# Statements that were read whole: whose, and of what time.
SPANS = """
SELECT id, provider_id, first_at, last_at FROM payment_statements
 WHERE org_id = $1 AND state = 'done' AND last_at >= $2 AND first_at IS NOT NULL
 ORDER BY first_at, id
"""
# Payments of a provider in a time of which its statements tell, and in none of them. The last row looked at comes with
# them, so that the next chunk begins behind it.
MISSING = """
WITH page AS MATERIALIZED (
    SELECT id, provider, receipt, amount_minor, currency, paid_at, kind FROM payments
     WHERE org_id = $1 AND paid_at >= $2 AND paid_at < $3 AND (paid_at, id) > ($4, $5)
     ORDER BY paid_at, id LIMIT $6)
SELECT p.id, p.receipt, p.amount_minor, p.currency, p.paid_at,
       (p.provider = $7 AND p.kind = 'payment' AND NOT EXISTS (
           SELECT FROM statement_lines l JOIN payment_statements s ON s.org_id = l.org_id AND s.id = l.statement_id
            WHERE l.org_id = $1 AND l.receipt = p.receipt AND s.provider_id = ANY($8::uuid[]))) AS missing
  FROM page p ORDER BY p.paid_at, p.id
"""
# Lines of a statement that stand for money, beside the rows of their receipt. A reversal may have several rows.
LINES = """
WITH page AS MATERIALIZED (
    SELECT n, outcome, receipt, amount_minor FROM statement_lines
     WHERE org_id = $1 AND statement_id = $2 AND n > $3 ORDER BY n LIMIT $4)
SELECT l.n, l.outcome, l.receipt, l.amount_minor, p.id AS payment_id, p.currency,
       (p.amount_minor + coalesce((
           SELECT sum(o.amount_minor) FROM payments o
            WHERE p.kind = 'reversal' AND o.org_id = p.org_id AND o.root_id = p.root_id AND o.kind = 'reversal'
              AND o.provider = p.provider AND starts_with(o.receipt, p.receipt || ':')), 0))::bigint AS here_minor
  FROM page l LEFT JOIN payments p ON p.org_id = $1 AND p.provider = $5 AND p.receipt = l.receipt
 ORDER BY l.n
"""
# What laybys and invoices say, each column beside the sum of its rows (``..._rows``).
LAYBYS = """
WITH page AS MATERIALIZED (
    SELECT id, reference AS name, currency, paid_minor AS paid, items_minor AS items, late_fees_minor AS late_fees,
           items_minor + service_fee_minor + admin_fee_minor - deposit_minor AS instalments
      FROM laybys WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3)
SELECT l.*, coalesce(p.minor, 0)::bigint AS paid_rows, coalesce(i.minor, 0)::bigint AS items_rows,
       coalesce(d.late_fees, 0)::bigint AS late_fees_rows,
       CASE WHEN d.n > 0 THEN d.minor::bigint ELSE l.instalments END AS instalments_rows
  FROM page l
  LEFT JOIN LATERAL (
    SELECT sum(applied_minor) AS minor FROM payments WHERE org_id = $1 AND layby_id = l.id) p ON true
  LEFT JOIN LATERAL (
    SELECT sum(quantity * unit_price_minor) AS minor FROM layby_items WHERE org_id = $1 AND layby_id = l.id) i ON true
  LEFT JOIN LATERAL (
    SELECT count(*) AS n, sum(amount_minor) AS minor, sum(late_fee_minor) AS late_fees FROM layby_instalments
     WHERE org_id = $1 AND layby_id = l.id) d ON true
 ORDER BY l.id
"""
INVOICES = """
WITH page AS MATERIALIZED (
    SELECT id, number AS name, currency, paid_minor AS paid, net_minor AS net FROM invoices
     WHERE org_id = $1 AND id > $2 AND kind = 'invoice' ORDER BY id LIMIT $3)
SELECT i.*, coalesce(p.minor, 0)::bigint AS paid_rows, coalesce(l.minor, 0)::bigint AS net_rows
  FROM page i
  LEFT JOIN LATERAL (
    SELECT sum(applied_minor) AS minor FROM payments WHERE org_id = $1 AND invoice_id = i.id) p ON true
  LEFT JOIN LATERAL (
    SELECT sum(net_minor) AS minor FROM invoice_lines WHERE org_id = $1 AND invoice_id = i.id) l ON true
 ORDER BY i.id
"""
HELD = """
SELECT currency, sum(paid_minor)::bigint AS minor FROM laybys
 WHERE org_id = $1 AND status IN ('active', 'on_hold', 'defaulted') GROUP BY currency
"""
TO_REFUND = """
SELECT currency, sum(refund_due_minor)::bigint AS minor FROM laybys
 WHERE org_id = $1 AND refund_due_minor > 0 GROUP BY currency
"""
CREDIT = """
SELECT currency, sum(credit_minor)::bigint AS minor FROM payments
 WHERE org_id = $1 AND credit_minor <> 0 GROUP BY currency
"""
SUSPENSE = """
SELECT currency, sum(suspense_minor)::bigint AS minor FROM payments
 WHERE org_id = $1 AND suspense_minor <> 0 GROUP BY currency
"""
# Where the money of rows lies: what providers report in clearing, what staff type in by its way.
MONEY = """
SELECT CASE WHEN provider <> 'counter' OR method NOT IN ('cash', 'card', 'bank') THEN 'clearing' ELSE method END
           AS account, currency, sum(amount_minor)::bigint AS minor
  FROM payments WHERE org_id = $1 AND amount_minor <> 0 GROUP BY 1, 2
"""
# What others have booked here as paid out of the bank, of their invoices.
PAID_OUT = """
SELECT currency, sum(paid_minor)::bigint AS minor FROM invoices
 WHERE counterparty_org_id = $1 AND status <> 'draft' GROUP BY currency
"""
# Of which currencies an account is kept.
CURRENCIES = """
SELECT DISTINCT currency FROM accounts WHERE org_id = $1 AND code = ANY($2::text[]) AND counterparty_org_id IS NULL
"""
KEEP = """
INSERT INTO reconciliations (org_id, day, checked, sums, differences, started_at, finished_at)
VALUES ($1, $2, $3::jsonb, $4::jsonb, $5, $6, $7)
ON CONFLICT (org_id, day) DO UPDATE
   SET checked = EXCLUDED.checked, sums = EXCLUDED.sums, differences = EXCLUDED.differences,
       started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at
"""
LIST = """
SELECT day, checked, sums, differences, started_at, finished_at FROM reconciliations
 WHERE org_id = $1 AND ($2::date IS NULL OR day < $2) ORDER BY day DESC LIMIT $3
"""
PARTS: Mapping[Account, str] = {
    Account.DEPOSITS_HELD: HELD,
    Account.CUSTOMER_CREDIT: CREDIT,
    Account.SUSPENSE: SUSPENSE,
    Account.REFUNDS_PAYABLE: TO_REFUND,
}
ASSETS = (Account.CASH, Account.CARD, Account.BANK, Account.CLEARING)
# Whose totals are compared: by which statement, and which of its columns.
TOTALS: Mapping[str, tuple[str, Sequence[str]]] = {
    "layby": (LAYBYS, ("paid", "items", "late_fees", "instalments")),
    "invoice": (INVOICES, ("paid", "net")),
}


class Sum(msgspec.Struct, frozen=True):
    """Two ways to the same sum. ``what``: of what; ``one_minor``: by its rows; ``other_minor``: by the other side."""

    what: str
    currency: str
    one_minor: int
    other_minor: int


@dataclass(frozen=True, slots=True)
class Run:
    """What a night's comparison found. ``checked``: how many of what were compared."""

    day: date
    checked: Mapping[str, int]
    sums: Sequence[Sum]
    differences: int
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """A statement, and the time that it tells of."""

    id: UUID
    provider_id: UUID
    first_at: datetime
    last_at: datetime


async def spans(conn: Connection, org_id: UUID, since: datetime) -> list[Span]:
    """Statements that tell of a time since then."""
    return [Span(**dict(row)) for row in await conn.fetch(SPANS, org_id, since)]


async def missing(
    conn: Connection,
    org_id: UUID,
    *,
    provider: str,
    accounts: Sequence[UUID],
    between: tuple[datetime, datetime],
    after: tuple[datetime, UUID],
    limit: int,
) -> list[Record]:
    """Payments of that time, each with whether none of the accounts' statements has it. ``provider``: their key."""
    return await conn.fetch(MISSING, org_id, *between, *after, limit, provider, accounts)


async def lines(
    conn: Connection, org_id: UUID, statement_id: UUID, provider: str, after: int, limit: int
) -> list[Record]:
    """Lines beside what their receipt moved here."""
    return await conn.fetch(LINES, org_id, statement_id, after, limit, provider)


async def totals(conn: Connection, org_id: UUID, kind: str, after: UUID, limit: int) -> list[Record]:
    """The next of a kind of ``TOTALS``, with their own words and those of their rows."""
    return await conn.fetch(TOTALS[kind][0], org_id, after, limit)


async def by_rows(conn: Connection, org_id: UUID) -> Counter[tuple[Account, str]]:
    """What each account should come to by laybys, payments and invoices, by currency: debit +, credit -."""
    found: Counter[tuple[Account, str]] = Counter()
    for account, statement in PARTS.items():
        for row in await conn.fetch(statement, org_id):
            found[account, row["currency"]] -= row["minor"]
    for row in await conn.fetch(MONEY, org_id):
        found[Account(row["account"]), row["currency"]] += row["minor"]
    for row in await conn.fetch(PAID_OUT, org_id):
        found[Account.BANK, row["currency"]] -= row["minor"]
    return found


async def currencies(conn: Connection, org_id: UUID) -> set[str]:
    """Of which currencies any of the compared accounts is kept."""
    rows = await conn.fetch(CURRENCIES, org_id, [str(account) for account in (*PARTS, *ASSETS)])
    return {row["currency"] for row in rows}


async def keep(conn: Connection, org_id: UUID, run: Run) -> None:
    checked, sums = (msgspec.json.encode(each).decode() for each in (run.checked, run.sums))
    await conn.execute(KEEP, org_id, run.day, checked, sums, run.differences, run.started_at, run.finished_at)


async def list_runs(conn: Connection, org_id: UUID, before: date | None, limit: int) -> list[Run]:
    """Newest first, ``limit + 1`` of them."""
    return [_run(row) for row in await conn.fetch(LIST, org_id, before, limit + 1)]


def _run(row: Record) -> Run:
    values: dict[str, Any] = dict(row)
    return Run(
        **{
            **values,
            "checked": msgspec.json.decode(values["checked"]),
            "sums": msgspec.json.decode(values["sums"], type=list[Sum]),
        }
    )
