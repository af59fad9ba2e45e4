"""SQL of rows for which a worker asks a provider once, never a second time in doubt: prompts, requests for reversals.

Their states begin alike: queued, asking, asked or in doubt. ``row`` is the name that a statement has for the row.
"""

from __future__ import annotations


def due(table: str, row: str) -> str:
    """What the relay tells the queue; one that was told of is left alone for a while. Now, how long, how many."""
    return f"""
WITH due AS (
    SELECT org_id, id FROM {table}
     WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= now())
       AND (poked_at IS NULL OR poked_at <= now() - $2::interval)
     ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE {table} {row} SET poked_at = now() FROM due WHERE {row}.org_id = due.org_id AND {row}.id = due.id
RETURNING {row}.org_id, {row}.id, {row}.attempt, {row}.request_id
"""  # noqa: S608 - names of our own tables


def untold(table: str) -> str:
    """Nobody could be told of it. Organisation, id, attempt."""
    return f"UPDATE {table} SET poked_at = NULL WHERE org_id = $1 AND id = $2 AND attempt = $3"  # noqa: S608


def claim(table: str, row: str, columns: str) -> str:
    """A worker's own. One that was being asked when its worker died is in doubt. Organisation, id, now, the lease."""
    return f"""
UPDATE {table} {row}
   SET attempt = attempt + 1, lease_until = now() + $4::interval, poked_at = NULL, updated_at = $3,
       tries = tries + CASE state WHEN 'queued' THEN 1 ELSE 0 END,
       asked_at = CASE state WHEN 'queued' THEN $3 ELSE asked_at END,
       state = CASE state WHEN 'queued' THEN 'asking' WHEN 'asking' THEN 'in_doubt' ELSE state END
 WHERE org_id = $1 AND id = $2 AND due_at <= $3 AND (lease_until IS NULL OR lease_until <= now())
RETURNING {columns}
"""  # noqa: S608
