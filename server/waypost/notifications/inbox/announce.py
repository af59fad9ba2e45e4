"""`inbox:changed`: a person's own sockets hear how many they have not read."""

from __future__ import annotations

from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications.inbox import storage, wire
from waypost.notifications.inbox.domain import Unread
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher, user_room


async def announce(conn: Connection, publisher: Publisher, clock: Clock, org_id: UUID, user_id: UUID) -> Unread:
    """Promise to tell them, in the transaction that changed it; what they are told."""
    found = await storage.unread(conn, org_id, user_id)
    body = wire.InboxChanged(new_id(clock), found.unread, found.newest)
    await publisher.promise(conn, org_id, user_room(org_id, user_id), "inbox:changed", body, body.event_id)
    return found
