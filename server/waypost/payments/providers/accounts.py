"""What an organisation has with a provider of payments, and how it is reached. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from waypost.kernel.errors import NotFound
from waypost.kernel.sealed import Lost, Unreadable

OLD_TOKEN_LIFE: Final = timedelta(days=1)  # a token that was replaced, and a secret that was
OLD_SECRET_LIFE: Final = timedelta(days=1)
MOST_SECRETS: Final = 4
NARROWEST_V6: Final = 64  # of a client's IPv6 address no more is known here (platform/addresses.py)

DARAJA_LIVE: Final = "https://api.safaricom.co.ke"
DARAJA_SANDBOX: Final = "https://sandbox.safaricom.co.ke"
DARAJA_ROOTS: Final = frozenset({DARAJA_LIVE, DARAJA_SANDBOX})
# From where Safaricom calls back (Byte-Barn/mpesakit, security/ip_whitelist.py); for who wants to keep others out.
DARAJA_ADDRESSES: Final = tuple(
    f"{network}.{host}/32"
    for network, hosts in {
        "196.201.214": (200, 206, 207, 208),
        "196.201.213": (44, 114),
        "196.201.212": (69, 74, 127, 128, 129, 132, 136, 138),
    }.items()
    for host in hosts
)


class ProviderNotFound(NotFound):
    """No such payment provider, or none of yours."""

    code = "payment-provider-not-found"


class ProviderName(StrEnum):
    """Whose shapes are spoken."""

    DARAJA = "daraja"
    SIGNED = "signed"


class ShortcodeKind(StrEnum):
    """What a shortcode is: paybill asks for an account number, buy-goods for none."""

    PAYBILL = "paybill"
    BUYGOODS = "buygoods"


class Hidden:
    """Its repr shows nothing of it: a log or a traceback must not hold a secret."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Initiator(Hidden, msgspec.Struct, frozen=True, rename="camel"):
    """Who may ask for a reversal; ``credential``: its password, sealed with the provider's certificate."""

    name: str
    credential: str


class DarajaConfig(Hidden, msgspec.Struct, frozen=True, rename="camel", tag_field="provider", tag="daraja"):
    """M-Pesa. ``base_url``: without a slash at the end; ``till``: what buy-goods pays to, where that is another number
    than the shortcode that asks.
    """

    consumer_key: str
    consumer_secret: str
    passkey: str
    shortcode: str
    base_url: str = DARAJA_LIVE
    kind: ShortcodeKind = ShortcodeKind.PAYBILL
    till: str | None = None
    initiator: Initiator | None = None


class Secret(Hidden, msgspec.Struct, frozen=True, rename="camel"):
    """What callbacks are signed with; ``until``: one that was replaced is good no longer."""

    secret: str
    until: datetime | None = None


class EventTypes(msgspec.Struct, frozen=True, rename="camel"):
    """Which types of events mean what; every other is true and without effect. The defaults are Stripe's, and our own.

    ``refunded``: money went back; ``disputed``: it may.
    """

    succeeded: tuple[str, ...] = ("payment.succeeded", "payment_intent.succeeded")
    failed: tuple[str, ...] = ("payment.failed", "payment_intent.payment_failed", "payment_intent.canceled")
    refunded: tuple[str, ...] = ("payment.refunded", "charge.refunded")
    disputed: tuple[str, ...] = ("payment.disputed", "charge.dispute.created")


class SignedConfig(Hidden, msgspec.Struct, frozen=True, rename="camel", tag_field="provider", tag="signed"):
    """A provider that signs what it sends, in the manner of Stripe or of Standard Webhooks. The first secret is the
    present one.
    """

    secrets: tuple[Secret, ...]
    events: EventTypes = EventTypes()

    def good(self, now: datetime) -> Sequence[str]:
        """The secrets that count."""
        return [each.secret for each in self.secrets if each.until is None or now < each.until]


Config: TypeAlias = DarajaConfig | SignedConfig


@dataclass(frozen=True, slots=True)
class Registration:
    """Our telling the provider where payments that nobody prompted are reported: ``queued``, ``asking``,
    ``registered`` or ``failed``; ``text``: what was said of it last.
    """

    state: str
    text: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """One account. ``addresses``: networks that its callbacks come from, empty: any; ``check_above_minor``: a payment
    above it is asked about before it is booked; ``archived_at``: nothing new is asked of it, but what it still reports
    is taken. ``config``: ``Lost`` when its key is gone.
    """

    org_id: UUID
    id: UUID
    provider: ProviderName
    name: str
    config: Config | Lost
    addresses: Sequence[str]
    check_above_minor: int | None
    currency: str
    created_at: datetime
    version: int
    archived_at: datetime | None = None
    registration: Registration | None = None

    @property
    def key(self) -> str:
        """Within what its receipts are unique: M-Pesa's are all over the world, another provider's in its account."""
        return str(self.provider) if self.provider is ProviderName.DARAJA else f"{self.provider}:{self.id}"

    @property
    def is_readable(self) -> bool:
        """Can its settings be read? Else nothing can be asked of the provider."""
        return not isinstance(self.config, Lost)

    @property
    def daraja(self) -> DarajaConfig:
        """Its settings, where it is known to be one of Daraja's. ``Unreadable``."""
        self.check_readable()
        if not isinstance(self.config, DarajaConfig):
            raise ProviderNotFound
        return self.config

    @property
    def signed(self) -> SignedConfig:
        """Its settings, where it is known to be one that signs. ``Unreadable``."""
        self.check_readable()
        if not isinstance(self.config, SignedConfig):
            raise ProviderNotFound
        return self.config

    def check_readable(self) -> None:
        """``Unreadable``."""
        if not self.is_readable:
            raise Unreadable

    def lets_in(self, address: str) -> bool:
        """May a callback come from there? ``address``: as ``client_address`` has it."""
        if not self.addresses:
            return True
        try:
            client = ipaddress.ip_network(address)
        except ValueError:  # unknown
            return False
        return any(_holds(ipaddress.ip_network(network), client) for network in self.addresses)


def _holds(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, client: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return network.version == client.version and network.overlaps(client)


def normal_network(text: str) -> str:
    """An address or a network as we keep it. ``ValueError`` says what is wrong."""
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen > NARROWEST_V6:
        raise ValueError("give the whole /64: IPv6 addresses are known here by that")
    return str(network)


def seal_form(config: Config) -> bytes:
    """As it is sealed and stored."""
    return msgspec.json.encode(config)


def of_seal_form(text: bytes) -> Config:
    """What ``seal_form`` wrote."""
    config: Config = msgspec.json.decode(text, type=Config)
    return config
