"""SQL of push subscriptions, and of the key that the installation pushes with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.notifications.push.domain import Subscription
from waypost.platform.database import Connection

# A browser is one row: who signs in there afterwards takes it over.
END_OTHERS = """
UPDATE push_subscriptions SET ended_at = $5, ended_why = 'taken_over'
 WHERE org_id = $1 AND endpoint_hash = $2 AND ended_at IS NULL
   AND (user_id IS DISTINCT FROM $3 OR customer_id IS DISTINCT FROM $4)
"""
ADD = """
INSERT INTO push_subscriptions (org_id, id, user_id, customer_id, endpoint, endpoint_hash, keys, agent, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (org_id, endpoint_hash) WHERE ended_at IS NULL
DO UPDATE SET keys = excluded.keys, agent = excluded.agent
 WHERE push_subscriptions.user_id IS NOT DISTINCT FROM excluded.user_id
   AND push_subscriptions.customer_id IS NOT DISTINCT FROM excluded.customer_id
RETURNING id, agent, created_at, last_sent_at
"""
END_OLDEST = """
UPDATE push_subscriptions SET ended_at = $5, ended_why = 'too_many'
 WHERE org_id = $1 AND id IN (
    SELECT id FROM push_subscriptions
     WHERE org_id = $1 AND ended_at IS NULL AND user_id IS NOT DISTINCT FROM $2 AND customer_id IS NOT DISTINCT FROM $3
     ORDER BY id DESC OFFSET $4)
"""
LIST_OWN = """
SELECT id, agent, created_at, last_sent_at FROM push_subscriptions
 WHERE org_id = $1 AND user_id = $2 AND ended_at IS NULL AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4
"""
END_OWN = """
UPDATE push_subscriptions SET ended_at = $4, ended_why = 'person'
 WHERE org_id = $1 AND user_id = $2 AND id = $3 AND ended_at IS NULL RETURNING id
"""
KNOWN_OWN = "SELECT id FROM push_subscriptions WHERE org_id = $1 AND user_id = $2 AND id = $3"

FIND = "SELECT endpoint, keys FROM push_subscriptions WHERE org_id = $1 AND id = $2 AND ended_at IS NULL"
SENT = "UPDATE push_subscriptions SET last_sent_at = $3 WHERE org_id = $1 AND id = $2"
END = """
UPDATE push_subscriptions SET ended_at = $3, ended_why = $4 WHERE org_id = $1 AND id = $2 AND ended_at IS NULL
"""
OF_USERS = """
SELECT user_id AS whose, id FROM push_subscriptions
 WHERE org_id = $1 AND user_id = ANY ($2) AND ended_at IS NULL ORDER BY id
"""
OF_CUSTOMERS = """
SELECT customer_id AS whose, id FROM push_subscriptions
 WHERE org_id = $1 AND customer_id = ANY ($2) AND ended_at IS NULL ORDER BY id
"""
KEY = "SELECT value FROM house_keys WHERE name = $1"
ADD_KEY = "INSERT INTO house_keys (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING"


async def add(
    conn: Connection,
    org_id: UUID,
    subscription_id: UUID,
    whose: tuple[UUID | None, UUID | None],
    endpoint: str,
    endpoint_hash: bytes,
    sealed_keys: str,
    agent: str,
    now: datetime,
) -> Subscription:
    """``whose``: a user or a customer. The browser's row, if it has one already, with its new keys."""
    while True:
        await conn.execute(END_OTHERS, org_id, endpoint_hash, *whose, now)
        row = await conn.fetchrow(
            ADD, org_id, subscription_id, *whose, endpoint, endpoint_hash, sealed_keys, agent, now
        )  # fmt: skip
        if row is not None:  # else another person's row was committed between the two, and ends now
            return _subscription(row)


async def end_oldest(
    conn: Connection, org_id: UUID, whose: tuple[UUID | None, UUID | None], most: int, now: datetime
) -> None:
    """Keep the newest ``most``."""
    await conn.execute(END_OLDEST, org_id, *whose, most, now)


async def list_own(conn: Connection, org_id: UUID, user_id: UUID, after: UUID | None, limit: int) -> list[Subscription]:
    """By id, ``limit + 1`` of them."""
    return [_subscription(row) for row in await conn.fetch(LIST_OWN, org_id, user_id, after, limit + 1)]


async def end_own(conn: Connection, org_id: UUID, user_id: UUID, subscription_id: UUID, now: datetime) -> bool | None:
    """True: it ended now; False: before; None: it is none of theirs."""
    if await conn.fetchval(END_OWN, org_id, user_id, subscription_id, now) is not None:
        return True
    return None if await conn.fetchval(KNOWN_OWN, org_id, user_id, subscription_id) is None else False


async def find(conn: Connection, org_id: UUID, subscription_id: UUID) -> Record | None:
    """Endpoint and sealed keys of a live one."""
    return await conn.fetchrow(FIND, org_id, subscription_id)


async def sent(conn: Connection, org_id: UUID, subscription_id: UUID, now: datetime) -> None:
    await conn.execute(SENT, org_id, subscription_id, now)


async def end(conn: Connection, org_id: UUID, subscription_id: UUID, why: str, now: datetime) -> None:
    await conn.execute(END, org_id, subscription_id, now, why)


async def of_users(conn: Connection, org_id: UUID, user_ids: Collection[UUID]) -> Mapping[UUID, list[UUID]]:
    """The live subscriptions of each of them who has any."""
    return _by_person(await conn.fetch(OF_USERS, org_id, list(user_ids)))


async def of_customers(conn: Connection, org_id: UUID, customer_ids: Collection[UUID]) -> Mapping[UUID, list[UUID]]:
    """The same of customers."""
    return _by_person(await conn.fetch(OF_CUSTOMERS, org_id, list(customer_ids)))


async def key(conn: Connection, name: str) -> str | None:
    """A key of the house, sealed. Needs the system scope."""
    value: str | None = await conn.fetchval(KEY, name)
    return value


async def add_key(conn: Connection, name: str, sealed: str, now: datetime) -> None:
    """Unless there is one of that name already."""
    await conn.execute(ADD_KEY, name, sealed, now)


def _by_person(rows: list[Record]) -> Mapping[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        found.setdefault(row["whose"], []).append(row["id"])
    return found


def _subscription(row: Any) -> Subscription:
    return Subscription(**dict(row))
