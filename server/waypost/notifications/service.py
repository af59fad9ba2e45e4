"""What staff see of notifications: what was told whom, by which ways, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.errors import invalid_field
from waypost.kernel.ids import uuid7
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import WATCHERS, Principal
from waypost.kernel.zones import zone_or_utc
from waypost.notifications import storage_seen, storage_upkeep
from waypost.notifications.domain import NotificationNotFound
from waypost.notifications.seen_domain import Delivery, DeliveryFilter, Figure, Filter, Seen, Told
from waypost.platform.database import SYSTEM, Connection, Database

ON_THE_PAGE = 100
LONGEST_SPAN = timedelta(days=93)
FIGURES_AT_ONCE = 2  # of a process: each may read a quarter's deliveries


@dataclass(frozen=True, slots=True)
class Notifications:
    """Notifications of an organisation, for its staff."""

    database: Database
    clock: Clock
    rules: Rules
    reckoning: asyncio.Semaphore

    async def list(self, principal: Principal, wanted: Filter, limit: int, cursor: str | None) -> Page[Told]:
        """Newest first, each with its deliveries."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_seen.list_notifications(conn, principal.org_id, wanted, after, limit)
            deliveries = await storage_seen.deliveries_of(conn, principal.org_id, [row.id for row in rows])
        by_notification: dict[UUID, list[Seen]] = {}
        for seen in deliveries:
            by_notification.setdefault(seen.delivery.notification_id, []).append(seen)
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

    async def deliveries(
        self, principal: Principal, wanted: DeliveryFilter, limit: int, cursor: str | None
    ) -> Page[Seen]:
        """One by one, newest first: what is stuck, what was withheld and why, what went to an address."""
        principal.require(WATCHERS)
        if wanted.address is not None and wanted.channel is None:
            raise invalid_field("channel", "say of which channel the address is")
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_seen.list_deliveries(conn, principal.org_id, wanted, after, limit)
        return page_of(rows, limit, lambda row: row.delivery.id)

    async def figures(self, principal: Principal, since: datetime, until: datetime) -> Sequence[Figure]:
        """By day (the organisation's), kind, channel and provider; of three months at most."""
        principal.require(WATCHERS)
        if not timedelta(0) < until - since <= LONGEST_SPAN:
            raise invalid_field("until", f"it must lie after `since`, and {LONGEST_SPAN.days} days at most")
        zone = zone_or_utc((await self.rules.of(principal.org_id)).time_zone)
        async with self.reckoning, self.database.transaction(principal.org_id) as conn:
            return await storage_seen.figures(conn, principal.org_id, uuid7(since, 0), uuid7(until, 0), zone.key)

    async def on_console(self) -> Sequence[tuple[str, Delivery]]:
        """What the console channel has shown last, of every organisation: for the developer at this very machine."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage_seen.newest_on_console(conn, ON_THE_PAGE)


async def outbox_waits_s(conn: Connection) -> float:
    """How long the oldest promise waits to be kept, seconds. Needs the system scope."""
    return (await storage_upkeep.trouble(conn)).outbox_s
