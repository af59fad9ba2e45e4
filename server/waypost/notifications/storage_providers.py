"""SQL of message providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.kernel.sealed import Lost
from waypost.notifications.addresses import ChannelName
from waypost.notifications.providers.accounts import Config, ProviderAccount, ProviderName, of_seal_form
from waypost.platform.database import Connection
from waypost.platform.secretbox import SecretBox, Unreadable

_COLUMNS = """
org_id, id, channel, provider, name, config, sender, weight, price, price_currency, a_minute, addresses, created_at,
archived_at, version
"""
FIND = f"SELECT {_COLUMNS} FROM message_providers WHERE org_id = $1 AND id = $2"  # noqa: S608
LOCK = f"{FIND} FOR NO KEY UPDATE"
FIND_BY_TOKEN = f"""
SELECT {_COLUMNS} FROM message_providers
 WHERE token_hash = $1 OR (old_token_hash = $1 AND old_token_until > $2)
"""  # noqa: S608
OF_CHANNEL = f"""
SELECT {_COLUMNS} FROM message_providers
 WHERE org_id = $1 AND channel = $2 AND archived_at IS NULL ORDER BY id
"""  # noqa: S608
LIST = f"""
SELECT {_COLUMNS} FROM message_providers
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id > $2) AND (archived_at IS NOT NULL) = $3
 ORDER BY id LIMIT $4
