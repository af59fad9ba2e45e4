"""What of identity is forgotten with time; run by the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from waypost.identity import storage
from waypost.identity.domain import Organisation
from waypost.kernel.clock import Clock
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.idempotency import forget_answers


@dataclass(frozen=True, slots=True)
class IdentityUpkeep:
    """Old audit entries and kept answers; whose clocks there are. Safe to repeat, and twice at once."""

    database: Database
    clock: Clock

    async def organisations(self) -> Sequence[Organisation]:
        """Every organisation, with what it has set for itself."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage.organisations(conn)

    async def forget_audit(self, kept: timedelta) -> int:
        """Delete audit entries older than that; how many they were."""

        async def batch(conn: Connection, size: int) -> int:
            return await storage.forget_audit(conn, kept, size)

        return await in_batches(self.database, batch)

    async def forget_answers(self, kept: timedelta) -> int:
        """Delete the answers that were kept for requests with an ``Idempotency-Key``; how many they were."""
        before = self.clock.now() - kept

        async def batch(conn: Connection, size: int) -> int:
            return await forget_answers(conn, before, size)

        return await in_batches(self.database, batch)
