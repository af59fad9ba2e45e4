"""SQL of preferences, suppressions and bounces."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from waypost.notifications.consent.domain import Choice, Suppression, Whose, Why
from waypost.platform.database import Connection

# Those of the notice's recipient and the organisation's own, as far as they speak of this kind and channel.
CHOICES_FOR = """
SELECT p.kind, p.channel, p.wanted, p.customer_id IS NOT NULL OR p.user_id IS NOT NULL AS theirs
  FROM notifications n JOIN preferences p ON p.org_id = n.org_id AND (
       p.customer_id = n.customer_id OR p.user_id = n.user_id OR (p.customer_id IS NULL AND p.user_id IS NULL))
 WHERE n.org_id = $1 AND n.id = $2 AND p.kind IN ('*', $3) AND p.channel IN ('*', $4)
"""
CHOICES_FOR_INBOXES = """
SELECT org_id, user_id, kind, channel, wanted FROM preferences
 WHERE org_id = ANY ($1) AND customer_id IS NULL AND (user_id IS NULL OR user_id = ANY ($2))
   AND channel IN ('*', 'in_app')
"""
CHOICES_OF = """
SELECT kind, channel, wanted, source, changed_at, changed_by FROM preferences
 WHERE org_id = $1 AND customer_id IS NOT DISTINCT FROM $2 AND user_id IS NOT DISTINCT FROM $3
 ORDER BY kind, channel
"""
CHOOSE = """
INSERT INTO preferences (org_id, customer_id, user_id, kind, channel, wanted, source, changed_at, changed_by)
SELECT $1, $2, $3, k.kind, k.channel, k.wanted, $7, $8, $9
  FROM unnest($4::text[], $5::text[], $6::boolean[]) AS k (kind, channel, wanted)
ON CONFLICT (org_id, customer_id, user_id, kind, channel) DO UPDATE
   SET wanted = excluded.wanted, source = excluded.source, changed_at = excluded.changed_at,
       changed_by = excluded.changed_by
 WHERE preferences.wanted <> excluded.wanted
"""
FORGET = """
DELETE FROM preferences
 WHERE org_id = $1 AND customer_id IS NOT DISTINCT FROM $2 AND user_id IS NOT DISTINCT FROM $3
   AND (kind, channel) IN (SELECT * FROM unnest($4::text[], $5::text[]))
"""

SUPPRESSED = """
SELECT reason, sender FROM suppressions WHERE org_id = $1 AND channel = $2 AND address = $3 AND ended_at IS NULL
"""
ADD = """
INSERT INTO suppressions (org_id, id, channel, sender, address, reason, source, detail, since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (org_id, channel, address, sender, reason) WHERE ended_at IS NULL DO NOTHING RETURNING id
"""
_COLUMNS = """
org_id, id, channel, sender, address, reason, source, detail, since, ended_at, ended_by, ended_why
"""
FIND = f"SELECT {_COLUMNS} FROM suppressions WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE"  # noqa: S608
LIST = f"""
SELECT {_COLUMNS} FROM suppressions
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) AND (ended_at IS NULL OR $3)
   AND ($4::text IS NULL OR channel = $4) AND ($5::text IS NULL OR address = $5) AND ($6::text IS NULL OR reason = $6)
 ORDER BY id DESC LIMIT $7
"""  # noqa: S608
END = """
UPDATE suppressions SET ended_at = $3, ended_by = $4, ended_why = $5
 WHERE org_id = $1 AND id = $2 AND ended_at IS NULL
"""
END_OF = """
UPDATE suppressions SET ended_at = $6, ended_why = $7
 WHERE org_id = $1 AND channel = $2 AND address = $3 AND ($4::text IS NULL OR sender IN ('', $4)) AND reason = ANY($5)
   AND ended_at IS NULL
