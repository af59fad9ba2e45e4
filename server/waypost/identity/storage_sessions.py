"""SQL of sessions and their refresh tokens. All of it needs the system scope, but for the end of a member's."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.kernel.principal import Principal, Role
from waypost.platform.database import Connection

# A removal that is under way is waited for, and leaves no row; one that comes later finds the session.
ADD_SESSION = """
INSERT INTO sessions (org_id, id, user_id, created_at, last_seen_at, expires_at, user_agent)
SELECT m.org_id, $2::uuid, m.user_id, greatest($4::timestamptz, m.created_at), $4, $5::timestamptz, $6::text
  FROM memberships m WHERE m.org_id = $1 AND m.user_id = $3 FOR KEY SHARE
"""
ADD_REFRESH = """
INSERT INTO refresh_tokens (org_id, session_id, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
"""
# The session's lock, taken before any other, makes exchanges within one family take turns.
LOCK_SESSION_OF = """
SELECT true FROM sessions
 WHERE (org_id, id) = (SELECT org_id, session_id FROM refresh_tokens WHERE token_hash = $1) FOR NO KEY UPDATE
"""
FIND_REFRESH = """
SELECT r.org_id, r.session_id, s.user_id, r.expires_at, r.exchanged_at, s.ended_at
  FROM refresh_tokens r JOIN sessions s ON s.org_id = r.org_id AND s.id = r.session_id WHERE r.token_hash = $1
"""
EXCHANGED_SINCE = """
SELECT token_hash FROM refresh_tokens WHERE org_id = $1 AND session_id = $2 AND exchanged_at >= $3
"""
MARK_EXCHANGED = "UPDATE refresh_tokens SET exchanged_at = $2 WHERE token_hash = $1"
EXTEND_SESSION = """
UPDATE sessions SET last_seen_at = $3, expires_at = $4 WHERE org_id = $1 AND id = $2 AND ended_at IS NULL
"""
END_SESSION = """
UPDATE sessions SET ended_at = $3, end_reason = $4 WHERE org_id = $1 AND id = $2 AND ended_at IS NULL
"""
END_SESSIONS_OF_MEMBER = """
UPDATE sessions SET ended_at = $3, end_reason = $4 WHERE org_id = $1 AND user_id = $2 AND ended_at IS NULL
"""
END_SESSIONS_OF_PERSON = "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE user_id = $1 AND ended_at IS NULL"

# Who a session speaks for is what its person is now: a role that was changed acts at once. A session from before the
# membership is an earlier membership's.
_STANDING = """
  FROM sessions s
  JOIN memberships m ON m.org_id = s.org_id AND m.user_id = s.user_id AND m.created_at <= s.created_at
  JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
  LEFT JOIN drivers d ON d.org_id = s.org_id AND d.user_id = s.user_id AND d.archived_at IS NULL
"""
PRINCIPAL_OF_SESSION = f"""
SELECT s.user_id, m.role, d.id AS driver_id {_STANDING} WHERE s.org_id = $1 AND s.id = $2 AND s.ended_at IS NULL
"""
LOST_SESSIONS = f"""
SELECT a.id FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) AS a (org_id, id, role, driver_id)
 WHERE NOT EXISTS (SELECT {_STANDING}
                    WHERE s.org_id = a.org_id AND s.id = a.id AND s.ended_at IS NULL AND m.role = a.role
                      AND d.id IS NOT DISTINCT FROM a.driver_id)
"""  # noqa: S608
NOTE_SESSIONS_SEEN = """
UPDATE sessions SET last_seen_at = $3 WHERE (org_id, id) IN (
    SELECT org_id, id FROM sessions
     WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND ended_at IS NULL AND last_seen_at < $3
     ORDER BY org_id, id FOR UPDATE SKIP LOCKED)
"""

# A session may have thousands of tokens, and to delete it deletes them: so they go first, some at a time.
FORGET_TOKENS_OF_SESSIONS = """
DELETE FROM refresh_tokens WHERE token_hash IN (
    SELECT r.token_hash FROM sessions s JOIN refresh_tokens r ON r.org_id = s.org_id AND r.session_id = s.id
     WHERE least(s.ended_at, s.expires_at) < $1
     ORDER BY least(s.ended_at, s.expires_at) LIMIT $2 FOR UPDATE OF r SKIP LOCKED)
