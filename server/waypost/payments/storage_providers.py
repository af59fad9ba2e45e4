"""SQL of payment providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.kernel.sealed import Lost, Unreadable
from waypost.payments.providers.accounts import Config, ProviderAccount, ProviderName, Registration, of_seal_form
from waypost.platform.database import Connection
from waypost.platform.secretbox import SecretBox
from waypost.platform.telemetry import log

_COLUMNS = """
org_id, id, provider, name, config, addresses, check_above_minor, currency, created_at, archived_at, version,
c2b_state, c2b_text, c2b_at
"""
FIND = f"SELECT {_COLUMNS} FROM payment_providers WHERE org_id = $1 AND id = $2"  # noqa: S608
LOCK = f"{FIND} FOR NO KEY UPDATE"
FIND_BY_TOKEN = f"""
SELECT {_COLUMNS} FROM payment_providers
 WHERE token_hash = $1 OR c2b_token_hash = $1 OR (old_token_hash = $1 AND old_token_until > $2)
"""  # noqa: S608
LIST = f"""
SELECT {_COLUMNS} FROM payment_providers
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id > $2) AND (archived_at IS NOT NULL) = $3
 ORDER BY id LIMIT $4
"""  # noqa: S608
ADD = """
INSERT INTO payment_providers
    (org_id, id, provider, name, config, token_hash, addresses, check_above_minor, currency, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
CHANGE = """
UPDATE payment_providers
   SET name = $3, config = coalesce($4, config), addresses = $5, check_above_minor = $6, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
TURN_OVER = """
UPDATE payment_providers
   SET old_token_hash = token_hash, old_token_until = $4, token_hash = $3, version = version + 1
 WHERE org_id = $1 AND id = $2
"""
ARCHIVE = "UPDATE payment_providers SET archived_at = $3, version = version + 1 WHERE org_id = $1 AND id = $2"


@dataclass(frozen=True, slots=True)
class Row:
    """A row, its settings still sealed."""

    values: dict[str, Any]

    def open(self, box: SecretBox) -> ProviderAccount:
        """Its settings are ``Lost`` when they were sealed with a key that is gone."""
        config: Config | Lost
        try:
            config = of_seal_form(box.open(self.values["config"]))
        except Unreadable:
            config = Lost.of(self.values["config"])
            log.error("payment_provider_unreadable", provider_id=str(self.values["id"]))
        values = dict(self.values)
        state, text, at = (values.pop(name) for name in ("c2b_state", "c2b_text", "c2b_at"))
        registration = Registration(state, text, at) if state is not None else None
        values |= {"provider": ProviderName(values["provider"]), "config": config, "registration": registration}
        return ProviderAccount(**values)


async def find(conn: Connection, org_id: UUID, provider_id: UUID, *, lock: bool = False) -> Row | None:
    return _row(await conn.fetchrow(LOCK if lock else FIND, org_id, provider_id))


async def find_by_token(conn: Connection, token_hash: bytes, now: datetime) -> Row | None:
    """Whose callbacks' address has this token. Needs the system scope."""
    return _row(await conn.fetchrow(FIND_BY_TOKEN, token_hash, now))


async def list_providers(
    conn: Connection, org_id: UUID, after: UUID | None, limit: int, *, archived: bool
) -> list[Row]:
    """By id, which is the order in which they were added; ``limit + 1`` of them."""
    return [Row(dict(row)) for row in await conn.fetch(LIST, org_id, after, archived, limit + 1)]


async def add(conn: Connection, account: ProviderAccount, sealed: str, token_hash: bytes) -> None:
    await conn.execute(
        ADD, account.org_id, account.id, account.provider, account.name, sealed, token_hash, list(account.addresses),
        account.check_above_minor, account.currency, account.created_at,
    )  # fmt: skip


async def change(conn: Connection, account: ProviderAccount, sealed: str | None) -> None:
    """Of a locked one. ``sealed`` None: its settings stay as they are stored."""
    await conn.execute(
        CHANGE, account.org_id, account.id, account.name, sealed, list(account.addresses), account.check_above_minor
    )


async def replace_token(
    conn: Connection, org_id: UUID, provider_id: UUID, token_hash: bytes, old_until: datetime
) -> None:
    """Of a locked one. The present token goes on until then; one that was replaced before ends now."""
    await conn.execute(TURN_OVER, org_id, provider_id, token_hash, old_until)


async def archive(conn: Connection, org_id: UUID, provider_id: UUID, now: datetime) -> None:
    await conn.execute(ARCHIVE, org_id, provider_id, now)


def _row(record: Record | None) -> Row | None:
    return Row(dict(record)) if record else None
