"""SQL of comparing a day's messages with a provider's list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from waypost.kernel.ids import uuid7
from waypost.notifications.states import State
from waypost.platform.database import Connection

HELD_AT_MOST = timedelta(days=7)  # from the making of a delivery, of which its id tells, to its sending

KNOWN = """
SELECT provider_ref, id, state FROM deliveries WHERE org_id = $1 AND provider_id = $2 AND provider_ref = ANY($3)
"""
# One that is in doubt may be the message that is not known: that is for the look-ups to say. One that went out by
# another of our accounts is known, too: both may be the same account at the provider.
REPEATED = """
SELECT f.reference FROM unnest($4::text[], $5::text[], $6::text[]) AS f (reference, address, said)
 WHERE (SELECT bool_or(d.provider_ref IS NOT NULL) AND NOT bool_or(d.state IN ('sending', 'in_doubt'))
          FROM deliveries d
         WHERE d.org_id = $1 AND d.channel = 'sms' AND d.address = f.address AND d.id >= $3 AND d.body = f.said
           AND d.provider_id = $2)
   AND NOT EXISTS (SELECT FROM deliveries o
                    WHERE o.org_id = $1 AND o.channel = 'sms' AND o.address = f.address AND o.id >= $3
                      AND o.provider_ref = f.reference)
 ORDER BY f.reference
"""
SILENT = """
SELECT id, provider_ref FROM deliveries
 WHERE org_id = $1 AND state = 'sent' AND id >= $3 AND id > $6 AND provider_id = $2 AND provider_ref IS NOT NULL
   AND sent_at >= $4 AND sent_at < $5
 ORDER BY id LIMIT $7
"""


async def known(
    conn: Connection, org_id: UUID, provider_id: UUID, references: Sequence[str]
) -> Mapping[str, tuple[UUID, State]]:
    """Which of these messages are deliveries of ours, and how they stand."""
    rows = await conn.fetch(KNOWN, org_id, provider_id, references)
    return {row["provider_ref"]: (row["id"], State(row["state"])) for row in rows}


async def repeated(
    conn: Connection, org_id: UUID, provider_id: UUID, since: datetime, found: Sequence[tuple[str, str, str]]
) -> list[str]:
    """Which of these (reference, address, text), none of which we know, say what a delivery of ours said there."""
    references, addresses, texts = [list(column) for column in zip(*found, strict=True)] if found else ([], [], [])
    oldest = uuid7(since - HELD_AT_MOST, 0)
    rows = await conn.fetch(REPEATED, org_id, provider_id, oldest, references, addresses, texts)
    return [row["reference"] for row in rows]


async def silent(
    conn: Connection, org_id: UUID, provider_id: UUID, between: tuple[datetime, datetime], after: UUID, limit: int
) -> list[tuple[UUID, str]]:
    """What was sent then and of which nothing was heard since, with the provider's reference; by id."""
    first, last = between
    oldest = uuid7(first - HELD_AT_MOST, 0)
    rows = await conn.fetch(SILENT, org_id, provider_id, oldest, first, last, after, limit)
    return [(row["id"], row["provider_ref"]) for row in rows]
