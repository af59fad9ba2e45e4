"""SQL of inboxes.

A row of ``inbox_heads`` numbers a person's items. It is held until the commit, so the numbers come in the order of the
commits: who asks for what came after the last number they know misses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from waypost.notifications.inbox.domain import Item, Unread
from waypost.platform.database import Connection

# Heads are locked in one order, so that two relays never wait for each other in a circle.
NUMBERS = """
WITH wanted AS (
    SELECT w.org_id, w.user_id, w.items FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS w (org_id, user_id, items)
     ORDER BY w.org_id, w.user_id)
INSERT INTO inbox_heads AS h (org_id, user_id, newest) SELECT org_id, user_id, items FROM wanted
ON CONFLICT (org_id, user_id) DO UPDATE SET newest = h.newest + excluded.newest
RETURNING org_id, user_id, newest
"""
_ITEM = """
SELECT d.inbox_seq AS seq, d.id, d.notification_id, n.kind, n.subject_kind, n.subject_id,
       coalesce(d.subject, '') AS title, coalesce(d.body, '') AS text, d.created_at, d.read_at
  FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.address = $2 AND d.channel = 'in_app'
"""
NEWEST_FIRST = f"{_ITEM} AND d.inbox_seq < $3 ORDER BY d.inbox_seq DESC LIMIT $4"
SINCE = f"{_ITEM} AND d.inbox_seq > $3 ORDER BY d.inbox_seq LIMIT $4"
UNREAD = """
SELECT (SELECT count(*) FROM deliveries
         WHERE org_id = $1 AND address = $2 AND channel = 'in_app' AND read_at IS NULL) AS unread,
       coalesce((SELECT newest FROM inbox_heads WHERE org_id = $1 AND user_id = $3), 0) AS newest
"""
READ_UP_TO = """
UPDATE deliveries SET read_at = $4
 WHERE org_id = $1 AND address = $2 AND channel = 'in_app' AND read_at IS NULL AND inbox_seq <= $3
"""
READ_THESE = """
UPDATE deliveries SET read_at = $4
 WHERE org_id = $1 AND address = $2 AND channel = 'in_app' AND read_at IS NULL AND id = ANY ($3)
"""


async def take_numbers(conn: Connection, items: Sequence[tuple[UUID, UUID, int]]) -> dict[tuple[UUID, UUID], int]:
    """For so many items of each person (organisation, user, count) the number of the last; held until the commit."""
    rows = await conn.fetch(NUMBERS, *([one[n] for one in items] for n in range(3)))
    return {(row["org_id"], row["user_id"]): row["newest"] for row in rows}


async def newest_first(conn: Connection, org_id: UUID, user_id: UUID, before: int, limit: int) -> list[Item]:
    """``limit + 1`` of them."""
    return [Item(**dict(row)) for row in await conn.fetch(NEWEST_FIRST, org_id, str(user_id), before, limit + 1)]


async def since(conn: Connection, org_id: UUID, user_id: UUID, after: int, limit: int) -> list[Item]:
    """What came after that number, in the order in which it came; ``limit + 1`` of them."""
    return [Item(**dict(row)) for row in await conn.fetch(SINCE, org_id, str(user_id), after, limit + 1)]


async def unread(conn: Connection, org_id: UUID, user_id: UUID) -> Unread:
    """How many they have not read."""
    (row,) = await conn.fetch(UNREAD, org_id, str(user_id), user_id)
    return Unread(**dict(row))


async def read_up_to(conn: Connection, org_id: UUID, user_id: UUID, seq: int, now: datetime) -> bool:
    """Has anything changed by it?"""
    return await conn.execute(READ_UP_TO, org_id, str(user_id), seq, now) != "UPDATE 0"


async def read_these(conn: Connection, org_id: UUID, user_id: UUID, ids: Sequence[UUID], now: datetime) -> bool:
    """The same for single ones; those that are not theirs are left alone."""
    return await conn.execute(READ_THESE, org_id, str(user_id), ids, now) != "UPDATE 0"
