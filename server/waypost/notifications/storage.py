"""SQL of deliveries and their attempts.

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

from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Delivery, Due, Poke, Queue, Text
from waypost.notifications.kinds import KINDS
from waypost.notifications.states import NEVER, NEXT, Event, Outcome, State, Verdict, moved_by
from waypost.platform.database import Connection
from waypost.platform.telemetry import log

CHANNELS = frozenset(str(name) for name in ChannelName)

# A worker's clock may be behind that of the relay, which has found it due: so a claim is some seconds generous.
LOCK_DUE = """
SELECT d.org_id, d.id, d.notification_id, n.kind, d.channel, d.address, d.attempt, d.budget, n.recipient, n.locale,
       n.subject_id, n.customer_id, n.facts, n.valid_until, n.cancelled_at, d.template, d.subject, d.body, d.html,
       EXISTS (SELECT FROM attempts a
                WHERE a.org_id = d.org_id AND a.delivery_id = d.id AND a.outcome = 'unknown') AS doubted
  FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.id = $2 AND d.state = 'pending' AND d.due_at <= $3::timestamptz + interval '5 seconds'
   FOR UPDATE OF d
"""
CLAIM = """
UPDATE deliveries
   SET state = 'sending', reason = NULL, attempt = attempt + 1, lease_until = now() + $4::interval,
       provider = $5, template = $6, subject = $7, body = $8, html = $9, updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = 'pending' AND due_at <= $3::timestamptz + interval '5 seconds'
RETURNING attempt
"""
START_ATTEMPT = "INSERT INTO attempts (org_id, delivery_id, attempt, provider, started_at) VALUES ($1, $2, $3, $4, $5)"
GIVE_UP = """
UPDATE deliveries SET state = $4, reason = $5, due_at = coalesce($6, due_at), updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = 'pending'
"""
# What the end of a try may still change; a row that is pending again has had its end.
UNSETTLED = frozenset({State.SENDING, State.IN_DOUBT})
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

LOCK = f"""
SELECT {SEEN} FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.id = $2 FOR UPDATE OF d
"""  # noqa: S608
# A person's doing: to be sent again begins a new budget, and renders anew where nothing may have gone out yet.
SEND_AGAIN = """
WITH maybe AS (
    SELECT EXISTS (SELECT FROM attempts WHERE org_id = $1 AND delivery_id = $2 AND outcome = 'unknown') AS sent)
UPDATE deliveries
   SET state = 'pending', reason = $4, due_at = $3, budget = attempt + $5, poked_at = NULL, updated_at = $3,
       template = CASE WHEN maybe.sent THEN template END,
       subject = CASE WHEN maybe.sent THEN subject END,
       body = CASE WHEN maybe.sent THEN body END,
       html = CASE WHEN maybe.sent THEN html END
  FROM maybe WHERE org_id = $1 AND id = $2 AND state = ANY($6)
"""
EXTEND = "UPDATE notifications SET valid_until = greatest(valid_until, $3) WHERE org_id = $1 AND id = $2"
LET_BE = """
UPDATE deliveries SET state = 'failed', reason = 'let_be', updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = ANY($4)
"""


async def lock_due(conn: Connection, org_id: UUID, delivery_id: UUID, now: datetime) -> Due | None:
    """Lock a delivery whose turn has come; None when it is finished, not due, another's, or of a newer version."""
    row = await conn.fetchrow(LOCK_DUE, org_id, delivery_id, now)
    if row is not None and (row["kind"] not in KINDS or row["channel"] not in CHANNELS):
        log.warning("delivery_of_newer_version", delivery_id=str(delivery_id), kind=row["kind"], channel=row["channel"])
        return None
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
    """A locked delivery is not sent after all: cancelled, expired, or without words; or its doubt stays."""
    due_at = NEVER if event is Event.DOUBT_STAYS else None
    await conn.execute(GIVE_UP, due.org_id, due.id, now, NEXT[State.PENDING, event], reason, due_at)


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
        [state for state in moved_by(verdict.event) if state in UNSETTLED],
    )  # fmt: skip
    if settled is None:
        return False
    await conn.execute(FINISH_ATTEMPT, org_id, delivery_id, attempt, now, outcome.kind, outcome.reason, outcome.status)
    return True


async def sweep(conn: Connection, now: datetime, again_at: datetime, limit: int) -> list[Delivery]:
    """Put in doubt what was being sent by who does not answer any more."""
    return [delivery_of(row) for row in await conn.fetch(SWEEP, now, again_at, limit)]


async def repeat(conn: Connection, now: datetime, channels: Iterable[ChannelName], limit: int) -> list[Delivery]:
    """Let those in doubt go out again whose receiver drops a repeat, while attempts are left."""
    return [delivery_of(row) for row in await conn.fetch(REPEAT, now, list(channels), limit)]


async def poke(conn: Connection, queue: Queue, now: datetime, again_s: float, limit: int) -> list[Poke]:
    """Due deliveries that no worker was told of within ``again_s``, the oldest first; marked as told now."""
    statement = POKE_URGENT if queue is Queue.URGENT else POKE_BULK
    rows = await conn.fetch(statement, now, timedelta(seconds=again_s), limit)
    ordered = sorted(rows, key=lambda row: row["due_at"])
    return [Poke(r["org_id"], r["id"], r["attempt"], Queue(r["queue"]), r["request_id"]) for r in ordered]


async def unpoke(conn: Connection, pokes: Sequence[Poke]) -> None:
    """No worker could be told of these."""
    await conn.execute(UNPOKE, [poke.org_id for poke in pokes], [poke.id for poke in pokes])


async def lock(conn: Connection, org_id: UUID, delivery_id: UUID) -> Delivery | None:
    """Lock a delivery for what a person does with it."""
    row = await conn.fetchrow(LOCK, org_id, delivery_id)
    return delivery_of(row) if row else None


async def send_again(
    conn: Connection, delivery: Delivery, event: Event, reason: str, attempts: int, now: datetime
) -> None:
    """Back to pending by a person, with ``attempts`` more tries."""
    await conn.execute(SEND_AGAIN, delivery.org_id, delivery.id, now, reason, attempts, moved_by(event))


async def extend(conn: Connection, delivery: Delivery, valid_until: datetime) -> None:
    """Its notification may be sent until then, if that is later than what it was."""
    await conn.execute(EXTEND, delivery.org_id, delivery.notification_id, valid_until)


async def let_be(conn: Connection, delivery: Delivery, now: datetime) -> None:
    """Nobody will know, and it shall not be sent again."""
    await conn.execute(LET_BE, delivery.org_id, delivery.id, now, moved_by(Event.LET_BE))


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


def delivery_of(row: Record | Mapping[str, Any]) -> Delivery:
    values: dict[str, Any] = dict(row)
    return Delivery(**{**values, "state": State(row["state"])})
