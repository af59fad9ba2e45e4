"""SQL of what is answered to who asks for help: a notification of its own, to the number that asked."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from waypost.notifications.providers.accounts import ProviderAccount
from waypost.platform.database import Connection

ANSWER = """
WITH note AS (
    INSERT INTO notifications (org_id, id, kind, dedupe_key, recipient, locale, subject_kind, subject_id, facts,
                               valid_until, request_id, created_at)
    SELECT $1, $2, $3, $4, '', $5, 'message-provider', $6,
           $7::jsonb || jsonb_build_object('business', coalesce(o.settings -> 'selling' ->> 'shopName', o.name)),
           $8, $9, $10
      FROM organisations o WHERE o.org_id = $1
    ON CONFLICT (org_id, dedupe_key) DO NOTHING RETURNING org_id, id)
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, budget, due_at, request_id,
                        created_at, updated_at, follow_at)
SELECT org_id, $11, id, $12, $13, 'urgent', 'pending', $14, $10, $9, $10, $10, 'infinity' FROM note
RETURNING id
"""


async def answer(
    conn: Connection,
    account: ProviderAccount,
    notification_id: UUID,
    delivery_id: UUID,
    *,
    kind: str,
    key: str,
    locale: str,
    facts: dict[str, str],
    address: str,
    budget: int,
    valid_until: datetime,
    request_id: str | None,
    now: datetime,
) -> bool:
    """By ``account``, which they wrote to; False: ``key`` says that they were. The business's name is put in."""
    added = await conn.fetchval(
        ANSWER, account.org_id, notification_id, kind, key, locale, account.id, msgspec.json.encode(facts).decode(),
        valid_until, request_id, now, delivery_id, account.channel, address, budget,
    )  # fmt: skip
    return added is not None
