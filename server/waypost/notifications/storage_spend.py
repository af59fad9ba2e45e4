"""SQL of what messages cost, by the day, and of how providers do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

from waypost.platform.database import Connection

SLOTS = 16  # rows for one sum, so that workers do not wait for each other

ADD = """
INSERT INTO message_spend AS s (org_id, day, channel, provider_id, currency, slot, messages, segments, cost)
VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8)
ON CONFLICT (org_id, day, channel, provider_id, currency, slot)
DO UPDATE SET messages = s.messages + 1, segments = s.segments + excluded.segments, cost = s.cost + excluded.cost
"""
SPENT = """
SELECT coalesce(sum(parts), 0)::bigint AS parts, coalesce(max(cost), 0) AS cost
  FROM (SELECT sum(segments) AS parts, sum(cost) AS cost FROM message_spend
         WHERE org_id = $1 AND day = $2 AND channel = $3 GROUP BY currency) AS by_currency
"""
# Only what is not urgent is held by a cap.
WAKE = """
UPDATE deliveries
   SET due_at = $3::timestamptz + $4::interval * ((hashtext(id::text) & 1023) / 1024.0), poked_at = NULL
 WHERE org_id = $1 AND state = 'pending' AND queue = 'bulk' AND reason = $2 AND due_at > $3
"""
NOTE_HEALTH = """
INSERT INTO provider_health AS h (org_id, provider_id, state, since, detail) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, provider_id) DO UPDATE SET state = excluded.state, since = excluded.since, detail = excluded.detail
 WHERE h.state <> excluded.state
RETURNING since
"""
OUTAGE = "SELECT since FROM provider_health WHERE org_id = $1 AND provider_id = $2 AND state = 'open' FOR UPDATE"


@dataclass(frozen=True, slots=True)
class Spent:
    """Of a day. ``cost``: in the currency in which it is most."""

    parts: int
    cost: Decimal


async def add(
    conn: Connection,
    org_id: UUID,
    day: date,
    channel: str,
    provider_id: UUID,
    *,
    slot: int,
    segments: int,
    cost: Decimal,
    currency: str,
) -> None:
    """One message more."""
    await conn.execute(ADD, org_id, day, channel, provider_id, currency, slot, segments, cost)


async def spent(conn: Connection, org_id: UUID, day: date, channel: str) -> Spent:
    """What that day's messages of a channel have cost so far."""
    row = await conn.fetchrow(SPENT, org_id, day, channel)
    return Spent(row["parts"], row["cost"]) if row else Spent(0, Decimal(0))


async def wake(conn: Connection, org_id: UUID, reason: str, due_at: datetime, spread: timedelta) -> int:
    """What is held for ``reason`` is due at ``due_at``, or up to ``spread`` later, each by its id; how many."""
    return int((await conn.execute(WAKE, org_id, reason, due_at, spread)).split()[-1])


async def note_health(
    conn: Connection, org_id: UUID, provider_id: UUID, state: str, now: datetime, detail: dict[str, object]
) -> bool:
    """How a provider does; False: another worker has said so already."""
    written = msgspec.json.encode(detail).decode()
    return await conn.fetchval(NOTE_HEALTH, org_id, provider_id, state, now, written) is not None


async def outage(conn: Connection, org_id: UUID, provider_id: UUID) -> datetime | None:
    """Since when it is out, as the workers say; locked."""
    since: datetime | None = await conn.fetchval(OUTAGE, org_id, provider_id)
    return since
