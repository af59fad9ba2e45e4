"""SQL of orders and of what was said of the stock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from waypost.laybys.domain import Item, Layby, Order
from waypost.platform.database import Connection

# One order that holds, whoever asks twice.
ADD_ORDER = """
INSERT INTO layby_orders (org_id, id, layby_id, number, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, layby_id) WHERE voided_at IS NULL DO NOTHING
"""
ORDER_OF = """
SELECT id, layby_id, number, created_at, trip_id, voided_at FROM layby_orders
 WHERE org_id = $1 AND layby_id = $2 AND voided_at IS NULL
"""
VOID_ORDER = """
UPDATE layby_orders SET voided_at = $3 WHERE org_id = $1 AND layby_id = $2 AND voided_at IS NULL
RETURNING id, layby_id, number, created_at, trip_id, voided_at
"""
SET_TRIP = "UPDATE layby_orders SET trip_id = $3 WHERE org_id = $1 AND id = $2"
LAYBY_OF_TRIP = "SELECT layby_id FROM layby_orders WHERE org_id = $1 AND trip_id = $2 AND voided_at IS NULL"
# Each once: what is there already is not said again.
ADD_STOCK = """
INSERT INTO stock_events (org_id, id, layby_id, item_n, kind, round, product, quantity, at)
SELECT $1, s.id, $2, s.n, $3, $4, s.product, s.quantity, $5
  FROM unnest($6::uuid[], $7::smallint[], $8::text[], $9::integer[]) AS s (id, n, product, quantity)
ON CONFLICT (org_id, layby_id, item_n, kind, round) DO NOTHING RETURNING item_n
"""


async def add_order(conn: Connection, layby: Layby, order_id: UUID, number: str, now: datetime) -> Order:
    """The layby's order: this one, or the one that it has."""
    await conn.execute(ADD_ORDER, layby.org_id, order_id, layby.id, number, now)
    order = await order_of(conn, layby.org_id, layby.id)
    if order is None:
        raise LookupError(layby.id)  # it was there, or is there now
    return order


async def order_of(conn: Connection, org_id: UUID, layby_id: UUID) -> Order | None:
    """The order that holds."""
    row = await conn.fetchrow(ORDER_OF, org_id, layby_id)
    return Order(**row) if row else None


async def void_order(conn: Connection, org_id: UUID, layby_id: UUID, now: datetime) -> Order | None:
    """End the order that holds; it as it is then."""
    row = await conn.fetchrow(VOID_ORDER, org_id, layby_id, now)
    return Order(**row) if row else None


async def set_trip(conn: Connection, org_id: UUID, order_id: UUID, trip_id: UUID) -> None:
    await conn.execute(SET_TRIP, org_id, order_id, trip_id)


async def layby_of_trip(conn: Connection, org_id: UUID, trip_id: UUID) -> UUID | None:
    """Whose order the trip delivers."""
    found: UUID | None = await conn.fetchval(LAYBY_OF_TRIP, org_id, trip_id)
    return found


async def add_stock(
    conn: Connection, layby: Layby, kind: str, round_: int, lines: Sequence[tuple[UUID, Item, int]], now: datetime
) -> set[int]:
    """Keep what is said of items: (id of the event, item, how many); the numbers of those that it was not said of."""
    ids, numbers, products, counts = zip(*((i, item.n, item.product, q) for i, item, q in lines), strict=True)
    rows = await conn.fetch(ADD_STOCK, layby.org_id, layby.id, kind, round_, now, ids, numbers, products, counts)
    return {row["item_n"] for row in rows}
