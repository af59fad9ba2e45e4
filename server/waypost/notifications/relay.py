"""Keeping the promises of the outbox: a row becomes a notification with its deliveries; what is due is given out.

Every step may be repeated, and any number of relays may run at once: rows are taken with ``SKIP LOCKED``, and what is
made is made under a unique key. No step looks for "newer than the last": the order of ids is not that of commits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.ids import new_id
from waypost.notifications import storage, storage_outbox
from waypost.notifications.addresses import REPEATABLE, ChannelName, Contact, Planned, facts_of, plan
from waypost.notifications.announce import Announcer
from waypost.notifications.domain import Delivery, Notice, Notification, Pace, Poke, Queue, Waiting
from waypost.notifications.kinds import EVENTS, KINDS, Kind
from waypost.notifications.ports import Contacts
from waypost.notifications.states import MAX_ATTEMPTS, State, wait_s
from waypost.platform.database import AWAY, SYSTEM, Connection, Database
from waypost.platform.telemetry import log, request_id
from waypost.realtime.service import Publisher

BATCH = 50
SWEEP_AT_ONCE = 200
POKES_AT_ONCE, FOR_BULK = 500, 50  # bulk gets its share of each pass, however many urgent ones there are
LOCALE = "en"  # of a customer who has asked for no language


class UnknownKind(Exception):
    """An outbox row of a kind that this version does not know; a newer one will."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What an outbox row says, and the customer whom it means as they are reached now."""

    kind: Kind
    notice: Notice
    contact: Contact | None


