"""SQL of rejected locations. Writing needs the system scope, reading the organisation's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from waypost.platform.database import Connection
from waypost.tracking.seen import Kept

ADD_REJECTIONS = """
INSERT INTO fix_rejections (org_id, device_id, id, received_at, source, reason, detail, record, more)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
                     $8::bytea[], $9::int[])
"""
REJECTIONS = """
SELECT id, received_at, source, reason, detail, record, more FROM fix_rejections
 WHERE org_id = $1 AND device_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
"""
# Each device keeps its newest.
TRIM_REJECTIONS = """
DELETE FROM fix_rejections r
 USING (SELECT d.org_id, d.device_id,
               (SELECT id FROM fix_rejections k WHERE k.org_id = d.org_id AND k.device_id = d.device_id
                 ORDER BY id DESC OFFSET $3 LIMIT 1) AS id
          FROM unnest($1::uuid[], $2::uuid[]) AS d (org_id, device_id)) AS first_too_many
 WHERE r.org_id = first_too_many.org_id AND r.device_id = first_too_many.device_id AND r.id <= first_too_many.id
"""
FORGET_REJECTIONS = """
DELETE FROM fix_rejections WHERE (org_id, device_id, id) IN (
    SELECT org_id, device_id, id FROM fix_rejections WHERE received_at < $1 ORDER BY received_at LIMIT $2
       FOR UPDATE SKIP LOCKED)
"""


async def add(conn: Connection, columns: Sequence[Sequence[object]]) -> None:
    """``columns``: as the statement names them."""
    await conn.execute(ADD_REJECTIONS, *columns)


async def rejections(conn: Connection, org_id: UUID, device_id: UUID, before: UUID | None, limit: int) -> list[Kept]:
    """The newest first, ``limit`` of them."""
    rows = await conn.fetch(REJECTIONS, org_id, device_id, before, limit)
    return [Kept(**dict(row)) for row in rows]


async def trim(conn: Connection, devices: Collection[tuple[UUID, UUID]], kept: int) -> int:
    """Delete all but the newest ``kept`` of each (organisation, device); how many they were."""
    done = await conn.execute(TRIM_REJECTIONS, [org for org, _ in devices], [device for _, device in devices], kept)
    return int(done.split()[-1])


async def forget(conn: Connection, before: datetime, limit: int) -> int:
    """Delete what was received before a moment, ``limit`` at most; how many they were."""
    return int((await conn.execute(FORGET_REJECTIONS, before, limit)).split()[-1])
