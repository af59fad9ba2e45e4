"""What day it is for a business."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from waypost.identity.service import settings_of
from waypost.kernel.clock import Clock
from waypost.kernel.zones import zone_or_utc
from waypost.platform.database import Connection


async def today_of(conn: Connection, org_id: UUID, clock: Clock) -> date:
    """Today in the organisation's time zone."""
    zone = zone_or_utc((await settings_of(conn, org_id)).time_zone)
    return clock.now().astimezone(zone).date()
