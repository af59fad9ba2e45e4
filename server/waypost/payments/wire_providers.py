"""Bodies of payment providers. No answer holds a secret but the addresses of callbacks, given with a new token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost.kernel.money import LARGEST_MINOR
from waypost.kernel.sealed import Lost
from waypost.payments.providers import accounts
from waypost.payments.providers.accounts import DARAJA_ADDRESSES, DARAJA_LIVE, ProviderName, ShortcodeKind
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]
Key = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+\Z")]
Root = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^https?://[^\s/?#]+\Z")]
Shortcode = Annotated[str, Meta(pattern=r"^[0-9]{4,10}\Z")]
Network = Annotated[str, Meta(min_length=2, max_length=60, pattern=NO_NUL)]
Networks = Annotated[list[Network], Meta(max_length=200)]
Minor = Annotated[int, Meta(ge=0, le=LARGEST_MINOR)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
SigningSecret = Annotated[str, Meta(min_length=16, max_length=500, pattern=r"^[\x21-\x7e]+\Z")]
EventType = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
Types = Annotated[tuple[EventType, ...], Meta(max_length=20)]


class ProvidersQuery(PageQuery):
    """``archived``: those put away instead."""

    archived: bool = False


class InitiatorIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who may ask for a reversal; ``credential``: the password as the provider's certificate seals it."""

    name: Name
    credential: Annotated[str, Meta(min_length=1, max_length=1000, pattern=NO_NUL)]

    def to_domain(self) -> accounts.Initiator:
        return accounts.Initiator(self.name, self.credential)


class NewDaraja(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="daraja"):
    """M-Pesa by Daraja. ``till``: what buy-goods pays to, where that is another number than the shortcode that asks."""

    consumer_key: Key
    consumer_secret: Key
    passkey: Key
    shortcode: Shortcode
    base_url: Root = DARAJA_LIVE
    kind: ShortcodeKind = ShortcodeKind.PAYBILL
    till: Shortcode | None = None
    initiator: InitiatorIn | None = None

    def to_domain(self) -> accounts.DarajaConfig:
        return accounts.DarajaConfig(
            self.consumer_key, self.consumer_secret, self.passkey, self.shortcode, self.base_url, self.kind, self.till,
            self.initiator.to_domain() if self.initiator else None,
        )  # fmt: skip


