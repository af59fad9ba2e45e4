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


@dataclass(frozen=True, slots=True)
class Remainder:
    """What of a payment is kept for a customer."""

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
