"""What the shop's own stock keeping is told of a layby's goods: reserved, released, sold; each once an item and round.

A round is a completion and what led to it: a layby that was opened again reserves its goods anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

import msgspec

from waypost.kernel.ids import new_id
from waypost.laybys import storage_orders
from waypost.laybys.domain import Item, Layby
from waypost.laybys.ports import Ground
from waypost.notifications import kinds, outbox
from waypost.platform.codec import Instant, instant
from waypost.platform.database import Connection


class Said(StrEnum):
    """What became of goods."""

    RESERVED = "reserved"
    RELEASED = "released"
    SOLD = "sold"


_KINDS = {
    Said.RESERVED: kinds.STOCK_RESERVED,
    Said.RELEASED: kinds.STOCK_RELEASED,
    Said.SOLD: kinds.STOCK_SOLD,
}


class StockEvent(msgspec.Struct, rename="camel"):
    """The payload of its outbox row: subscribers tell a repeat by ``eventId``."""

    event_id: UUID
    layby_id: UUID
    reference: str
    item: int
    product: str
    quantity: int
    kind: str
    round: int
    at: Instant


def handed_over_minor(items: Sequence[Item]) -> int:
    """What the goods are worth that the customer has already."""
    return sum(item.handed_over * item.unit_price_minor for item in items)


async def say(
    ground: Ground, conn: Connection, layby: Layby, said: Said, round_: int, counts: Sequence[tuple[Item, int]]
) -> None:
    """Say it of (item, how many), in this transaction; nothing of what was said before, or of none."""
    now = ground.clock.now()
    lines = [(new_id(ground.clock), item, count) for item, count in counts if count]
    if not lines:
        return
    new = await storage_orders.add_stock(conn, layby, said, round_, lines, now)
    for event_id, item, count in lines:
        if item.n in new:
            body = StockEvent(
                event_id, layby.id, layby.reference, item.n, item.product, count, str(said), round_, instant(now)
            )
            key = f"stock:{layby.id}:{item.n}:{said}:{round_}"
            await outbox.add(conn, layby.org_id, kind=_KINDS[said], key=key, payload=body, clock=ground.clock)


def whole(items: Sequence[Item]) -> list[tuple[Item, int]]:
    """All of each."""
    return [(item, item.quantity) for item in items]
