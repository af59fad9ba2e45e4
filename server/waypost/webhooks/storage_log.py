"""SQL of the log of deliveries, of sending them once more, and of forgetting them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.platform.database import Connection
from waypost.webhooks.domain import EVERYTHING, Attempt, Delivery, DeliveryFilter, State, Webhook
from waypost.webhooks.rules import TRIES

_SEEN = """
SELECT d.org_id, d.id, d.webhook_id, d.event_id, e.type, e.seq, e.created_at AS happened_at, d.state, d.reason,
       d.attempt, d.budget, d.due_at, d.created_at, d.updated_at,
       (SELECT a.status FROM webhook_attempts a
         WHERE a.org_id = d.org_id AND a.delivery_id = d.id AND a.attempt = d.attempt) AS status
  FROM webhook_deliveries d JOIN webhook_events e ON e.org_id = d.org_id AND e.id = d.event_id
 WHERE d.org_id = $1 AND d.webhook_id = $2
"""
LIST = f"""
{_SEEN} AND ($3::uuid IS NULL OR d.id < $3) AND ($4::text IS NULL OR d.state = $4) AND ($5::text IS NULL OR e.type = $5)
   AND ($6::timestamptz IS NULL OR e.created_at >= $6) AND ($7::timestamptz IS NULL OR e.created_at < $7)
 ORDER BY d.id DESC LIMIT $8
"""
FIND = f"{_SEEN} AND d.id = $3"
LOCK = f"{FIND} FOR UPDATE OF d"
BODY = "SELECT body FROM webhook_events WHERE org_id = $1 AND id = $2"
ATTEMPTS = """
SELECT attempt, started_at, finished_at, outcome, reason, status, latency_ms, answer FROM webhook_attempts
 WHERE org_id = $1 AND delivery_id = $2 ORDER BY attempt
"""
AGAIN = """
UPDATE webhook_deliveries
   SET state = 'pending', reason = 'replayed', due_at = $3, budget = attempt + $4, poked_at = NULL, updated_at = $3
 WHERE org_id = $1 AND id = $2 AND state = ANY($5)
"""
# Of what happened then and is wanted: what was not taken, and what it was never told of, as it was off or not there.
TO_REPLAY = """
SELECT e.id AS event_id, d.id FROM webhook_events e
  LEFT JOIN webhook_deliveries d ON d.org_id = e.org_id AND d.webhook_id = $2 AND d.event_id = e.id
 WHERE e.org_id = $1 AND e.created_at >= $3 AND e.created_at < $4 AND ($5 = ANY($6::text[]) OR e.type = ANY($6::text[]))
   AND e.subject_kind <> 'test' AND (d.id IS NULL OR d.state = ANY($7))
 ORDER BY e.created_at, e.id LIMIT $8
"""
AGAIN_MANY = """
UPDATE webhook_deliveries
   SET state = 'pending', reason = 'replayed', due_at = $3, budget = attempt + $4, poked_at = NULL, updated_at = $3
 WHERE org_id = $1 AND id = ANY($2) AND state = ANY($5)
"""
ADD_MANY = """
INSERT INTO webhook_deliveries (org_id, id, webhook_id, event_id, state, reason, budget, due_at, created_at, updated_at)
SELECT $1, n.id, $2, n.event_id, 'pending', 'replayed', $5, $6, $6, $6
  FROM unnest($3::uuid[], $4::uuid[]) AS n (id, event_id)
ON CONFLICT (org_id, webhook_id, event_id) DO NOTHING
"""
CANCEL_STRAYS = """
UPDATE webhook_deliveries d SET state = 'cancelled', reason = 'webhook_off', poked_at = NULL, updated_at = $1
  FROM webhooks w
 WHERE w.org_id = d.org_id AND w.id = d.webhook_id AND d.state = 'pending'
   AND (w.state = 'off' OR w.archived_at IS NOT NULL)
"""
# Retention: never what waits or is being sent.
FORGET = """
WITH old AS (
    SELECT e.org_id, e.id FROM webhook_events e
     WHERE e.created_at < $1
       AND NOT EXISTS (SELECT FROM webhook_deliveries d
                        WHERE d.org_id = e.org_id AND d.event_id = e.id
                          AND (d.state IN ('pending', 'sending') OR d.updated_at >= $1))
     LIMIT $2 FOR UPDATE OF e SKIP LOCKED),
