"""What a provider answers when a customer's phone is to be asked, or a payment to be taken back, in our terms,
whichever provider it is. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Push:
    """What the customer's phone is to ask. ``phone``: E.164; ``amount_minor``: of whole units; ``callback_url``: where
    the answer goes.
    """

    phone: str
    amount_minor: int
    currency: str
    reference: str
    callback_url: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The payment ``receipt`` is to be taken back whole. ``amount_minor``: of whole units; ``result_url``,
    ``timeout_url``: where the result goes, and the word that its queue has given up.
    """

    receipt: str
    amount_minor: int
    currency: str
    reason: str
    result_url: str
    timeout_url: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The phone is asked. ``request_id``: the provider's name of the prompt; its callback says it again."""

    request_id: str
    merchant_request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The phone is not asked, and will not be."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Refused before anything was done: the very same may be asked again."""

    code: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Nobody knows whether the phone is asked: a second try could make the customer pay twice."""

    why: str


PushAnswer: TypeAlias = Accepted | Refused | Busy | InDoubt


@dataclass(frozen=True, slots=True)
class Registered:
    """The provider reports payments that nobody prompted to us; ``already``: to the addresses that it had before."""

    already: bool = False


RegisterAnswer: TypeAlias = Registered | Refused | Busy | InDoubt


@dataclass(frozen=True, slots=True)
class StatusPaid:
    """It is paid; the receipt is known by the callback alone."""


@dataclass(frozen=True, slots=True)
class StatusFailed:
    """It is not paid."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class StatusUnknown:
    """Not decided yet, or no answer. ``body``: what came, for a person to read."""

    why: str
    body: bytes = b""


StatusAnswer: TypeAlias = StatusPaid | StatusFailed | StatusUnknown
