"""What staff see of notifications, and what they may do about a delivery that is stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, WATCHERS, Principal
from waypost.notifications import storage, storage_seen, storage_upkeep
from waypost.notifications.announce import Announcer
from waypost.notifications.domain import (
    Delivery,
    DeliveryMoveRefused,
    DeliveryNotFound,
    Filter,
    NotificationNotFound,
    Told,
)
from waypost.notifications.kinds import validity_of
from waypost.notifications.states import MAX_ATTEMPTS, Event, moved_by
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.realtime.service import Publisher

ON_THE_PAGE = 100
_DONE = {Event.REPLAY: "replayed", Event.SEND_AGAIN: "sent_again", Event.LET_BE: "let_be"}


@dataclass(frozen=True, slots=True)
class Notifications:
    """Notifications of an organisation, for its staff."""

    database: Database
    clock: Clock
    publisher: Publisher

    async def list(self, principal: Principal, wanted: Filter, limit: int, cursor: str | None) -> Page[Told]:
        """Newest first, each with its deliveries."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_seen.list_notifications(conn, principal.org_id, wanted, after, limit)
            deliveries = await storage_seen.deliveries_of(conn, principal.org_id, [row.id for row in rows])
        by_notification: dict[UUID, list[Delivery]] = {}
        for delivery in deliveries:
            by_notification.setdefault(delivery.notification_id, []).append(delivery)
        told = [Told(row, by_notification.get(row.id, [])) for row in rows]
        return page_of(told, limit, lambda row: row.notification.id)

    async def find(self, principal: Principal, notification_id: UUID) -> Told:
        """One, with every word and every try. ``NotificationNotFound`` whether absent or another's."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            found = await storage_seen.find(conn, principal.org_id, notification_id)
            if found is None:
                raise NotificationNotFound
            return Told(
                found,
                await storage_seen.deliveries_of(conn, principal.org_id, [notification_id]),
                await storage_seen.attempts_of(conn, principal.org_id, notification_id),
            )

    async def replay(self, principal: Principal, delivery_id: UUID, why: str) -> Delivery:
        """Send one that was given up, or refused, once more, with a new budget of attempts and of time."""
        return await self._act(principal, delivery_id, Event.REPLAY, why)

    async def resolve(self, principal: Principal, delivery_id: UUID, why: str, *, send_again: bool) -> Delivery:
        """Decide about one in doubt: it goes out again, though it may then come twice; or it is let be."""
        return await self._act(principal, delivery_id, Event.SEND_AGAIN if send_again else Event.LET_BE, why)

    async def _act(self, principal: Principal, delivery_id: UUID, event: Event, why: str) -> Delivery:
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            before = await self._locked(conn, principal, delivery_id, event)
            now = self.clock.now()
            if event is Event.LET_BE:
                await storage.let_be(conn, before, now)
            else:
                await storage.send_again(conn, before, event, _DONE[event], MAX_ATTEMPTS, now)
                await storage.extend(conn, before, now + validity_of(before.kind))
            await audit.record(
                conn,
                principal,
                self.clock,
                action=f"delivery.{_DONE[event]}",
                subject_kind="delivery",
                subject_id=delivery_id,
                why=why,
                detail={"was": str(before.state), "attempt": before.attempt},
            )
            after = await storage.lock(conn, principal.org_id, delivery_id)
            if after is None:  # it is locked by this very transaction
                raise DeliveryNotFound
            await Announcer(self.publisher, self.clock).changed(conn, [after])
        return after

    async def _locked(self, conn: Connection, principal: Principal, delivery_id: UUID, event: Event) -> Delivery:
        delivery = await storage.lock(conn, principal.org_id, delivery_id)
        if delivery is None:
            raise DeliveryNotFound
        if delivery.state not in moved_by(event):
            allowed = " or ".join(moved_by(event))
            raise DeliveryMoveRefused(
                f"The delivery is {delivery.state}; for this it must be {allowed}.", deliveryState=str(delivery.state)
            )
        return delivery

    async def on_console(self) -> Sequence[tuple[str, Delivery]]:
        """What the console channel has shown last, of every organisation: for the developer at this very machine."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage_seen.newest_on_console(conn, ON_THE_PAGE)


async def outbox_waits_s(conn: Connection) -> float:
    """How long the oldest promise waits to be kept, seconds. Needs the system scope."""
    return (await storage_upkeep.trouble(conn)).outbox_s
