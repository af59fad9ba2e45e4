"""What was sent to a webhook, and sending it once more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import Principal
from waypost.platform.database import Connection
from waypost.webhooks import bodies, rules, storage_events, storage_log
from waypost.webhooks.catalogue import TYPES
from waypost.webhooks.domain import (
    ENDED,
    NOT_TAKEN,
    Delivery,
    DeliveryFilter,
    Logged,
    Replayed,
    Switch,
    Webhook,
    WebhookDeliveryNotFound,
    WebhookDeliveryUnderWay,
    WebhookOff,
)
from waypost.webhooks.events import new_event
from waypost.webhooks.register import OWNERS, Webhooks
from waypost.webhooks.storage_events import NewDelivery

REPLAYED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class WebhookLog:
    """For owners."""

    webhooks: Webhooks

    async def list(
        self, principal: Principal, webhook_id: UUID, wanted: DeliveryFilter, limit: int, cursor: str | None
    ) -> Page[Delivery]:
        """Newest first."""
        principal.require(OWNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.webhooks.database.transaction(principal.org_id) as conn:
            await self.webhooks.found(conn, principal, webhook_id)
            rows = await storage_log.list_deliveries(conn, principal.org_id, webhook_id, wanted, after, limit)
        return page_of(rows, limit, lambda delivery: delivery.id)

    async def find(self, principal: Principal, webhook_id: UUID, delivery_id: UUID) -> Logged:
        """One delivery with what is sent and each try."""
        principal.require(OWNERS)
        async with self.webhooks.database.transaction(principal.org_id) as conn:
            await self.webhooks.found(conn, principal, webhook_id)
            return await _logged(conn, await _found(conn, principal, webhook_id, delivery_id))

    async def test(self, principal: Principal, webhook_id: UUID, event_type: str) -> Logged:
        """Send it an example of that type, of invented facts."""
        principal.require(OWNERS)
        clock = self.webhooks.clock
        async with self.webhooks.database.transaction(principal.org_id) as conn:
            webhook = await self._on(conn, principal, webhook_id)
            (number,) = await storage_events.numbers(conn, 1)
            about = bodies.sample(TYPES[event_type], webhook_id if TYPES[event_type].subject == "webhookId" else None)
            event_id, delivery_id, now = new_id(clock), new_id(clock), clock.now()
            event = new_event(about, principal.org_id, event_id, key=f"test:{event_id}", seq=number, at=now)
            delivery = NewDelivery(principal.org_id, delivery_id, webhook.id, event_id)
            await storage_events.add(conn, [event], [delivery], rules.TRIES, now)
            await self.webhooks.record(conn, principal, "tested", webhook_id, type=event_type)
            return await _logged(conn, await _found(conn, principal, webhook_id, delivery_id))

    async def replay_one(self, principal: Principal, webhook_id: UUID, delivery_id: UUID) -> Replayed:
        """Send it once more, taken or not, under the same id. ``WebhookDeliveryUnderWay``."""
        principal.require(OWNERS)
        async with self.webhooks.database.transaction(principal.org_id) as conn:
            await self._on(conn, principal, webhook_id)
            delivery = await _found(conn, principal, webhook_id, delivery_id, lock=True)
            if delivery.state not in ENDED:
                raise WebhookDeliveryUnderWay
            await storage_log.again(conn, delivery, ENDED, self.webhooks.clock.now())
            await self.webhooks.record(conn, principal, "replayed", webhook_id, delivery=str(delivery_id))
        return Replayed(1, more=False)

    async def replay(
        self, principal: Principal, webhook_id: UUID, since: datetime, until: datetime | None, *, taken: bool = False
    ) -> Replayed:
        """Send what happened then and was not taken, also what it was never told of; ``taken``: that once more, too.
        The oldest first, at most ``REPLAYED_AT_ONCE`` a call.
        """
        principal.require(OWNERS)
        now, states = self.webhooks.clock.now(), ENDED if taken else NOT_TAKEN
        async with self.webhooks.database.transaction(principal.org_id) as conn:
            webhook = await self._on(conn, principal, webhook_id)
            found = await storage_log.to_replay(conn, webhook, since, until or now, states, REPLAYED_AT_ONCE)
            chosen, more = found[:REPLAYED_AT_ONCE], len(found) > REPLAYED_AT_ONCE
            old = [delivery_id for _event, delivery_id in chosen if delivery_id is not None]
            new = [(new_id(self.webhooks.clock), event) for event, delivery_id in chosen if delivery_id is None]
            await storage_log.again_many(conn, webhook, old, states, now)
            await storage_log.add_many(conn, webhook, new, now)
            await self.webhooks.record(
                conn, principal, "replayed", webhook_id, since=since.isoformat(), count=len(chosen)
            )  # fmt: skip
        return Replayed(len(chosen), more)

    async def _on(self, conn: Connection, principal: Principal, webhook_id: UUID) -> Webhook:
        """Locked. ``WebhookOff``, and what ``locked`` raises."""
        webhook = await self.webhooks.locked(conn, principal, webhook_id)
        if webhook.state is not Switch.ON:
            raise WebhookOff
        return webhook


async def _found(
    conn: Connection, principal: Principal, webhook_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery:
    delivery = await storage_log.find(conn, principal.org_id, webhook_id, delivery_id, lock=lock)
    if delivery is None:
        raise WebhookDeliveryNotFound
    return delivery


async def _logged(conn: Connection, delivery: Delivery) -> Logged:
    return Logged(delivery, await storage_log.body(conn, delivery), await storage_log.attempts(conn, delivery))
