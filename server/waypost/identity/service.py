"""Sign-in, and who a token speaks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import asyncpg

from waypost.identity import domain, storage
from waypost.identity.domain import (
    BadCredentials,
    ChooseOrganisation,
    OrganisationNotFound,
    OrgSettings,
    SignedIn,
    TakenAddress,
    TokenInvalid,
    User,
    normal_email,
    normal_phone,
)
from waypost.identity.passwords import Passwords
from waypost.identity.rules import Rules
from waypost.identity.sessions import Sessions
from waypost.identity.throttle import Caller, Throttle
from waypost.identity.tokens import AccessTokens
from waypost.kernel.clock import Clock
from waypost.kernel.errors import invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Admitted, Principal, Role
from waypost.platform.database import SYSTEM, Connection, Database

BAD_PHONE = "give it in international form, such as +263 77 123 4567"
BAD_EMAIL = "that is not an e-mail address"
NOT_ASCII = "only unaccented Latin letters, digits and signs; a domain with others is written in its xn-- form"


class DeviceTokens(Protocol):
    """The port by which a device's token is looked up; the directory's devices fill it."""

    async def authenticate(self, token: str) -> Principal:
        """The device's principal; ``TokenInvalid`` when unknown or withdrawn."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """The use cases of identity."""

    database: Database
    clock: Clock
    tokens: AccessTokens
    passwords: Passwords
    devices: DeviceTokens
    sessions: Sessions
    throttle: Throttle
    rules: Rules

    async def sign_in(
        self,
        *,
        phone: str | None,
        email: str | None,
        password: str,
        org_id: UUID | None = None,
        caller: Caller | None = None,
    ) -> SignedIn:
        """A session for who knows the password. ``BadCredentials`` says nothing of which part was wrong."""
        if (phone is None) == (email is None):
            raise invalid_field("phone", "give either a phone number or an e-mail address")
        number = normal_phone(phone) if phone is not None else None
        address = email.strip().lower() if email is not None else None
        await self.throttle.sign_in(caller, number or address or "".join((phone or "").split()))
        async with self.database.transaction(SYSTEM) as conn:
            found = await storage.find_sign_in(conn, number, address)
        if not await self.passwords.verify(found[1] if found else None, password) or found is None:
            raise BadCredentials
        async with self.database.transaction(SYSTEM) as conn:
            if not await storage.hold_account(conn, *found):
                raise BadCredentials
            user = _the_one(await storage.memberships(conn, found[0], org_id))
            return await self.sessions.begin(conn, user, caller.user_agent if caller else "")

    async def refresh(self, token: str, caller: Caller) -> SignedIn:
        """Exchange a refresh token for the next. ``RefreshTokenInvalid``."""
        await self.throttle.token(caller, "refresh")
        return await self.sessions.refresh(token)

    async def authenticate(self, token: str) -> Principal:
        """Who a token speaks for: a device by its own kind of token, else a person by an access token."""
        return (await self.admit(token)).principal

    async def admit(self, token: str) -> Admitted:
        """The same, and until when: for what stays open longer than a request."""
        if not token.isascii():
            raise TokenInvalid
        if token.startswith(domain.DEVICE_TOKEN_PREFIX):
            return Admitted(await self.devices.authenticate(token))
        claims = self.tokens.read(token, self.clock.now())
        return Admitted(await self.sessions.principal(claims), claims.expires_at)

    async def me(self, principal: Principal) -> User | None:
        """The person who is signed in; None for a device."""
        if principal.user_id is None:
            return None
        async with self.database.transaction(SYSTEM) as conn:
            memberships = await storage.memberships(conn, principal.user_id, principal.org_id)
        if not memberships:
            raise TokenInvalid
        return memberships[0]

    async def save_settings(self, org_id: UUID, settings: OrgSettings) -> None:
        """Replace an organisation's settings, by the operator; people's own way is ``Organisations.change``."""
        async with self.database.transaction(org_id) as conn:
            await storage.save_settings(conn, org_id, settings)
        self.rules.forget(org_id)

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
        number, address = checked_phone(phone), checked_email(email)
        if number is None and address is None:
            raise invalid_field("phone", "give a phone number or an e-mail address to sign in with")
        check_password(password)
        password_hash = await self.passwords.hash(password)
        user = User(new_id(self.clock), name, number, address, org_id, "", role, None)
        try:
            async with self.database.transaction(SYSTEM) as conn:
                await storage.add_user(conn, user, password_hash, self.clock.now())
        except asyncpg.UniqueViolationError as error:
            raise TakenAddress from error
        return user.id


def _the_one(memberships: Sequence[User]) -> User:
    """``ChooseOrganisation`` when there are several, ``BadCredentials`` when there is none."""
    if len(memberships) > 1:
        raise ChooseOrganisation(organisations=[{"orgId": str(m.org_id), "name": m.org_name} for m in memberships])
    if not memberships:
        raise BadCredentials
    return memberships[0]


def checked_phone(phone: str | None, field: str = "phone", country: str | None = None) -> str | None:
    """In E.164; ``Invalid`` naming the field when it is no number. ``country``: whose national numbers it may be."""
    if phone is None:
        return None
    number = normal_phone(phone, country)
    if number is None:
        raise invalid_field(field, BAD_PHONE)
    return number


def checked_email(email: str | None, field: str = "email") -> str | None:
    """In lower case; ``Invalid`` naming the field when it is no address."""
    if email is None:
        return None
    if not email.isascii():
        raise invalid_field(field, NOT_ASCII)
    address = normal_email(email)
    if address is None:
        raise invalid_field(field, BAD_EMAIL)
    return address


def check_password(password: str) -> None:
    """``Invalid`` for one that is too short or too long."""
    if not domain.MIN_PASSWORD_LENGTH <= len(password) <= domain.MAX_PASSWORD_LENGTH:
        raise invalid_field("password", f"at least {domain.MIN_PASSWORD_LENGTH} characters")


async def settings_of(conn: Connection, org_id: UUID) -> OrgSettings:
    """An organisation's settings inside another's transaction."""
    return await storage.settings_of(conn, org_id)
