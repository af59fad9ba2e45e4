"""How a change of a layby is kept and told: its row, its event, `layby:changed`, its customer's notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

import msgspec

from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal
from waypost.laybys import storage, wire_told
from waypost.laybys.domain import Layby
from waypost.laybys.ports import Ground
from waypost.notifications import outbox
from waypost.notifications.domain import Promise
from waypost.platform.database import Connection
from waypost.realtime.service import staff_room

NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of a layby, as it was kept."""

    id: UUID
    kind: str
    at: datetime


async def saved(ground: Ground, conn: Connection, before: Layby, after: Layby) -> Layby:
    """Write what became of a locked layby; it with its new version."""
    now = ground.clock.now()
    return replace(after, version=await storage.save(conn, before, after, now), updated_at=now)


async def keep(
    ground: Ground,
    conn: Connection,
    layby: Layby,
    kind: str,
    data: Mapping[str, object] = NOTHING,
    actor: Principal | None = None,
) -> Kept:
    """Keep in this transaction that it happened; ``data``: what msgspec can encode."""
    event = Kept(new_id(ground.clock), kind, ground.clock.now())
    user_id = actor.user_id if actor is not None else None
    text = msgspec.json.encode(data).decode()
    await storage.add_event(conn, layby, event.id, kind, event.at, user_id, text)
    return event


async def tell(ground: Ground, conn: Connection, layby: Layby, event: Kept) -> None:
    """Promise the staff's sockets `layby:changed`, with the layby as it is now. Once a transaction is enough."""
    body = wire_told.LaybyChanged.of(layby, event.id, event.kind, event.at)
    await ground.publisher.promise(conn, layby.org_id, staff_room(layby.org_id), "layby:changed", body, event.id)


async def notify(ground: Ground, conn: Connection, layby: Layby, *promises: Promise) -> None:
    """Promise that the customer is told."""
    await outbox.add_all(conn, layby.org_id, promises, ground.clock)


async def happened(
    ground: Ground,
    conn: Connection,
    layby: Layby,
    kind: str,
    data: Mapping[str, object] = NOTHING,
    actor: Principal | None = None,
) -> None:
    """Keep it, and tell the staff."""
    await tell(ground, conn, layby, await keep(ground, conn, layby, kind, data, actor))
