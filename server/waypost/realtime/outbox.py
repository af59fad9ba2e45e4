"""SQL of promised events: written with what they tell, deleted once the bus has taken them.

Writing is the organisation's own, all the rest needs the system scope. Ages and claims go by the database's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from waypost.platform.database import Connection
from waypost.realtime.events import Outgoing

ADD = "INSERT INTO room_events (org_id, room, id, name, head) VALUES ($1, $2, $3, $4, $5)"
# Claims are made one after the other, so that each sees those before it; where another holds an older event of the
# room, the room waits. A row that is being deleted just now is skipped.
TAKE_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('waypost room events', 0))"
CLAIM = """
WITH due AS (
    SELECT org_id, room, id FROM room_events e
     WHERE created_at <= now() - $1::interval AND (claimed_until IS NULL OR claimed_until <= now())
       AND NOT EXISTS (SELECT FROM room_events b
                        WHERE b.org_id = e.org_id AND b.room = e.room AND b.id < e.id AND b.claimed_until > now())
     ORDER BY id LIMIT $2 FOR UPDATE OF e SKIP LOCKED)
UPDATE room_events e SET claimed_until = now() + $3::interval
  FROM due WHERE e.org_id = due.org_id AND e.room = due.room AND e.id = due.id
RETURNING e.org_id, e.room, e.id, e.name, e.head
"""
FORGET = """
DELETE FROM room_events WHERE (org_id, room, id) IN (
    SELECT e.org_id, e.room, e.id
      FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS i (org_id, room, id)
      JOIN room_events e USING (org_id, room, id)
       FOR UPDATE OF e SKIP LOCKED)
"""
WAITING = """
SELECT count(*) AS events, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_s
  FROM room_events WHERE created_at <= now() - $1::interval
"""
DROP_OLD = """
DELETE FROM room_events WHERE (org_id, room, id) IN (
    SELECT org_id, room, id FROM room_events WHERE created_at < now() - $1::interval LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


class Row(NamedTuple):
    """Which row it is."""

    org_id: UUID
    room: str
    id: UUID


class Waiting(NamedTuple):
    """What nobody has published yet: how many, and for how long the oldest waits."""

    events: int
    oldest_s: float


async def add(conn: Connection, row: Row, event: Outgoing) -> None:
    """Promise it, in the transaction of what it tells."""
    await conn.execute(ADD, row.org_id, row.room, row.id, event.name, event.head)


async def claim(conn: Connection, older_than: timedelta, limit: int, lease: timedelta) -> list[tuple[Row, Outgoing]]:
    """The oldest events that were left, in the order of their ids; nothing while another relay is claiming."""
    if not await conn.fetchval(TAKE_TURN):
        return []
    found = [
        (Row(org_id, room, event_id), Outgoing(room, name, head, key=str(event_id)))
        for org_id, room, event_id, name, head in await conn.fetch(CLAIM, older_than, limit, lease)
    ]
    return sorted(found, key=lambda one: one[0].id)


async def forget(conn: Connection, rows: Sequence[Row]) -> None:
    """They are published. What somebody else deletes or claims just now is theirs."""
    await conn.execute(FORGET, [row.org_id for row in rows], [row.room for row in rows], [row.id for row in rows])


async def waiting(conn: Connection, older_than: timedelta) -> Waiting:
    """What should have been published by now."""
    (row,) = await conn.fetch(WAITING, older_than)
    return Waiting(row["events"], row["oldest_s"])


async def drop_old(conn: Connection, older_than: timedelta, limit: int) -> int:
    """Give up what nobody could publish for so long; how many they were."""
    return int((await conn.execute(DROP_OLD, older_than, limit)).split()[-1])
