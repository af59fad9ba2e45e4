"""SQL of looking up what is in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from waypost.notifications.looking import Doubt
from waypost.platform.database import Connection

# Soon at first, then ever more seldom: the next after half as long again as it has been in doubt. After a day, a person
# decides.
DUE = """
WITH due AS (
    SELECT org_id, id FROM deliveries
     WHERE state = 'in_doubt' AND provider = 'twilio' AND channel = 'sms' AND provider_id IS NOT NULL
       AND updated_at > $1::timestamptz - interval '1 day'
       AND (poked_at IS NULL OR poked_at < now() - greatest($3::interval, ($1::timestamptz - updated_at) / 2))
     ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE deliveries d SET poked_at = now() FROM due WHERE d.org_id = due.org_id AND d.id = due.id
RETURNING d.org_id, d.id, d.attempt, extract(epoch FROM d.poked_at)::bigint AS turn
"""
UNTOLD = """
UPDATE deliveries SET poked_at = NULL
 WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND state = 'in_doubt'
"""
FIND = """
SELECT d.org_id, d.id, d.provider_id, d.address, d.body AS text, min(a.started_at) AS started_at,
       max(a.started_at) AS last_at
  FROM deliveries d
  JOIN attempts a ON a.org_id = d.org_id AND a.delivery_id = d.id AND coalesce(a.outcome, 'unknown') = 'unknown'
 WHERE d.org_id = $1 AND d.id = $2 AND d.state = 'in_doubt' AND d.provider = 'twilio' AND d.provider_id IS NOT NULL
 GROUP BY d.org_id, d.id
"""
# Two that say the same to one number must not both take the one message that is found.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text || $2::text, 0))"
OTHERS = """
SELECT provider_ref FROM deliveries
 WHERE org_id = $1 AND provider_id = $2 AND provider_ref = ANY($3) AND id <> $4
"""


@dataclass(frozen=True, slots=True)
class Wake:
    """A delivery to look up. ``turn``: which look-up of it this is."""

    org_id: UUID
    id: UUID
    attempt: int
    turn: int


async def due(conn: Connection, now: datetime, limit: int, again_s: float) -> list[Wake]:
    """Those whose turn has come; they count as looked up from now on."""
    rows = await conn.fetch(DUE, now, limit, timedelta(seconds=again_s))
    return [Wake(**dict(row)) for row in rows]


async def untold(conn: Connection, wakes: Sequence[Wake]) -> None:
    """No worker could be told of these."""
    await conn.execute(UNTOLD, [wake.org_id for wake in wakes], [wake.id for wake in wakes])


async def find(conn: Connection, org_id: UUID, delivery_id: UUID) -> Doubt | None:
    """None: it is in doubt no longer."""
    row = await conn.fetchrow(FIND, org_id, delivery_id)
    return Doubt(**dict(row)) if row else None


async def others(conn: Connection, doubt: Doubt, sids: Sequence[str]) -> set[str]:
    """Which of these messages are other deliveries'. Nobody else settles one to this number meanwhile."""
    await conn.execute(ONE_AT_A_TIME, doubt.org_id, doubt.address)
    rows = await conn.fetch(OTHERS, doubt.org_id, doubt.provider_id, list(sids), doubt.id)
    return {row["provider_ref"] for row in rows}
