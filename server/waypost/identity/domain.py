"""Pure rules of identity: tokens, addresses to sign in with, an organisation's settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import Denied, NotFound, Unauthenticated
from waypost.kernel.principal import Role

DEVICE_TOKEN_PREFIX = "wpd_"  # noqa: S105 - what all of them begin with
DEVICE_TOKEN_BYTES = 24
MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 1024  # a slow hash of megabytes would be a gift to an attacker


class BadCredentials(Unauthenticated):
    """The phone number or e-mail address and the password do not go together."""

    code = "bad-credentials"


class TokenExpired(Unauthenticated):
    """The access token has expired; sign in again."""

    code = "token-expired"


class TokenInvalid(Unauthenticated):
    """The token is not valid, or was withdrawn."""

    code = "token-invalid"


class ChooseOrganisation(Denied):
    """You belong to several organisations: send `orgId` with the sign-in."""

    code = "choose-organisation"


class OrganisationNotFound(NotFound):
    """No such organisation, or none that you belong to."""

    code = "organisation-not-found"


class TrackingLimits(msgspec.Struct, frozen=True, rename="camel"):
    """What an organisation takes for a plausible fix (DESIGN.md section 4; the defaults are the reference's)."""

    future_s: Annotated[int, Meta(ge=0, le=86_400)] = 300  # a fix further ahead of us is rejected as `future`
    retention_days: Annotated[int, Meta(ge=1, le=36_500)] = 365  # an older one as `too_old`
    max_accuracy_m: Annotated[float, Meta(gt=0)] = 200.0  # a less accurate one is flagged `poor_accuracy`
    max_speed_mps: Annotated[float, Meta(gt=0)] = 70.0  # a faster reported speed is taken as unknown
    allow_mock: bool = False  # else a fix that the phone calls mocked is flagged `mock`


class OrgSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What an organisation may set for itself; kept as JSON, absent parts have these defaults."""

    time_zone: str = "UTC"
    tracking: TrackingLimits = TrackingLimits()


@dataclass(frozen=True, slots=True)
class User:
    """A person as a member of one organisation."""

    id: UUID
    name: str
    phone: str | None
    email: str | None
    org_id: UUID
    org_name: str
    role: Role
    driver_id: UUID | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that somebody did."""

    id: UUID
    at: datetime
    actor_id: UUID | None
    actor_name: str | None
    action: str
    subject_kind: str
    subject_id: UUID | None
    why: str | None
    detail: Mapping[str, object]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says."""

    user_id: UUID
    org_id: UUID
    role: Role
    driver_id: UUID | None
    expires_at: datetime


def token_hash(token: str) -> bytes:
    """What is stored of a device token. It is 192 random bits, so one SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()


def normal_phone(text: str) -> str | None:
    """A phone number in E.164, or None when ``text`` is none. A bare national one is none: it would be a guess."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
