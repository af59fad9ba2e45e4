"""Who watches a trip right now."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import WATCHERS, Principal
from waypost.realtime.presence import Names, Presence
from waypost.realtime.service import trip_room
from waypost.realtime.wire import Watcher
from waypost.trips.service import Trips


@dataclass(frozen=True, slots=True)
class Watching:
    """Of either organisation of a trip its own people, and nothing of the other's."""

    trips: Trips
    presence: Presence
    names: Names

    async def list(self, principal: Principal, trip_id: UUID, limit: int, cursor: str | None) -> Page[Watcher]:
        """By id. For staff who may see the trip: ``TripNotFound``, ``RedisAway``."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        trip = await self.trips.find(principal, trip_id)
        users = await self.presence.watchers(trip_room(principal.org_id, trip.id))
        names = await self.names(principal.org_id, users)
        rows = [
            Watcher(user, names[user]) for user in sorted(users) if user in names and (after is None or user > after)
        ]
        return page_of(rows[: limit + 1], limit, lambda watcher: watcher.user_id)
