"""Promised events that nobody published: their process died between the commit and Redis, or could not reach it.

Any number may look for them at once. A repeat goes out under the event's own key, and the bus drops it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.batches import in_batches
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime import outbox
from waypost.realtime.outbox import Row, Waiting
from waypost.realtime.service import Bus

GRACE = timedelta(seconds=5)  # for who committed it
LEASE = timedelta(seconds=4)  # for who publishes what was left; much longer than the bus may take to answer
KEPT = timedelta(days=1)  # by then every client has joined anew, and read what it would have told
BATCH = 200
_CHANCE: Final = random.Random()  # noqa: S311 - spreads nodes, guards nothing


@dataclass(slots=True)
class Leftovers:
    """The rows of promised events, from the commit on."""

    database: Database
    bus: Bus
    clock: Clock
    grace: timedelta = GRACE
    waiting: Waiting = field(default=Waiting(0, 0.0))  # as of the last look

    async def forget(self, rows: Sequence[Row]) -> None:
        """The bus has taken them."""
        async with self.database.transaction(SYSTEM) as conn:
            await outbox.forget(conn, rows)

    async def publish(self) -> int:
        """Publish up to 200 of those that were left, in their order; how many there were.

        No connection is held while the bus answers. What fails is due again when its claim is over.
        """
        async with self.database.transaction(SYSTEM) as conn:
            found = await outbox.claim(conn, self.grace, BATCH, LEASE)
        if found:
            await self.bus.send([event for _, event in found])
            log.info("events_relayed", count=len(found))
            await self.forget([row for row, _ in found])
        return len(found)

    async def look(self) -> Waiting:
        """How many wait by now, and for how long."""
        async with self.database.transaction(SYSTEM) as conn:
            self.waiting = await outbox.waiting(conn, self.grace)
        return self.waiting

    async def run(self, every_s: float) -> None:
        """Publish what is left for ever, with some jitter, and at once while there is more. The first look waits too:
        a process that cannot stay should not be in the middle of something.
        """
        while True:
            await self.clock.sleep(every_s * _CHANCE.uniform(0.8, 1.2))
            try:
                while await self.publish() == BATCH:
                    pass
                await self.look()
            except Unavailable as error:
                log.warning("leftovers_wait", reason=error.code)
            except Exception:  # noqa: BLE001 - whatever one look runs into, the next begins afresh
                log.exception("leftovers_failed")

    async def drop_old(self) -> int:
        """Delete what nobody could publish for a day."""

        async def drop(conn: Connection, size: int) -> int:
            return await outbox.drop_old(conn, KEPT, size)

        return await in_batches(self.database, drop)
