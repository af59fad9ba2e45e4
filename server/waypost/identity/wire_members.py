"""Bodies of the organisation, its members, its invitations and its audit log."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost.identity import domain
from waypost.identity.wire import Token
from waypost.kernel.principal import Role
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]
ZoneName = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
PhoneText = Annotated[str, Meta(min_length=1, max_length=40, pattern=NO_NUL)]
EmailText = Annotated[str, Meta(min_length=3, max_length=254, pattern=NO_NUL)]
SearchText = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]


class Org(msgspec.Struct, rename="camel"):
    """An organisation and what it has set for itself."""

    id: UUID
    name: str
    time_zone: str
    tracking: domain.TrackingLimits
    selling: domain.Selling
    telling: domain.Telling
    created_at: Instant
    version: int

    @classmethod
    def from_domain(cls, org: domain.Organisation) -> Org:
        settings = org.settings
        return cls(
            id=org.id,
            name=org.name,
            time_zone=settings.time_zone,
            tracking=settings.tracking,
            selling=settings.selling,
            telling=settings.telling,
            created_at=instant(org.created_at),
            version=org.version,
        )


class TrackingChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which limits of a plausible fix, and of a device, are to change."""

    future_s: Annotated[int, Meta(ge=0, le=86_400)] | UnsetType = UNSET
    retention_days: Annotated[int, Meta(ge=1, le=36_500)] | UnsetType = UNSET
    max_accuracy_m: Annotated[float, Meta(gt=0, le=1e7)] | UnsetType = UNSET
    max_speed_mps: Annotated[float, Meta(gt=0, le=1e6)] | UnsetType = UNSET
    requests_per_s: Annotated[float, Meta(ge=0, le=1e6)] | UnsetType = UNSET
    fixes_per_s: Annotated[float, Meta(ge=0, le=1e6)] | UnsetType = UNSET
    allow_mock: bool | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


ShortText = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]
LongText = Annotated[str, Meta(min_length=1, max_length=1000, pattern=SOME_TEXT)]


class SellingChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How the organisation sells, and what stands on its papers; null empties a text, what is left out stays.

    ``currency``: ISO 4217; ``locale``: a BCP 47 tag such as ``fr-CA``; ``country``: ISO 3166 such as ``ZW``;
    ``useMoneyOnAccount``: what another organisation has paid too much pays the next invoice to it by itself.
    """

    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] | UnsetType = UNSET
    trade: domain.Trade | UnsetType = UNSET
    jurisdiction: domain.Place | UnsetType = UNSET
    locale: Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")] | UnsetType = UNSET
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] | None | UnsetType = UNSET
    shop_name: ShortText | None | UnsetType = UNSET
    shop_address: LongText | None | UnsetType = UNSET
    shop_phone: PhoneText | None | UnsetType = UNSET
    shop_email: EmailText | None | UnsetType = UNSET
    shop_tax_number: ShortText | None | UnsetType = UNSET
    footer: LongText | None | UnsetType = UNSET
    collection_place: LongText | None | UnsetType = UNSET
    colour: Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}\Z")] | UnsetType = UNSET
    use_money_on_account: bool | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"


class QuietHours(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """From ``start`` to before ``end``, over midnight if that is earlier; none if both are the same."""

    start: Annotated[str, Meta(pattern=_CLOCK)]
    end: Annotated[str, Meta(pattern=_CLOCK)]


class TellingChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How customers are told; what is left out stays, null takes a limit or a name away.

    ``quietDays``: other quiet hours for what begins on a day, ``mon`` to ``sun``; they replace all that were set.
    """

    quiet: QuietHours | UnsetType = UNSET
    quiet_days: dict[domain.Weekday, QuietHours] | UnsetType = UNSET
    an_hour_to_one: Annotated[int, Meta(ge=1, le=10_000)] | UnsetType = UNSET
    a_minute: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    sms_parts_a_day: Annotated[int, Meta(ge=0, le=100_000_000)] | None | UnsetType = UNSET
    sms_spend_a_day: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?\Z")] | None | UnsetType = UNSET
    soft_bounces: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    soft_bounce_days: Annotated[int, Meta(ge=1, le=365)] | UnsetType = UNSET
    doubt_minutes: Annotated[int, Meta(ge=1, le=10_080)] | UnsetType = UNSET
    digest_minutes: Annotated[int, Meta(ge=0, le=10_080)] | UnsetType = UNSET
    opt_out_percent: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET
    opt_outs_least: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    undelivered_percent: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET
    undelivered_least: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    sender_name: Annotated[str, Meta(min_length=1, max_length=100, pattern=SOME_TEXT)] | None | UnsetType = UNSET
    reply_to: EmailText | None | UnsetType = UNSET
    test_mode: bool | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        values = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        if "quiet" in values:
            values["quiet"] = _hours(values["quiet"])
        if "quiet_days" in values:
            values["quiet_days"] = {day: _hours(hours) for day, hours in values["quiet_days"].items()}
        return values


