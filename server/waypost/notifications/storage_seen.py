"""SQL of what staff see of notifications."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from waypost.notifications.domain import Attempt, Delivery, Filter, Notification
from waypost.notifications.storage import SEEN, delivery_of
from waypost.platform.database import Connection

LIST = """
SELECT org_id, id, kind, customer_id, recipient, subject_kind, subject_id, created_at, valid_until FROM notifications n
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::text IS NULL OR kind = $3)
   AND ($4::uuid IS NULL OR subject_id = $4)
   AND ($5::text IS NULL OR EXISTS (
        SELECT FROM deliveries d WHERE d.org_id = n.org_id AND d.notification_id = n.id AND d.state = $5))
 ORDER BY id DESC LIMIT $6
"""
FIND = """
SELECT org_id, id, kind, customer_id, recipient, subject_kind, subject_id, created_at, valid_until FROM notifications
 WHERE org_id = $1 AND id = $2
"""
DELIVERIES_OF = f"""
SELECT {SEEN} FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.notification_id = ANY($2) ORDER BY d.id
"""  # noqa: S608
ATTEMPTS_OF = """
SELECT a.delivery_id, a.attempt, a.provider, a.started_at, a.finished_at, a.outcome, a.reason, a.status, a.latency_ms
  FROM attempts a JOIN deliveries d ON d.org_id = a.org_id AND d.id = a.delivery_id
 WHERE d.org_id = $1 AND d.notification_id = $2 ORDER BY a.delivery_id, a.attempt
"""
NEWEST_ON_CONSOLE = f"""
SELECT {SEEN}, n.recipient FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.channel = 'console' AND d.body IS NOT NULL ORDER BY d.id DESC LIMIT $1
"""  # noqa: S608


async def list_notifications(
    conn: Connection, org_id: UUID, wanted: Filter, after: UUID | None, limit: int
) -> list[Notification]:
    """Newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST, org_id, after, wanted.kind, wanted.subject_id, wanted.state, limit + 1)
    return [Notification(**dict(row)) for row in rows]


async def find(conn: Connection, org_id: UUID, notification_id: UUID) -> Notification | None:
    row = await conn.fetchrow(FIND, org_id, notification_id)
    return Notification(**dict(row)) if row else None


async def deliveries_of(conn: Connection, org_id: UUID, notifications: Sequence[UUID]) -> list[Delivery]:
    """Their deliveries, in the order in which they were made."""
    return [delivery_of(row) for row in await conn.fetch(DELIVERIES_OF, org_id, notifications)]


async def attempts_of(conn: Connection, org_id: UUID, notification_id: UUID) -> list[Attempt]:
    return [Attempt(**dict(row)) for row in await conn.fetch(ATTEMPTS_OF, org_id, notification_id)]


async def newest_on_console(conn: Connection, limit: int) -> list[tuple[str, Delivery]]:
    """What the console channel has shown last, and to whom. Needs the system scope: of all organisations."""
    rows = await conn.fetch(NEWEST_ON_CONSOLE, limit)
    return [
        (row["recipient"], delivery_of({name: value for name, value in row.items() if name != "recipient"}))
        for row in rows
    ]
