"""SQL of an organisation's own row, its members and its invitations."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from waypost.identity.domain import Invitation, Member, Organisation, OrgSettings
from waypost.identity.storage import readable_settings
from waypost.kernel.principal import Role
from waypost.platform.database import Connection

FIND_ORGANISATION = "SELECT org_id AS id, name, settings, created_at, version FROM organisations WHERE org_id = $1"
LOCK_ORGANISATION = f"{FIND_ORGANISATION} FOR NO KEY UPDATE"
CHANGE_ORGANISATION = "UPDATE organisations SET name = $2, settings = $3, version = version + 1 WHERE org_id = $1"

_MEMBER = """
SELECT m.user_id, u.name, u.phone, u.email, m.role, m.created_at, m.version,
       (SELECT max(s.last_seen_at) FROM sessions s WHERE s.org_id = m.org_id AND s.user_id = m.user_id) AS last_seen_at
  FROM memberships m JOIN users u ON u.id = m.user_id
"""
FIND_MEMBER = f"{_MEMBER} WHERE m.org_id = $1 AND m.user_id = $2"
LIST_MEMBERS = f"""
{_MEMBER}
 WHERE m.org_id = $1 AND ($2::uuid IS NULL OR m.user_id > $2) AND ($3::text IS NULL OR m.role = $3)
   AND ($4::text IS NULL
        OR position(lower($4) IN lower(concat_ws(' ', u.name, u.phone, u.email))) > 0)
 ORDER BY m.user_id LIMIT $5
"""
NAMES = """
SELECT u.id, u.name FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND m.user_id = ANY ($2)
"""
LOCK_MEMBER = "SELECT role, version FROM memberships WHERE org_id = $1 AND user_id = $2 FOR UPDATE"
HOLD_MEMBER = "SELECT true FROM memberships WHERE org_id = $1 AND user_id = $2 FOR KEY SHARE"
# Locked all together and in one order: two owners who demote each other take turns, and the second sees the first.
LOCK_OWNERS = """
SELECT m.user_id FROM memberships m JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
 WHERE m.org_id = $1 AND m.role = 'owner' ORDER BY m.user_id FOR UPDATE OF m
"""
SET_ROLE = "UPDATE memberships SET role = $3, version = version + 1 WHERE org_id = $1 AND user_id = $2"
UNLINK_MEMBER = "UPDATE drivers SET user_id = NULL, version = version + 1 WHERE org_id = $1 AND user_id = $2"
# Held: who takes the role, or the member, away waits, and then finds the invitation that is made meanwhile.
HOLD_OWNER = """
SELECT true FROM memberships WHERE org_id = $1 AND user_id = $2 AND role = 'owner' FOR SHARE
"""
REMOVE_MEMBER = "DELETE FROM memberships WHERE org_id = $1 AND user_id = $2"
IS_MEMBER_ADDRESS = """
SELECT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
                WHERE m.org_id = $1 AND (u.phone = $2 OR u.email = $3))
