"""SQL of what the relay makes: notifications and deliveries, a batch at once; and what it must know for that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from waypost.notifications.addresses import ChannelName
from waypost.notifications.making import Made, NewDelivery
from waypost.platform.database import Connection

ADD_NOTIFICATIONS = """
INSERT INTO notifications (org_id, id, kind, dedupe_key, customer_id, user_id, recipient, locale, time_zone,
                           subject_kind, subject_id, facts, valid_until, request_id, created_at, resent_from)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::uuid[], $12::jsonb[], $13::timestamptz[], $14::text[],
                     $15::timestamptz[], $16::uuid[])
ON CONFLICT (org_id, dedupe_key) DO NOTHING RETURNING org_id, id
"""
ADD_DELIVERIES = """
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, reason, budget, due_at, request_id,
                        created_at, updated_at, instead_of, inbox_seq, template, subject, body, html, sent_at,
                        follow_at)
SELECT n.org_id, n.id, n.notification_id, n.channel, n.address, n.queue, n.state, n.reason, n.budget, n.due_at,
       n.request_id, $19, $19, n.instead_of, n.inbox_seq, n.template, n.subject, n.body, n.html,
       CASE WHEN n.state = 'sent' THEN $19::timestamptz END,
       CASE WHEN n.followed THEN 'infinity' ELSE '-infinity' END::timestamptz
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::integer[], $10::timestamptz[], $11::text[], $12::uuid[], $13::bigint[], $14::text[], $15::text[],
              $16::text[], $17::text[], $18::boolean[])
    AS n (org_id, id, notification_id, channel, address, queue, state, reason, budget, due_at, request_id, instead_of,
          inbox_seq, template, subject, body, html, followed)
ON CONFLICT (org_id, notification_id, channel, address) DO NOTHING RETURNING id
"""
OWN_WAYS = """
SELECT org_id, channel, id FROM message_providers WHERE org_id = ANY ($1) AND archived_at IS NULL ORDER BY org_id, id
"""
SUBSCRIPTIONS = """
SELECT org_id, coalesce(customer_id, user_id) AS person_id, id FROM push_subscriptions
 WHERE ended_at IS NULL AND (
       (org_id, customer_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
    OR (org_id, user_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])))
 ORDER BY id
"""


async def add_notifications(conn: Connection, made: Sequence[Made]) -> set[UUID]:
    """Keep them; the ids of those whose key was not there before."""
    notes = [each.notification for each in made]
    rows = await conn.fetch(
        ADD_NOTIFICATIONS,
        [n.org_id for n in notes],
        [n.id for n in notes],
        [n.kind for n in notes],
        [each.dedupe_key for each in made],
        [n.customer_id for n in notes],
        [n.user_id for n in notes],
        [n.recipient for n in notes],
        [each.locale for each in made],
        [each.time_zone for each in made],
        [n.subject_kind for n in notes],
        [n.subject_id for n in notes],
        [msgspec.json.encode(each.facts).decode() for each in made],
        [n.valid_until for n in notes],
        [each.row.request_id for each in made],
        [n.created_at for n in notes],
        [n.resent_from for n in notes],
    )
    return {row["id"] for row in rows}


async def add_deliveries(
    conn: Connection, new: Sequence[NewDelivery], numbers: Sequence[int | None], now: datetime
) -> set[UUID]:
    """Keep them; the ids of those that were not there. ``numbers``: of an inbox's items, beside them."""
    ds = [each.delivery for each in new]
    texts = [each.text for each in new]
    rows = await conn.fetch(
        ADD_DELIVERIES,
        [d.org_id for d in ds],
        [d.id for d in ds],
        [d.notification_id for d in ds],
        [d.channel for d in ds],
        [d.address for d in ds],
        [each.queue for each in new],
        [d.state for d in ds],
        [d.reason for d in ds],
        [d.budget for d in ds],
        [d.due_at for d in ds],
        [each.request_id for each in new],
        [each.instead_of for each in new],
        numbers,
        [text and text.template for text in texts],
        [text and text.subject for text in texts],
        [text and text.body for text in texts],
        [text and text.html for text in texts],
        [each.followed for each in new],
        now,
    )
    return {row["id"] for row in rows}


async def own_ways(conn: Connection, org_ids: Collection[UUID]) -> dict[UUID, dict[ChannelName, list[UUID]]]:
    """By which channels organisations tell over accounts of their own, and which these are."""
    found: dict[UUID, dict[ChannelName, list[UUID]]] = {org_id: {} for org_id in org_ids}
    for row in await conn.fetch(OWN_WAYS, list(org_ids)):
        found[row["org_id"]].setdefault(ChannelName(row["channel"]), []).append(row["id"])
    return found


async def subscriptions(
    conn: Connection, people: Collection[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], tuple[str, ...]]:
    """Where people (organisation and id) may be pushed to: their subscriptions' ids."""
    found: dict[tuple[UUID, UUID], tuple[str, ...]] = {}
    for row in await conn.fetch(SUBSCRIPTIONS, [org for org, _ in people], [person for _, person in people]):
        key = row["org_id"], row["person_id"]
        found[key] = (*found.get(key, ()), str(row["id"]))
    return found
