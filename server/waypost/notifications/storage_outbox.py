"""SQL of the outbox, and of what the relay makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from waypost.notifications.domain import Delivery, Notification, Queue, Waiting
from waypost.platform.database import Connection

CHANNEL = "waypost_outbox"  # of NOTIFY: a wake-up, never the promise

ADD_OUTBOX = f"""
WITH added AS (
    INSERT INTO outbox (org_id, id, kind, key, payload, request_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (org_id, key) DO NOTHING RETURNING id)
SELECT pg_notify('{CHANNEL}', '') FROM added
"""  # noqa: S608
ADD_MANY_OUTBOX = f"""
WITH added AS (
    INSERT INTO outbox (org_id, id, kind, key, payload, request_id, created_at)
    SELECT $1, r.id, r.kind, r.key, r.payload, $6, $7
      FROM unnest($2::uuid[], $3::text[], $4::text[], $5::jsonb[]) AS r (id, kind, key, payload)
    ON CONFLICT (org_id, key) DO NOTHING RETURNING id)
SELECT pg_notify('{CHANNEL}', '') FROM added LIMIT 1
"""  # noqa: S608
_WAITING = "SELECT org_id, id, kind, key, payload, request_id, created_at, tries FROM outbox"
LOOK_AT_OUTBOX = f"""
{_WAITING} WHERE processed_at IS NULL AND due_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
TAKE_OUTBOX = f"""
{_WAITING}
 WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND processed_at IS NULL AND due_at <= $3
 ORDER BY id FOR UPDATE SKIP LOCKED
"""  # noqa: S608
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


async def add_many(
    conn: Connection,
    org_id: UUID,
    ids: Sequence[UUID],
    *,
    kinds: Sequence[str],
    keys: Sequence[str],
    payloads: Sequence[str],
    request_id: str | None,
    now: datetime,
) -> None:
    """Many promises at once, each with its kind, key and JSON."""
    await conn.execute(ADD_MANY_OUTBOX, org_id, ids, kinds, keys, payloads, request_id, now)


async def look_at_outbox(conn: Connection, now: datetime, limit: int) -> list[Waiting]:
    """The oldest rows that wait; those that another relay holds are its own."""
    return [Waiting(**dict(row)) for row in await conn.fetch(LOOK_AT_OUTBOX, now, limit)]


async def take_outbox(conn: Connection, rows: Sequence[Waiting], now: datetime) -> list[Waiting]:
    """Those of ``rows`` that still wait, locked; those that another relay holds are its own."""
    org_ids, ids = [row.org_id for row in rows], [row.id for row in rows]
    return [Waiting(**dict(row)) for row in await conn.fetch(TAKE_OUTBOX, org_ids, ids, now)]


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
