"""SQL of suggestions: for which layby money without a known reference may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from waypost.laybys.domain import Status
from waypost.payments.domain import Payment
from waypost.platform.database import Connection

# Candidates by what was typed, by who paid, by how much; then of each which of the three hold.
SUGGESTIONS = """
WITH payer AS (
    SELECT DISTINCT customer_id FROM (
        SELECT customer_id FROM payments
         WHERE org_id = $1 AND payer_mark = $4 AND customer_id IS NOT NULL ORDER BY id DESC LIMIT 50) p),
candidates AS (
    (SELECT id FROM laybys WHERE org_id = $1 AND reference = ANY($3::text[]))
    UNION
    (SELECT l.id FROM payer p JOIN laybys l ON l.org_id = $1 AND l.customer_id = p.customer_id LIMIT 100)
    UNION
    (SELECT id FROM laybys WHERE org_id = $1 AND status = 'active' AND currency = $2
        AND (next_due_minor = $5 OR balance_minor = $5) ORDER BY id DESC LIMIT 50))
SELECT l.id AS layby_id, l.reference, l.customer_id, c.name AS customer_name, l.status, l.currency, l.balance_minor,
       l.next_due_date, l.next_due_minor,
       l.reference = ANY($3::text[]) AS by_reference,
       EXISTS (SELECT FROM payer p WHERE p.customer_id = l.customer_id) AS by_payer,
       coalesce(l.next_due_minor = $5, false) OR l.balance_minor = $5 AS by_amount
  FROM candidates d
  JOIN laybys l ON l.org_id = $1 AND l.id = d.id
  JOIN customers c ON c.org_id = $1 AND c.id = l.customer_id
 WHERE l.currency = $2 AND l.status IN ('active', 'on_hold', 'defaulted')
"""
WEIGHTS = {"by_reference": 4, "by_payer": 2, "by_amount": 1}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A layby that the money may be for, and what speaks for it."""

    layby_id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    status: Status
    currency: str
    balance_minor: int
    next_due_date: date | None
    next_due_minor: int | None
    by_reference: bool
    by_payer: bool
    by_amount: bool

    @property
    def weight(self) -> int:
        """What speaks for it: a slip of the pen most, then who paid, the amount least."""
        return sum(weight for name, weight in WEIGHTS.items() if getattr(self, name))


async def suggestions(
    conn: Connection, payment: Payment, references: Sequence[str], amount_minor: int, most: int
) -> list[Suggestion]:
    """The likeliest first; of equal ones the newest layby."""
    rows = await conn.fetch(
        SUGGESTIONS, payment.org_id, payment.currency, list(references), payment.payer_mark, amount_minor
    )
    found = [Suggestion(**{**dict(row), "status": Status(row["status"])}) for row in rows]
    return sorted(found, key=lambda each: (-each.weight, -each.layby_id.int))[:most]
