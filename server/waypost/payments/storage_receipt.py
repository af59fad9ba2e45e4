"""SQL of a receipt: how its layby stood right after it, and who paid."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.platform.database import Connection

PAID_THEN = """
SELECT coalesce(sum(applied_minor), 0)::bigint FROM payments WHERE org_id = $1 AND layby_id = $2 AND id <= $3
"""
PAYER = """
SELECT o.name AS org_name, c.name, c.phone, c.email, c.locale
  FROM organisations o LEFT JOIN customers c ON c.org_id = o.org_id AND c.id = $2 WHERE o.org_id = $1
"""


@dataclass(frozen=True, slots=True)
class Payer:
    """The customer whose money it is; ``name`` None: nobody knows yet."""

    org_name: str
    name: str | None
    phone: str | None
    email: str | None
    locale: str | None


async def paid_then(conn: Connection, org_id: UUID, layby_id: UUID, payment_id: UUID) -> int:
    """What was paid on a layby with every row up to this one."""
    paid: int = await conn.fetchval(PAID_THEN, org_id, layby_id, payment_id)
    return paid


async def payer(conn: Connection, org_id: UUID, customer_id: UUID | None) -> Payer:
    row = await conn.fetchrow(PAYER, org_id, customer_id)
    if row is None:  # an organisation without a row cannot ask
        raise LookupError(org_id)
    return Payer(**dict(row))