def _hours(hours: QuietHours) -> domain.QuietHours:
    return domain.QuietHours(hours.start, hours.end)


class OrgChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; what is left out stays."""

    name: Name | None = None
    time_zone: ZoneName | None = None
    tracking: TrackingChange = TrackingChange()
    selling: SellingChange = SellingChange()
    telling: TellingChange = TellingChange()


class MembersQuery(PageQuery):
    """``q``: with this text in the name, phone number or e-mail address."""

    role: Role | None = None
    q: SearchText | None = None


class Member(msgspec.Struct, rename="camel", omit_defaults=True):
    """A person of the organisation. ``last_seen_at``: to the minute."""

    user_id: UUID
    name: str
    role: Role
    created_at: Instant
    version: int
    phone: str | None = None
    email: str | None = None
    last_seen_at: Instant | None = None

    @classmethod
    def from_domain(cls, member: domain.Member) -> Member:
        return cls(
            user_id=member.user_id,
            name=member.name,
            role=member.role,
            created_at=instant(member.created_at),
            version=member.version,
            phone=member.phone,
            email=member.email,
            last_seen_at=instant_or_none(member.last_seen_at),
        )


class MemberChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; what is left out stays."""

    role: Role | UnsetType = UNSET


class NewInvitation(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Whom to invite, as what; either a phone number or an e-mail address, which they will sign in with."""

    name: Name
    role: Role
    phone: PhoneText | None = None
    email: EmailText | None = None


class Invitation(msgspec.Struct, rename="camel", omit_defaults=True):
    """A place that waits for somebody. ``token`` and ``url`` are given once, when it is made."""

    id: UUID
    name: str
    role: Role
    created_at: Instant
    expires_at: Instant
    invited_by_name: str | None = None
    phone: str | None = None
    email: str | None = None
    token: str | None = None
    url: str | None = None

    @classmethod
    def from_domain(cls, invitation: domain.Invitation, token: str | None = None, url: str | None = None) -> Invitation:
        return cls(
            id=invitation.id,
            name=invitation.name,
            role=invitation.role,
            created_at=instant(invitation.created_at),
            expires_at=instant(invitation.expires_at),
            invited_by_name=invitation.invited_by_name,
            phone=invitation.phone,
            email=invitation.email,
            token=token,
            url=url,
        )


class InvitationToken(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The token of an invitation. In a body, since an address is written into logs on its way."""

    token: Token


class InvitationSeen(msgspec.Struct, rename="camel"):
    """What somebody is invited to."""

    org_name: str
    name: str
    role: Role


class Acceptance(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``password``: of the account with that phone number or e-mail address; where there is none it is made with it,
    and with ``name``, if the invitation has it wrong.
    """

    token: Token
    password: Annotated[str, Meta(min_length=1, max_length=domain.MAX_PASSWORD_LENGTH)]
    name: Name | None = None


class AuditQuery(PageQuery):
    """Of one thing, of one kind of deed."""

    subject_id: UUID | None = None
    action: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)] | None = None


class AuditEntry(msgspec.Struct, rename="camel", omit_defaults=True):
    """Something that somebody did."""

    id: UUID
    at: Instant
    action: str
    subject_kind: str
    actor_id: UUID | None = None
    actor_name: str | None = None
    subject_id: UUID | None = None
    why: str | None = None
    detail: dict[str, Any] = {}

    @classmethod
    def from_domain(cls, entry: domain.AuditEntry) -> AuditEntry:
        return cls(
            id=entry.id,
            at=instant(entry.at),
            action=entry.action,
            subject_kind=entry.subject_kind,
            actor_id=entry.actor_id,
            actor_name=entry.actor_name,
            subject_id=entry.subject_id,
            why=entry.why,
            detail=dict(entry.detail),
        )
