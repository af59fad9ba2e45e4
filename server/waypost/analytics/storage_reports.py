"""SQL of the reports: each a page of rows, or sums over a page of laybys, so that no step takes long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from asyncpg import Record

from waypost.platform.database import Connection

OUTSTANDING = """
SELECT l.id, l.reference, c.name AS customer_name, l.status, l.currency,
       l.items_minor + l.service_fee_minor + l.admin_fee_minor AS price_minor, l.late_fees_minor, l.paid_minor,
       l.balance_minor, l.next_due_date, l.next_due_minor, l.start_date, l.final_date
  FROM laybys l LEFT JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id
 WHERE l.org_id = $1 AND l.status IN ('active', 'on_hold', 'defaulted') AND l.id > $2
 ORDER BY l.id LIMIT $3
"""
# ``open``: what is past its date and not covered. $2: today; $3, $4: the last row's date and id.
OVERDUE = """
SELECT l.id, l.reference, c.name AS customer_name, c.phone, l.currency, l.next_due_date, l.balance_minor,
       $2 - l.next_due_date AS days,
       d.due - CASE WHEN l.paid_minor > l.deposit_minor THEN l.paid_minor - l.deposit_minor ELSE 0 END AS open_minor
  FROM laybys l
  LEFT JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id
 CROSS JOIN LATERAL (SELECT coalesce(sum(i.amount_minor), 0)::bigint AS due FROM layby_instalments i
                      WHERE i.org_id = l.org_id AND i.layby_id = l.id AND i.due_date < $2) d
 WHERE l.org_id = $1 AND l.status = 'active' AND l.next_due_date < $2 AND (l.next_due_date, l.id) > ($3::date, $4::uuid)
 ORDER BY l.next_due_date, l.id LIMIT $5
"""
# What is open on each date, of a page of running laybys; what is owed beside the instalments comes with the last one.
EXPECTED = """
WITH page AS MATERIALIZED (
    SELECT id, currency, balance_minor, final_date, paid_minor - deposit_minor AS beyond
      FROM laybys WHERE org_id = $1 AND status = 'active' AND id > $2 ORDER BY id LIMIT $3),
parts AS (
    SELECT s.id, s.currency, i.due_date,
           greatest(0, least(i.amount_minor, sum(i.amount_minor) OVER (PARTITION BY s.id ORDER BY i.n)
                                             - greatest(0, s.beyond))) AS open
      FROM page s JOIN layby_instalments i ON i.org_id = $1 AND i.layby_id = s.id),
dues AS (
    SELECT currency, due_date, open FROM parts
    UNION ALL
    SELECT s.currency, s.final_date, s.balance_minor - coalesce((SELECT sum(p.open) FROM parts p WHERE p.id = s.id), 0)
      FROM page s)
SELECT currency, due_date, sum(open)::bigint AS open_minor, (SELECT max(id::text)::uuid FROM page) AS last,
       (SELECT count(*) FROM page) AS laybys
  FROM dues GROUP BY currency, due_date
"""
PAYMENTS = """
SELECT (paid_at AT TIME ZONE $4)::date AS day, currency, kind, method, provider, count(*) AS count,
       sum(amount_minor)::bigint AS amount_minor, sum(applied_minor)::bigint AS applied_minor,
       sum(credit_minor)::bigint AS credit_minor, sum(suspense_minor)::bigint AS suspense_minor
  FROM payments WHERE org_id = $1 AND paid_at >= $2 AND paid_at < $3
 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""
FIRST_PAYMENT = "SELECT min(paid_at) FROM payments WHERE org_id = $1"
COUNT_OPEN = "SELECT count(*) FROM laybys WHERE org_id = $1 AND status IN ('active', 'on_hold', 'defaulted')"
COUNT_OVERDUE = "SELECT count(*) FROM laybys WHERE org_id = $1 AND status = 'active' AND next_due_date < $2"


async def outstanding(conn: Connection, org_id: UUID, after: UUID, limit: int) -> Sequence[Record]:
    """Laybys that are neither completed nor cancelled, by id."""
    return await conn.fetch(OUTSTANDING, org_id, after, limit)


async def overdue(
    conn: Connection, org_id: UUID, today: date, after: tuple[date, UUID], limit: int
) -> Sequence[Record]:
    """Running laybys of which something is past its date, the oldest first."""
    return await conn.fetch(OVERDUE, org_id, today, *after, limit)


async def expected(conn: Connection, org_id: UUID, after: UUID, limit: int) -> Sequence[Record]:
    """Sums by currency and date over the next ``limit`` running laybys; ``last``: the last of them."""
    return await conn.fetch(EXPECTED, org_id, after, limit)


async def payments(conn: Connection, org_id: UUID, since: datetime, until: datetime, zone: str) -> Sequence[Record]:
    """Sums by local day, currency, kind and way."""
    return await conn.fetch(PAYMENTS, org_id, since, until, zone)


async def first_payment(conn: Connection, org_id: UUID) -> datetime | None:
    found: datetime | None = await conn.fetchval(FIRST_PAYMENT, org_id)
    return found


async def count_open(conn: Connection, org_id: UUID) -> int:
    return int(await conn.fetchval(COUNT_OPEN, org_id))


async def count_overdue(conn: Connection, org_id: UUID, today: date) -> int:
    return int(await conn.fetchval(COUNT_OVERDUE, org_id, today))
