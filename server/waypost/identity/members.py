"""The organisation itself, and who belongs to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

import msgspec

from waypost.identity import audit, storage_members
from waypost.identity.domain import (
    LastOwner,
    Member,
    MemberNotFound,
    Organisation,
    OrganisationNotFound,
    OrgSettings,
    normal_email,
)
from waypost.identity.rules import Rules
from waypost.identity.sessions import Sessions
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Stale, invalid_field
from waypost.kernel.money import PLACES
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, WATCHERS, Principal, Role
from waypost.kernel.zones import zone_named
from waypost.platform.database import Connection, Database

OWNERS = frozenset({Role.OWNER})
# Of an organisation, before and after.
SettingsChanged = Callable[[Connection, UUID, OrgSettings, OrgSettings], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Organisations:
    """An organisation's own row: what it is called, and what it has set for itself. ``heard``: who is told of a change,
    in its transaction.
    """

    database: Database
    clock: Clock
    rules: Rules
    heard: Sequence[SettingsChanged] = ()

    async def find(self, principal: Principal) -> Organisation:
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await _organisation(conn, principal)

    async def change(
        self,
        principal: Principal,
        *,
        name: str | None,
        time_zone: str | None,
        tracking: Mapping[str, object] = MappingProxyType({}),
        selling: Mapping[str, object] = MappingProxyType({}),
        telling: Mapping[str, object] = MappingProxyType({}),
        expected: int | None = None,
    ) -> Organisation:
        """None, or nothing, for what stays. The others: some of theirs, checked by the wire."""
        principal.require(OWNERS)
        if time_zone is not None:
            _check_zone(time_zone)
        selling = _checked(selling)
        async with self.database.transaction(principal.org_id) as conn:
            before = await _organisation(conn, principal, lock=True)
            if expected not in (None, before.version):
                raise Stale
            limits = msgspec.structs.replace(before.settings.tracking, **tracking)
            settings = msgspec.structs.replace(
                before.settings,
                time_zone=time_zone or before.settings.time_zone,
                tracking=limits,
                selling=msgspec.structs.replace(before.settings.selling, **selling),
                telling=msgspec.structs.replace(before.settings.telling, **telling),
            )
            if (name or before.name, settings) != (before.name, before.settings):
                await storage_members.change_organisation(conn, principal.org_id, name or before.name, settings)
                for tell in self.heard:
                    await tell(conn, principal.org_id, before.settings, settings)
                await self._record(
                    conn,
                    principal,
                    name=name,
                    timeZone=time_zone,
                    tracking=dict(tracking),
                    selling=list(selling),
                    telling=list(telling),
                )
            changed = await _organisation(conn, principal)
        self.rules.forget(principal.org_id)
        return changed

    async def _record(self, conn: Connection, principal: Principal, **given: object) -> None:
        """Of how it sells the names of what changed: a shop's telephone number and address are no audit's."""
        await audit.record(
            conn, principal, self.clock, action="organisation.changed", subject_kind="organisation",
            subject_id=principal.org_id, detail={key: value for key, value in given.items() if value},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Members:
    """Who belongs to an organisation, and as what."""

    database: Database
    clock: Clock
    sessions: Sessions

    async def find(self, principal: Principal, user_id: UUID) -> Member:
        principal.require(PLANNERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await _member(conn, principal, user_id)

    async def list(
        self, principal: Principal, limit: int, cursor: str | None, *, role: Role | None, text: str | None
    ) -> Page[Member]:
        """By id, which is the order in which people came to the installation."""
        principal.require(PLANNERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_members.list_members(
                conn, principal.org_id, role=role, text=text, after=after, limit=limit
            )
        return page_of(rows, limit, lambda member: member.user_id)

    async def names(self, org_id: UUID, user_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """What these people are called; who is no member is left out."""
        if not user_ids:
            return {}
        async with self.database.transaction(org_id) as conn:
            return await storage_members.names(conn, org_id, user_ids)

    async def set_role(
        self, principal: Principal, user_id: UUID, role: Role | None, *, expected: int | None = None
    ) -> Member:
        """Another role (None: the same), which acts within five seconds. ``LastOwner``, ``Stale``."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            owners = await storage_members.lock_owners(conn, principal.org_id)
            before, version = await _lock(conn, principal, user_id)
            if expected not in (None, version):
                raise Stale
            if role is not None and role is not before:
                if owners == {user_id}:
                    raise LastOwner
                await withdraw_invitations(conn, principal, self.clock, user_id)
                await storage_members.set_role(conn, principal.org_id, user_id, role)
                await self._record(conn, principal, "role-changed", user_id, before=str(before), role=str(role))
            member = await _member(conn, principal, user_id)
        self.sessions.forget(user_id)
        return member

    async def remove(self, principal: Principal, user_id: UUID) -> None:
        """They are signed out of this organisation within five seconds. ``LastOwner``."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            owners = await storage_members.lock_owners(conn, principal.org_id)
            role, _ = await _lock(conn, principal, user_id)
            if owners == {user_id}:
                raise LastOwner
            await withdraw_invitations(conn, principal, self.clock, user_id, to_them=True)
            await self._record(conn, principal, "removed", user_id, role=str(role))  # while we see the actor's name
            await storage_members.remove_member(conn, principal.org_id, user_id)
            await self.sessions.end_of_member(conn, principal.org_id, user_id, "removed")
        self.sessions.forget(user_id)

    async def _record(self, conn: Connection, principal: Principal, what: str, user_id: UUID, **detail: object) -> None:
        await audit.record(
            conn, principal, self.clock, action=f"member.{what}", subject_kind="member", subject_id=user_id,
            detail=detail,
        )  # fmt: skip


async def check_member(conn: Connection, org_id: UUID, user_id: UUID) -> None:
    """``MemberNotFound`` unless this is a member, who then stays one until the caller's transaction has ended."""
    if not await storage_members.hold_member(conn, org_id, user_id):
        raise MemberNotFound


