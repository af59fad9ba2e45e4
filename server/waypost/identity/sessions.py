"""Sessions of people: one sign-in each, with an access token for minutes and refresh tokens for weeks.

A refresh token is exchanged for the next, which is made from it by a keyed hash: who exchanges one twice within the
grace (two tabs, an answer that was lost) gets the very same successor, and the family never forks. So whoever else has
a copy is found out by the first exchange after the grace, and the session ends. docs/decisions/0010.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from waypost.identity import domain, storage, storage_sessions
from waypost.identity.domain import (
    REFRESH_TOKEN_PREFIX,
    BadCredentials,
    Claims,
    RefreshTokenInvalid,
    SignedIn,
    TokenInvalid,
    User,
)
from waypost.identity.storage_sessions import RefreshToken
from waypost.identity.tokens import AccessTokens
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal
from waypost.kernel.remembered import Remembered
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log

MAX_AGENT = 200


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last."""

    access: timedelta
    refresh: timedelta
    grace: timedelta


@dataclass(frozen=True, slots=True)
class Sessions:
    """``secret``: makes the successors of refresh tokens, the same on every node. ``seen``: who was about lately."""

    database: Database
    clock: Clock
    tokens: AccessTokens
    secret: bytes
    terms: Terms
    remembered: Remembered[UUID]
    seen: set[tuple[UUID, UUID]] = field(default_factory=set)

    async def begin(self, conn: Connection, user: User, user_agent: str = "") -> SignedIn:
        """A new session, in the caller's transaction (of the system scope). ``BadCredentials`` for who was removed."""
        now, session_id = self.clock.now(), new_id(self.clock)
        agent = "".join(filter(str.isprintable, user_agent))[:MAX_AGENT]
        until = now + self.terms.refresh
        if not await storage_sessions.add_session(conn, user.org_id, session_id, user.id, now, until, agent):
            raise BadCredentials
        token = REFRESH_TOKEN_PREFIX + secrets.token_urlsafe(32)
        await self._add(conn, user.org_id, session_id, token, now)
        return self._signed_in(user, session_id, token)

    async def refresh(self, token: str) -> SignedIn:
        """Exchange a refresh token. ``RefreshTokenInvalid``; one that was used up before ends its whole session."""
        async with self.database.transaction(SYSTEM) as conn:
            signed_in = await self._exchange(conn, token)
        if signed_in is None:  # after the commit: a refusal that is raised inside would undo the session's end
            raise RefreshTokenInvalid
        return signed_in

    async def _exchange(self, conn: Connection, token: str) -> SignedIn | None:
        now, hashed = self.clock.now(), domain.token_hash(token)
        found = await storage_sessions.take_refresh_token(conn, hashed)
        if found is None or found.ended_at is not None or found.expires_at <= now:
            return None
        if domain.is_reused(found.exchanged_at, now, self.terms.grace):
            log.warning("refresh_token_reused", session_id=str(found.session_id))
            await storage_sessions.end_session(conn, found.org_id, found.session_id, now, "reuse")
            return None
        if found.exchanged_at is None:
            await storage_sessions.mark_exchanged(conn, hashed, now)
        return await self._go_on(conn, found, token, now)

    async def _go_on(self, conn: Connection, found: RefreshToken, token: str, now: datetime) -> SignedIn | None:
        memberships = await storage.memberships(conn, found.user_id, found.org_id)
        standing = await storage_sessions.principal_of_session(conn, found.org_id, found.session_id)
        if not memberships or standing is None:
            return None
        until = now + self.terms.refresh
        await storage_sessions.extend_session(conn, found.org_id, found.session_id, now, until)
        successor = await self._successor(conn, found, token, now)
        return self._signed_in(memberships[0], found.session_id, successor)

    async def _successor(self, conn: Connection, found: RefreshToken, token: str, now: datetime) -> str:
        """The family's newest token: the next one, or what that was exchanged for since, however often."""
        used_up: set[bytes] = set()
        if found.exchanged_at is not None:
            since = found.exchanged_at - self.terms.grace  # another node's clock may be behind
            used_up = await storage_sessions.exchanged_since(conn, found.org_id, found.session_id, since)
        token = self._next(token)
        while domain.token_hash(token) in used_up:
            token = self._next(token)
        await self._add(conn, found.org_id, found.session_id, token, now)
        return token

    def _next(self, token: str) -> str:
        digest = hmac.new(self.secret, b"refresh-token\0" + token.encode(), hashlib.sha256).digest()
        return REFRESH_TOKEN_PREFIX + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def _add(self, conn: Connection, org_id: UUID, session_id: UUID, token: str, now: datetime) -> None:
        hashed = domain.token_hash(token)
        await storage_sessions.add_refresh_token(conn, org_id, session_id, hashed, now, now + self.terms.refresh)

    def _signed_in(self, user: User, session_id: UUID, refresh_token: str) -> SignedIn:
        now = self.clock.now()
        access_token = self.tokens.issue(Claims(user.id, user.org_id, session_id, now + self.terms.access), now)
        return SignedIn(access_token, refresh_token, int(self.terms.access.total_seconds()), user)

    async def principal(self, claims: Claims) -> Principal:
        """Who an access token speaks for now. ``TokenInvalid`` when its session has ended."""
        principal = self.remembered.get(claims.session_id)
        if principal is None:
            async with self.database.transaction(SYSTEM) as conn:
                principal = await storage_sessions.principal_of_session(conn, claims.org_id, claims.session_id)
            if principal is None:
                raise TokenInvalid
            self.remembered.keep(claims.session_id, principal)
            self.seen.add((claims.org_id, claims.session_id))
        return principal

    async def end(self, principal: Principal, *, everywhere: bool = False) -> None:
        """Sign out: this session, or all that the person has. May be repeated."""
        now = self.clock.now()
        async with self.database.transaction(SYSTEM) as conn:
            if everywhere and principal.user_id is not None:
                await storage_sessions.end_sessions_of_person(conn, principal.user_id, now, "logout-everywhere")
            elif principal.session_id is not None:
                await storage_sessions.end_session(conn, principal.org_id, principal.session_id, now, "logout")
        self.forget(principal.user_id)

    async def end_of_member(self, conn: Connection, org_id: UUID, user_id: UUID, reason: str) -> None:
        """Sign a person out of an organisation, in the caller's transaction; call ``forget`` once it has committed."""
        await storage_sessions.end_sessions_of_member(conn, org_id, user_id, self.clock.now(), reason)

    def forget(self, user_id: UUID | None) -> None:
        """Ask anew on this node what a person is; the others do within a few seconds."""
        self.remembered.forget(lambda principal: principal.user_id == user_id)

    async def lost(self, connected: Collection[Principal]) -> set[Principal]:
        """Those people among ``connected`` whose session has ended, or who are something else by now."""
        people = [p for p in connected if p.user_id is not None and p.session_id is not None]
        if not people:
            return set()
        async with self.database.transaction(SYSTEM) as conn:
            ended = await storage_sessions.lost_sessions(conn, people)
        lost = {person for person in people if person.session_id in ended}
        self.remembered.forget(lambda principal: principal.session_id in ended)
        return lost

    async def note_seen(self, connected: Collection[Principal]) -> None:
        """Keep that these, and who came with a token since the last time, are about."""
        seen = self.seen | {(p.org_id, p.session_id) for p in connected if p.user_id and p.session_id}
        self.seen.clear()
        if seen:
            async with self.database.transaction(SYSTEM) as conn:
                await storage_sessions.note_seen(conn, seen, self.clock.now())

    async def forget_old(self, kept: timedelta, at_most: int) -> int:
        """Delete sessions that ended or ran out, refresh tokens and invitations that ran out, longer ago than ``kept``.

        ``at_most`` of each, in one short transaction; how many rows went: call again until it is 0.
        """
        before = self.clock.now() - kept
        statements = (
            storage_sessions.FORGET_TOKENS_OF_SESSIONS,
            storage_sessions.FORGET_SESSIONS,
            storage_sessions.FORGET_REFRESH_TOKENS,
            storage_sessions.FORGET_INVITATIONS,
        )
        async with self.database.transaction(SYSTEM) as conn:
            return sum([await storage_sessions.forget(conn, statement, before, at_most) for statement in statements])