@dataclass(frozen=True, slots=True)
class Relay:
    """What a relay does. ``offered``: the channels of this installation."""

    database: Database
    clock: Clock
    publisher: Publisher
    contacts: Contacts
    offered: frozenset[ChannelName]
    pace: Pace
    jitter: Callable[[], float] = random.random

    async def expand(self) -> int:
        """Keep up to 50 outbox rows; how many there were."""
        async with self.database.transaction(SYSTEM) as conn:
            waiting = await storage_outbox.look_at_outbox(conn, self.clock.now(), BATCH)
        if not waiting:
            return 0
        read = {(row.org_id, row.id): await self._read(row) for row in waiting}
        made: list[Delivery] = []
        async with self.database.transaction(SYSTEM) as conn:
            rows = await storage_outbox.take_outbox(conn, waiting, self.clock.now())
            for row in rows:
                made += await self._keep(conn, row, read[row.org_id, row.id])
            await Announcer(self.publisher, self.clock).changed(conn, made)
        return len(rows)

    async def sweep(self) -> None:
        """Put in doubt what nobody finishes any more; let out again what may be repeated."""
        now = self.clock.now()
        again_at = now + timedelta(seconds=self.pace.retry_base_s)
        async with self.database.transaction(SYSTEM) as conn:
            doubtful = await storage.sweep(conn, now, again_at, SWEEP_AT_ONCE)
            repeated = await storage.repeat(conn, now, REPEATABLE, SWEEP_AT_ONCE)
            await Announcer(self.publisher, self.clock).changed(conn, [*doubtful, *repeated])
        for delivery in doubtful:
            log.warning("lease_ran_out", delivery_id=str(delivery.id), channel=delivery.channel)

    async def due(self) -> list[Poke]:
        """The due deliveries that no worker was told of lately, urgent ones first; they count as told now."""
        async with self.database.transaction(SYSTEM) as conn:
            now, again_s = self.clock.now(), self.pace.repoke_s
            urgent = await storage.poke(conn, Queue.URGENT, now, again_s, POKES_AT_ONCE - FOR_BULK)
            bulk = await storage.poke(conn, Queue.BULK, now, again_s, POKES_AT_ONCE - len(urgent))
            if len(urgent) == POKES_AT_ONCE - FOR_BULK:
                urgent += await storage.poke(conn, Queue.URGENT, now, again_s, FOR_BULK - len(bulk))
            return urgent + bulk

    async def untold(self, pokes: list[Poke]) -> None:
        """The workers could not be told of these: they are due as before."""
        async with self.database.transaction(SYSTEM) as conn:
            await storage.unpoke(conn, pokes)

    async def _read(self, row: Waiting) -> Readings | Exception | None:
        """What a row says and who is meant; or why it cannot be kept, which is this row's alone. None: an event, of
        which no customer is told.
        """
        if row.kind in EVENTS:
            return None
        try:
            kind = KINDS.get(row.kind)
            if kind is None:
                return UnknownKind()
            notice = msgspec.json.decode(row.payload, type=Notice)
            if notice.customer_id is None:
                return Readings(kind, notice, None)
            return Readings(kind, notice, await self.contacts(row.org_id, notice.customer_id))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this row, the others go on
            return error

    async def _keep(self, conn: Connection, row: Waiting, read: Readings | Exception | None) -> list[Delivery]:
        """One row, by itself: one that we cannot keep is put off, and holds up no other."""
        if read is None:
            await storage_outbox.close_outbox(conn, row, self.clock.now())
            return []
        token = request_id.set(row.request_id)
        try:
            await conn.execute("SAVEPOINT row")
            try:
                if isinstance(read, Exception):
                    raise read
                made = await self._make(conn, row, read)
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with this row, the others go on
                await conn.execute("ROLLBACK TO SAVEPOINT row")
                await self._put_off(conn, row, error)
                made = []
            await conn.execute("RELEASE SAVEPOINT row")
        finally:
            request_id.reset(token)
        return made

    async def _put_off(self, conn: Connection, row: Waiting, error: Exception) -> None:
        put_off_s = wait_s(row.tries + 1, self.pace.retry_base_s, self.jitter())
        await storage_outbox.put_off_outbox(
            conn, row, type(error).__name__, self.clock.now() + timedelta(seconds=put_off_s)
        )
        expected = isinstance(error, UnknownKind | msgspec.MsgspecError | asyncpg.DataError)
        log.error("outbox_row_put_off", outbox_id=str(row.id), kind=row.kind, exc_info=None if expected else error)

    async def _make(self, conn: Connection, row: Waiting, read: Readings) -> list[Delivery]:
        """The notification of a row, and its deliveries; none when the row was kept before."""
        kind, notice, contact, now = read.kind, read.notice, read.contact, self.clock.now()
        notification = self._notification(row, kind, notice, contact)
        facts = {**notice.facts, **facts_of(contact)}
        locale = (contact.locale if contact else None) or LOCALE
        new = await storage_outbox.add_notification(
            conn, notification, dedupe_key=row.key, locale=locale, facts=facts, request_id=row.request_id
        )
        planned = plan(contact, kind.channels, self.offered) if new else []
        made = [self._delivery(notification, each, now) for each in planned]
        for delivery in made:
            await storage_outbox.add_delivery(conn, delivery, kind.queue, row.request_id)
        await storage_outbox.close_outbox(conn, row, now)
        log.info("notification_made", notification_id=str(notification.id), kind=kind.name, deliveries=len(made))
        return made

    def _notification(self, row: Waiting, kind: Kind, notice: Notice, contact: Contact | None) -> Notification:
        return Notification(
            org_id=row.org_id,
            id=new_id(self.clock),
            kind=kind.name,
            customer_id=notice.customer_id,
            recipient=contact.name if contact else "",
            subject_kind=notice.subject_kind,
            subject_id=notice.subject_id,
            created_at=self.clock.now(),
            valid_until=notice.valid_until or row.created_at + kind.validity,
        )

    def _delivery(self, notification: Notification, planned: Planned, now: datetime) -> Delivery:
        return Delivery(
            org_id=notification.org_id,
            id=new_id(self.clock),
            notification_id=notification.id,
            kind=notification.kind,
            channel=planned.channel,
            address=planned.address,
            state=State.SUPPRESSED if planned.reason else State.PENDING,
            reason=planned.reason,
            attempt=0,
            budget=MAX_ATTEMPTS,
            due_at=now,
            updated_at=now,
        )
