"""SQL of organisations, people and their memberships. Device tokens are the directory's."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.identity.domain import AuditEntry, OrgSettings, User
from waypost.kernel.principal import Role
from waypost.platform.database import Connection

# Also for a phone or e-mail that is unknown: then no row, and the caller hashes all the same.
SIGN_IN = """
SELECT id, password_hash FROM users
 WHERE (phone = $1 OR email = $2) AND disabled_at IS NULL
"""

MEMBERSHIPS = """
SELECT u.id, u.name, u.phone, u.email, m.org_id, o.name AS org_name, m.role, d.id AS driver_id
  FROM memberships m
  JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
  JOIN organisations o ON o.org_id = m.org_id
  LEFT JOIN drivers d ON d.org_id = m.org_id AND d.user_id = m.user_id AND d.archived_at IS NULL
 WHERE m.user_id = $1 AND ($2::uuid IS NULL OR m.org_id = $2)
 ORDER BY o.name, m.org_id
"""

ORG_SETTINGS = "SELECT settings FROM organisations WHERE org_id = $1"

ADD_ORGANISATION = "INSERT INTO organisations (org_id, name, settings, created_at) VALUES ($1, $2, $3, $4)"
ADD_USER = """
INSERT INTO users (id, name, phone, email, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
ADD_MEMBERSHIP = "INSERT INTO memberships (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)"
ORGANISATION_BY_NAME = "SELECT org_id FROM organisations WHERE name = $1 ORDER BY org_id LIMIT 1"
SAVE_SETTINGS = "UPDATE organisations SET settings = $2, version = version + 1 WHERE org_id = $1"


async def find_sign_in(conn: Connection, phone: str | None, email: str | None) -> tuple[UUID, str] | None:
    """The user with this phone (E.164) or e-mail (lower case), and the hash of the password."""
    row = await conn.fetchrow(SIGN_IN, phone, email)
    return (row["id"], row["password_hash"]) if row else None


async def memberships(conn: Connection, user_id: UUID, org_id: UUID | None = None) -> list[User]:
    """The person in each organisation they belong to, or in the one that is named."""
    return [_user(row) for row in await conn.fetch(MEMBERSHIPS, user_id, org_id)]


async def settings_of(conn: Connection, org_id: UUID) -> OrgSettings:
    """An organisation's settings; the defaults for one that is unknown."""
    text = await conn.fetchval(ORG_SETTINGS, org_id)
    return msgspec.json.decode(text, type=OrgSettings) if text else OrgSettings()


async def add_organisation(conn: Connection, org_id: UUID, name: str, settings: OrgSettings, now: datetime) -> None:
    await conn.execute(ADD_ORGANISATION, org_id, name, msgspec.json.encode(settings).decode(), now)


async def save_settings(conn: Connection, org_id: UUID, settings: OrgSettings) -> None:
    await conn.execute(SAVE_SETTINGS, org_id, msgspec.json.encode(settings).decode())


async def organisation_named(conn: Connection, name: str) -> UUID | None:
    """The oldest organisation of that name."""
    found: UUID | None = await conn.fetchval(ORGANISATION_BY_NAME, name)
    return found


async def add_user(conn: Connection, user: User, password_hash: str, now: datetime) -> None:
    """A new person and their membership. ``UniqueViolationError`` when phone or e-mail are taken."""
    await conn.execute(ADD_USER, user.id, user.name, user.phone, user.email, password_hash, now)
    await conn.execute(ADD_MEMBERSHIP, user.org_id, user.id, user.role, now)


def _user(row: Record) -> User:
    values: dict[str, Any] = dict(row)
    return User(**{**values, "role": Role(row["role"])})


ADD_AUDIT = """
INSERT INTO audit_log (org_id, id, at, actor_id, actor_name, action, subject_kind, subject_id, why, detail, request_id)
VALUES ($1, $2, $3, $4, (SELECT name FROM users WHERE id = $4), $5, $6, $7, $8, $9, $10)
"""
LIST_AUDIT = """
SELECT id, at, actor_id, actor_name, action, subject_kind, subject_id, why, detail, request_id FROM audit_log
 WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::uuid IS NULL OR subject_id = $3)
   AND ($4::text IS NULL OR action = $4)
 ORDER BY id DESC LIMIT $5
"""


async def add_audit(conn: Connection, org_id: UUID, entry: AuditEntry) -> None:
    """Keep an entry, with the name that its actor has now."""
    await conn.execute(
        ADD_AUDIT, org_id, entry.id, entry.at, entry.actor_id, entry.action, entry.subject_kind, entry.subject_id,
        entry.why, msgspec.json.encode(entry.detail).decode(), entry.request_id,
    )  # fmt: skip


async def list_audit(
    conn: Connection, org_id: UUID, after: UUID | None, limit: int, *, subject_id: UUID | None, action: str | None
) -> list[AuditEntry]:
    """Newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST_AUDIT, org_id, after, subject_id, action, limit + 1)
    return [AuditEntry(**{**dict(row), "detail": msgspec.json.decode(row["detail"])}) for row in rows]
