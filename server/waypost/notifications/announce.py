"""`notification:changed`: staff see a delivery move. Best effort, as all events: the row is the truth."""

from __future__ import annotations

from collections.abc import Iterable

from waypost.notifications import wire
from waypost.notifications.domain import Delivery, Due, Message
from waypost.notifications.states import State
from waypost.realtime.service import Publisher, staff_room


def moved(publisher: Publisher, delivery: Due | Message, state: State, reason: str | None) -> None:
    """Tell of one delivery's move, once it is committed."""
    delivery_id = delivery.delivery_id if isinstance(delivery, Message) else delivery.id
    body = wire.DeliveryChanged(delivery.notification_id, delivery_id, delivery.kind, delivery.channel, state, reason)
    publisher.publish(staff_room(delivery.org_id), "notification:changed", body)


def changed(publisher: Publisher, deliveries: Iterable[Delivery]) -> None:
    """Tell of deliveries as they are now."""
    for d in deliveries:
        body = wire.DeliveryChanged(d.notification_id, d.id, d.kind, d.channel, d.state, d.reason)
        publisher.publish(staff_room(d.org_id), "notification:changed", body)