async def withdraw_invitations(
    conn: Connection,
    principal: Principal,
    clock: Clock,
    user_id: UUID,
    *,
    to_them: bool = False,
    why: str | None = None,
) -> None:
    """Nobody comes back, or lets others in, by an invitation from when they were an owner; see ``withdraw_theirs``."""
    for invitation_id in await storage_members.withdraw_theirs(
        conn, principal.org_id, user_id, clock.now(), to_them=to_them
    ):
        await audit.record(
            conn, principal, clock, action="invitation.withdrawn", subject_kind="invitation",
            subject_id=invitation_id, why=why,
        )  # fmt: skip


def _checked(selling: Mapping[str, object]) -> Mapping[str, object]:
    """``Invalid`` for a currency that there is not, or an e-mail address that is none."""
    currency, email = selling.get("currency"), selling.get("shop_email")
    if currency is not None and currency not in PLACES:
        raise invalid_field("selling.currency", "there is no such currency; give an ISO 4217 code such as USD")
    if email is not None and normal_email(str(email)) is None:
        raise invalid_field("selling.shopEmail", "that is no e-mail address")
    return selling


def _check_zone(name: str) -> None:
    try:
        zone_named(name)
    except ValueError as error:
        raise invalid_field("timeZone", str(error)) from error


async def _organisation(conn: Connection, principal: Principal, *, lock: bool = False) -> Organisation:
    found = await storage_members.find_organisation(conn, principal.org_id, lock=lock)
    if found is None:
        raise OrganisationNotFound
    return found


async def _member(conn: Connection, principal: Principal, user_id: UUID) -> Member:
    found = await storage_members.find_member(conn, principal.org_id, user_id)
    if found is None:
        raise MemberNotFound
    return found


async def _lock(conn: Connection, principal: Principal, user_id: UUID) -> tuple[Role, int]:
    found = await storage_members.lock_member(conn, principal.org_id, user_id)
    if found is None:
        raise MemberNotFound
    return found
