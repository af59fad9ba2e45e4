"""SQL of alerts: what staff must look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.notifications.alert_domain import Alert, AlertFilter
from waypost.platform.database import Connection

ADD_ALERT = """
INSERT INTO alerts (org_id, id, kind, key, subject_kind, subject_id, facts, created_at, digested_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (org_id, key) DO NOTHING RETURNING id
"""
UNDIGESTED = """
SELECT org_id, min(created_at) AS since FROM alerts WHERE digested_at IS NULL AND resolved_at IS NULL GROUP BY org_id
"""
DIGEST = """
UPDATE alerts SET digested_at = $2
 WHERE org_id = $1 AND digested_at IS NULL AND resolved_at IS NULL RETURNING id, kind, facts
"""
_SEEN = """
SELECT a.org_id, a.id, a.kind, a.key, a.subject_kind, a.subject_id, a.facts, a.created_at, a.resolved_at, a.resolved_by,
       u.name AS resolved_by_name, a.resolution
  FROM alerts a LEFT JOIN users u ON u.id = a.resolved_by
"""
LIST_ALERTS = f"""
{_SEEN} WHERE a.org_id = $1 AND ($2::uuid IS NULL OR a.id < $2) AND ($3::text IS NULL OR a.kind = $3)
 ORDER BY a.id DESC LIMIT $4
"""
LIST_OPEN_ALERTS = f"""
{_SEEN} WHERE a.org_id = $1 AND ($2::uuid IS NULL OR a.id < $2) AND ($3::text IS NULL OR a.kind = $3)
   AND a.resolved_at IS NULL
 ORDER BY a.id DESC LIMIT $4
"""
LIST_RESOLVED_ALERTS = f"""
{_SEEN} WHERE a.org_id = $1 AND ($2::uuid IS NULL OR a.id < $2) AND ($3::text IS NULL OR a.kind = $3)
   AND a.resolved_at IS NOT NULL
 ORDER BY a.id DESC LIMIT $4
"""
FIND_ALERT = f"{_SEEN} WHERE a.org_id = $1 AND a.id = $2"
RESOLVE_ALERT = """
UPDATE alerts SET resolved_at = $3, resolved_by = $4, resolution = $5
 WHERE org_id = $1 AND id = $2 AND resolved_at IS NULL RETURNING id
"""
RESOLVE_BY_KEY = """
UPDATE alerts SET resolved_at = $3, resolved_by = $4, resolution = $5
 WHERE org_id = $1 AND key = $2 AND resolved_at IS NULL RETURNING id
"""
_LISTS = {"open": LIST_OPEN_ALERTS, "resolved": LIST_RESOLVED_ALERTS, "all": LIST_ALERTS}


async def add(conn: Connection, alert: Alert, *, told_at: datetime | None = None) -> bool:
    """Keep it; False when its key is there already, resolved or not. ``told_at``: the digest need not say it."""
    a = alert
    facts = msgspec.json.encode(dict(a.facts)).decode()
    added = await conn.fetchval(
        ADD_ALERT, a.org_id, a.id, a.kind, a.key, a.subject_kind, a.subject_id, facts, a.created_at, told_at
    )
    return added is not None


async def listed(conn: Connection, org_id: UUID, wanted: AlertFilter, after: UUID | None, limit: int) -> list[Alert]:
    """Newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(_LISTS[wanted.state], org_id, after, wanted.kind, limit + 1)
    return [_alert(row) for row in rows]


async def find(conn: Connection, org_id: UUID, alert_id: UUID) -> Alert | None:
    row = await conn.fetchrow(FIND_ALERT, org_id, alert_id)
    return _alert(row) if row else None


async def resolve(
    conn: Connection, org_id: UUID, alert_id: UUID, now: datetime, by: UUID | None, resolution: str
) -> bool:
    """End it; False when it is ended already, or absent."""
    return await conn.fetchval(RESOLVE_ALERT, org_id, alert_id, now, by, resolution) is not None


async def resolve_by_key(
    conn: Connection, org_id: UUID, key: str, now: datetime, by: UUID | None, resolution: str
) -> UUID | None:
    """The same by what it is about; its id, None when there is none that is open."""
    ended: UUID | None = await conn.fetchval(RESOLVE_BY_KEY, org_id, key, now, by, resolution)
    return ended


def _alert(row: Record) -> Alert:
    fields: Mapping[str, Any] = dict(row)
    return Alert(**{**fields, "facts": msgspec.json.decode(fields["facts"])})


async def undigested(conn: Connection) -> list[tuple[UUID, datetime]]:
    """Organisations with open alerts that no digest has said, and since when. Needs the system scope."""
    return [(row["org_id"], row["since"]) for row in await conn.fetch(UNDIGESTED)]


async def digest(conn: Connection, org_id: UUID, now: datetime) -> list[tuple[UUID, str, dict[str, str]]]:
    """Open alerts that no digest has said, by id, with their kinds and facts; they count as said now."""
    rows = await conn.fetch(DIGEST, org_id, now)
    found = [(row["id"], row["kind"], msgspec.json.decode(row["facts"], type=dict[str, str])) for row in rows]
    return sorted(found, key=lambda one: one[0])
