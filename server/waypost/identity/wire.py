"""Bodies of sign-in."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.identity import domain
from waypost.platform.codec import NO_NUL

Token = Annotated[str, Meta(min_length=1, max_length=200)]


class Login(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who signs in: a phone number (international form) or an e-mail address, and the password.

    ``org_id`` picks one of several organisations; not needed by who belongs to one.
    """

    password: Annotated[str, Meta(min_length=1, max_length=domain.MAX_PASSWORD_LENGTH)]
    phone: Annotated[str, Meta(min_length=1, max_length=40, pattern=NO_NUL)] | None = None
    email: Annotated[str, Meta(min_length=1, max_length=254, pattern=NO_NUL)] | None = None
    org_id: UUID | None = None


class User(msgspec.Struct, rename="camel", omit_defaults=True):
    """The person who is signed in, as a member of an organisation."""

    id: UUID
    name: str
    role: str
    org_id: UUID
    org_name: str
    phone: str | None = None
    email: str | None = None
    driver_id: UUID | None = None

    @classmethod
    def from_domain(cls, user: domain.User) -> User:
        return cls(
            id=user.id,
            name=user.name,
            role=user.role,
            org_id=user.org_id,
            org_name=user.org_name,
            phone=user.phone,
            email=user.email,
            driver_id=user.driver_id,
        )


class Me(msgspec.Struct, rename="camel"):
    """Who the token speaks for: a person, or a device."""

    user: User | None = None
    device_id: UUID | None = None


class SignedIn(msgspec.Struct, rename="camel"):
    """An access token, good for ``expires_in`` seconds, and what to exchange for the next one, once."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: User

    @classmethod
    def from_domain(cls, signed_in: domain.SignedIn) -> SignedIn:
        user = User.from_domain(signed_in.user)
        return cls(signed_in.access_token, signed_in.refresh_token, signed_in.expires_in_s, user)


class Refresh(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The refresh token that came last."""

    refresh_token: Token


class Logout(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``everywhere``: end every session of the person, in every browser and organisation."""

    everywhere: bool = False
