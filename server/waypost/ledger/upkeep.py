"""What keeps balances near, and looks whether the books add up; run by the workers at night."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import uuid7
from waypost.ledger import storage_books, storage_upkeep
from waypost.ledger.domain import Difference
from waypost.platform.database import SYSTEM, Connection, Database

# An entry gets its id before its transaction commits, and clocks of machines differ: a day is closed this long after
# its end, when no entry of it can still come.
MARGIN = timedelta(hours=1)

Look = Callable[[Connection, UUID, UUID, int], Awaitable[tuple[UUID | None, list[Difference]]]]


class TooEarly(Exception):
    """A mistake of the caller's: the day is not over for long enough."""


@dataclass(frozen=True, slots=True)
class LedgerUpkeep:
    """Snapshots and checks of one organisation's books, a chunk a transaction. Safe to repeat, and twice at once."""

    database: Database
    clock: Clock
    accounts_at_a_time: int = 200
    entries_at_a_time: int = 5_000

    async def snapshots(self, org_id: UUID, day: date, zone: tzinfo = UTC) -> int:
        """Keep what each account came to at the end of ``day`` by the clock of ``zone``; how many were kept now.

        ``TooEarly`` until ``MARGIN`` after the day's end. A day that was left out is done by the next one.
        """
        end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        if self.clock.now() < end + MARGIN:
            raise TooEarly(day)
        before, after, made = uuid7(end, 0), storage_books.FIRST_ID, 0
        while True:
            async with self.database.transaction(SYSTEM) as conn:
                looked_at, after, kept = await storage_upkeep.snapshots(
                    conn, org_id, after, day, before, self.accounts_at_a_time
                )
            made += kept
            if looked_at < self.accounts_at_a_time:
                return made

    async def check(self, org_id: UUID) -> list[Difference]:
        """Everything that does not add up: snapshots against sums, entries against zero, what others owe and are owed
        against their own books. Empty: all is well.
        """
        return [
            *await self._all(storage_upkeep.wrong_snapshots, org_id, self.accounts_at_a_time),
            *await self._all(storage_upkeep.wrong_entries, org_id, self.entries_at_a_time),
            *await self._all(storage_upkeep.wrong_pairs, org_id, self.accounts_at_a_time),
        ]

    async def _all(self, look: Look, org_id: UUID, at_a_time: int) -> list[Difference]:
        found: list[Difference] = []
        after: UUID | None = storage_books.FIRST_ID
        while after is not None:
            async with self.database.transaction(SYSTEM) as conn:
                after, wrong = await look(conn, org_id, after, at_a_time)
            found += wrong
        return found
