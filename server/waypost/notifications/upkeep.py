"""What of notifications is forgotten with time; run by the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from waypost.kernel.clock import Clock
from waypost.notifications import storage
from waypost.notifications.domain import State
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database

SETTLED = frozenset(State) - {State.PENDING, State.SENDING, State.IN_DOUBT, State.DEAD}


@dataclass(frozen=True, slots=True)
class NotificationUpkeep:
    """Notifications and promises that were settled long ago. Safe to repeat, and twice at once."""

    database: Database
    clock: Clock

    async def trouble(self) -> tuple[float, int, int]:
        """How long the oldest promise has waited, seconds; deliveries in doubt; deliveries given up."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage.trouble(conn)

    async def forget(self, kept: timedelta) -> int:
        """Delete what was settled and is older than that; never what is unsent, in doubt or for a person to replay."""
        before = self.clock.now() - kept

        async def notifications(conn: Connection, size: int) -> int:
            return await storage.forget_notifications(conn, before, SETTLED, size)

        async def outbox(conn: Connection, size: int) -> int:
            return await storage.forget_outbox(conn, before, size)

        return await in_batches(self.database, notifications) + await in_batches(self.database, outbox)
