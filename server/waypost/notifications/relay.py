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
from waypost.kernel.ids import new_id
from waypost.notifications import announce, domain, storage
from waypost.notifications.domain import (
    MAX_ATTEMPTS,
    REPEATABLE,
    ChannelName,
    Contact,
    Delivery,
    Notice,
    Notification,
    Pace,
    Planned,
    Poke,
    Queue,
    State,
    Waiting,
)
from waypost.notifications.kinds import KINDS, Kind
from waypost.notifications.ports import Contacts
from waypost.platform.database import AWAY, SYSTEM, Connection, Database
from waypost.platform.telemetry import log, request_id
from waypost.realtime.service import Publisher

BATCH = 50
SWEEP_AT_ONCE = 200
POKES_AT_ONCE = 500
LOCALE = "en"


class UnknownKind(Exception):
    """An outbox row of a kind that this version does not know; a newer one will."""


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
        made: list[Delivery] = []
        async with self.database.transaction(SYSTEM) as conn:
            rows = await storage.take_outbox(conn, self.clock.now(), BATCH)
            for row in rows:
                made += await self._keep(conn, row)
        announce.changed(self.publisher, made)
        return len(rows)

    async def sweep(self) -> None:
        """Put in doubt what nobody finishes any more; let out again what may be repeated."""
        now = self.clock.now()
        again_at = now + timedelta(seconds=self.pace.retry_base_s)
        async with self.database.transaction(SYSTEM) as conn:
            doubtful = await storage.sweep(conn, now, again_at, SWEEP_AT_ONCE)
            repeated = await storage.repeat(conn, now, REPEATABLE, SWEEP_AT_ONCE)
        for delivery in doubtful:
            log.warning("lease_ran_out", delivery_id=str(delivery.id), channel=delivery.channel)
        announce.changed(self.publisher, [*doubtful, *repeated])

    async def due(self) -> list[Poke]:
        """The due deliveries that no worker was told of lately, urgent ones first; they count as told now."""
        async with self.database.transaction(SYSTEM) as conn:
            now, again_s = self.clock.now(), self.pace.repoke_s
            urgent = await storage.poke(conn, Queue.URGENT, now, again_s, POKES_AT_ONCE)
            return urgent + await storage.poke(conn, Queue.BULK, now, again_s, POKES_AT_ONCE - len(urgent))

    async def untold(self, pokes: list[Poke]) -> None:
        """The workers could not be told of these: they are due as before."""
        async with self.database.transaction(SYSTEM) as conn:
            await storage.unpoke(conn, pokes)

    async def _keep(self, conn: Connection, row: Waiting) -> list[Delivery]:
        """One row, by itself: one that we cannot keep is put off, and holds up no other."""
        token = request_id.set(row.request_id)
        try:
            await conn.execute("SAVEPOINT row")
            try:
                made = await self._make(conn, row)
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
        wait_s = domain.wait_s(row.tries + 1, self.pace.retry_base_s, self.jitter())
        await storage.put_off_outbox(conn, row, type(error).__name__, self.clock.now() + timedelta(seconds=wait_s))
        expected = isinstance(error, UnknownKind | msgspec.MsgspecError | asyncpg.DataError)
        log.error("outbox_row_put_off", outbox_id=str(row.id), kind=row.kind, exc_info=None if expected else error)

    async def _make(self, conn: Connection, row: Waiting) -> list[Delivery]:
        """The notification of a row, and its deliveries; none when the row was kept before."""
        kind = KINDS.get(row.kind)
        if kind is None:
            raise UnknownKind
        notice = msgspec.json.decode(row.payload, type=Notice)
        contact = await self.contacts(conn, row.org_id, notice.customer_id)
        now = self.clock.now()
        notification = self._notification(row, kind, notice, contact)
        facts = {**notice.facts, "name": notification.recipient, "business": contact.business if contact else ""}
        new = await storage.add_notification(
            conn, notification, dedupe_key=row.key, locale=LOCALE, facts=facts, request_id=row.request_id
        )
        planned = domain.plan(contact, kind.channels, self.offered) if new else []
        made = [self._delivery(notification, plan, now) for plan in planned]
        for delivery in made:
            await storage.add_delivery(conn, delivery, kind.queue, row.request_id)
        await storage.close_outbox(conn, row, now)
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
            valid_until=row.created_at + kind.validity,
        )

    def _delivery(self, notification: Notification, plan: Planned, now: datetime) -> Delivery:
        return Delivery(
            org_id=notification.org_id,
            id=new_id(self.clock),
            notification_id=notification.id,
            kind=notification.kind,
            channel=plan.channel,
            address=plan.address,
            state=State.SUPPRESSED if plan.reason else State.PENDING,
            reason=plan.reason,
            attempt=0,
            budget=MAX_ATTEMPTS,
            due_at=now,
            updated_at=now,
        )
