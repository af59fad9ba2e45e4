"""SQL of the stock report: what went out against what open laybys hold."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.platform.database import Connection

# Goods that the customer has in parts stay reserved until the layby ends: nothing was said of them before.
REPORT = """
WITH said AS (
    SELECT product, sum(CASE kind WHEN 'reserved' THEN quantity ELSE 0 END)::bigint AS reserved,
           sum(CASE kind WHEN 'released' THEN quantity ELSE 0 END)::bigint AS released,
           sum(CASE kind WHEN 'sold' THEN quantity ELSE 0 END)::bigint AS sold
      FROM stock_events WHERE org_id = $1 AND product > $2 AND ($3::text IS NULL OR product = $3) GROUP BY product),
held AS (
    SELECT i.product, sum(i.quantity)::bigint AS held
      FROM laybys l JOIN layby_items i ON i.org_id = l.org_id AND i.layby_id = l.id
     WHERE l.org_id = $1 AND l.status IN ('active', 'on_hold', 'defaulted')
       AND i.product > $2 AND ($3::text IS NULL OR i.product = $3) GROUP BY i.product)
SELECT product, coalesce(reserved, 0) AS reserved, coalesce(released, 0) AS released, coalesce(sold, 0) AS sold,
       coalesce(held, 0) AS held
  FROM said FULL JOIN held USING (product)
 WHERE NOT $4 OR coalesce(reserved - released - sold, 0) <> coalesce(held, 0)
 ORDER BY product LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class StockLine:
    """A product: what was said of it, and how many of it the open laybys hold."""

    product: str
    reserved: int
    released: int
    sold: int
    held: int

    @property
    def out(self) -> int:
        """How many the shop's own stock keeping believes to be reserved."""
        return self.reserved - self.released - self.sold


async def report(
    conn: Connection, org_id: UUID, *, product: str | None, differing: bool, after: str | None, limit: int
) -> list[StockLine]:
    """By product, ``limit + 1`` of them; ``differing``: only those whose two sides are not the same."""
    rows = await conn.fetch(REPORT, org_id, after or "", product, differing, limit + 1)
    return [StockLine(**row) for row in rows]
