"""SQL of customers' credit: a sum over rows, never a row of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.platform.database import Connection

# Of each payment what is left of it as credit; below zero: what the customer owes.
CREDIT = """
SELECT c.currency, c.root_id, c.credit_minor, r.receipt, r.paid_at
  FROM (SELECT currency, root_id, sum(credit_minor)::bigint AS credit_minor FROM payments
         WHERE org_id = $1 AND customer_id = $2 AND credit_minor <> 0
         GROUP BY currency, root_id HAVING sum(credit_minor) <> 0) c
  JOIN payments r ON r.org_id = $1 AND r.id = c.root_id
 ORDER BY c.root_id
"""
# The same of what an organisation has paid too much: each row of it names the invoice with which it came, or went.
ON_ACCOUNT = """
SELECT p.currency, p.root_id, sum(p.credit_minor)::bigint AS credit_minor, r.receipt, r.paid_at
  FROM payments p
  JOIN invoices i ON i.org_id = p.org_id AND i.id = p.invoice_id
  JOIN payments r ON r.org_id = p.org_id AND r.id = p.root_id
 WHERE p.org_id = $1 AND p.customer_id IS NULL AND p.credit_minor <> 0
   AND i.counterparty_org_id = $2 AND p.currency = $3
 GROUP BY p.currency, p.root_id, r.receipt, r.paid_at HAVING sum(p.credit_minor) <> 0
 ORDER BY p.root_id
"""
# Of each payment that came to an invoice from the account, what of it lies there.
FROM_ACCOUNT = """
SELECT root_id, sum(applied_minor)::bigint AS applied_minor FROM payments
 WHERE org_id = $1 AND invoice_id = $2
 GROUP BY root_id HAVING bool_or(kind = 'credit') AND sum(applied_minor) > 0 AND bool_and(root_id <> id)
 ORDER BY root_id
"""


@dataclass(frozen=True, slots=True)
class Remainder:
    """What of a payment is kept for who paid it."""

    currency: str
    root_id: UUID
    credit_minor: int
    receipt: str
    paid_at: datetime


async def credit_of(conn: Connection, org_id: UUID, customer_id: UUID) -> list[Remainder]:
    """A customer's credit, payment by payment, the oldest first."""
    return [Remainder(**dict(row)) for row in await conn.fetch(CREDIT, org_id, customer_id)]


async def in_currency(conn: Connection, org_id: UUID, customer_id: UUID | None, currency: str) -> list[Remainder]:
    """The same of one currency; of nobody nothing."""
    if customer_id is None:
        return []
    return [row for row in await credit_of(conn, org_id, customer_id) if row.currency == currency]


async def on_account(conn: Connection, org_id: UUID, counterparty_org_id: UUID, currency: str) -> list[Remainder]:
    """What an organisation has on account, payment by payment, the oldest first."""
    rows = await conn.fetch(ON_ACCOUNT, org_id, counterparty_org_id, currency)
    return [Remainder(**dict(row)) for row in rows]


async def from_account(conn: Connection, org_id: UUID, invoice_id: UUID) -> dict[UUID, int]:
    """What lies in an invoice from the account, by the payment that it came with."""
    return {row["root_id"]: row["applied_minor"] for row in await conn.fetch(FROM_ACCOUNT, org_id, invoice_id)}
