"""SQL of the stock report: what went out against what open laybys hold."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.platform.database import Connection

# The next products in their order, from index to index, each with its own sums: a page costs what its products cost.
# Goods that the customer has in parts stay reserved until the layby ends: nothing was said of them before.
REPORT = """
WITH RECURSIVE products AS (
    SELECT CASE WHEN $3::text IS NULL THEN least(
               (SELECT min(product) FROM stock_events WHERE org_id = $1 AND product > $2),
               (SELECT min(product) FROM layby_items WHERE org_id = $1 AND product > $2)) ELSE $3 END AS product, 1 AS n
     UNION ALL
    SELECT least((SELECT min(product) FROM stock_events WHERE org_id = $1 AND product > p.product),
                 (SELECT min(product) FROM layby_items WHERE org_id = $1 AND product > p.product)), n + 1
      FROM products p WHERE p.product IS NOT NULL AND $3::text IS NULL AND n < $4)
SELECT p.product, said.reserved, said.released, said.sold, held.held
  FROM products p
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(quantity) FILTER (WHERE kind = 'reserved'), 0)::bigint AS reserved,
           coalesce(sum(quantity) FILTER (WHERE kind = 'released'), 0)::bigint AS released,
           coalesce(sum(quantity) FILTER (WHERE kind = 'sold'), 0)::bigint AS sold, count(*) AS lines
      FROM stock_events WHERE org_id = $1 AND product = p.product) said
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(i.quantity), 0)::bigint AS held
      FROM layby_items i JOIN laybys l ON l.org_id = i.org_id AND l.id = i.layby_id
     WHERE i.org_id = $1 AND i.product = p.product AND l.status IN ('active', 'on_hold', 'defaulted')) held
 WHERE p.product IS NOT NULL AND ($3::text IS NULL OR (p.product > $2 AND (said.lines > 0 OR held.held > 0)))
 ORDER BY p.product
"""
PRODUCTS_AT_ONCE = 200


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
    """By product, ``limit + 1`` of them; ``differing``: only those whose two sides are not the same, for which as many
    products are gone through as it takes.
    """
    size = max(limit + 1, PRODUCTS_AT_ONCE) if differing else limit + 1
    found: list[StockLine] = []
    while True:
        rows = await conn.fetch(REPORT, org_id, after or "", product, size)
        lines = [StockLine(**row) for row in rows]
        found += [line for line in lines if not differing or line.out != line.held]
        if product is not None or len(lines) < size or len(found) > limit:
            return found[: limit + 1]
        after = lines[-1].product
