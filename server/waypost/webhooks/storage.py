"""SQL of the register of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.platform.database import Connection
from waypost.platform.secretbox import SecretBox, Unreadable
from waypost.webhooks.domain import Health, Secret, Switch, Webhook

COLUMNS = """
org_id, id, name, url, events, secrets, state, off_reason, off_at, failing_since, failures, slow_until, created_at,
archived_at, version
"""
FIND = f"SELECT {COLUMNS} FROM webhooks WHERE org_id = $1 AND id = $2"  # noqa: S608
LOCK = f"{FIND} FOR NO KEY UPDATE"
LIST = f"""
SELECT {COLUMNS} FROM webhooks
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id > $2) AND (archived_at IS NOT NULL) = $3
 ORDER BY id LIMIT $4
"""  # noqa: S608
COUNT = "SELECT count(*) FROM webhooks WHERE org_id = $1 AND archived_at IS NULL"
ADD = """
INSERT INTO webhooks (org_id, id, name, url, events, secrets, created_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
CHANGE = """
UPDATE webhooks SET name = $3, url = $4, events = $5, secrets = coalesce($6, secrets), version = version + 1
 WHERE org_id = $1 AND id = $2
"""
SWITCH = """
UPDATE webhooks SET state = $3, off_reason = $4, off_at = $5, failing_since = NULL, failures = 0, slow_until = NULL,
       version = version + 1
 WHERE org_id = $1 AND id = $2
"""
ARCHIVE = "UPDATE webhooks SET archived_at = $3, version = version + 1 WHERE org_id = $1 AND id = $2"
CANCEL_WAITING = """
UPDATE webhook_deliveries SET state = 'cancelled', reason = $3, poked_at = NULL, updated_at = $4
 WHERE org_id = $1 AND webhook_id = $2 AND state = 'pending'
"""
FARED = """
UPDATE webhooks SET failing_since = $3, failures = $4, slow_until = $5 WHERE org_id = $1 AND id = $2
"""


async def find(
    conn: Connection, box: SecretBox, org_id: UUID, webhook_id: UUID, *, lock: bool = False
) -> Webhook | None:
    """One of them; without secrets when they were sealed with a key that is gone."""
    row = await conn.fetchrow(LOCK if lock else FIND, org_id, webhook_id)
    return webhook_of(row, box) if row else None


async def list_webhooks(
    conn: Connection, box: SecretBox, org_id: UUID, after: UUID | None, limit: int, *, archived: bool
) -> list[Webhook]:
    """By id, which is the order in which they were added; ``limit + 1`` of them."""
    return [webhook_of(row, box) for row in await conn.fetch(LIST, org_id, after, archived, limit + 1)]


async def count(conn: Connection, org_id: UUID) -> int:
    """Those that are not archived."""
    return int(await conn.fetchval(COUNT, org_id))


async def add(conn: Connection, box: SecretBox, webhook: Webhook, by: UUID | None) -> None:
    w = webhook
    await conn.execute(
        ADD, w.org_id, w.id, w.name, w.url, list(w.events), sealed(box, w.secrets), w.created_at, by
    )  # fmt: skip


async def change(conn: Connection, box: SecretBox, webhook: Webhook) -> None:
    """Of a locked one: name, address, types, secrets; what cannot be read stays as it is stored."""
    w = webhook
    secrets = sealed(box, w.secrets) if w.secrets else None
    await conn.execute(CHANGE, w.org_id, w.id, w.name, w.url, list(w.events), secrets)


async def switch(conn: Connection, webhook: Webhook, to: Switch, reason: str | None, at: datetime | None) -> None:
    """Of a locked one. How it has fared is forgotten."""
    await conn.execute(SWITCH, webhook.org_id, webhook.id, to, reason, at)


async def archive(conn: Connection, webhook: Webhook, now: datetime) -> None:
    await conn.execute(ARCHIVE, webhook.org_id, webhook.id, now)


async def cancel_waiting(conn: Connection, webhook: Webhook, reason: str, now: datetime) -> None:
    """What waits to be sent to it is not sent."""
    await conn.execute(CANCEL_WAITING, webhook.org_id, webhook.id, reason, now)


async def fared(conn: Connection, webhook: Webhook, health: Health) -> None:
    """Of a locked one."""
    await conn.execute(
        FARED, webhook.org_id, webhook.id, health.failing_since, health.failures, health.slow_until
    )  # fmt: skip


def sealed(box: SecretBox, secrets: Sequence[Secret]) -> str:
    """As they are stored."""
    return box.seal(msgspec.json.encode(secrets))


def opened(box: SecretBox, text: str) -> Sequence[Secret]:
    """None of them when they were sealed with a key that is gone."""
    try:
        return msgspec.json.decode(box.open(text), type=list[Secret])
    except Unreadable:
        return ()


def webhook_of(row: Record, box: SecretBox) -> Webhook:
    values: dict[str, Any] = dict(row)
    health = Health(values.pop("failing_since"), values.pop("failures"), values.pop("slow_until"))
    return Webhook(
        **values | {"secrets": opened(box, values["secrets"]), "state": Switch(values["state"]), "health": health}
    )
