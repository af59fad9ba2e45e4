"""SQL of deliveries and their attempts.

Leases are the one thing that the database's own clock decides, since several machines compare them; all other times
are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.notifications import states
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Due, Message, Text, Try, Used
from waypost.notifications.kinds import KINDS
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.states import NEVER, NEXT, Event, Outcome, OutcomeKind, State, Verdict, moved_by
from waypost.platform.database import Connection
from waypost.platform.telemetry import log


class End(Enum):
    """What an attempt's end has changed."""

    MOVED = "moved"
    OVERTAKEN = "overtaken"  # a receipt had moved the delivery already
    NOT_OURS = "not_ours"  # a later attempt has begun, or it was settled: nothing


CHANNELS = frozenset(str(name) for name in ChannelName)

# A worker's clock may be behind that of the relay, which has found it due: so a claim is some seconds generous.
LOCK_DUE = """
SELECT d.org_id, d.id, d.notification_id, n.kind, d.channel, d.address, d.attempt, d.budget, n.recipient, n.locale,
       n.subject_id, n.customer_id, n.facts, n.valid_until, n.cancelled_at, d.template, d.subject, d.body, d.html,
       n.user_id, n.time_zone, d.reason,
       EXISTS (SELECT FROM attempts a
                WHERE a.org_id = d.org_id AND a.delivery_id = d.id AND a.outcome = 'unknown') AS doubted
  FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.id = $2 AND d.state = 'pending' AND d.due_at <= $3::timestamptz + interval '5 seconds'
   FOR UPDATE OF d
"""
CLAIM = """
UPDATE deliveries
   SET state = 'sending', reason = NULL, attempt = attempt + 1, lease_until = now() + $4::interval,
       provider = $5, template = $6, subject = $7, body = $8, html = $9, provider_id = $10, repeatable = $11,
       updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = 'pending' AND due_at <= $3::timestamptz + interval '5 seconds'
RETURNING attempt
"""
START_ATTEMPT = """
INSERT INTO attempts (org_id, delivery_id, attempt, provider, provider_id, started_at) VALUES ($1, $2, $3, $4, $6, $5)
"""
TRIES = """
SELECT attempt, provider_id, outcome FROM attempts WHERE org_id = $1 AND delivery_id = $2 ORDER BY attempt
"""
HOLD = """
UPDATE deliveries SET reason = $4, due_at = $5, held = held + 1, poked_at = NULL, updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = 'pending'
"""
GIVE_UP = """
UPDATE deliveries SET state = $4, reason = $5, due_at = coalesce($6, due_at), updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = 'pending'
"""
# What the end of a try may still change; a row that is pending again has had its end.
UNSETTLED = frozenset({State.SENDING, State.IN_DOUBT})
SETTLE = """
UPDATE deliveries
   SET state = $4, reason = $5, due_at = coalesce($6, due_at), provider_ref = coalesce($7, provider_ref),
       lease_until = NULL, poked_at = NULL, updated_at = $8, sent_at = CASE WHEN $4 = 'sent' THEN $8 ELSE sent_at END,
       sender = coalesce($10, sender), segments = coalesce($11, segments), cost = coalesce($12, cost),
       cost_currency = coalesce($13, cost_currency), subject = CASE WHEN NOT $14 THEN subject END,
       body = CASE WHEN NOT $14 THEN body END, html = CASE WHEN NOT $14 THEN html END
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = ANY($9)
RETURNING id
"""
# A receipt has overtaken the provider's answer and settled the row: what the answer says of it is kept.
OVERTAKEN = """
UPDATE deliveries
   SET provider_ref = coalesce(provider_ref, $4), sender = coalesce($5, sender), segments = coalesce($6, segments),
       cost = coalesce($7, cost), cost_currency = coalesce($8, cost_currency),
       subject = CASE WHEN NOT $9 THEN subject END, body = CASE WHEN NOT $9 THEN body END,
       html = CASE WHEN NOT $9 THEN html END
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state IN ('sent', 'delivered', 'undelivered')
RETURNING id
"""
FINISH_ATTEMPT = """
UPDATE attempts SET finished_at = $4, outcome = $5, reason = $6, status = $7,
       latency_ms = greatest(0, extract(epoch FROM $4 - started_at) * 1000)::integer
 WHERE org_id = $1 AND delivery_id = $2 AND attempt = $3 AND coalesce(outcome, 'unknown') = 'unknown'
"""
# A receipt or a look-up; the error that was named first stays.
REPORT = """
UPDATE deliveries
   SET state = $4, reason = $5, error = coalesce(error, $6), provider_ref = coalesce(provider_ref, $7),
       lease_until = NULL, poked_at = NULL, due_at = coalesce($8, due_at), updated_at = $3, follow_at = '-infinity',
       sent_at = CASE WHEN $9 THEN coalesce(sent_at, $3) ELSE sent_at END,
       told_at = CASE WHEN $4 IN ('delivered', 'undelivered') THEN coalesce(told_at, $3) ELSE told_at END
 WHERE org_id = $1 AND id = $2
"""
DOUBTED = """
SELECT EXISTS (SELECT FROM attempts
                WHERE org_id = $1 AND delivery_id = $2 AND attempt BETWEEN $3 AND $4 AND outcome = 'unknown')
"""
REPORTED_ATTEMPT = """
UPDATE attempts SET finished_at = coalesce(finished_at, $4), outcome = $5, reason = $6
 WHERE org_id = $1 AND delivery_id = $2 AND attempt = $3 AND coalesce(outcome, 'unknown') = 'unknown'
"""