"""
FORGET_SESSIONS = """
DELETE FROM sessions WHERE (org_id, id) IN (
    SELECT s.org_id, s.id FROM sessions s
     WHERE least(s.ended_at, s.expires_at) < $1
       AND NOT EXISTS (SELECT FROM refresh_tokens r WHERE r.org_id = s.org_id AND r.session_id = s.id)
     ORDER BY least(s.ended_at, s.expires_at) LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
FORGET_REFRESH_TOKENS = """
DELETE FROM refresh_tokens WHERE token_hash IN (
    SELECT token_hash FROM refresh_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
FORGET_INVITATIONS = """
DELETE FROM invitations WHERE (org_id, id) IN (
    SELECT org_id, id FROM invitations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What is kept of one, and of its session."""

    org_id: UUID
    session_id: UUID
    user_id: UUID
    expires_at: datetime
    exchanged_at: datetime | None
    ended_at: datetime | None


async def add_session(
    conn: Connection, org_id: UUID, session_id: UUID, user_id: UUID, now: datetime, expires_at: datetime, agent: str
) -> bool:
    """False when the person is no member any more."""
    added = await conn.execute(ADD_SESSION, org_id, session_id, user_id, now, expires_at, agent or None)
    return added != "INSERT 0 0"


async def add_refresh_token(
    conn: Connection, org_id: UUID, session_id: UUID, token_hash: bytes, now: datetime, expires_at: datetime
) -> None:
    """Keep a token's hash; no effect for one that is known."""
    await conn.execute(ADD_REFRESH, org_id, session_id, token_hash, now, expires_at)


async def take_refresh_token(conn: Connection, token_hash: bytes) -> RefreshToken | None:
    """Hold its session until the transaction's end; None when it is unknown."""
    await conn.execute(LOCK_SESSION_OF, token_hash)
    row = await conn.fetchrow(FIND_REFRESH, token_hash)  # as it stands now that we hold the session
    return RefreshToken(**dict(row)) if row else None


async def exchanged_since(conn: Connection, org_id: UUID, session_id: UUID, since: datetime) -> set[bytes]:
    """The hashes of the session's tokens that were used up since then."""
    return {row["token_hash"] for row in await conn.fetch(EXCHANGED_SINCE, org_id, session_id, since)}


async def mark_exchanged(conn: Connection, token_hash: bytes, now: datetime) -> None:
    await conn.execute(MARK_EXCHANGED, token_hash, now)


async def extend_session(conn: Connection, org_id: UUID, session_id: UUID, now: datetime, expires_at: datetime) -> None:
    """No effect on one that has ended."""
    await conn.execute(EXTEND_SESSION, org_id, session_id, now, expires_at)


async def end_session(conn: Connection, org_id: UUID, session_id: UUID, now: datetime, reason: str) -> None:
    """No effect on one that has ended."""
    await conn.execute(END_SESSION, org_id, session_id, now, reason)


async def end_sessions_of_member(conn: Connection, org_id: UUID, user_id: UUID, now: datetime, reason: str) -> None:
    """Every session of a person in one organisation; the organisation's own scope may do it."""
    await conn.execute(END_SESSIONS_OF_MEMBER, org_id, user_id, now, reason)


async def end_sessions_of_person(conn: Connection, user_id: UUID, now: datetime, reason: str) -> None:
    """Every session of a person, in whatever organisation."""
    await conn.execute(END_SESSIONS_OF_PERSON, user_id, now, reason)


async def principal_of_session(conn: Connection, org_id: UUID, session_id: UUID) -> Principal | None:
    """Whom a session speaks for now; None when it has ended, or its person is no member any more."""
    row = await conn.fetchrow(PRINCIPAL_OF_SESSION, org_id, session_id)
    if row is None:
        return None
    return Principal(
        org_id, Role(row["role"]), user_id=row["user_id"], driver_id=row["driver_id"], session_id=session_id
    )


async def lost_sessions(conn: Connection, people: Collection[Principal]) -> set[UUID]:
    """The sessions of these that have ended, or whose person is something else by now."""
    rows = await conn.fetch(
        LOST_SESSIONS,
        [p.org_id for p in people],
        [p.session_id for p in people],
        [str(p.role) for p in people],
        [p.driver_id for p in people],
    )
    return {row["id"] for row in rows}


async def note_seen(conn: Connection, sessions: Iterable[tuple[UUID, UUID]], now: datetime) -> None:
    """Keep that these (organisation, session) are about; a row that somebody else holds is left for the next time."""
    keys = list(sessions)
    await conn.execute(NOTE_SESSIONS_SEEN, [key[0] for key in keys], [key[1] for key in keys], now)


async def forget(conn: Connection, statement: str, before: datetime, at_most: int) -> int:
    """Run one of the ``FORGET_…`` statements; how many rows it deleted."""
    return int((await conn.execute(statement, before, at_most)).split()[-1])
