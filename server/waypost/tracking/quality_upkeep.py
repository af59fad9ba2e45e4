"""What keeps the tables of data quality small; run by the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta

from waypost.kernel.clock import Clock
from waypost.platform.batches import in_batches
from waypost.platform.database import Connection, Database
from waypost.tracking import storage_quality, storage_rejections


@dataclass(frozen=True, slots=True)
class QualityUpkeep:
    """What is too old forgotten. Safe to repeat, and from two workers at once."""

    database: Database
    clock: Clock

    async def forget_rejections(self, older_than: timedelta) -> int:
        """Delete kept rejections that were received longer ago; how many they were."""
        before = self.clock.now() - older_than

        async def batch(conn: Connection, size: int) -> int:
            return await storage_rejections.forget(conn, before, size)

        return await in_batches(self.database, batch)

    async def forget_days(self, older_than: timedelta) -> int:
        """Delete the counters of days longer ago; how many days of devices."""
        before = (self.clock.now() - older_than).astimezone(UTC).date()

        async def counts(conn: Connection, size: int) -> int:
            return await storage_quality.forget_counts(conn, before, size)

        async def days(conn: Connection, size: int) -> int:
            return await storage_quality.forget_days(conn, before, size)

        await in_batches(self.database, counts)
        return await in_batches(self.database, days)
