"""SQL of the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from waypost.notifications.domain import Waiting
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


# The urgent kinds of all organisations before the rest, however much of that there is; of either, each organisation's
# share before what one alone has more of. The organisations are found by leaps over the index.
def _due(are: str) -> str:
    return f"processed_at IS NULL AND due_at <= $1 AND kind {are} ($3)"


def _oldest(are: str) -> str:
    return f"{_WAITING} WHERE {_due(are)} ORDER BY id LIMIT $2"


def _shares(are: str) -> str:
    return f"""
WITH RECURSIVE orgs AS (
    (SELECT org_id FROM outbox WHERE processed_at IS NULL ORDER BY org_id LIMIT 1)
    UNION ALL
    SELECT (SELECT x.org_id FROM outbox x WHERE x.processed_at IS NULL AND x.org_id > o.org_id
             ORDER BY x.org_id LIMIT 1)
      FROM orgs o WHERE o.org_id IS NOT NULL),
share AS (SELECT greatest(1, $2 / greatest(1, count(*))) AS size FROM orgs WHERE org_id IS NOT NULL)
SELECT x.* FROM orgs o, LATERAL (
       {_WAITING} WHERE org_id = o.org_id AND {_due(are)} ORDER BY id LIMIT (SELECT size FROM share)) x
 WHERE o.org_id IS NOT NULL ORDER BY x.id LIMIT $2
"""  # noqa: S608


SHARES_URGENT, SHARES_BULK = _shares("<> ALL"), _shares("= ANY")
OLDEST_URGENT, OLDEST_BULK = _oldest("<> ALL"), _oldest("= ANY")
TAKE_OUTBOX = f"""
{_WAITING}
 WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND processed_at IS NULL AND due_at <= $3
 ORDER BY id FOR UPDATE SKIP LOCKED
"""  # noqa: S608
CLOSE_OUTBOX = """
UPDATE outbox SET processed_at = $3, trouble = NULL
 WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""
PUT_OFF_OUTBOX = "UPDATE outbox SET tries = tries + 1, trouble = $3, due_at = $4 WHERE org_id = $1 AND id = $2"


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


async def look_at_outbox(conn: Connection, now: datetime, limit: int, bulk: Sequence[str]) -> list[Waiting]:
    """Rows that wait, the oldest of each organisation, those of ``bulk`` kinds last. Nothing is locked."""
    found = await _look(conn, (SHARES_URGENT, OLDEST_URGENT), now, limit, bulk)
    if len(found) < limit:
        found += await _look(conn, (SHARES_BULK, OLDEST_BULK), now, limit - len(found), bulk)
    return found


async def _look(
    conn: Connection, statements: tuple[str, str], now: datetime, limit: int, bulk: Sequence[str]
) -> list[Waiting]:
    shares, oldest = statements
    rows = await conn.fetch(shares, now, limit, bulk)
    if 0 < len(rows) < limit:
        known = {row["id"] for row in rows}
        more = [row for row in await conn.fetch(oldest, now, limit, bulk) if row["id"] not in known]
        rows += more[: limit - len(rows)]
    return [Waiting(**dict(row)) for row in rows]


async def take_outbox(conn: Connection, rows: Sequence[Waiting], now: datetime) -> list[Waiting]:
    """Those of ``rows`` that still wait, locked; those that another relay holds are its own."""
    org_ids, ids = [row.org_id for row in rows], [row.id for row in rows]
    return [Waiting(**dict(row)) for row in await conn.fetch(TAKE_OUTBOX, org_ids, ids, now)]


async def close_outbox(conn: Connection, rows: Sequence[Waiting], now: datetime) -> None:
    await conn.execute(CLOSE_OUTBOX, [row.org_id for row in rows], [row.id for row in rows], now)


async def put_off_outbox(conn: Connection, row: Waiting, trouble: str, due_at: datetime) -> None:
    """A row that could not be kept waits; it is never given up."""
    await conn.execute(PUT_OFF_OUTBOX, row.org_id, row.id, trouble, due_at)
