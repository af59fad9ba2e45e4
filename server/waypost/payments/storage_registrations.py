"""SQL of telling providers our addresses: it stands on the account's row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from waypost.payments.registration_domain import Turn, Wake
from waypost.platform.database import Connection

# The token of a registration before it stays: the provider may have been told it.
ADD = """
UPDATE payment_providers
   SET c2b_token_hash = coalesce(c2b_token_hash, $3), c2b_token = coalesce(c2b_token, $4), c2b_state = 'queued',
       c2b_text = NULL, c2b_at = $5, c2b_due_at = $5, c2b_tries = 0, version = version + 1
 WHERE org_id = $1 AND id = $2 AND c2b_state IS DISTINCT FROM 'queued' AND c2b_state IS DISTINCT FROM 'asking'
"""
DUE = """
WITH due AS (
    SELECT org_id, id FROM payment_providers
     WHERE c2b_due_at <= $1 AND (c2b_lease_until IS NULL OR c2b_lease_until <= now())
       AND (c2b_poked_at IS NULL OR c2b_poked_at <= now() - $2::interval)
     ORDER BY c2b_due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE payment_providers p SET c2b_poked_at = now() FROM due WHERE p.org_id = due.org_id AND p.id = due.id
RETURNING p.org_id, p.id, p.c2b_attempt
"""
UNTOLD = "UPDATE payment_providers SET c2b_poked_at = NULL WHERE org_id = $1 AND id = $2 AND c2b_attempt = $3"
CLAIM = """
UPDATE payment_providers
   SET c2b_state = 'asking', c2b_attempt = c2b_attempt + 1, c2b_tries = c2b_tries + 1, c2b_poked_at = NULL,
       c2b_lease_until = now() + $4::interval, version = version + 1
 WHERE org_id = $1 AND id = $2 AND c2b_due_at <= $3 AND (c2b_lease_until IS NULL OR c2b_lease_until <= now())
RETURNING c2b_token AS sealed, c2b_attempt AS attempt, c2b_tries AS tries
"""
KEEP = """
UPDATE payment_providers
   SET c2b_state = $4, c2b_text = $5, c2b_due_at = $6, c2b_at = $7, c2b_lease_until = NULL, version = version + 1
 WHERE org_id = $1 AND id = $2 AND c2b_attempt = $3
"""


async def add(conn: Connection, org_id: UUID, provider_id: UUID, token_hash: bytes, sealed: str, now: datetime) -> None:
    """Of a locked account: it is to be told, unless it is being told already."""
    await conn.execute(ADD, org_id, provider_id, token_hash, sealed, now)


async def due(conn: Connection, now: datetime, again_after: timedelta, limit: int) -> list[Wake]:
    """Those that no worker holds, each given out once in ``again_after``. Needs the system scope."""
    return [Wake(*row) for row in await conn.fetch(DUE, now, again_after, limit)]


async def untold(conn: Connection, wakes: Sequence[Wake]) -> None:
    """The queue could not be told of these."""
    await conn.executemany(UNTOLD, [(wake.org_id, wake.id, wake.attempt) for wake in wakes])


async def claim(conn: Connection, org_id: UUID, provider_id: UUID, now: datetime, lease: timedelta) -> Turn | None:
    """Take a due one for one attempt; None: not due, or somebody else's."""
    row = await conn.fetchrow(CLAIM, org_id, provider_id, now, lease)
    return Turn(org_id, provider_id, **row) if row else None


async def keep(
    conn: Connection, turn: Turn, state: str, text: str | None, now: datetime, again_at: datetime | None = None
) -> None:
    """What became of it; nothing, if another attempt has begun."""
    await conn.execute(KEEP, turn.org_id, turn.provider_id, turn.attempt, state, text, again_at, now)
