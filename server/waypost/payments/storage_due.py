"""SQL of what is still to be paid back, and out of which payments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.platform.database import Connection

REFUNDS_DUE = """
SELECT l.id AS layby_id, l.reference, l.customer_id, c.name AS customer_name, l.currency, l.refund_due_minor,
       l.paid_minor, l.cancelled_at
  FROM laybys l JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id
 WHERE l.org_id = $1 AND l.refund_due_minor > 0 AND l.id > $2
 ORDER BY l.id LIMIT $3
"""
# Newest first. Under the layby's lock nothing of it moves.
APPLIED_BY_ROOT = """
SELECT root_id, sum(applied_minor)::bigint AS applied_minor FROM payments WHERE org_id = $1 AND layby_id = $2
 GROUP BY root_id HAVING sum(applied_minor) > 0 ORDER BY root_id DESC
"""
FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class RefundDue:
    """A cancelled layby of which money is still to be paid back."""

    layby_id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    currency: str
    refund_due_minor: int
    paid_minor: int
    cancelled_at: datetime


async def refunds_due(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[RefundDue]:
    """Laybys with a refund due in the order of their ids, ``limit + 1`` of them."""
    return [RefundDue(**dict(row)) for row in await conn.fetch(REFUNDS_DUE, org_id, after or FIRST_ID, limit + 1)]


async def applied_by_root(conn: Connection, org_id: UUID, layby_id: UUID) -> list[tuple[UUID, int]]:
    """What of each payment lies in a layby, newest first."""
    rows = await conn.fetch(APPLIED_BY_ROOT, org_id, layby_id)
    return [(row["root_id"], row["applied_minor"]) for row in rows]
