"""SQL of the outbox, notifications, deliveries and attempts.

Leases are the one thing that the database's own clock decides, since several machines compare them; all other times
are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.notifications.domain import (
    NEXT,
    Attempt,
    ChannelName,
    Delivery,
    Due,
    Event,
    Filter,
    Notification,
    Outcome,
    Poke,
    Queue,
    State,
    Text,
    Verdict,
    Waiting,
    moved_by,
)
from waypost.platform.database import Connection

CHANNEL = "waypost_outbox"  # of NOTIFY: a wake-up, never the promise

ADD_OUTBOX = f"""
WITH added AS (
    INSERT INTO outbox (org_id, id, kind, key, payload, request_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (org_id, key) DO NOTHING RETURNING id)
SELECT pg_notify('{CHANNEL}', '') FROM added
"""  # noqa: S608
TAKE_OUTBOX = """
SELECT org_id, id, kind, key, payload, request_id, created_at, tries FROM outbox
 WHERE processed_at IS NULL AND due_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
CLOSE_OUTBOX = "UPDATE outbox SET processed_at = $3, trouble = NULL WHERE org_id = $1 AND id = $2"
PUT_OFF_OUTBOX = "UPDATE outbox SET tries = tries + 1, trouble = $3, due_at = $4 WHERE org_id = $1 AND id = $2"

ADD_NOTIFICATION = """
INSERT INTO notifications (org_id, id, kind, dedupe_key, customer_id, recipient, locale, subject_kind, subject_id,
                           facts, valid_until, request_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (org_id, dedupe_key) DO NOTHING RETURNING id
"""
ADD_DELIVERY = """
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, reason, budget, due_at, request_id,
                        created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10, $10)
ON CONFLICT (org_id, notification_id, channel, address) DO NOTHING
"""

LOCK_DUE = """
SELECT d.org_id, d.id, d.notification_id, n.kind, d.channel, d.address, d.attempt, d.budget, n.recipient, n.locale,
       n.subject_id, n.customer_id, n.facts, n.valid_until, n.cancelled_at, d.template, d.subject, d.body, d.html
  FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.id = $2 AND d.state = 'pending' AND d.due_at <= $3
   FOR UPDATE OF d
"""
CLAIM = """
UPDATE deliveries
   SET state = 'sending', reason = NULL, attempt = attempt + 1, lease_until = now() + $4::interval,
       provider = $5, template = $6, subject = $7, body = $8, html = $9, updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = 'pending' AND due_at <= $3
RETURNING attempt
"""
START_ATTEMPT = "INSERT INTO attempts (org_id, delivery_id, attempt, provider, started_at) VALUES ($1, $2, $3, $4, $5)"
GIVE_UP = """
UPDATE deliveries SET state = $4, reason = $5, updated_at = $3 WHERE org_id = $1 AND id = $2 AND state = 'pending'
"""
SETTLE = """
UPDATE deliveries
   SET state = $4, reason = $5, due_at = coalesce($6, due_at), provider_ref = coalesce($7, provider_ref),
       lease_until = NULL, poked_at = NULL, updated_at = $8
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = ANY($9)
RETURNING id
"""
FINISH_ATTEMPT = """
UPDATE attempts SET finished_at = $4, outcome = $5, reason = $6, status = $7,
       latency_ms = greatest(0, extract(epoch FROM $4 - started_at) * 1000)::integer
 WHERE org_id = $1 AND delivery_id = $2 AND attempt = $3 AND coalesce(outcome, 'unknown') = 'unknown'
"""

SEEN = """
       d.org_id, d.id, d.notification_id, n.kind, d.channel, d.address, d.state, d.reason, d.attempt, d.budget,
       d.due_at, d.updated_at, d.provider, d.provider_ref, d.subject, d.body
"""
SWEEP = f"""
WITH late AS (
    SELECT org_id, id FROM deliveries WHERE state = 'sending' AND lease_until < now()
     ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED),
d AS (
    UPDATE deliveries x SET state = 'in_doubt', reason = 'lease_ran_out', due_at = $2, lease_until = NULL,
           poked_at = NULL, updated_at = $1
      FROM late WHERE x.org_id = late.org_id AND x.id = late.id RETURNING x.*),
closed AS (
    UPDATE attempts a SET finished_at = $1, outcome = 'unknown', reason = 'lease_ran_out'
      FROM d WHERE a.org_id = d.org_id AND a.delivery_id = d.id AND a.attempt = d.attempt)
SELECT {SEEN} FROM d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
"""  # noqa: S608
REPEAT = f"""
WITH again AS (
    SELECT org_id, id FROM deliveries
     WHERE state = 'in_doubt' AND due_at <= $1 AND channel = ANY($2) AND attempt < budget
     ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED),
d AS (
    UPDATE deliveries x SET state = 'pending', reason = 'repeated', poked_at = NULL, updated_at = $1
      FROM again WHERE x.org_id = again.org_id AND x.id = again.id RETURNING x.*)
SELECT {SEEN} FROM d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
"""  # noqa: S608
_POKE = """
WITH due AS (
    SELECT org_id, id FROM deliveries
     WHERE state = 'pending' AND queue = '{queue}' AND due_at <= $1
       AND (poked_at IS NULL OR poked_at < now() - $2::interval)
     ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE deliveries d SET poked_at = now() FROM due WHERE d.org_id = due.org_id AND d.id = due.id
RETURNING d.org_id, d.id, d.attempt + 1 AS attempt, d.queue, d.request_id, d.due_at
"""
POKE_URGENT = _POKE.format(queue=Queue.URGENT)
POKE_BULK = _POKE.format(queue=Queue.BULK)
UNPOKE = """
UPDATE deliveries SET poked_at = NULL
 WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND state = 'pending'
"""

LIST = """
SELECT org_id, id, kind, customer_id, recipient, subject_kind, subject_id, created_at, valid_until FROM notifications n
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::text IS NULL OR kind = $3)
   AND ($4::uuid IS NULL OR subject_id = $4)
   AND ($5::text IS NULL OR EXISTS (
        SELECT FROM deliveries d WHERE d.org_id = n.org_id AND d.notification_id = n.id AND d.state = $5))
 ORDER BY id DESC LIMIT $6
"""
FIND = """
SELECT org_id, id, kind, customer_id, recipient, subject_kind, subject_id, created_at, valid_until FROM notifications
 WHERE org_id = $1 AND id = $2
"""
DELIVERIES_OF = f"""
SELECT {SEEN} FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.notification_id = ANY($2) ORDER BY d.id
"""  # noqa: S608
ATTEMPTS_OF = """
SELECT a.delivery_id, a.attempt, a.provider, a.started_at, a.finished_at, a.outcome, a.reason, a.status, a.latency_ms
  FROM attempts a JOIN deliveries d ON d.org_id = a.org_id AND d.id = a.delivery_id
 WHERE d.org_id = $1 AND d.notification_id = $2 ORDER BY a.delivery_id, a.attempt
"""
LOCK = f"""
SELECT {SEEN} FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.id = $2 FOR UPDATE OF d
"""  # noqa: S608
# A person's doing: to be sent again begins a new budget, and renders anew where nothing may have gone out yet.
SEND_AGAIN = """
UPDATE deliveries
   SET state = 'pending', reason = $4, due_at = $3, budget = attempt + $5, poked_at = NULL, updated_at = $3,
       template = CASE WHEN state = 'in_doubt' THEN template END,
       subject = CASE WHEN state = 'in_doubt' THEN subject END,
       body = CASE WHEN state = 'in_doubt' THEN body END,
       html = CASE WHEN state = 'in_doubt' THEN html END
 WHERE org_id = $1 AND id = $2 AND state = ANY($6)
"""
LET_BE = """
UPDATE deliveries SET state = 'failed', reason = 'let_be', updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = ANY($4)
"""
NEWEST_ON_CONSOLE = f"""
SELECT {SEEN}, n.recipient FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.channel = 'console' AND d.body IS NOT NULL ORDER BY d.id DESC LIMIT $1
"""  # noqa: S608


async def add_outbox(
    conn: Connection,
    org_id: UUID,
    row_id: UUID,
    *,
    kind: str,
    key: str,
    payload: str,
    request_id: str | None,
    now: datetime,
) -> None:
    """Promise to tell; nothing when the key is there already. Wakes the relay when this transaction commits."""
    await conn.execute(ADD_OUTBOX, org_id, row_id, kind, key, payload, request_id, now)


async def take_outbox(conn: Connection, now: datetime, limit: int) -> list[Waiting]:
    """The oldest rows that wait, locked; those that another relay holds are its own."""
    return [Waiting(**dict(row)) for row in await conn.fetch(TAKE_OUTBOX, now, limit)]


async def close_outbox(conn: Connection, row: Waiting, now: datetime) -> None:
    await conn.execute(CLOSE_OUTBOX, row.org_id, row.id, now)


async def put_off_outbox(conn: Connection, row: Waiting, trouble: str, due_at: datetime) -> None:
    """A row that could not be kept waits; it is never given up."""
    await conn.execute(PUT_OFF_OUTBOX, row.org_id, row.id, trouble, due_at)


async def add_notification(
    conn: Connection,
    notification: Notification,
    *,
    dedupe_key: str,
    locale: str,
    facts: Mapping[str, str],
    request_id: str | None,
) -> bool:
    """Keep a notification; False when its key is there already."""
    n = notification
    added = await conn.fetchval(
        ADD_NOTIFICATION, n.org_id, n.id, n.kind, dedupe_key, n.customer_id, n.recipient, locale, n.subject_kind,
        n.subject_id, msgspec.json.encode(facts).decode(), n.valid_until, request_id, n.created_at,
    )  # fmt: skip
    return added is not None


async def add_delivery(conn: Connection, delivery: Delivery, queue: Queue, request_id: str | None) -> None:
    d = delivery
    await conn.execute(
        ADD_DELIVERY, d.org_id, d.id, d.notification_id, d.channel, d.address, queue, d.state, d.reason, d.budget,
        d.due_at, request_id,
    )  # fmt: skip


async def lock_due(conn: Connection, org_id: UUID, delivery_id: UUID, now: datetime) -> Due | None:
    """Lock a delivery whose turn has come; None when it is finished, not due, or somebody else's."""
    row = await conn.fetchrow(LOCK_DUE, org_id, delivery_id, now)
    return _due(row) if row else None


async def claim(conn: Connection, due: Due, text: Text, *, provider: str, lease_s: float, now: datetime) -> int | None:
    """Take a due delivery for one attempt and keep what will be said; the attempt's number, or None: it is not ours.

    A lease that ran out is the sweep's: it puts the delivery in doubt, never back to pending.
    """
    attempt: int | None = await conn.fetchval(
        CLAIM, due.org_id, due.id, now, timedelta(seconds=lease_s), provider, text.template, text.subject, text.body,
        text.html,
    )  # fmt: skip
    if attempt is not None:
        await conn.execute(START_ATTEMPT, due.org_id, due.id, attempt, provider, now)
    return attempt


async def give_up(conn: Connection, due: Due, event: Event, reason: str, now: datetime) -> None:
    """A locked delivery is not sent after all: cancelled, expired, or without words."""
    await conn.execute(GIVE_UP, due.org_id, due.id, now, NEXT[State.PENDING, event], reason)


async def settle(
    conn: Connection,
    org_id: UUID,
    delivery_id: UUID,
    attempt: int,
    verdict: Verdict,
    outcome: Outcome,
    now: datetime,
) -> bool:
    """Write what became of an attempt; False, and no effect, when a later one has begun or it is settled already."""
    settled = await conn.fetchval(
        SETTLE, org_id, delivery_id, attempt, verdict.state, verdict.reason, verdict.due_at, outcome.reference, now,
        moved_by(verdict.event),
    )  # fmt: skip
    if settled is None:
        return False
    await conn.execute(FINISH_ATTEMPT, org_id, delivery_id, attempt, now, outcome.kind, outcome.reason, outcome.status)
    return True


async def sweep(conn: Connection, now: datetime, again_at: datetime, limit: int) -> list[Delivery]:
    """Put in doubt what was being sent by who does not answer any more."""
    return [_delivery(row) for row in await conn.fetch(SWEEP, now, again_at, limit)]


async def repeat(conn: Connection, now: datetime, channels: Iterable[ChannelName], limit: int) -> list[Delivery]:
    """Let those in doubt go out again whose receiver drops a repeat, while attempts are left."""
    return [_delivery(row) for row in await conn.fetch(REPEAT, now, list(channels), limit)]


async def poke(conn: Connection, queue: Queue, now: datetime, again_s: float, limit: int) -> list[Poke]:
    """Due deliveries that no worker was told of within ``again_s``, the oldest first; marked as told now."""
    statement = POKE_URGENT if queue is Queue.URGENT else POKE_BULK
    rows = await conn.fetch(statement, now, timedelta(seconds=again_s), limit)
    ordered = sorted(rows, key=lambda row: row["due_at"])
    return [Poke(r["org_id"], r["id"], r["attempt"], Queue(r["queue"]), r["request_id"]) for r in ordered]


async def unpoke(conn: Connection, pokes: Sequence[Poke]) -> None:
    """No worker could be told of these."""
    await conn.execute(UNPOKE, [poke.org_id for poke in pokes], [poke.id for poke in pokes])


async def list_notifications(
    conn: Connection, org_id: UUID, wanted: Filter, after: UUID | None, limit: int
) -> list[Notification]:
    """Newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST, org_id, after, wanted.kind, wanted.subject_id, wanted.state, limit + 1)
    return [Notification(**dict(row)) for row in rows]


async def find(conn: Connection, org_id: UUID, notification_id: UUID) -> Notification | None:
    row = await conn.fetchrow(FIND, org_id, notification_id)
    return Notification(**dict(row)) if row else None


async def deliveries_of(conn: Connection, org_id: UUID, notifications: Sequence[UUID]) -> list[Delivery]:
    """Their deliveries, in the order in which they were made."""
    return [_delivery(row) for row in await conn.fetch(DELIVERIES_OF, org_id, notifications)]


async def attempts_of(conn: Connection, org_id: UUID, notification_id: UUID) -> list[Attempt]:
    return [Attempt(**dict(row)) for row in await conn.fetch(ATTEMPTS_OF, org_id, notification_id)]


async def lock(conn: Connection, org_id: UUID, delivery_id: UUID) -> Delivery | None:
    """Lock a delivery for what a person does with it."""
    row = await conn.fetchrow(LOCK, org_id, delivery_id)
    return _delivery(row) if row else None


async def send_again(
    conn: Connection, delivery: Delivery, event: Event, reason: str, attempts: int, now: datetime
) -> None:
    """Back to pending by a person, with ``attempts`` more tries."""
    await conn.execute(SEND_AGAIN, delivery.org_id, delivery.id, now, reason, attempts, moved_by(event))


async def let_be(conn: Connection, delivery: Delivery, now: datetime) -> None:
    """Nobody will know, and it shall not be sent again."""
    await conn.execute(LET_BE, delivery.org_id, delivery.id, now, moved_by(Event.LET_BE))


async def newest_on_console(conn: Connection, limit: int) -> list[tuple[str, Delivery]]:
    """What the console channel has shown last, and to whom. Needs the system scope: of all organisations."""
    rows = await conn.fetch(NEWEST_ON_CONSOLE, limit)
    return [
        (row["recipient"], _delivery({name: value for name, value in row.items() if name != "recipient"}))
        for row in rows
    ]


def _due(row: Record) -> Due:
    values: dict[str, Any] = dict(row)
    parts = [values.pop(name) for name in ("template", "subject", "body", "html")]
    return Due(
        **values
        | {
            "channel": ChannelName(values["channel"]),
            "facts": msgspec.json.decode(values["facts"], type=dict[str, str]),
        },
        text=Text(*parts) if all(part is not None for part in parts) else None,
    )


def _delivery(row: Record | Mapping[str, Any]) -> Delivery:
    values: dict[str, Any] = dict(row)
    return Delivery(**{**values, "state": State(row["state"])})


# Retention: what was settled long ago. What is unsent, in doubt, or dead (a person may replay it) is not forgotten.
FORGET_NOTIFICATIONS = """
WITH old AS (
    SELECT n.org_id, n.id FROM notifications n
     WHERE n.created_at < $1
       AND NOT EXISTS (SELECT FROM deliveries d
                        WHERE d.org_id = n.org_id AND d.notification_id = n.id AND d.state <> ALL ($2::text[]))
     LIMIT $3 FOR UPDATE OF n SKIP LOCKED),
tries AS (
    DELETE FROM attempts a USING old, deliveries d
     WHERE d.org_id = old.org_id AND d.notification_id = old.id AND a.org_id = d.org_id AND a.delivery_id = d.id),
sent AS (DELETE FROM deliveries d USING old WHERE d.org_id = old.org_id AND d.notification_id = old.id)
DELETE FROM notifications n USING old WHERE n.org_id = old.org_id AND n.id = old.id
"""
FORGET_OUTBOX = """
DELETE FROM outbox WHERE (org_id, id) IN (SELECT org_id, id FROM outbox WHERE processed_at < $1 LIMIT $2)
"""


async def forget_notifications(conn: Connection, before: datetime, settled: Iterable[State], limit: int) -> int:
    """Delete notifications made before that of which every delivery is ``settled``; how many they were."""
    return int((await conn.execute(FORGET_NOTIFICATIONS, before, [str(s) for s in settled], limit)).split()[-1])


async def forget_outbox(conn: Connection, before: datetime, limit: int) -> int:
    """Delete promises that were kept before that; how many they were."""
    return int((await conn.execute(FORGET_OUTBOX, before, limit)).split()[-1])


TROUBLE = """
SELECT (SELECT extract(epoch FROM now() - min(greatest(created_at, due_at)))::float8 FROM outbox
         WHERE processed_at IS NULL AND due_at <= now()) AS outbox_s,
       (SELECT count(*) FROM deliveries WHERE state = 'in_doubt') AS in_doubt,
       (SELECT count(*) FROM deliveries WHERE state = 'dead') AS dead
"""


async def trouble(conn: Connection) -> tuple[float, int, int]:
    """How long the oldest promise has waited, seconds; deliveries in doubt; deliveries given up. Of the whole house."""
    row = await conn.fetchrow(TROUBLE)
    return (row["outbox_s"] or 0.0, row["in_doubt"], row["dead"]) if row else (0.0, 0, 0)
