"""What a provider says later of a message, and what people answer, in one form for all providers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from waypost.notifications.providers.accounts import ProviderAccount


class Road(StrEnum):
    """By which address it came."""

    STATUS = "status"
    INBOUND = "inbound"
    BOUNCE = "bounce"
    OPT_OUT = "opt_out"


class Said(StrEnum):
    """What a report means for a delivery. ``NOTHING``: it is on its way, which we know."""

    NOTHING = "nothing"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a provider. ``url``: as it was called, with its query; ``headers``: names in small letters."""

    road: Road
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """Of one message. ``reference``: the provider's; ``delivery_id``: ours, where it says it; ``status``: its own word,
    kept; ``reason``: a stable word of ours for why it was not delivered; ``code``: the provider's.

    ``address``: to whom it went, where it says it. ``hard``: a bounce for good (True), or that may pass (False); None:
    no bounce; ``suppress``: why the address must not be written to any more, one of ``suppressions.reason``.
    """

    said: Said
    reference: str = ""
    status: str = ""
    delivery_id: UUID | None = None
    reason: str | None = None
    code: str | None = None
    address: str | None = None
    hard: bool | None = None
    suppress: str | None = None
    segments: int | None = None
    cost: Decimal | None = None
    cost_currency: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A message that somebody wrote to us. ``reference``: the provider's; "" when it gives none; ``is_answered``: by
    the provider itself, as HELP may be.
    """

    reference: str
    from_address: str
    to_address: str
    text: str
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class OptedOut:
    """Somebody told the provider itself: no more (``wanted`` False), or again. ``sender``: our number or name, if it
    says it.
    """

    address: str
    wanted: bool = False
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What is in a call; what cannot be read is empty, with ``trouble``: a stable word."""

    reports: Sequence[Report] = field(default_factory=tuple)
    answered: Sequence[Answered] = field(default_factory=tuple)
    opted_out: Sequence[OptedOut] = field(default_factory=tuple)
    trouble: str | None = None


class Reader(Protocol):
    """A provider's side: both are pure, tolerate unknown fields, and never raise for what is in a body."""

    def genuine(self, call: Call, account: ProviderAccount) -> bool:
        """Is it signed as this provider signs? True where it does not sign: the address's token must do."""
        ...

    def read(self, call: Call, account: ProviderAccount) -> Reading:
        """What it says."""
        ...
