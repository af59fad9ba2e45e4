"""What happened, as subscribers are told: one event at most of each row of the outbox, in the transaction that closes
it, with a delivery for each webhook that wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.platform.database import Connection
from waypost.platform.telemetry import log
from waypost.webhooks import bodies, rules
from waypost.webhooks import storage_events as storage
from waypost.webhooks.bodies import Reading
from waypost.webhooks.catalogue import OF_KIND
from waypost.webhooks.storage_events import NewDelivery, NewEvent, Wish


class Happened(Protocol):
    """An outbox row as it was promised; ``payload``: its JSON."""

    @property
    def org_id(self) -> UUID: ...

    @property
    def kind(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def payload(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row of which somebody hears, and who: the webhooks that are on."""

    row: Happened
    reading: Reading
    webhooks: Sequence[UUID]


async def take_all(conn: Connection, rows: Sequence[Happened], clock: Clock) -> None:
    """Many rows, of any organisations, in one statement or two. A row with a key that was taken before adds nothing;
    one of which no subscriber hears (a kind without an event, a notice to staff) neither. Raises nothing of a row that
    cannot be read. In the system scope.
    """
    known = [row for row in rows if row.kind in OF_KIND]
    if not known:
        return
    wishes = await storage.wishes(conn, {row.org_id for row in known})
    wanted = [one for row in known if (one := _wanted(row, wishes.get(row.org_id, ()))) is not None]
    if wanted:
        await _keep(conn, wanted, clock)


def _wanted(row: Happened, wishes: Sequence[Wish]) -> Wanted | None:
    """What is off gets no delivery, and the event is kept for it: it may be replayed."""
    event_type = OF_KIND[row.kind]
    hearers = [wish for wish in wishes if wish.wants(event_type.name)]
    if not hearers:
        return None
    try:
        reading = bodies.read(event_type, row.payload)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        log.error("webhook_event_unreadable", kind=row.kind, error=type(error).__name__)
        return None
    return Wanted(row, reading, [wish.webhook_id for wish in hearers if wish.is_on]) if reading is not None else None


async def _keep(conn: Connection, wanted: Sequence[Wanted], clock: Clock) -> None:
    now, numbers = clock.now(), await storage.numbers(conn, len(wanted))
    events, deliveries = [], []
    for one, number in zip(wanted, numbers, strict=True):
        event = new_event(
            one.reading, one.row.org_id, new_id(clock), key=one.row.key, seq=number, at=one.row.created_at
        )
        events.append(event)
        deliveries += [NewDelivery(event.org_id, new_id(clock), webhook_id, event.id) for webhook_id in one.webhooks]
    await storage.add(conn, events, deliveries, rules.TRIES, now)


def new_event(reading: Reading, org_id: UUID, event_id: UUID, *, key: str, seq: int, at: datetime) -> NewEvent:
    """With its body, which is made once."""
    body = bodies.body_of(reading, event_id, seq, at)
    return NewEvent(org_id, event_id, seq, key, reading.type.name, reading.subject_kind, reading.subject_id, body, at)
