"""What keeps the tracking tables in shape; run by the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from waypost.kernel.clock import Clock
from waypost.platform.database import SYSTEM, Database
from waypost.tracking import storage


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Partitions ahead, keys forgotten. Safe to repeat, and from two workers at once."""

    database: Database
    clock: Clock

    async def make_partitions(self, weeks_ahead: int) -> None:
        """The present week's partition and the next ones."""
        now = self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            await storage.make_partitions(conn, (now + timedelta(weeks=week) for week in range(weeks_ahead + 1)))

    async def forget_keys(self, older_than: timedelta) -> int:
        """Delete the clients' own keys received longer ago than that; how many they were."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage.forget_keys(conn, self.clock.now() - older_than)
