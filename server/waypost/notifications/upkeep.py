"""What of notifications is forgotten with time; run by the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from waypost.kernel.clock import Clock
from waypost.notifications import storage_forget
from waypost.notifications import storage_upkeep as storage
from waypost.notifications.storage_forget import Old
from waypost.notifications.storage_upkeep import Trouble
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database

GIVEN_UP_KEPT = timedelta(days=30)  # after which nobody would send it any more


@dataclass(frozen=True, slots=True)
class NotificationUpkeep:
    """Notifications and promises that were settled long ago. Safe to repeat, and twice at once."""

    database: Database
    clock: Clock

    async def trouble(self) -> Trouble:
        """What somebody should look at."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage.trouble(conn)

    async def forget(self, kept: timedelta) -> int:
        """Delete what was settled and is older than that; never what is unsent or in doubt, or was given up lately."""
        now = self.clock.now()
        before, useless = now - kept, now - GIVEN_UP_KEPT

        async def notifications(conn: Connection, size: int) -> int:
            return await storage.forget_notifications(conn, before, useless, size)

        async def outbox(conn: Connection, size: int) -> int:
            return await storage.forget_outbox(conn, before, size)

        return await in_batches(self.database, notifications) + await in_batches(self.database, outbox)

    async def forget_heard(self, kept: timedelta) -> Mapping[str, int]:
        """Delete what came back of messages, what has ended, and what messages cost, where it is older than that (of
        some things: much older); how many rows of each.
        """
        return {old.what: await self._forget(old, kept) for old in storage_forget.ALL}

    async def _forget(self, old: Old, kept: timedelta) -> int:
        before = self.clock.now() - max(kept, timedelta(days=old.days))

        async def batch(conn: Connection, size: int) -> int:
            return await storage_forget.forget(conn, old, before, size)

        return await in_batches(self.database, batch)
