"""SQL of organisations, people and their memberships. Device tokens are the directory's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.identity.domain import AuditEntry, Organisation, OrgSettings, Person, User
from waypost.kernel.principal import Role
from waypost.platform.database import Connection
from waypost.platform.telemetry import log

# Also for a phone or e-mail that is unknown: then no row, and the caller hashes all the same.
SIGN_IN = """
SELECT id, password_hash FROM users
 WHERE (phone = $1 OR email = $2) AND disabled_at IS NULL
"""

ACCOUNT = "SELECT id, password_hash, disabled_at IS NOT NULL AS disabled FROM users WHERE phone = $1 OR email = $2"

# Held: who changes the password or shuts the person out waits, and then finds the session that is begun meanwhile.
HOLD_ACCOUNT = "SELECT true FROM users WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL FOR SHARE"

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


async def hold_account(conn: Connection, user_id: UUID, password_hash: str) -> bool:
    """Is this still the hash of who may sign in? If so, until the transaction's end."""
    return bool(await conn.fetchval(HOLD_ACCOUNT, user_id, password_hash))


@dataclass(frozen=True, slots=True)
class Account:
    """What a person signs in with."""

    id: UUID
    password_hash: str
    disabled: bool


async def find_account(conn: Connection, phone: str | None, email: str | None) -> Account | None:
    """The person with this phone (E.164) or e-mail (lower case), whether they may sign in or not."""
    row = await conn.fetchrow(ACCOUNT, phone, email)
    return Account(**dict(row)) if row else None


async def memberships(conn: Connection, user_id: UUID, org_id: UUID | None = None) -> list[User]:
    """The person in each organisation they belong to, or in the one that is named."""
    return [_user(row) for row in await conn.fetch(MEMBERSHIPS, user_id, org_id)]


async def settings_of(conn: Connection, org_id: UUID) -> OrgSettings:
    """An organisation's settings; the defaults for one that is unknown, or whose settings cannot be read."""
    text = await conn.fetchval(ORG_SETTINGS, org_id)
    return readable_settings(org_id, text) if text else OrgSettings()


def readable_settings(org_id: UUID, text: str) -> OrgSettings:
    """Stored settings. What somebody spoilt in the database must not stop the organisation's every request."""
    try:
        return msgspec.json.decode(text, type=OrgSettings)
    except msgspec.MsgspecError:
        log.warning("settings_unreadable", org_id=str(org_id))
        return OrgSettings()


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
    await add_person(conn, user, password_hash, now)
    await conn.execute(ADD_MEMBERSHIP, user.org_id, user.id, user.role, now)


async def add_person(conn: Connection, user: User, password_hash: str, now: datetime) -> None:
    """A new person, who belongs nowhere yet. ``UniqueViolationError`` as above."""
    await conn.execute(ADD_USER, user.id, user.name, user.phone, user.email, password_hash, now)


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
        entry.why, msgspec.json.encode(dict(entry.detail)).decode(), entry.request_id,
    )  # fmt: skip


async def list_audit(
    conn: Connection, org_id: UUID, after: UUID | None, limit: int, *, subject_id: UUID | None, action: str | None
) -> list[AuditEntry]:
    """Newest first, ``limit + 1`` of them."""
    rows = await conn.fetch(LIST_AUDIT, org_id, after, subject_id, action, limit + 1)
    return [AuditEntry(**{**dict(row), "detail": msgspec.json.decode(row["detail"])}) for row in rows]


# What the operator and the timed runs ask of the whole house; all of it needs the system scope.
ORGANISATIONS = "SELECT org_id AS id, name, settings, created_at, version FROM organisations ORDER BY org_id"
FORGET_AUDIT = "SELECT waypost_forget_audit($1, $2)"


async def organisations(conn: Connection) -> list[Organisation]:
    """All of them, by id."""
    return [
        Organisation(**{**row, "settings": readable_settings(row["id"], row["settings"])})
        for row in await conn.fetch(ORGANISATIONS)
    ]


async def forget_audit(conn: Connection, kept: timedelta, limit: int) -> int:
    """Delete entries older than that, by the owner's function: no role at run time may."""
    return int(await conn.fetchval(FORGET_AUDIT, kept, limit))


PEOPLE = """
SELECT u.id, u.name, u.phone, u.email, u.disabled_at, m.org_id, o.name AS org_name, m.role
  FROM users u LEFT JOIN memberships m ON m.user_id = u.id LEFT JOIN organisations o ON o.org_id = m.org_id
 WHERE $1::uuid IS NULL OR m.org_id = $1
 ORDER BY o.name, u.name, u.id
"""
WHO = "SELECT id FROM users WHERE id = $1 OR phone = $2 OR email = $3"
SET_DISABLED = (
    "UPDATE users SET disabled_at = $2 WHERE id = $1 AND (disabled_at IS NULL) = ($2::timestamptz IS NOT NULL)"
)
ORGANISATIONS_OF = "SELECT org_id FROM memberships WHERE user_id = $1 ORDER BY org_id"
NEW_HASH = "UPDATE users SET password_hash = $2 WHERE id = $1"
GIVE_ROLE = "UPDATE memberships SET role = $3, version = version + 1 WHERE org_id = $1 AND user_id = $2"


async def people(conn: Connection, org_id: UUID | None) -> list[Person]:
    """Everybody who may sign in, once for each organisation; of one organisation, if it is named."""
    return [Person(**row) for row in await conn.fetch(PEOPLE, org_id)]


async def who(conn: Connection, user_id: UUID | None, phone: str | None, email: str | None) -> UUID | None:
    """The person of that id, phone (E.164) or e-mail (lower case)."""
    found: UUID | None = await conn.fetchval(WHO, user_id, phone, email)
    return found


async def organisations_of(conn: Connection, user_id: UUID) -> list[UUID]:
    """Where a person is a member, shut out or not."""
    return [row["org_id"] for row in await conn.fetch(ORGANISATIONS_OF, user_id)]


async def set_disabled(conn: Connection, user_id: UUID, disabled_at: datetime | None) -> bool:
    """Shut a person out, or let them in again (None); False when they were so already."""
    return await conn.execute(SET_DISABLED, user_id, disabled_at) != "UPDATE 0"


async def set_password(conn: Connection, user_id: UUID, password_hash: str) -> None:
    await conn.execute(NEW_HASH, user_id, password_hash)


async def give_role(conn: Connection, org_id: UUID, user_id: UUID, role: Role) -> bool:
    """False when the person is no member."""
    return await conn.execute(GIVE_ROLE, org_id, user_id, role) != "UPDATE 0"
