"""Invitations: a token on its way to somebody, who becomes a member with it, once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from waypost.identity import audit, storage, storage_members
from waypost.identity.domain import (
    INVITATION_LIFE,
    INVITATION_PREFIX,
    AlreadyMember,
    BadCredentials,
    Invitation,
    InvitationNotFound,
    SignedIn,
    User,
    token_hash,
)
from waypost.identity.members import OWNERS
from waypost.identity.passwords import Passwords
from waypost.identity.service import check_password, checked_email, checked_phone
from waypost.identity.sessions import Sessions
from waypost.identity.throttle import Caller, Throttle
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, Principal, Role
from waypost.platform.database import SYSTEM, Connection, Database


@dataclass(frozen=True, slots=True)
class Invitations:
    """Made by owners, accepted by whoever holds the token."""

    database: Database
    clock: Clock
    passwords: Passwords
    sessions: Sessions
    throttle: Throttle

    async def list(self, principal: Principal, limit: int, cursor: str | None) -> Page[Invitation]:
        """Those that wait."""
        principal.require(PLANNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_members.list_invitations(conn, principal.org_id, self.clock.now(), after, limit)
        return page_of(rows, limit, lambda invitation: invitation.id)

    async def invite(
        self, principal: Principal, *, name: str, role: Role, phone: str | None = None, email: str | None = None
    ) -> tuple[Invitation, str]:
        """An invitation and its token, which is shown this once. It takes the place of one to the same address."""
        principal.require(OWNERS)
        number, address = checked_phone(phone), checked_email(email)
        if (number is None) == (address is None):
            raise invalid_field("phone", "give either a phone number or an e-mail address")
        now, token = self.clock.now(), INVITATION_PREFIX + secrets.token_urlsafe(32)
        invitation = Invitation(
            principal.org_id, new_id(self.clock), name, number, address, role, now, now + INVITATION_LIFE
        )
        async with self.database.transaction(principal.org_id) as conn:
            if principal.user_id is None:  # owners are people
                raise BadCredentials
            if not await storage_members.hold_owner(conn, principal.org_id, principal.user_id):
                raise Denied
            if await storage_members.is_member_address(conn, principal.org_id, number, address):
                raise AlreadyMember
            await storage_members.add_invitation(conn, invitation, token_hash(token), principal.user_id)
            await self._record(conn, principal, "made", invitation.id, role=str(role))
        return invitation, token

    async def withdraw(self, principal: Principal, invitation_id: UUID) -> None:
        """``InvitationNotFound`` when none of that id waits."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            if not await storage_members.withdraw_invitation(conn, principal.org_id, invitation_id, self.clock.now()):
                raise InvitationNotFound
            await self._record(conn, principal, "withdrawn", invitation_id)

    async def look(self, token: str, caller: Caller) -> Invitation:
        """What waits behind a token. ``InvitationNotFound`` for one that is unknown, used, withdrawn or too old."""
        await self.throttle.token(caller, "invitation")
        async with self.database.transaction(SYSTEM) as conn:
            found = await storage_members.find_invitation(conn, token_hash(token), self.clock.now())
        if found is None:
            raise InvitationNotFound
        return found

    async def accept(self, token: str, *, name: str | None, password: str, caller: Caller) -> SignedIn:
        """Become a member, and signed in. Who has an account signs in to it (``BadCredentials``); else one is made."""
        invitation = await self.look(token, caller)
        check_password(password)
        await self.throttle.sign_in(caller, invitation.phone or invitation.email or "")
        try:
            return await self._accept(token, invitation, name, password, caller)
        except asyncpg.UniqueViolationError:  # an account was made with that address a moment ago
            return await self._accept(token, invitation, name, password, caller)

    async def _accept(
        self, token: str, invitation: Invitation, name: str | None, password: str, caller: Caller
    ) -> SignedIn:
        async with self.database.transaction(SYSTEM) as conn:
            account = await storage.find_account(conn, invitation.phone, invitation.email)
        if account is not None and (
            account.disabled or not await self.passwords.verify(account.password_hash, password)
        ):
            raise BadCredentials
        password_hash = await self.passwords.hash(password) if account is None else ""
        async with self.database.transaction(SYSTEM) as conn:
            if account is not None and not await storage.hold_account(conn, account.id, account.password_hash):
                raise BadCredentials
            # Of two who accept at once the second waits here, and finds none that waits.
            if await storage_members.find_invitation(conn, token_hash(token), self.clock.now(), lock=True) is None:
                raise InvitationNotFound
            user_id = account.id if account else new_id(self.clock)
            if account is None:
                user = User(user_id, name or invitation.name, invitation.phone, invitation.email, invitation.org_id,
                            invitation.org_name, invitation.role, None)  # fmt: skip
                await storage.add_person(conn, user, password_hash, self.clock.now())
            return await self._join(conn, invitation, user_id, caller)

    async def _join(self, conn: Connection, invitation: Invitation, user_id: UUID, caller: Caller) -> SignedIn:
        org_id, now = invitation.org_id, self.clock.now()
        if not await storage_members.add_member(conn, org_id, user_id, invitation.role, now):
            raise AlreadyMember
        await storage_members.mark_accepted(conn, org_id, invitation.id, now)
        principal = Principal(org_id, invitation.role, user_id=user_id)
        await self._record(conn, principal, "accepted", invitation.id, role=str(invitation.role))
        (user,) = await storage.memberships(conn, user_id, org_id)
        return await self.sessions.begin(conn, user, caller.user_agent)

    async def _record(
        self, conn: Connection, principal: Principal, what: str, invitation_id: UUID, **detail: object
    ) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"invitation.{what}", subject_kind="invitation",
            subject_id=invitation_id, detail=detail,
        )  # fmt: skip
