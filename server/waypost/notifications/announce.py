"""`notification:changed`: staff see a delivery move. Promised in the transaction that moves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.notifications import wire
from waypost.notifications.domain import Due, Message
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.states import State
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher, staff_room

NAME = "notification:changed"


@dataclass(frozen=True, slots=True)
class Announcer:
    """Every method with a ``conn`` promises to tell the staff, in its transaction."""

    publisher: Publisher
    clock: Clock

    async def moved(self, conn: Connection, delivery: Due | Message, state: State, reason: str | None) -> None:
        """Of one delivery's move."""
        delivery_id = delivery.delivery_id if isinstance(delivery, Message) else delivery.id
        body = wire.DeliveryChanged(
            new_id(self.clock), delivery.notification_id, delivery_id, delivery.kind, delivery.channel, state, reason
        )
        await self._promise(conn, delivery.org_id, body)

    async def changed(self, conn: Connection, deliveries: Iterable[Delivery]) -> None:
        """Of deliveries as they are now."""
        for delivery in deliveries:
            await self._promise(conn, delivery.org_id, self._body(delivery))

    def seen(self, deliveries: Iterable[Delivery]) -> None:
        """Of deliveries whose next move is promised anyway: told now, and lost while nobody can be told."""
        for delivery in deliveries:
            self.publisher.publish(staff_room(delivery.org_id), NAME, self._body(delivery))

    def _body(self, d: Delivery) -> wire.DeliveryChanged:
        return wire.DeliveryChanged(new_id(self.clock), d.notification_id, d.id, d.kind, d.channel, d.state, d.reason)

    async def _promise(self, conn: Connection, org_id: UUID, body: wire.DeliveryChanged) -> None:
        room = staff_room(org_id)
        await self.publisher.promise(conn, org_id, room, NAME, body, body.event_id)
