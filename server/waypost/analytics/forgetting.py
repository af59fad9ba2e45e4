"""A publisher that lets kept figures be forgotten with each change that it promises to tell of.

Every change of a layby or payment, whatever makes it, promises an event in its transaction. So this is the one place
that sees them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from waypost.platform.database import Connection, after_commit_of
from waypost.realtime.service import Publisher

CHANGES = frozenset({"layby:changed", "payment:changed"})


@dataclass(frozen=True, slots=True)
class Forgetting:
    """In a publisher's place."""

    publisher: Publisher
    forget: Callable[[UUID], None]

    def publish(self, room: str, name: str, body: msgspec.Struct) -> None:
        self.publisher.publish(room, name, body)

    async def promise(
        self, conn: Connection, org_id: UUID, room: str, name: str, body: msgspec.Struct, event_id: UUID
    ) -> None:
        """The same promise; with its commit the organisation's figures are old."""
        await self.publisher.promise(conn, org_id, room, name, body, event_id)
        if name in CHANGES:
            after_commit_of(conn, lambda: self.forget(org_id))

    def publish_position(
        self,
        room: str,
        vehicle_id: UUID,
        recorded_at: datetime,
        body: msgspec.Struct,
        *,
        withdrawn_at: datetime | None = None,
    ) -> None:
        self.publisher.publish_position(room, vehicle_id, recorded_at, body, withdrawn_at=withdrawn_at)
