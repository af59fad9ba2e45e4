"""What the operator of the installation may do with people and organisations: by the command line, never by a route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.identity import audit, storage, storage_sessions
from waypost.identity.domain import (
    MemberNotFound,
    OrganisationNotFound,
    Person,
    PersonNotFound,
    normal_email,
    normal_phone,
)
from waypost.identity.members import withdraw_invitations
from waypost.identity.passwords import Passwords
from waypost.identity.service import check_password
from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import SYSTEM, Connection, Database

BY_OPERATOR = "by the operator of the installation"


def operator_of(org_id: UUID) -> Principal:
    """The operator inside one organisation: may what an owner may, and has no name there."""
    return Principal(org_id, Role.OWNER)


@dataclass(frozen=True, slots=True)
class Operator:
    """Every change ends the person's sessions within five seconds on every node, and is in the audit log."""

    database: Database
    clock: Clock
    passwords: Passwords

    async def organisation(self, text: str) -> UUID:
        """The organisation of that id or name. ``OrganisationNotFound``; the oldest of several."""
        async with self.database.transaction(SYSTEM) as conn:
            known = await storage.organisations(conn)
            found = next((org.id for org in known if str(org.id) == text.lower()), None)
            found = found or await storage.organisation_named(conn, text)
        if found is None:
            raise OrganisationNotFound(f"There is no organisation named {text!r}.")
        return found

    async def people(self, org_id: UUID | None) -> Sequence[Person]:
        """Everybody, or the people of one organisation."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage.people(conn, org_id)

    async def disable(self, who: str) -> bool:
        """Shut a person out of every organisation; False when they were so already."""
        async with self.database.transaction(SYSTEM) as conn:
            user_id, now = await self._who(conn, who), self.clock.now()
            changed = await storage.set_disabled(conn, user_id, now)
            await storage_sessions.end_sessions_of_person(conn, user_id, now, "disabled")
            for org_id in await storage.organisations_of(conn, user_id):
                await withdraw_invitations(conn, operator_of(org_id), self.clock, user_id, why=BY_OPERATOR)
            if changed:
                await self._record(conn, user_id, "person.disabled")
        return changed

    async def enable(self, who: str) -> bool:
        """Let them in again; False when they were not shut out."""
        async with self.database.transaction(SYSTEM) as conn:
            user_id = await self._who(conn, who)
            changed = await storage.set_disabled(conn, user_id, None)
            if changed:
                await self._record(conn, user_id, "person.enabled")
        return changed

    async def set_password(self, who: str, password: str) -> None:
        """A new password; whoever signed in with the old one is signed out."""
        check_password(password)
        password_hash = await self.passwords.hash(password)
        async with self.database.transaction(SYSTEM) as conn:
            user_id = await self._who(conn, who)
            await storage.set_password(conn, user_id, password_hash)
            await storage_sessions.end_sessions_of_person(conn, user_id, self.clock.now(), "password changed")
            await self._record(conn, user_id, "person.password-set")

    async def give_role(self, org_id: UUID, who: str, role: Role) -> None:
        """Another role in one organisation. ``MemberNotFound``."""
        async with self.database.transaction(SYSTEM) as conn:
            user_id = await self._who(conn, who)
            if not await storage.give_role(conn, org_id, user_id, role):
                raise MemberNotFound
            if role is not Role.OWNER:
                await withdraw_invitations(conn, operator_of(org_id), self.clock, user_id, why=BY_OPERATOR)
            await audit.record(
                conn, operator_of(org_id), self.clock, action="member.changed", subject_kind="member",
                subject_id=user_id, why=BY_OPERATOR, detail={"role": str(role)},
            )  # fmt: skip

    async def _who(self, conn: Connection, text: str) -> UUID:
        found = await storage.who(conn, _id(text), normal_phone(text), normal_email(text))
        if found is None:
            raise PersonNotFound
        return found

    async def _record(self, conn: Connection, user_id: UUID, action: str) -> None:
        """In the log of every organisation that the person belongs to."""
        for org_id in await storage.organisations_of(conn, user_id):
            await audit.record(
                conn, operator_of(org_id), self.clock, action=action, subject_kind="member",
                subject_id=user_id, why=BY_OPERATOR,
            )  # fmt: skip


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
