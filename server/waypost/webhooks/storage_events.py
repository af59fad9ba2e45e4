"""SQL of what happened, and of the deliveries that it makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from waypost.platform.database import Connection
from waypost.webhooks.domain import EVERYTHING

WISHES = """
SELECT org_id, id, events, state = 'on' AS is_on FROM webhooks WHERE org_id = ANY($1) AND archived_at IS NULL
"""
NUMBERS = "SELECT nextval('webhook_seq') AS number FROM generate_series(1, $1::integer)"
ADD = """
WITH added AS (
    INSERT INTO webhook_events (org_id, id, seq, key, type, subject_kind, subject_id, body, created_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                         $8::text[], $9::timestamptz[])
    ON CONFLICT (org_id, key) DO NOTHING RETURNING org_id, id)
INSERT INTO webhook_deliveries (org_id, id, webhook_id, event_id, state, budget, due_at, created_at, updated_at)
SELECT n.org_id, n.id, n.webhook_id, n.event_id, 'pending', $14, $15, $15, $15
  FROM unnest($10::uuid[], $11::uuid[], $12::uuid[], $13::uuid[]) AS n (org_id, id, webhook_id, event_id)
  JOIN added ON added.org_id = n.org_id AND added.id = n.event_id
"""


class Wish(NamedTuple):
    """What a webhook wants to hear of."""

    webhook_id: UUID
    events: Sequence[str]
    is_on: bool

    def wants(self, event_type: str) -> bool:
        """Is it told of events of that type?"""
        return EVERYTHING in self.events or event_type in self.events


class NewEvent(NamedTuple):
    """A row to be."""

    org_id: UUID
    id: UUID
    seq: int
    key: str
    type: str
    subject_kind: str
    subject_id: UUID | None
    body: str
    created_at: datetime


class NewDelivery(NamedTuple):
    """A row to be."""

    org_id: UUID
    id: UUID
    webhook_id: UUID
    event_id: UUID


async def wishes(conn: Connection, org_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Wish]]:
    """Of the webhooks of these organisations that are not archived."""
    found: dict[UUID, list[Wish]] = {}
    for row in await conn.fetch(WISHES, list(org_ids)):
        found.setdefault(row["org_id"], []).append(Wish(row["id"], row["events"], row["is_on"]))
    return found


async def numbers(conn: Connection, count: int) -> Sequence[int]:
    """The next numbers of the sequence."""
    return [row["number"] for row in await conn.fetch(NUMBERS, count)]


async def add(
    conn: Connection, events: Sequence[NewEvent], deliveries: Sequence[NewDelivery], budget: int, now: datetime
) -> None:
    """Those with a key that is there already add nothing, nor do their deliveries."""
    await conn.execute(ADD, *_columns(events, len(NewEvent._fields)), *_columns(deliveries, 4), budget, now)


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
