"""What keeps the tracking tables in shape; run by the workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.tracking import storage, storage_ingest

DEVICES_A_PAGE = 500
KEYS_A_BATCH = 20_000
# A fix's own time may differ so much from the repaired one that retention goes by.
REPAIRED_AT_MOST = timedelta(days=8)

Page: TypeAlias = Callable[[Connection, UUID, UUID | None, int], Awaitable[list[UUID]]]


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Partitions ahead, what is too old forgotten. Safe to repeat, and from two workers at once."""

    database: Database
    clock: Clock

    async def make_partitions(self, weeks_ahead: int) -> None:
        """The present week's partition and the next ones."""
        now = self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            await storage_ingest.make_partitions(conn, (now + timedelta(weeks=week) for week in range(weeks_ahead + 1)))

    async def forget_keys(self, older_than: timedelta) -> int:
        """Delete the clients' own keys received longer ago than that; how many they were."""
        before = self.clock.now() - older_than

        async def batch(conn: Connection, size: int) -> int:
            return await storage.forget_keys(conn, before, size)

        return await in_batches(self.database, batch, size=KEYS_A_BATCH)

    async def drop_weeks(self, older_than: timedelta) -> list[str]:
        """Drop the weeks of fixes that nobody keeps any more, whole; their names. ``DatabaseAway`` when in use."""
        before = self.clock.now() - older_than - REPAIRED_AT_MOST
        names: list[str] = []
        while True:
            async with self.database.transaction(SYSTEM) as conn:
                name = await storage.drop_week(conn, before)
            if name is None:
                return names
            names.append(name)

    async def forget_fixes(self, org_id: UUID, older_than: timedelta) -> int:
        """Delete an organisation's fixes and last positions that it keeps no longer, in small batches; how many.

        Of its devices, and of the trips that stand for one in imported files.
        """
        before = self.clock.now() - older_than - REPAIRED_AT_MOST
        total = 0
        for page in (storage.devices_after, storage.trips_with_files_after):
            after = None
            while devices := await self._ids(page, org_id, after):
                for device_id in devices:
                    total += await self._forget_of(org_id, device_id, before)
                after = devices[-1]

        async def positions(conn: Connection, size: int) -> int:
            return await storage.forget_positions(conn, org_id, before, size)

        return total + await in_batches(self.database, positions)

    async def _ids(self, page: Page, org_id: UUID, after: UUID | None) -> list[UUID]:
        async with self.database.transaction(SYSTEM) as conn:
            return await page(conn, org_id, after, DEVICES_A_PAGE)

    async def _forget_of(self, org_id: UUID, device_id: UUID, before: datetime) -> int:
        async def batch(conn: Connection, size: int) -> int:
            return await storage.forget_fixes(conn, org_id, device_id, before, size)

        return await in_batches(self.database, batch)
