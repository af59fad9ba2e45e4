"""Sign-in, and who a token speaks for."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import argon2
import asyncpg

from waypost.identity import domain, storage
from waypost.identity.domain import (
    BadCredentials,
    ChooseOrganisation,
    Claims,
    OrganisationNotFound,
    OrgSettings,
    TokenInvalid,
    User,
    normal_phone,
)
from waypost.identity.tokens import AccessTokens
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Conflict, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import SYSTEM, Connection, Database

# Two at once: a hash takes 30-100 ms of a core and 64 MiB; a storm of sign-ins waits in line instead of eating both.
_HASHES_AT_ONCE = 2


class TakenAddress(Conflict):
    """Somebody signs in with that phone number or e-mail address already."""

    code = "address-taken"


class DeviceTokens(Protocol):
    """The port by which a device's token is looked up; the directory's devices fill it."""

    async def authenticate(self, token: str) -> Principal:
        """The device's principal; ``TokenInvalid`` when unknown or withdrawn."""
        ...


@dataclass(frozen=True, slots=True)
class Passwords:
    """Argon2id (RFC 9106, the library's defaults), off the event loop."""

    hasher: argon2.PasswordHasher = field(default_factory=argon2.PasswordHasher)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_HASHES_AT_ONCE))
    decoy: str = ""

    async def hash(self, password: str) -> str:
        async with self.turns:
            return await asyncio.to_thread(self.hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Is it the password? Takes as long when there is no such person (``stored`` None)."""
        async with self.turns:
            return await asyncio.to_thread(self._verify, stored, password)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            self.hasher.verify(stored or self.decoy, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return stored is not None


def passwords() -> Passwords:
    """With a decoy hash of the same cost, so that time does not tell who exists."""
    hasher = argon2.PasswordHasher()
    return Passwords(hasher, decoy=hasher.hash(secrets.token_hex(8)))


@dataclass(frozen=True, slots=True)
class Identity:
    """The use cases of identity."""

    database: Database
    clock: Clock
    tokens: AccessTokens
    passwords: Passwords
    devices: DeviceTokens
    access_token_s: int

    async def sign_in(
        self, *, phone: str | None, email: str | None, password: str, org_id: UUID | None = None
    ) -> tuple[str, User]:
        """An access token for who knows the password. ``BadCredentials`` says nothing of which part was wrong."""
        if (phone is None) == (email is None):
            raise invalid_field("phone", "give either a phone number or an e-mail address")
        number = normal_phone(phone) if phone is not None else None
        address = email.strip().lower() if email is not None else None
        async with self.database.transaction(SYSTEM) as conn:
            found = await storage.find_sign_in(conn, number, address)
        if not await self.passwords.verify(found[1] if found else None, password) or found is None:
            raise BadCredentials
        async with self.database.transaction(SYSTEM) as conn:
            memberships = await storage.memberships(conn, found[0], org_id)
        if len(memberships) > 1:
            raise ChooseOrganisation(organisations=[{"orgId": str(m.org_id), "name": m.org_name} for m in memberships])
        if not memberships:
            raise BadCredentials
        return self._issue(memberships[0]), memberships[0]

    def _issue(self, user: User) -> str:
        now = self.clock.now()
        expires_at = now + timedelta(seconds=self.access_token_s)
        return self.tokens.issue(Claims(user.id, user.org_id, user.role, user.driver_id, expires_at), now)

    async def authenticate(self, token: str) -> Principal:
        """Who a token speaks for: a device by its own kind of token, else a person by an access token."""
        if not token.isascii():
            raise TokenInvalid
        if token.startswith(domain.DEVICE_TOKEN_PREFIX):
            return await self.devices.authenticate(token)
        claims = self.tokens.read(token, self.clock.now())
        return Principal(claims.org_id, claims.role, user_id=claims.user_id, driver_id=claims.driver_id)

    async def me(self, principal: Principal) -> User | None:
        """The person who is signed in; None for a device."""
        if principal.user_id is None:
            return None
        async with self.database.transaction(SYSTEM) as conn:
            memberships = await storage.memberships(conn, principal.user_id, principal.org_id)
        if not memberships:
            raise TokenInvalid
        return memberships[0]

    async def settings(self, org_id: UUID) -> OrgSettings:
        """An organisation's settings."""
        async with self.database.transaction(org_id) as conn:
            return await storage.settings_of(conn, org_id)

    async def save_settings(self, org_id: UUID, settings: OrgSettings) -> None:
        """Replace an organisation's settings (the demo's own; the route comes with the registers)."""
        async with self.database.transaction(org_id) as conn:
            await storage.save_settings(conn, org_id, settings)

    async def add_organisation(self, name: str, settings: OrgSettings = OrgSettings()) -> UUID:  # noqa: B008 - frozen
        """A new organisation, by the operator."""
        org_id = new_id(self.clock)
        async with self.database.transaction(SYSTEM) as conn:
            await storage.add_organisation(conn, org_id, name, settings, self.clock.now())
        return org_id

    async def organisation_named(self, name: str) -> UUID:
        """The organisation of that name. ``OrganisationNotFound`` when there is none."""
        async with self.database.transaction(SYSTEM) as conn:
            found = await storage.organisation_named(conn, name)
        if found is None:
            raise OrganisationNotFound(f"There is no organisation named {name!r}.")
        return found

    async def add_user(
        self, *, org_id: UUID, name: str, role: Role, password: str, phone: str | None = None, email: str | None = None
    ) -> UUID:
        """A new person in an organisation, by the operator. ``TakenAddress``, or ``Invalid`` naming the field."""
        number = normal_phone(phone) if phone is not None else None
        if phone is not None and number is None:
            raise invalid_field("phone", "give it in international form, such as +263 77 123 4567")
        if phone is None and email is None:
            raise invalid_field("phone", "give a phone number or an e-mail address to sign in with")
        if email is not None and "@" not in email:
            raise invalid_field("email", "that is not an e-mail address")
        if not domain.MIN_PASSWORD_LENGTH <= len(password) <= domain.MAX_PASSWORD_LENGTH:
            raise invalid_field("password", f"at least {domain.MIN_PASSWORD_LENGTH} characters")
        password_hash = await self.passwords.hash(password)
        address = email.strip().lower() if email else None
        user = User(new_id(self.clock), name, number, address, org_id, "", role, None)
        try:
            async with self.database.transaction(SYSTEM) as conn:
                await storage.add_user(conn, user, password_hash, self.clock.now())
        except asyncpg.UniqueViolationError as error:
            raise TakenAddress from error
        return user.id


async def settings_of(conn: Connection, org_id: UUID) -> OrgSettings:
    """An organisation's settings inside another's transaction."""
    return await storage.settings_of(conn, org_id)