class Events(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which types of events mean what; the defaults are Stripe's. Every other type moves nothing."""

    succeeded: Types = accounts.EventTypes().succeeded
    failed: Types = accounts.EventTypes().failed
    refunded: Types = accounts.EventTypes().refunded
    disputed: Types = accounts.EventTypes().disputed

    def to_domain(self) -> accounts.EventTypes:
        return accounts.EventTypes(self.succeeded, self.failed, self.refunded, self.disputed)


class NewSigned(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="signed"):
    """A provider that signs its callbacks as Stripe does, or by Standard Webhooks. ``secret``: as the provider shows it
    (``whsec_…``); one that is made once it knows the address is given later, by a PATCH.
    """

    secret: SigningSecret | None = None
    events: Events = msgspec.field(default_factory=Events)

    def to_domain(self) -> accounts.SignedConfig:
        known = (accounts.Secret(self.secret),) if self.secret is not None else ()
        return accounts.SignedConfig(known, self.events.to_domain())


class NewProvider(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An account with a provider. ``addresses``: networks that its callbacks come from, none: any; Safaricom's are in
    ``suggestedAddresses`` of the answer. ``check_above_minor``: above it a payment is asked about before it counts.
    """

    name: Name
    currency: Currency
    config: NewDaraja | NewSigned
    addresses: Networks = []
    check_above_minor: Minor | None = None


class DarajaChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="daraja"):
    """What is to change; what is left out stays."""

    consumer_key: Key | UnsetType = UNSET
    consumer_secret: Key | UnsetType = UNSET
    passkey: Key | UnsetType = UNSET
    shortcode: Shortcode | UnsetType = UNSET
    base_url: Root | UnsetType = UNSET
    kind: ShortcodeKind | UnsetType = UNSET
    till: Shortcode | None | UnsetType = UNSET
    initiator: InitiatorIn | None | UnsetType = UNSET


class SignedChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="signed"):
    """What is to change. A new ``secret`` stands beside the one before for a day."""

    secret: SigningSecret | UnsetType = UNSET
    events: Events | UnsetType = UNSET


class ProviderChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null empties a field, one that is left out stays."""

    name: Name | UnsetType = UNSET
    config: DarajaChange | SignedChange | UnsetType = UNSET
    addresses: Networks | UnsetType = UNSET
    check_above_minor: Minor | None | UnsetType = UNSET

    @property
    def provider(self) -> ProviderName | None:
        """Of which provider the changed settings are; None: they stay."""
        if isinstance(self.config, UnsetType):
            return None
        return ProviderName.DARAJA if isinstance(self.config, DarajaChange) else ProviderName.SIGNED

    def values(self) -> dict[str, Any]:
        """The fields that are named, those of ``config`` as their own."""
        values = _named(self)
        if not isinstance(self.config, UnsetType):
            fields = _named(self.config)
            values["config"] = {
                name: value.to_domain() if isinstance(value, InitiatorIn | Events) else value
                for name, value in fields.items()
            }
        return values


def _named(body: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}


class DarajaShown(msgspec.Struct, rename="camel", omit_defaults=True, tag_field="provider", tag="daraja"):
    """M-Pesa's settings, its keys left out. ``initiator``: its name."""

    shortcode: str
    base_url: str
    kind: str
    till: str | None = None
    initiator: str | None = None


class SecretShown(msgspec.Struct, rename="camel", omit_defaults=True):
    """A secret: how it ends, and until when one that was replaced is good."""

    ends_with: str
    until: Instant | None = None


class SignedShown(msgspec.Struct, rename="camel", tag_field="provider", tag="signed"):
    """The settings of a provider that signs."""

    secrets: list[SecretShown]
    events: Events


class RegistrationShown(msgspec.Struct, rename="camel", omit_defaults=True):
    """How telling the provider our addresses stands: ``text``: what was said of it last."""

    state: str
    at: Instant
    text: str | None = None


class PaymentProvider(msgspec.Struct, rename="camel", omit_defaults=True):
    """An account with a provider. ``registration``: of our addresses with it, once it was asked for. ``problem``: why
    nothing can be asked of the provider; ``config`` is null where it cannot be read, until it is given anew.
    """

    id: UUID
    provider: ProviderName
    name: str
    currency: str
    config: DarajaShown | SignedShown | None
    addresses: list[str]
    created_at: Instant
    version: int
    check_above_minor: int | None = None
    archived_at: Instant | None = None
    registration: RegistrationShown | None = None
    problem: Literal["secret-unreadable"] | None = None

    @classmethod
    def from_domain(cls, account: accounts.ProviderAccount) -> PaymentProvider:
        return cls(
            account.id, account.provider, account.name, account.currency, _config(account.config),
            list(account.addresses), instant(account.created_at), account.version, account.check_above_minor,
            instant_or_none(account.archived_at), _registration(account.registration),
            None if account.is_readable else "secret-unreadable",
        )  # fmt: skip


class CallbackAddress(msgspec.Struct, rename="camel"):
    """Where a provider calls back. Who knows it may report payments: keep it as a secret."""

    road: Literal["stk", "validation", "confirmation", "reversal", "signed"]
    url: str


class PaymentProviderWithAddresses(PaymentProvider, kw_only=True):
    """The same with the addresses to give to the provider; they are in this answer and in no later one.

    ``suggested_addresses``: the networks that it is known to call from.
    """

    callbacks: list[CallbackAddress]
    suggested_addresses: list[str] = []

    @classmethod
    def of(cls, account: accounts.ProviderAccount, token: str, root: str) -> PaymentProviderWithAddresses:
        shown = PaymentProvider.from_domain(account)
        values = {name: getattr(shown, name) for name in PaymentProvider.__struct_fields__}
        suggested = list(DARAJA_ADDRESSES) if account.provider is ProviderName.DARAJA else []
        return cls(**values, callbacks=callbacks(account.provider, token, root), suggested_addresses=suggested)


def callbacks(provider: ProviderName, token: str, root: str) -> list[CallbackAddress]:
    """The addresses of a token. ``root``: where we are reached."""
    base = f"{root}/api/v1/callbacks/{provider}/{token}"
    if provider is ProviderName.SIGNED:
        return [CallbackAddress("signed", base)]
    return [CallbackAddress(road, f"{base}/{road}") for road in ROADS]


ROADS: Sequence[Literal["stk", "validation", "confirmation", "reversal"]] = (
    "stk", "validation", "confirmation", "reversal",
)  # fmt: skip


def _registration(found: accounts.Registration | None) -> RegistrationShown | None:
    return RegistrationShown(found.state, instant(found.at), found.text) if found else None


def _config(config: accounts.Config | Lost) -> DarajaShown | SignedShown | None:
    if isinstance(config, Lost):
        return None
    if isinstance(config, accounts.DarajaConfig):
        name = config.initiator.name if config.initiator else None
        return DarajaShown(config.shortcode, config.base_url, str(config.kind), config.till, name)
    types = config.events
    return SignedShown(
        [SecretShown(each.secret[-4:], instant_or_none(each.until)) for each in config.secrets],
        Events(types.succeeded, types.failed, types.refunded, types.disputed),
    )
