"""What the guards of other features may ask of what was told before."""

from __future__ import annotations

from waypost.notifications import storage
from waypost.notifications.domain import Due
from waypost.platform.database import Connection


async def told_before(conn: Connection, due: Due) -> bool:
    """Was, or may, this customer have been told anything else of the same subject? What only waits does not count."""
    return await storage.told_before(conn, due)