held AS (
    SELECT d.org_id, d.id, d.event_id FROM webhook_deliveries d
      JOIN old ON d.org_id = old.org_id AND d.event_id = old.id
     WHERE d.state NOT IN ('pending', 'sending') FOR UPDATE OF d SKIP LOCKED),
gone AS (
    SELECT old.org_id, old.id FROM old
     WHERE (SELECT count(*) FROM webhook_deliveries d WHERE d.org_id = old.org_id AND d.event_id = old.id)
         = (SELECT count(*) FROM held h WHERE h.org_id = old.org_id AND h.event_id = old.id)),
tries AS (
    DELETE FROM webhook_attempts a USING gone, held h
     WHERE h.org_id = gone.org_id AND h.event_id = gone.id AND a.org_id = h.org_id AND a.delivery_id = h.id),
sent AS (DELETE FROM webhook_deliveries d USING gone WHERE d.org_id = gone.org_id AND d.event_id = gone.id)
DELETE FROM webhook_events e USING gone WHERE e.org_id = gone.org_id AND e.id = gone.id
"""


async def list_deliveries(
    conn: Connection, org_id: UUID, webhook_id: UUID, wanted: DeliveryFilter, after: UUID | None, limit: int
) -> list[Delivery]:
    """Newest first; ``limit + 1`` of them."""
    rows = await conn.fetch(
        LIST, org_id, webhook_id, after, wanted.state, wanted.type, wanted.since, wanted.until, limit + 1
    )  # fmt: skip
    return [_delivery(row) for row in rows]


async def find(
    conn: Connection, org_id: UUID, webhook_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery | None:
    row = await conn.fetchrow(LOCK if lock else FIND, org_id, webhook_id, delivery_id)
    return _delivery(row) if row else None


async def body(conn: Connection, delivery: Delivery) -> str:
    """What is sent."""
    return str(await conn.fetchval(BODY, delivery.org_id, delivery.event_id))


async def attempts(conn: Connection, delivery: Delivery) -> list[Attempt]:
    """In their order."""
    return [Attempt(**dict(row)) for row in await conn.fetch(ATTEMPTS, delivery.org_id, delivery.id)]


async def again(conn: Connection, delivery: Delivery, states: Collection[State], now: datetime) -> None:
    """A locked one is due at once, with all its tries before it."""
    await conn.execute(AGAIN, delivery.org_id, delivery.id, now, TRIES, list(states))


async def to_replay(
    conn: Connection, webhook: Webhook, since: datetime, until: datetime, states: Collection[State], limit: int
) -> list[tuple[UUID, UUID | None]]:
    """(event, delivery or None) of a locked webhook, the oldest first; ``limit + 1`` of them."""
    rows = await conn.fetch(
        TO_REPLAY, webhook.org_id, webhook.id, since, until, EVERYTHING, list(webhook.events), list(states), limit + 1
    )  # fmt: skip
    return [(row["event_id"], row["id"]) for row in rows]


async def again_many(
    conn: Connection, webhook: Webhook, ids: Collection[UUID], states: Collection[State], now: datetime
) -> None:
    """These are due at once, with all their tries before them."""
    await conn.execute(AGAIN_MANY, webhook.org_id, list(ids), now, TRIES, list(states))


async def add_many(conn: Connection, webhook: Webhook, new: Collection[tuple[UUID, UUID]], now: datetime) -> None:
    """Deliveries, as (id, event), of what it was never told of."""
    ids, events = [each[0] for each in new], [each[1] for each in new]
    await conn.execute(ADD_MANY, webhook.org_id, webhook.id, ids, events, TRIES, now)


async def cancel_strays(conn: Connection, now: datetime) -> int:
    """What was made for a webhook in the moment in which it was switched off or archived; how many."""
    return int((await conn.execute(CANCEL_STRAYS, now)).split()[-1])


async def forget(conn: Connection, before: datetime, limit: int) -> int:
    """Delete what happened before that and is settled since, with its deliveries; how many events."""
    return int((await conn.execute(FORGET, before, limit)).split()[-1])


def _delivery(row: Record) -> Delivery:
    values: dict[str, Any] = dict(row)
    return Delivery(**{**values, "state": State(values["state"])})
