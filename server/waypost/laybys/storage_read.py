"""SQL that reads laybys: one whole, pages of lists, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from waypost.laybys.domain import Instalment, Item, Layby, Order
from waypost.laybys.storage import COLUMNS, layby_of
from waypost.platform.database import Connection

# One statement, so that all of it is of one moment.
WHOLE = f"""
SELECT {COLUMNS},
       (SELECT coalesce(json_agg(json_build_object('n', n, 'agreed_date', agreed_date, 'due_date', due_date,
                   'amount_minor', amount_minor, 'late_fee_minor', late_fee_minor, 'late_fee_at', late_fee_at)
                   ORDER BY n), '[]') FROM layby_instalments i WHERE i.org_id = l.org_id AND i.layby_id = l.id) AS dues,
       (SELECT coalesce(json_agg(json_build_object('n', n, 'product', product, 'name', name, 'quantity', quantity,
                   'unit_price_minor', unit_price_minor, 'handed_over', handed_over) ORDER BY n), '[]')
          FROM layby_items i WHERE i.org_id = l.org_id AND i.layby_id = l.id) AS goods,
       o.id AS order_id, o.number AS order_number, o.created_at AS order_created_at, o.trip_id, t.status AS trip_status,
       t.reference AS trip_reference
  FROM laybys l
  JOIN customers c ON c.org_id = l.org_id AND c.id = l.customer_id
  LEFT JOIN layby_orders o ON o.org_id = l.org_id AND o.layby_id = l.id AND o.voided_at IS NULL
  LEFT JOIN trips t ON t.org_id = o.org_id AND t.id = o.trip_id
 WHERE l.org_id = $1 AND l.id = $2
"""  # noqa: S608 - constants
LIST_EVENTS = """
SELECT id, layby_id, kind, at, actor_name, data FROM layby_events
 WHERE org_id = $1 AND layby_id = $2 AND ($3::uuid IS NULL OR id < $3)
 ORDER BY id DESC LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Whole:
    """A layby with its goods and its order. ``trip_status``: of the trip that delivers it."""

    layby: Layby
    items: Sequence[Item]
    order: Order | None
    trip_status: str | None = None
    trip_reference: str | None = None


@dataclass(frozen=True, slots=True)
class LaybyEvent:
    """Something that happened to a layby."""

    id: UUID
    layby_id: UUID
    kind: str
    at: datetime
    actor_name: str | None
    data: Mapping[str, object]


async def whole(conn: Connection, org_id: UUID, layby_id: UUID) -> Whole | None:
    """The layby with everything of it."""
    row = await conn.fetchrow(WHOLE, org_id, layby_id)
    if row is None:
        return None
    layby = layby_of(row, msgspec.json.decode(row["dues"], type=list[Instalment]))
    order = None
    if row["order_id"] is not None:
        order = Order(row["order_id"], layby.id, row["order_number"], row["order_created_at"], row["trip_id"])
    items = msgspec.json.decode(row["goods"], type=list[Item])
    return Whole(layby, items, order, row["trip_status"], row["trip_reference"])


async def list_events(
    conn: Connection, org_id: UUID, layby_id: UUID, after: UUID | None, limit: int
) -> list[LaybyEvent]:
    """Events of a layby, newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST_EVENTS, org_id, layby_id, after, limit + 1)
    return [LaybyEvent(**{**dict(row), "data": msgspec.json.decode(row["data"])}) for row in rows]