"""  # noqa: S608
COUNT = "SELECT count(*) FROM message_providers WHERE org_id = $1 AND archived_at IS NULL"
ADD = """
INSERT INTO message_providers
    (org_id, id, channel, provider, name, config, sender, weight, price, price_currency, a_minute, addresses,
     token_hash, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
CHANGE = """
UPDATE message_providers
   SET name = $3, config = coalesce($4, config), sender = $5, weight = $6, price = $7, price_currency = $8,
       a_minute = $9, addresses = $10, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
TURN_OVER = """
UPDATE message_providers
   SET old_token_hash = token_hash, old_token_until = $4, token_hash = $3, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
ARCHIVE = "UPDATE message_providers SET archived_at = $3, version = version + 1 WHERE org_id = $1 AND id = $2"
# A message that an owner sends by one account, to see that it works. It has no stand-in (follow_at).
ADD_TEST = """
WITH note AS (
    INSERT INTO notifications (org_id, id, kind, dedupe_key, recipient, locale, subject_kind, subject_id, facts,
                               valid_until, request_id, created_at)
    SELECT $1, $2, $3, 'test:' || $2::uuid::text, '', coalesce(o.settings -> 'selling' ->> 'locale', 'en'),
           'message-provider', $4,
           $5::jsonb || jsonb_build_object('business', coalesce(o.settings -> 'selling' ->> 'shopName', o.name)),
           $6, $7, $8
      FROM organisations o WHERE o.org_id = $1)
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, budget, due_at, request_id,
                        created_at, updated_at, follow_at)
VALUES ($1, $9, $2, $10, $11, 'urgent', 'pending', $12, $8, $7, $8, $8, 'infinity')
"""
STATE = "SELECT state, reason FROM deliveries WHERE org_id = $1 AND id = $2"
HEALTH = "SELECT provider_id, state, since FROM provider_health WHERE org_id = $1 AND provider_id = ANY($2)"


@dataclass(frozen=True, slots=True)
class Row:
    """A row, its settings still sealed."""

    values: dict[str, Any]

    @property
    def id(self) -> UUID:
        """The account's."""
        found: UUID = self.values["id"]
        return found

    @property
    def version(self) -> int:
        """It grows with each change."""
        return int(self.values["version"])

    def open(self, box: SecretBox) -> ProviderAccount:
        """Its settings are ``Lost`` when they were sealed with a key that is gone."""
        values = dict(self.values)
        config: Config | Lost
        try:
            config = of_seal_form(box.open(values["config"]))
        except Unreadable:
            config = Lost.of(values["config"])
        values["channel"], values["provider"] = ChannelName(values["channel"]), ProviderName(values["provider"])
        return ProviderAccount(**{**values, "config": config})


@dataclass(frozen=True, slots=True)
class Health:
    """How a provider does, as a worker saw it last: closed (well), open (out), half_open (being tried)."""

    state: str
    since: datetime


async def find(conn: Connection, org_id: UUID, provider_id: UUID, *, lock: bool = False) -> Row | None:
    return _row(await conn.fetchrow(LOCK if lock else FIND, org_id, provider_id))


async def find_by_token(conn: Connection, token_hash: bytes, now: datetime) -> Row | None:
    """Whose reports' address has this token. Needs the system scope."""
    return _row(await conn.fetchrow(FIND_BY_TOKEN, token_hash, now))


async def of_channel(conn: Connection, org_id: UUID, channel: ChannelName) -> list[Row]:
    """Those in use, by id."""
    return [Row(dict(row)) for row in await conn.fetch(OF_CHANNEL, org_id, channel)]


async def list_providers(
    conn: Connection, org_id: UUID, after: UUID | None, limit: int, *, archived: bool
) -> list[Row]:
    """By id, which is the order in which they were added; ``limit + 1`` of them."""
    return [Row(dict(row)) for row in await conn.fetch(LIST, org_id, after, archived, limit + 1)]


async def count(conn: Connection, org_id: UUID) -> int:
    """How many are in use."""
    return int(await conn.fetchval(COUNT, org_id))


async def healths(conn: Connection, org_id: UUID, ids: list[UUID]) -> dict[UUID, Health]:
    """Of those that a worker has seen fail."""
    rows = await conn.fetch(HEALTH, org_id, ids)
    return {row["provider_id"]: Health(row["state"], row["since"]) for row in rows}


async def add(conn: Connection, account: ProviderAccount, sealed: str, token_hash: bytes) -> None:
    await conn.execute(
        ADD, account.org_id, account.id, account.channel, account.provider, account.name, sealed, account.sender,
        account.weight, account.price, account.price_currency, account.a_minute, list(account.addresses), token_hash,
        account.created_at,
    )  # fmt: skip


async def change(conn: Connection, account: ProviderAccount, sealed: str | None) -> None:
    """Of a locked one. ``sealed`` None: its settings stay as they are stored."""
    await conn.execute(
        CHANGE, account.org_id, account.id, account.name, sealed, account.sender, account.weight, account.price,
        account.price_currency, account.a_minute, list(account.addresses),
    )  # fmt: skip


async def replace_token(
    conn: Connection, org_id: UUID, provider_id: UUID, token_hash: bytes, old_until: datetime
) -> None:
    """Of a locked one. The present token goes on until then; one that was replaced before ends now."""
    await conn.execute(TURN_OVER, org_id, provider_id, token_hash, old_until)


async def archive(conn: Connection, org_id: UUID, provider_id: UUID, now: datetime) -> None:
    await conn.execute(ARCHIVE, org_id, provider_id, now)


async def add_test(
    conn: Connection,
    account: ProviderAccount,
    notification_id: UUID,
    delivery_id: UUID,
    *,
    kind: str,
    facts: str,
    address: str,
    budget: int,
    valid_until: datetime,
    request_id: str | None,
    now: datetime,
) -> None:
    """A notification of ``kind`` with one delivery. ``facts``: JSON; the business's name is put in."""
    await conn.execute(
        ADD_TEST, account.org_id, notification_id, kind, account.id, facts, valid_until, request_id, now, delivery_id,
        account.channel, address, budget,
    )  # fmt: skip


async def state_of(conn: Connection, org_id: UUID, delivery_id: UUID) -> tuple[str, str | None]:
    """Of a delivery, and why; "gone" when there is none."""
    row = await conn.fetchrow(STATE, org_id, delivery_id)
    return (row["state"], row["reason"]) if row else ("gone", None)


def _row(record: Record | None) -> Row | None:
    return Row(dict(record)) if record else None
