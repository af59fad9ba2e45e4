"""What day it is for a business."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from waypost.identity.service import settings_of
from waypost.kernel.clock import Clock
from waypost.kernel.zones import zone_or_utc
from waypost.platform.database import Connection

REMEMBER_S = 5.0
REMEMBER_AT_MOST = 20_000


async def today_of(conn: Connection, org_id: UUID, clock: Clock) -> date:
    """Today in the organisation's time zone."""
    return clock.now().astimezone(await _zone(conn, org_id)).date()


async def _zone(conn: Connection, org_id: UUID) -> ZoneInfo:
    return zone_or_utc((await settings_of(conn, org_id)).time_zone)


@dataclass(frozen=True, slots=True)
class Days:
    """The same for who asks hundreds of times a second, inside transactions, where the shared caches cannot be asked: a
    zone is remembered for some seconds. ``known``: until when, by the monotonic clock; the oldest goes first.
    """

    clock: Clock
    known: OrderedDict[UUID, tuple[float, ZoneInfo]] = field(default_factory=OrderedDict)

    async def today(self, conn: Connection, org_id: UUID) -> date:
        """Today in the organisation's time zone."""
        until, zone = self.known.get(org_id, (0.0, None))
        if zone is None or until <= self.clock.monotonic():
            zone = await _zone(conn, org_id)
            self.known[org_id] = self.clock.monotonic() + REMEMBER_S, zone
            self.known.move_to_end(org_id)
            while len(self.known) > REMEMBER_AT_MOST:
                self.known.popitem(last=False)
        return self.clock.now().astimezone(zone).date()