SEEN = """
       d.org_id, d.id, d.notification_id, n.kind, d.channel, d.address, d.state, d.reason, d.attempt, d.budget,
       d.due_at, d.updated_at, d.provider, d.provider_ref, d.subject, d.body
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
       follow_at = '-infinity',
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

# Of what was told of the same to the same person before; what may have gone out counts.
TOLD_BEFORE = """
SELECT EXISTS (
    SELECT FROM notifications n JOIN deliveries d ON d.org_id = n.org_id AND d.notification_id = n.id
     WHERE n.org_id = $1 AND n.subject_id = $2 AND n.customer_id = $3 AND n.id <> $4
       AND d.state IN ('sending', 'in_doubt', 'sent', 'delivered', 'undelivered'))
"""


async def lock_due(conn: Connection, org_id: UUID, delivery_id: UUID, now: datetime) -> Due | None:
    """Lock a delivery whose turn has come; None when it is finished, not due, another's, or of a newer version."""
    row = await conn.fetchrow(LOCK_DUE, org_id, delivery_id, now)
    if row is not None and (row["kind"] not in KINDS or row["channel"] not in CHANNELS):
        log.warning("delivery_of_newer_version", delivery_id=str(delivery_id), kind=row["kind"], channel=row["channel"])
        return None
    return _due(row) if row else None


async def tries(conn: Connection, due: Due) -> list[Try]:
    """The attempts so far, in their order."""
    if due.attempt == 0:
        return []
    return [Try(**dict(row)) for row in await conn.fetch(TRIES, due.org_id, due.id)]


async def claim(
    conn: Connection,
    due: Due,
    text: Text,
    *,
    provider: str,
    lease_s: float,
    now: datetime,
    provider_id: UUID | None = None,
    repeatable: bool = False,
) -> int | None:
    """Take a due delivery for one attempt and keep what will be said; the attempt's number, or None: it is not ours.

    ``repeatable``: were it in doubt, it may go out again by itself. A lease that ran out is the sweep's: it puts the
    delivery in doubt, never back to pending.
    """
    attempt: int | None = await conn.fetchval(
        CLAIM, due.org_id, due.id, now, timedelta(seconds=lease_s), provider, text.template, text.subject, text.body,
        text.html, provider_id, repeatable,
    )  # fmt: skip
    if attempt is not None:
        await conn.execute(START_ATTEMPT, due.org_id, due.id, attempt, provider, now, provider_id)
    return attempt


