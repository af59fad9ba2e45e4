"""Much work in small transactions: no lock is held long, and what is done stays done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from waypost.platform.database import SYSTEM, Connection, Database, System

BATCH_ROWS = 2_000


async def in_batches(
    database: Database,
    batch: Callable[[Connection, int], Awaitable[int]],
    *,
    scope: UUID | System = SYSTEM,
    size: int = BATCH_ROWS,
) -> int:
    """Call ``batch(conn, size)``, each time in a transaction of its own, until it did less than ``size``; the sum."""
    total = 0
    while True:
        async with database.transaction(scope) as conn:
            count = await batch(conn, size)
        total += count
        if count < size:
            return total
