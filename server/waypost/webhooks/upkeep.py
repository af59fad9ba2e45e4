"""What of webhooks is forgotten with time; run by the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from waypost.kernel.clock import Clock
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.webhooks import storage_log as storage


@dataclass(frozen=True, slots=True)
class WebhookUpkeep:
    """Events and their deliveries that were settled long ago. Safe to repeat, and twice at once."""

    database: Database
    clock: Clock

    async def forget(self, kept: timedelta) -> int:
        """Delete what is older than that, never what waits to be sent; how many events."""
        now = self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            await storage.cancel_strays(conn, now)

        async def events(conn: Connection, size: int) -> int:
            return await storage.forget(conn, now - kept, size)

        return await in_batches(self.database, events)
