"""Keeping the promises of the outbox: a row becomes a notification with its deliveries; what is due is given out.

Every step may be repeated, and any number of relays may run at once: rows are taken with ``SKIP LOCKED``, and what is
made is made under a unique key. No step looks for "newer than the last": the order of ids is not that of commits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import msgspec

from waypost.kernel.clock import Clock
from waypost.notifications import storage_outbox, storage_relay
from waypost.notifications.addresses import REPEATABLE
from waypost.notifications.announce import Announcer
from waypost.notifications.domain import Pace, Poke, Queue, Waiting
from waypost.notifications.following import Following
from waypost.notifications.keeping import Keeper, Kept
from waypost.notifications.kinds import KINDS
from waypost.notifications.ports import Contacts
from waypost.notifications.reading import Read, Reader, UnknownKind
from waypost.notifications.states import wait_s
from waypost.platform.database import AWAY, SYSTEM, Connection, Database
from waypost.platform.telemetry import log, request_id
from waypost.realtime.service import Publisher

BATCH = 250
SWEEP_AT_ONCE = 200
POKES_AT_ONCE, FOR_BULK = 500, 50  # bulk gets its share of each pass, however many urgent ones there are
ROOM: Mapping[Queue, int] = {Queue.URGENT: POKES_AT_ONCE, Queue.BULK: POKES_AT_ONCE}
BULK_KINDS = [kind.name for kind in KINDS.values() if kind.queue is Queue.BULK]


@dataclass(frozen=True, slots=True)
class Relay:
    """What a relay does."""

    database: Database
    clock: Clock
    publisher: Publisher
    contacts: Contacts
    keeper: Keeper
    following: Following
    pace: Pace
    jitter: Callable[[], float] = random.random

    async def expand(self) -> int:
        """Keep up to 250 outbox rows, the urgent ones first; how many there were."""
        async with self.database.transaction(SYSTEM) as conn:
            waiting = await storage_outbox.look_at_outbox(conn, self.clock.now(), BATCH, BULK_KINDS)
        if not waiting:
            return 0
        read = await Reader(self.contacts).read(waiting)
        async with self.database.transaction(SYSTEM) as conn:
            rows = await storage_outbox.take_outbox(conn, waiting, self.clock.now())
            kept = await self._keep_all(conn, [(row, read[row.org_id, row.id]) for row in rows])
            await self.keeper.promise(conn, kept)
        self.keeper.say(kept)
        return len(rows)

    async def sweep(self) -> None:
        """Put in doubt what nobody finishes any more; let out again what may be repeated."""
        now = self.clock.now()
        again_at = now + timedelta(seconds=self.pace.retry_base_s)
        async with self.database.transaction(SYSTEM) as conn:
            doubtful = await storage_relay.sweep(conn, now, again_at, SWEEP_AT_ONCE)
            repeated = await storage_relay.repeat(conn, now, REPEATABLE, SWEEP_AT_ONCE)
            await Announcer(self.publisher, self.clock).changed(conn, [*doubtful, *repeated])
        for delivery in doubtful:
            log.warning("lease_ran_out", delivery_id=str(delivery.id), channel=delivery.channel)

    async def due(self, room: Mapping[Queue, int] = ROOM) -> list[Poke]:
        """The due deliveries that no worker was told of lately, urgent ones first; they count as told now.

        ``room``: for how many there is room in each of the workers' lines.
        """
        for_urgent, for_bulk = room[Queue.URGENT], room[Queue.BULK]
        first = min(for_urgent, POKES_AT_ONCE - FOR_BULK)
        async with self.database.transaction(SYSTEM) as conn:
            urgent = await self._poke(conn, Queue.URGENT, first)
            bulk = await self._poke(conn, Queue.BULK, min(for_bulk, POKES_AT_ONCE - len(urgent)))
            if urgent and len(urgent) == first:
                more = min(for_urgent - first, POKES_AT_ONCE - len(urgent) - len(bulk))
                urgent += await self._poke(conn, Queue.URGENT, more)
            return urgent + bulk

    async def untold(self, pokes: list[Poke]) -> None:
        """The workers could not be told of these: they are due as before."""
        async with self.database.transaction(SYSTEM) as conn:
            await storage_relay.unpoke(conn, pokes)

    async def _poke(self, conn: Connection, queue: Queue, limit: int) -> list[Poke]:
        return await storage_relay.poke(conn, queue, self.clock.now(), self.pace.repoke_s, limit)

    async def _keep_all(self, conn: Connection, rows: Sequence[tuple[Waiting, Read]]) -> Kept:
        """All at once; if one of them cannot be kept, each by itself: that one is put off, and holds up no other."""
        bad = [(row, read) for row, read in rows if isinstance(read, Exception)]
        good = [(row, read) for row, read in rows if not isinstance(read, Exception)]
        for row, error in bad:
            await self._put_off(conn, row, error)
        try:
            return await self._keep(conn, good)
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - one of them is at fault: it is found below
            log.warning("outbox_one_by_one", rows=len(good), reason=type(error).__name__)
        kept = Kept()
        for row, read in good:
            try:
                kept = kept + await self._keep(conn, [(row, read)])
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with this row, the others go on
                await self._put_off(conn, row, error)
        return kept

    async def _keep(self, conn: Connection, rows: Sequence[tuple[Waiting, Read]]) -> Kept:
        """Wholly, or not at all."""
        await conn.execute("SAVEPOINT rows")
        try:
            kept = await self.keeper.keep(conn, rows)
        except AWAY:
            raise
        except Exception:
            await conn.execute("ROLLBACK TO SAVEPOINT rows")
            raise
        await conn.execute("RELEASE SAVEPOINT rows")
        return kept

    async def _put_off(self, conn: Connection, row: Waiting, error: Exception) -> None:
        put_off_s = wait_s(row.tries + 1, self.pace.retry_base_s, self.jitter())
        await storage_outbox.put_off_outbox(
            conn, row, type(error).__name__, self.clock.now() + timedelta(seconds=put_off_s)
        )
        expected = isinstance(error, UnknownKind | msgspec.MsgspecError | asyncpg.DataError)
        token = request_id.set(row.request_id)
        log.error("outbox_row_put_off", outbox_id=str(row.id), kind=row.kind, exc_info=None if expected else error)
        request_id.reset(token)
