"""SQL of deliveries that ended and told nobody, so far as anybody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.notifications.addresses import ChannelName
from waypost.notifications.planning import Gone
from waypost.notifications.states import NEVER, State
from waypost.platform.database import Connection

_ENDED = """
SELECT d.org_id, d.id, d.notification_id, d.channel, d.address, d.state, d.reason, d.attempt, d.budget, d.repeatable,
       d.updated_at, d.due_at, d.request_id, n.kind, n.customer_id, n.subject_kind, n.subject_id, n.valid_until,
       n.cancelled_at
  FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE d.state IN ('suppressed', 'undelivered', 'failed', 'dead', 'in_doubt') AND d.follow_at < 'infinity'
   AND d.follow_at <= $1
"""
LOOK_AT_ENDED = f"{_ENDED} ORDER BY d.follow_at LIMIT $2"
TAKE_ENDED = f"""
{_ENDED} AND (d.org_id, d.id) IN (SELECT * FROM unnest($2::uuid[], $3::uuid[]))
 ORDER BY d.id FOR UPDATE OF d SKIP LOCKED
"""  # noqa: S608
BESIDE = """
SELECT org_id, notification_id, channel, address, state, reason FROM deliveries
 WHERE (org_id, notification_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""
FOLLOWED = """
UPDATE deliveries d SET follow_at = coalesce(f.at, 'infinity')
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS f (org_id, id, at)
 WHERE d.org_id = f.org_id AND d.id = f.id
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A delivery that ended, or of which nobody knows, with what its notice says of itself."""

    org_id: UUID
    id: UUID
    notification_id: UUID
    channel: str
    address: str
    state: State
    reason: str | None
    attempt: int
    budget: int
    repeatable: bool
    updated_at: datetime
    due_at: datetime
    request_id: str | None
    kind: str
    customer_id: UUID | None
    subject_kind: str
    subject_id: UUID
    valid_until: datetime
    cancelled_at: datetime | None


async def look(conn: Connection, now: datetime, limit: int) -> list[Ended]:
    """Those to be seen to; nothing is locked."""
    return [_ended(dict(row)) for row in await conn.fetch(LOOK_AT_ENDED, now, limit)]


async def take(conn: Connection, ended: Sequence[Ended], now: datetime) -> list[Ended]:
    """Those that are still to be seen to, locked; what another holds is its own."""
    rows = await conn.fetch(TAKE_ENDED, now, [each.org_id for each in ended], [each.id for each in ended])
    return [_ended(dict(row)) for row in rows]


async def beside(conn: Connection, ended: Sequence[Ended]) -> dict[tuple[UUID, UUID], list[Gone]]:
    """All deliveries of their notices, by organisation and notification."""
    found: dict[tuple[UUID, UUID], list[Gone]] = {}
    keys = {(each.org_id, each.notification_id) for each in ended}
    for row in await conn.fetch(BESIDE, [org for org, _ in keys], [notice for _, notice in keys]):
        gone = Gone(row["channel"], row["address"], State(row["state"]), row["reason"])
        found.setdefault((row["org_id"], row["notification_id"]), []).append(gone)
    return found


async def followed(conn: Connection, ended: Sequence[tuple[Ended, datetime | None]]) -> None:
    """They are seen to; with a time: to be looked at again then."""
    await conn.execute(
        FOLLOWED, [each.org_id for each, _ in ended], [each.id for each, _ in ended], [at for _, at in ended]
    )


def _ended(values: dict[str, object]) -> Ended:
    return Ended(**{**values, "state": State(str(values["state"]))})  # type: ignore[arg-type]  # columns by their names


def may_repeat(ended: Ended, channels: frozenset[ChannelName]) -> bool:
    """Does the relay let it out again by itself? Not a doubt that stays: a person decides of that."""
    return (ended.repeatable or ended.channel in channels) and ended.attempt < ended.budget and ended.due_at < NEVER
