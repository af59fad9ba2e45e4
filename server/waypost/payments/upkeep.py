"""What of payments is forgotten with time: people's names and phones in what was sent. Run by the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from waypost.kernel.clock import Clock
from waypost.payments import storage_upkeep as storage
from waypost.platform.batches import in_batches
from waypost.platform.database import Connection, Database

ROWS_AT_ONCE = 500  # a statement's body may be large


@dataclass(frozen=True, slots=True)
class PaymentUpkeep:
    """The rows stay, and all that was read from them. Safe to repeat, and twice at once."""

    database: Database
    clock: Clock

    async def forget(self, kept: timedelta) -> int:
        """Empty what came of callbacks and statements, and mask the phones that were asked, where that is done and
        settled since before then; how many.
        """
        before = self.clock.now() - kept
        total = 0
        for forget in (storage.empty_callbacks, storage.empty_statements, storage.mask_phones):

            async def batch(conn: Connection, size: int, forget: storage.Forget = forget) -> int:
                return await forget(conn, before, size)

            total += await in_batches(self.database, batch, size=ROWS_AT_ONCE)
        return total
