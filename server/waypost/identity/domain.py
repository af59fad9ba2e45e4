"""Pure rules of identity: tokens, addresses to sign in with, an organisation's settings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.identity.logo import Logo
from waypost.kernel.errors import Conflict, Denied, NotFound, Unauthenticated
from waypost.kernel.principal import Role

DEVICE_TOKEN_PREFIX = "wpd_"  # noqa: S105 - what all of them begin with
DEVICE_TOKEN_BYTES = 24
REFRESH_TOKEN_PREFIX = "wpr_"  # noqa: S105 - the same
INVITATION_PREFIX = "wpi_"
INVITATION_LIFE = timedelta(days=7)
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


class RefreshTokenInvalid(Unauthenticated):
    """The refresh token is unknown, expired, or of a session that has ended; sign in again."""

    code = "refresh-token-invalid"


class InvitationNotFound(NotFound):
    """There is no such invitation; it may have been used or withdrawn, or its seven days are over."""

    code = "invitation-not-found"


class MemberNotFound(NotFound):
    """No such member of your organisation."""

    code = "member-not-found"


class AlreadyMember(Conflict):
    """Somebody with that phone number or e-mail address is a member already."""

    code = "already-member"


class LastOwner(Conflict):
    """An organisation needs an owner: make somebody else one first."""

    code = "last-owner"


class TakenAddress(Conflict):
    """Somebody signs in with that phone number or e-mail address already."""

    code = "address-taken"


class ChooseOrganisation(Denied):
    """You belong to several organisations: send `orgId` with the sign-in."""

    code = "choose-organisation"


class PersonNotFound(NotFound):
    """Nobody has that id, phone number or e-mail address."""

    code = "person-not-found"


class OrganisationNotFound(NotFound):
    """No such organisation, or none that you belong to."""

    code = "organisation-not-found"


class TrackingLimits(msgspec.Struct, frozen=True, rename="camel"):
    """What an organisation takes for a plausible fix (DESIGN.md section 4; the defaults are the reference's)."""

    future_s: Annotated[int, Meta(ge=0, le=86_400)] = 300  # a fix further ahead of us is rejected as `future`
    retention_days: Annotated[int, Meta(ge=1, le=36_500)] = 365  # an older one as `too_old`
    max_accuracy_m: Annotated[float, Meta(gt=0)] = 200.0  # a less accurate one is flagged `poor_accuracy`
    max_speed_mps: Annotated[float, Meta(gt=0)] = 70.0  # a faster reported speed is taken as unknown
    requests_per_s: Annotated[float, Meta(ge=0)] = 10.0  # of a device, averaged over 10 s; 0: as many as it likes
    fixes_per_s: Annotated[float, Meta(ge=0)] = 100.0  # of a device, averaged over a minute; 0: the same
    allow_mock: bool = False  # else a fix that the phone calls mocked is flagged `mock`


# The words of laybys that an organisation chooses from; their rules are in ``laybys/``.
Trade = Literal["clothing", "hardware", "grocery", "restaurant", "construction", "other"]
Place = Literal["NONE", "AU", "NZ", "ZA", "ZW", "KE", "ZM", "NA"]


class Selling(msgspec.Struct, frozen=True, rename="camel"):
    """How an organisation sells, and what stands on its papers.

    ``currency``, ``trade``, ``jurisdiction``: of new laybys; ``locale``: of papers and messages where a customer has
    none; ``country``: ISO 3166; ``colour``: of the papers, "#rrggbb"; ``use_money_on_account``: what another
    organisation has paid too much pays the next invoice to it by itself.
    """

    currency: str = "USD"
    trade: Trade = "other"
    jurisdiction: Place = "NONE"
    locale: str = "en"
    country: str | None = None
    shop_name: str | None = None
    shop_address: str | None = None
    shop_phone: str | None = None
    shop_email: str | None = None
    shop_tax_number: str | None = None
    footer: str | None = None
    collection_place: str | None = None
    colour: str = "#1f4e79"
    logo: Logo | None = None
    use_money_on_account: bool = True


class QuietHours(msgspec.Struct, frozen=True, rename="camel"):
    """When customers are left in peace, by the clock of their place: from ``start`` to before ``end``, "HH:MM"; over
    midnight if ``end`` is earlier; none if both are the same.
    """

    start: str = "21:00"
    end: str = "07:00"


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Telling(msgspec.Struct, frozen=True, rename="camel"):
    """How an organisation tells its customers.

    ``quiet_days``: other quiet hours, of what begins on those days. ``an_hour_to_one``: messages an hour to one address
    that are not required; ``a_minute``: of all; what is more waits. ``sms_parts_a_day``, ``sms_spend_a_day`` (in the
    provider's currency): beyond it SMS that are not urgent wait for the next day, and staff are alerted.
    ``soft_bounces`` in ``soft_bounce_days``: then an address is no good. ``doubt_minutes``: an SMS of which so long
    nobody knows whether it came goes by another channel, too. ``digest_minutes``: how often staff get the open alerts
    by e-mail; 0: never. ``opt_out_percent``: when more of those who were told within a day opt out, and at least
    ``opt_outs_least``, staff are alerted; so with SMS that did not arrive (``undelivered_...``). ``test_mode``: nothing
    leaves the house, and receipts are made up.
    """

    quiet: QuietHours = QuietHours()
    quiet_days: dict[Weekday, QuietHours] = {}
    an_hour_to_one: Annotated[int, Meta(ge=1, le=10_000)] = 20
    a_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 3_000
    sms_parts_a_day: Annotated[int, Meta(ge=0)] | None = None
    sms_spend_a_day: str | None = None
    soft_bounces: Annotated[int, Meta(ge=1, le=100)] = 3
    soft_bounce_days: Annotated[int, Meta(ge=1, le=365)] = 7
    doubt_minutes: Annotated[int, Meta(ge=1, le=10_080)] = 15
    digest_minutes: Annotated[int, Meta(ge=0, le=10_080)] = 30
    opt_out_percent: Annotated[float, Meta(ge=0, le=100)] = 2.0
    opt_outs_least: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    undelivered_percent: Annotated[float, Meta(ge=0, le=100)] = 10.0
    undelivered_least: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    sender_name: str | None = None
    reply_to: str | None = None
    test_mode: bool = False


class OrgSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What an organisation may set for itself; kept as JSON, absent parts have these defaults."""

    time_zone: str = "UTC"
    tracking: TrackingLimits = TrackingLimits()
    selling: Selling = Selling()
    telling: Telling = Telling()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in, as the operator sees them, in one organisation (None: a member of none)."""

    id: UUID
    name: str
    phone: str | None
    email: str | None
    disabled_at: datetime | None
    org_id: UUID | None
    org_name: str | None
    role: str | None


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
class SignedIn:
    """What a person gets who signed in: tokens that are shown this once."""

    access_token: str
    refresh_token: str
    expires_in_s: int
    user: User


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation and what it has set for itself."""

    id: UUID
    name: str
    settings: OrgSettings
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Member:
    """A person as an organisation's register of members has them."""

    user_id: UUID
    name: str
    phone: str | None
    email: str | None
    role: Role
    created_at: datetime
    version: int
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A place that waits for somebody. Of its token only the hash is kept."""

    org_id: UUID
    id: UUID
    name: str
    phone: str | None
    email: str | None
    role: Role
    created_at: datetime
    expires_at: datetime
    invited_by_name: str | None = None
    org_name: str = ""


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
    """What an access token says. What its person may do is looked up: it may have changed since."""

    user_id: UUID
    org_id: UUID
    session_id: UUID
    expires_at: datetime


def is_reused(exchanged_at: datetime | None, now: datetime, grace: timedelta) -> bool:
    """Is this a second exchange of a refresh token, by somebody who should not have it any more?

    Within the grace it is a browser's other tab, or the same client whose answer was lost.
    """
    return exchanged_at is not None and now - exchanged_at > grace


def token_hash(token: str) -> bytes:
    """What is stored of a token. It is 192 random bits or more, so one SHA-256 is enough."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def normal_phone(text: str, country: str | None = None) -> str | None:
    """A phone number in E.164, or None when ``text`` is none. ``country``: where one without + is a national one, ISO
    3166; None: such a number is none, since it would be a guess.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")


def normal_email(text: str) -> str | None:
    """An e-mail address in lower case, or None when ``text`` is none. Whether it is anybody's shows when it is used.

    ASCII alone: of other letters the database's lower case is not always ours, and some become plain ones by it.
    """
    address = text.strip().lower()
    return address if text.isascii() and _EMAIL.fullmatch(address) else None
