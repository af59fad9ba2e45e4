"""SQL of what staff see of notifications and their deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.notifications.kinds import KINDS
from waypost.notifications.seen_domain import Attempt, Delivery, DeliveryFilter, Figure, Filter, Notification, Seen
from waypost.notifications.storage import SEEN, delivery_of
from waypost.platform.database import Connection

LAST_ID = UUID(int=2**128 - 1)
NOTIFICATION = """
       n.org_id, n.id, n.kind, n.customer_id, n.recipient, n.subject_kind, n.subject_id, n.created_at, n.valid_until,
       n.user_id, n.resent_from
"""
_LIST = f"""
SELECT {NOTIFICATION} FROM notifications n
 WHERE n.org_id = $1 AND n.id < $2 AND ($3::text IS NULL OR n.kind = $3)
   AND ($4::text IS NULL AND $5::text IS NULL AND $6::text IS NULL OR EXISTS (
        SELECT FROM deliveries d WHERE d.org_id = n.org_id AND d.notification_id = n.id
           AND ($4::text IS NULL OR d.state = $4) AND ($5::text IS NULL OR d.reason = $5)
           AND ($6::text IS NULL OR d.channel = $6)))
   AND ($7::timestamptz IS NULL OR n.created_at >= $7) AND ($8::timestamptz IS NULL OR n.created_at < $8)
"""  # noqa: S608
LIST = _LIST + " ORDER BY n.id DESC LIMIT $9"
LIST_OF_SUBJECTS = (
    _LIST + " AND n.subject_id = ANY($10::uuid[]) AND ($11::uuid IS NULL OR n.customer_id = $11)"
    " ORDER BY n.id DESC LIMIT $9"
)
LIST_OF_CUSTOMER = _LIST + " AND n.customer_id = $10 ORDER BY n.id DESC LIMIT $9"
FIND = f"SELECT {NOTIFICATION} FROM notifications n WHERE n.org_id = $1 AND n.id = $2"  # noqa: S608
FACTS = "SELECT facts FROM notifications WHERE org_id = $1 AND id = $2"

MORE = """
       d.created_at, d.provider_id, d.sender, d.template, d.segments, d.cost, d.cost_currency, d.error, d.sent_at,
       d.told_at, d.instead_of
"""
_OF = "FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id"
DELIVERIES_OF = f"SELECT {SEEN}, {MORE} {_OF} WHERE d.org_id = $1 AND d.notification_id = ANY($2) ORDER BY d.id"
_WANTED = """
   AND ($3::text IS NULL OR d.reason = $3) AND ($4::text IS NULL OR n.kind = $4)
   AND ($5::uuid IS NULL OR d.provider_id = $5)
   AND ($6::timestamptz IS NULL OR d.created_at >= $6) AND ($7::timestamptz IS NULL OR d.created_at < $7)
"""
_SEEN_BY = f"SELECT {SEEN}, {MORE} {_OF} WHERE d.org_id = $1 AND d.id < $2 {_WANTED}"
LIST_DELIVERIES = _SEEN_BY + " AND ($9::text IS NULL OR d.channel = $9) ORDER BY d.id DESC LIMIT $8"
LIST_DELIVERIES_IN_STATE = (
    _SEEN_BY + " AND d.state = $10 AND ($9::text IS NULL OR d.channel = $9) ORDER BY d.id DESC LIMIT $8"
)
LIST_DELIVERIES_TO = (
    _SEEN_BY + " AND d.channel = $9 AND d.address = $10 AND ($11::text IS NULL OR d.state = $11)"
    " ORDER BY d.id DESC LIMIT $8"
)
# Oldest first: who has waited longest goes first. Locked, so that a person's decision of this moment is seen.
TO_REPLAY = f"""
SELECT {SEEN} {_OF}
 WHERE d.org_id = $1 AND d.state = $2 {_WANTED} AND ($9::text IS NULL OR d.channel = $9)
 ORDER BY d.id LIMIT $8 FOR UPDATE OF d SKIP LOCKED
"""
ATTEMPTS_OF = """
SELECT a.delivery_id, a.attempt, a.provider, a.started_at, a.finished_at, a.outcome, a.reason, a.status, a.latency_ms
  FROM attempts a JOIN deliveries d ON d.org_id = a.org_id AND d.id = a.delivery_id
 WHERE d.org_id = $1 AND d.notification_id = $2 ORDER BY a.delivery_id, a.attempt