async def hold(conn: Connection, due: Due, reason: str, until: datetime, now: datetime) -> None:
    """A locked delivery waits until then; no attempt is counted."""
    await conn.execute(HOLD, due.org_id, due.id, now, reason, until)


async def give_up(conn: Connection, due: Due, event: Event, reason: str, now: datetime) -> None:
    """A locked delivery is not sent after all: cancelled, expired, or without words; or its doubt stays."""
    due_at = NEVER if event is Event.DOUBT_STAYS else None
    await conn.execute(GIVE_UP, due.org_id, due.id, now, NEXT[State.PENDING, event], reason, due_at)


async def settle(
    conn: Connection, message: Message, verdict: Verdict, outcome: Outcome, used: Used, now: datetime
) -> End:
    """Write what became of an attempt, and what it used."""
    ids = message.org_id, message.delivery_id, message.attempt
    told = outcome.kind is OutcomeKind.ACCEPTED
    forget = KINDS[message.kind].sensitive and verdict.event in {Event.ACCEPTED, Event.REFUSED, Event.SPENT}
    movable = [state for state in moved_by(verdict.event) if state in UNSETTLED]
    moved = await conn.fetchval(
        SETTLE, *ids, verdict.state, verdict.reason, verdict.due_at, outcome.reference, now, movable, used.sender,
        used.segments, used.cost, used.currency, forget,
    )  # fmt: skip
    if moved is None:
        overtaken = told and await conn.fetchval(
            OVERTAKEN, *ids, outcome.reference, used.sender, used.segments, used.cost, used.currency, forget
        )
        if not overtaken:
            return End.NOT_OURS
    await conn.execute(FINISH_ATTEMPT, *ids, now, outcome.kind, outcome.reason, outcome.status)
    return End.OVERTAKEN if moved is None else End.MOVED


async def report(
    conn: Connection,
    org_id: UUID,
    delivery_id: UUID,
    event: Event,
    *,
    reason: str | None,
    now: datetime,
    provider_ref: str | None = None,
) -> State | None:
    """Move a delivery by a receipt or a look-up, under its lock; the new state, or None: the table has no such move.

    ``reason``: the provider's word, where it did not arrive. What was in doubt is not any more.
    """
    delivery = await lock(conn, org_id, delivery_id)
    if delivery is None or (move := await _move(conn, delivery, event)) is None:
        return None
    event, state = move
    absent, failed = event not in {Event.RECEIPT_SENT, Event.DELIVERED, Event.UNDELIVERED}, event is Event.UNDELIVERED
    await conn.execute(
        REPORT, org_id, delivery_id, now, state, reason, reason if failed else None, provider_ref,
        {Event.ABSENT: now, Event.DOUBT_STAYS: NEVER}.get(event), not absent,
    )  # fmt: skip
    outcome = OutcomeKind.NOT_SENT if absent else OutcomeKind.ACCEPTED
    await conn.execute(REPORTED_ATTEMPT, org_id, delivery_id, delivery.attempt, now, outcome, reason)
    return state


async def _move(conn: Connection, delivery: Delivery, event: Event) -> tuple[Event, State] | None:
    """What a report comes to. The failure of a try that was proved absent, or that a person had sent again, says
    nothing of the try which is to come.
    """
    ids = delivery.org_id, delivery.id
    if event is Event.ABSENT and delivery.attempt >= delivery.budget:
        before = await conn.fetchval(DOUBTED, *ids, 1, delivery.attempt - 1)
        event = Event.DOUBT_STAYS if before else Event.SPENT
    if event is Event.UNDELIVERED and delivery.state is State.PENDING:
        first = delivery.budget - states.MAX_ATTEMPTS + 1  # since a person last had it sent again
        if not await conn.fetchval(DOUBTED, *ids, first, delivery.attempt):
            return None
    state = NEXT.get((delivery.state, event))
    return (event, state) if state is not None else None


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


async def told_before(conn: Connection, due: Due) -> bool:
    """Were they told anything else of the same subject?"""
    return bool(await conn.fetchval(TOLD_BEFORE, due.org_id, due.subject_id, due.customer_id, due.notification_id))