"""
ADD_MEMBER = """
INSERT INTO memberships (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""

_OPEN = "i.accepted_at IS NULL AND i.withdrawn_at IS NULL"
ADD_INVITATION = """
INSERT INTO invitations (org_id, id, name, phone, email, role, token_hash, created_at, expires_at, invited_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
LIST_INVITATIONS = f"""
SELECT i.org_id, i.id, i.name, i.phone, i.email, i.role, i.created_at, i.expires_at, u.name AS invited_by_name
  FROM invitations i LEFT JOIN users u ON u.id = i.invited_by
 WHERE i.org_id = $1 AND {_OPEN} AND i.expires_at > $2 AND ($3::uuid IS NULL OR i.id > $3)
 ORDER BY i.id LIMIT $4
"""  # noqa: S608
FIND_INVITATION = f"""
SELECT i.org_id, i.id, i.name, i.phone, i.email, i.role, i.created_at, i.expires_at, o.name AS org_name
  FROM invitations i JOIN organisations o ON o.org_id = i.org_id
 WHERE i.token_hash = $1 AND {_OPEN} AND i.expires_at > $2
"""  # noqa: S608
TAKE_INVITATION = f"{FIND_INVITATION} FOR UPDATE OF i"
MARK_ACCEPTED = "UPDATE invitations SET accepted_at = $3 WHERE org_id = $1 AND id = $2"
WITHDRAW_INVITATION = f"""
UPDATE invitations i SET withdrawn_at = $3 WHERE org_id = $1 AND id = $2 AND {_OPEN} AND expires_at > $3
"""  # noqa: S608
# A new invitation to the same address takes the place of those before; an organisation's are made one after another.
TAKE_TURN = "SELECT true FROM organisations WHERE org_id = $1 FOR NO KEY UPDATE"
WITHDRAW_EARLIER = f"""
UPDATE invitations i SET withdrawn_at = $4 WHERE org_id = $1 AND (phone = $2 OR email = $3) AND {_OPEN}
"""  # noqa: S608

# What a member who goes could come back by: what waits at an address of theirs, and what they made themselves.
WITHDRAW_THEIRS = f"""
UPDATE invitations i SET withdrawn_at = $3
 WHERE i.org_id = $1 AND {_OPEN} AND i.expires_at > $3
   AND (i.invited_by = $2
        OR $4 AND EXISTS (SELECT FROM users u WHERE u.id = $2 AND (u.phone = i.phone OR u.email = i.email)))
RETURNING i.id
"""  # noqa: S608


async def find_organisation(conn: Connection, org_id: UUID, *, lock: bool = False) -> Organisation | None:
    row = await conn.fetchrow(LOCK_ORGANISATION if lock else FIND_ORGANISATION, org_id)
    return Organisation(**{**dict(row), "settings": readable_settings(org_id, row["settings"])}) if row else None


async def change_organisation(conn: Connection, org_id: UUID, name: str, settings: OrgSettings) -> None:
    await conn.execute(CHANGE_ORGANISATION, org_id, name, msgspec.json.encode(settings).decode())


async def find_member(conn: Connection, org_id: UUID, user_id: UUID) -> Member | None:
    row = await conn.fetchrow(FIND_MEMBER, org_id, user_id)
    return _member(row) if row else None


async def list_members(
    conn: Connection, org_id: UUID, *, role: Role | None, text: str | None, after: UUID | None, limit: int
) -> list[Member]:
    """Members by id, ``limit + 1`` of them."""
    return [_member(row) for row in await conn.fetch(LIST_MEMBERS, org_id, after, role, text, limit + 1)]


async def names(conn: Connection, org_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, str]:
    """Those of them that are members."""
    return {row["id"]: row["name"] for row in await conn.fetch(NAMES, org_id, list(user_ids))}


async def lock_member(conn: Connection, org_id: UUID, user_id: UUID) -> tuple[Role, int] | None:
    """Their role and version; None when they are no member."""
    row = await conn.fetchrow(LOCK_MEMBER, org_id, user_id)
    return (Role(row["role"]), row["version"]) if row else None


async def hold_member(conn: Connection, org_id: UUID, user_id: UUID) -> bool:
    """Is this a member, and one until the transaction's end?"""
    return bool(await conn.fetchval(HOLD_MEMBER, org_id, user_id))


async def hold_owner(conn: Connection, org_id: UUID, user_id: UUID) -> bool:
    """Is this an owner, and one until the transaction's end?"""
    return bool(await conn.fetchval(HOLD_OWNER, org_id, user_id))


async def lock_owners(conn: Connection, org_id: UUID) -> set[UUID]:
    """Who may sign in as an owner."""
    return {row["user_id"] for row in await conn.fetch(LOCK_OWNERS, org_id)}


async def set_role(conn: Connection, org_id: UUID, user_id: UUID, role: Role) -> None:
    await conn.execute(SET_ROLE, org_id, user_id, role)


async def remove_member(conn: Connection, org_id: UUID, user_id: UUID) -> None:
    """The person stays, for the other organisations they belong to."""
    await conn.execute(UNLINK_MEMBER, org_id, user_id)
    await conn.execute(REMOVE_MEMBER, org_id, user_id)


async def is_member_address(conn: Connection, org_id: UUID, phone: str | None, email: str | None) -> bool:
    """Does a member sign in with one of these?"""
    return bool(await conn.fetchval(IS_MEMBER_ADDRESS, org_id, phone, email))


async def add_member(conn: Connection, org_id: UUID, user_id: UUID, role: Role, now: datetime) -> bool:
    """False when they are one already."""
    return await conn.execute(ADD_MEMBER, org_id, user_id, role, now) != "INSERT 0 0"


async def add_invitation(conn: Connection, invitation: Invitation, token_hash: bytes, invited_by: UUID) -> None:
    i = invitation
    await conn.execute(TAKE_TURN, i.org_id)
    await conn.execute(WITHDRAW_EARLIER, i.org_id, i.phone, i.email, i.created_at)
    await conn.execute(
        ADD_INVITATION, i.org_id, i.id, i.name, i.phone, i.email, i.role, token_hash, i.created_at, i.expires_at,
        invited_by,
    )  # fmt: skip


async def list_invitations(
    conn: Connection, org_id: UUID, now: datetime, after: UUID | None, limit: int
) -> list[Invitation]:
    """Those that wait, by id, ``limit + 1`` of them."""
    return [_invitation(row) for row in await conn.fetch(LIST_INVITATIONS, org_id, now, after, limit + 1)]


async def find_invitation(
    conn: Connection, token_hash: bytes, now: datetime, *, lock: bool = False
) -> Invitation | None:
    """The one that waits behind a token, whatever organisation's: needs the system scope."""
    row = await conn.fetchrow(TAKE_INVITATION if lock else FIND_INVITATION, token_hash, now)
    return _invitation(row) if row else None


async def mark_accepted(conn: Connection, org_id: UUID, invitation_id: UUID, now: datetime) -> None:
    await conn.execute(MARK_ACCEPTED, org_id, invitation_id, now)


async def withdraw_invitation(conn: Connection, org_id: UUID, invitation_id: UUID, now: datetime) -> bool:
    """False when none of that id waits."""
    return await conn.execute(WITHDRAW_INVITATION, org_id, invitation_id, now) != "UPDATE 0"


async def withdraw_theirs(conn: Connection, org_id: UUID, user_id: UUID, now: datetime, *, to_them: bool) -> list[UUID]:
    """Withdraw what waits of a member's making, and ``to_them``: at their addresses; which they were."""
    return [row["id"] for row in await conn.fetch(WITHDRAW_THEIRS, org_id, user_id, now, to_them)]


def _member(row: Record) -> Member:
    values: dict[str, Any] = dict(row)
    return Member(**{**values, "role": Role(row["role"])})


def _invitation(row: Record) -> Invitation:
    values: dict[str, Any] = dict(row)
    return Invitation(**{**values, "role": Role(row["role"])})