"""
NEWEST_ON_CONSOLE = f"""
SELECT {SEEN}, n.recipient {_OF} WHERE d.channel = 'console' AND d.body IS NOT NULL ORDER BY d.id DESC LIMIT $1
"""
# Ids are in the order of time, so a span of time is a range of the primary key.
FIGURES = """
SELECT (d.created_at AT TIME ZONE $4)::date AS day, n.kind, d.channel, coalesce(d.provider, '') AS provider,
       coalesce(d.cost_currency, '') AS currency, count(*) AS deliveries,
       count(*) FILTER (WHERE d.state = 'sent') AS sent, count(*) FILTER (WHERE d.state = 'delivered') AS delivered,
       count(*) FILTER (WHERE d.state = 'undelivered') AS undelivered,
       count(*) FILTER (WHERE d.state IN ('suppressed', 'cancelled', 'expired')) AS withheld,
       count(*) FILTER (WHERE d.state IN ('failed', 'dead')) AS failed,
       count(*) FILTER (WHERE d.state = 'in_doubt') AS in_doubt,
       count(*) FILTER (WHERE d.state IN ('pending', 'sending')) AS waiting,
       coalesce(sum(d.segments), 0)::bigint AS segments, coalesce(sum(d.cost), 0) AS cost,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.sent_at - d.created_at))::float8 AS p50_s,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM d.sent_at - d.created_at))::float8 AS p95_s
  FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.org_id = $1 AND d.id >= $2 AND d.id < $3
 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1 DESC, 2, 3, 4, 5
"""


async def list_notifications(
    conn: Connection, org_id: UUID, wanted: Filter, after: UUID | None, limit: int
) -> list[Notification]:
    """Newest first, ``limit + 1`` of them."""
    arguments: list[object] = [
        org_id, after or LAST_ID, wanted.kind, wanted.state, wanted.reason, wanted.channel, wanted.since, wanted.until,
        limit + 1,
    ]  # fmt: skip
    statement = LIST
    if wanted.subjects is not None:
        statement, arguments = LIST_OF_SUBJECTS, [*arguments, wanted.subjects, wanted.customer_id]
    elif wanted.customer_id is not None:
        statement, arguments = LIST_OF_CUSTOMER, [*arguments, wanted.customer_id]
    return [Notification(**dict(row)) for row in await conn.fetch(statement, *arguments)]


async def find(conn: Connection, org_id: UUID, notification_id: UUID) -> Notification | None:
    row = await conn.fetchrow(FIND, org_id, notification_id)
    return Notification(**dict(row)) if row else None


async def facts_of(conn: Connection, org_id: UUID, notification_id: UUID) -> str:
    """Its facts, as JSON."""
    return str(await conn.fetchval(FACTS, org_id, notification_id))


async def deliveries_of(conn: Connection, org_id: UUID, notifications: Sequence[UUID]) -> list[Seen]:
    """Their deliveries, in the order in which they were made."""
    return [_seen(row) for row in await conn.fetch(DELIVERIES_OF, org_id, notifications)]


async def list_deliveries(
    conn: Connection, org_id: UUID, wanted: DeliveryFilter, after: UUID | None, limit: int
) -> list[Seen]:
    """Newest first, ``limit + 1`` of them. An address is looked for in its channel."""
    arguments = [org_id, after or LAST_ID, *_wanted(wanted), limit + 1, wanted.channel]
    statement = LIST_DELIVERIES
    if wanted.address is not None:
        statement, arguments = LIST_DELIVERIES_TO, [*arguments, wanted.address, wanted.state]
    elif wanted.state is not None:
        statement, arguments = LIST_DELIVERIES_IN_STATE, [*arguments, wanted.state]
    return [_seen(row) for row in await conn.fetch(statement, *arguments)]


async def to_replay(conn: Connection, org_id: UUID, wanted: DeliveryFilter, limit: int) -> list[Delivery]:
    """The oldest of a state, locked; those that somebody holds are left out."""
    rows = await conn.fetch(TO_REPLAY, org_id, wanted.state, *_wanted(wanted), limit, wanted.channel)
    return [delivery_of(row) for row in rows]


async def attempts_of(conn: Connection, org_id: UUID, notification_id: UUID) -> list[Attempt]:
    return [Attempt(**dict(row)) for row in await conn.fetch(ATTEMPTS_OF, org_id, notification_id)]


async def newest_on_console(conn: Connection, limit: int) -> list[tuple[str, Delivery]]:
    """What the console channel has shown last, and to whom. Needs the system scope: of all organisations."""
    rows = await conn.fetch(NEWEST_ON_CONSOLE, limit)
    return [(row["recipient"], delivery_of(_without(row, "recipient"))) for row in rows]


async def figures(conn: Connection, org_id: UUID, since: UUID, until: UUID, zone: str) -> list[Figure]:
    """Of deliveries whose ids lie between; days are those of ``zone``."""
    return [Figure(**dict(row)) for row in await conn.fetch(FIGURES, org_id, since, until, zone)]


def _wanted(wanted: DeliveryFilter) -> list[object]:
    return [wanted.reason, wanted.kind, wanted.provider_id, wanted.since, wanted.until]


_MORE = tuple(field.name for field in fields(Seen) if field.name != "delivery")


def _seen(row: Record) -> Seen:
    return Seen(_hidden(delivery_of(_without(row, *_MORE))), **{name: row[name] for name in _MORE})


def _hidden(delivery: Delivery) -> Delivery:
    """What a sensitive kind says is nobody's business, whatever the row may still hold."""
    kind = KINDS.get(delivery.kind)
    if kind is None or not kind.sensitive:
        return delivery
    return replace(delivery, subject=None, body=None)


def _without(row: Record, *names: str) -> Mapping[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
