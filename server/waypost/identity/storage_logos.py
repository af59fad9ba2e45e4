"""SQL of logos."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from waypost.platform.database import Connection

KEPT: Final = 10  # of an organisation: those of e-mails that were sent lately

ADD_LOGO = "INSERT INTO organisation_logos (org_id, key, png, created_at) VALUES ($1, $2, $3, $4)"
DROP_FORMER_LOGOS = """
DELETE FROM organisation_logos WHERE org_id = $1 AND key IN (
    SELECT key FROM organisation_logos WHERE org_id = $1 AND key <> $2 ORDER BY created_at DESC, key OFFSET $3)
"""
DROP_LOGOS = "DELETE FROM organisation_logos WHERE org_id = $1"
FIND_LOGO = "SELECT png FROM organisation_logos WHERE key = $1"


async def add(conn: Connection, org_id: UUID, key: str, png: bytes, now: datetime) -> None:
    """Keep one more; the oldest goes when there are too many."""
    await conn.execute(ADD_LOGO, org_id, key, png, now)
    await conn.execute(DROP_FORMER_LOGOS, org_id, key, KEPT - 1)


async def drop_all(conn: Connection, org_id: UUID) -> None:
    """No logo of theirs is shown any more, former ones neither."""
    await conn.execute(DROP_LOGOS, org_id)


async def find(conn: Connection, key: str) -> bytes | None:
    """Whosever it is: needs the system scope."""
    found: bytes | None = await conn.fetchval(FIND_LOGO, key)
    return found
