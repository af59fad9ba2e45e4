"""SQL of a layby's papers: who agrees with whom, and the money that was booked for it."""

from __future__ import annotations

from uuid import UUID

from waypost.laybys.documents.agreement import Parties
from waypost.laybys.documents.movements import Booked
from waypost.platform.database import Connection

PARTIES = """
SELECT o.name AS org_name, c.name AS customer_name, c.phone AS customer_phone, c.email AS customer_email, c.locale
  FROM organisations o JOIN customers c ON c.org_id = o.org_id
 WHERE o.org_id = $1 AND c.id = $2
"""
BOOKED = """
SELECT kind, method, receipt, applied_minor, credit_minor, paid_at, created_at AS at FROM payments
 WHERE org_id = $1 AND layby_id = $2 ORDER BY id
"""
CREDIT = """
SELECT coalesce(sum(credit_minor), 0)::bigint FROM payments
 WHERE org_id = $1 AND customer_id = $2 AND currency = $3 AND credit_minor <> 0
"""


async def parties(conn: Connection, org_id: UUID, customer_id: UUID) -> Parties:
    """A layby's customer is always there: its row refers to theirs."""
    row = await conn.fetchrow(PARTIES, org_id, customer_id)
    if row is None:  # a foreign key forbids it
        raise LookupError(customer_id)
    return Parties(**dict(row))


async def booked(conn: Connection, org_id: UUID, layby_id: UUID) -> list[Booked]:
    """The payment rows of a layby, in the order in which they were booked."""
    return [Booked(**dict(row)) for row in await conn.fetch(BOOKED, org_id, layby_id)]


async def credit_of(conn: Connection, org_id: UUID, customer_id: UUID, currency: str) -> int:
    """What is kept for a customer; below zero: what they owe."""
    credit: int = await conn.fetchval(CREDIT, org_id, customer_id, currency)
    return credit