RETURNING id
"""
ADD_BOUNCE = """
INSERT INTO bounces AS b (org_id, id, channel, address, hard, code, at, delivery_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (org_id, delivery_id) WHERE delivery_id IS NOT NULL DO UPDATE
   SET hard = true, code = excluded.code WHERE excluded.hard AND NOT b.hard
"""
SOFT_BOUNCES = """
SELECT count(*) FROM bounces WHERE org_id = $1 AND channel = $2 AND address = $3 AND at > $4 AND NOT hard
   AND NOT forgotten
"""
FORGET_BOUNCES = """
UPDATE bounces SET forgotten = true WHERE org_id = $1 AND channel = $2 AND address = $3 AND NOT forgotten
"""
FORGET_BOUNCES_BEFORE = """
UPDATE bounces b SET forgotten = true FROM deliveries d
 WHERE d.org_id = $1 AND d.id = $2 AND b.org_id = d.org_id AND b.channel = d.channel AND b.address = lower(d.address)
   AND b.at <= d.sent_at AND NOT b.forgotten
"""
DISPROVED = """
UPDATE suppressions s SET ended_at = $4, ended_why = 'arrived'
  FROM deliveries d
 WHERE d.org_id = $1 AND d.id = $2 AND s.org_id = d.org_id AND s.channel = d.channel AND s.address = lower(d.address)
   AND s.reason = ANY($3) AND s.since <= d.sent_at AND s.ended_at IS NULL
"""


async def choices_for(
    conn: Connection, org_id: UUID, notification_id: UUID, kind: str, channel: str
) -> tuple[list[Choice], list[Choice]]:
    """The recipient's, and the organisation's."""
    rows = await conn.fetch(CHOICES_FOR, org_id, notification_id, kind, channel)
    said = [(row["theirs"], Choice(row["kind"], row["channel"], row["wanted"])) for row in rows]
    return [choice for theirs, choice in said if theirs], [choice for theirs, choice in said if not theirs]


async def choices_for_inboxes(
    conn: Connection, org_ids: Collection[UUID], people: Collection[UUID]
) -> dict[tuple[UUID, UUID | None], list[Choice]]:
    """What these members have said of their inboxes; by None what their organisation has."""
    found: dict[tuple[UUID, UUID | None], list[Choice]] = {}
    for row in await conn.fetch(CHOICES_FOR_INBOXES, list(org_ids), list(people)):
        choice = Choice(row["kind"], row["channel"], row["wanted"])
        found.setdefault((row["org_id"], row["user_id"]), []).append(choice)
    return found


async def choices_of(conn: Connection, org_id: UUID, whose: Whose) -> list[Choice]:
    return [Choice(**dict(row)) for row in await conn.fetch(CHOICES_OF, org_id, whose.customer_id, whose.user_id)]


async def choose(
    conn: Connection,
    org_id: UUID,
    whose: Whose,
    choices: Sequence[Choice],
    *,
    source: str,
    now: datetime,
    by: UUID | None = None,
) -> None:
    """Set these; one that says the same as before keeps its time and source."""
    kinds, channels = [choice.kind for choice in choices], [choice.channel for choice in choices]
    said = [choice.wanted for choice in choices]
    await conn.execute(
        CHOOSE, org_id, whose.customer_id, whose.user_id, kinds, channels, said, source, now, by
    )  # fmt: skip


async def forget(conn: Connection, org_id: UUID, whose: Whose, keys: Sequence[tuple[str, str]]) -> None:
    """Of these kinds and channels nothing is said any more."""
    kinds, channels = [kind for kind, _ in keys], [channel for _, channel in keys]
    await conn.execute(FORGET, org_id, whose.customer_id, whose.user_id, kinds, channels)


async def suppressed(conn: Connection, org_id: UUID, channel: str, address: str) -> list[tuple[Why, str]]:
    """Why it is, and by which sender of ours; "": by any."""
    return [(Why(row["reason"]), row["sender"]) for row in await conn.fetch(SUPPRESSED, org_id, channel, address)]


async def add(conn: Connection, row: Suppression) -> bool:
    """False: the same is there."""
    added = await conn.fetchval(
        ADD, row.org_id, row.id, row.channel, row.sender, row.address, row.reason, row.source, row.detail, row.since
    )
    return added is not None


async def lock(conn: Connection, org_id: UUID, suppression_id: UUID) -> Suppression | None:
    row = await conn.fetchrow(FIND, org_id, suppression_id)
    return _suppression(row) if row else None


async def list_suppressions(
    conn: Connection,
    org_id: UUID,
    after: UUID | None,
    limit: int,
    *,
    ended: bool,
    channel: str | None,
    address: str | None,
    reason: str | None,
) -> list[Suppression]:
    """Newest first, ``limit + 1`` of them; ``ended``: those, too."""
    rows = await conn.fetch(LIST, org_id, after, ended, channel, address, reason, limit + 1)
    return [_suppression(row) for row in rows]


async def end(conn: Connection, org_id: UUID, suppression_id: UUID, now: datetime, by: UUID | None, why: str) -> None:
    """Of a locked one."""
    await conn.execute(END, org_id, suppression_id, now, by, why)


async def end_of(
    conn: Connection,
    org_id: UUID,
    *,
    channel: str,
    address: str,
    sender: str | None,
    reasons: Sequence[Why],
    now: datetime,
    why: str,
) -> int:
    """End those of an address for these reasons, of ``sender`` (None: of each) and of all senders; how many."""
    return len(await conn.fetch(END_OF, org_id, channel, address, sender, list(reasons), now, why))


async def add_bounce(
    conn: Connection,
    org_id: UUID,
    bounce_id: UUID,
    *,
    channel: str,
    address: str,
    hard: bool,
    code: str | None,
    at: datetime,
    delivery_id: UUID | None,
) -> None:
    """One a delivery; it may become hard, never soft again."""
    await conn.execute(ADD_BOUNCE, org_id, bounce_id, channel, address, hard, code, at, delivery_id)


async def soft_bounces(conn: Connection, org_id: UUID, channel: str, address: str, since: datetime) -> int:
    """How many there were after ``since``."""
    count: int = await conn.fetchval(SOFT_BOUNCES, org_id, channel, address, since)
    return count


async def disproved(conn: Connection, org_id: UUID, delivery_id: UUID, reasons: Sequence[str], now: datetime) -> None:
    """End the suppressions, and forget the bounces, of a delivery's address from before it was sent."""
    await conn.execute(FORGET_BOUNCES_BEFORE, org_id, delivery_id)
    await conn.execute(DISPROVED, org_id, delivery_id, reasons, now)


async def forget_bounces(conn: Connection, org_id: UUID, channel: str, address: str) -> None:
    """They are not counted any more."""
    await conn.execute(FORGET_BOUNCES, org_id, channel, address)


def _suppression(row: Record) -> Suppression:
    return Suppression(**{**dict(row), "reason": Why(row["reason"])})
