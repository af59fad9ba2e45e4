"""Requests for a reversal: staff ask that a provider take a payment back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from waypost.kernel.errors import Conflict, Invalid, NotFound
from waypost.kernel.money import places
from waypost.payments.domain import Kind, Payment
from waypost.payments.providers.accounts import DarajaConfig, ProviderAccount, ProviderName

SILENCE: Final = timedelta(minutes=30)  # one of which nothing was heard for so long is a person's


class ReversalNotFound(NotFound):
    """Nobody has asked that this payment be taken back."""

    code = "reversal-not-found"


class ReversalOpen(Conflict):
    """The provider is asked to take this payment back, or it is open what became of that; `reversalId`: the request."""

    code = "reversal-open"


class NotReversible(Conflict):
    """The provider cannot be asked to take this payment back."""

    code = "payment-not-reversible"


class ReversalNotSetUp(Conflict):
    """A setting that a reversal needs is missing; `setting` names it."""

    code = "reversal-not-set-up"


class AmountNotWhole(Invalid):
    """The provider takes back whole units of the currency only."""

    code = "amount-not-whole"


class ReversalState(StrEnum):
    """Where a request stands. The first four are open: a payment has one such at most."""

    QUEUED = "queued"
    ASKING = "asking"  # a worker is at it
    ASKED = "asked"  # the provider has it
    IN_DOUBT = "in_doubt"  # nobody knows whether the provider has it
    REVERSED = "reversed"
    FAILED = "failed"
    REVIEW = "review"  # a person settles it

    @property
    def is_open(self) -> bool:
        """May the provider still do it, as far as we know?"""
        return self in OPEN


OPEN: Final = frozenset({ReversalState.QUEUED, ReversalState.ASKING, ReversalState.ASKED, ReversalState.IN_DOUBT})


@dataclass(frozen=True, slots=True)
class ReversalRequest:
    """``receipt``: the provider's name of the payment; ``conversation_id``: its name of the request; ``result_code``,
    ``result_text``: what it said last; ``reversal_id``: the row that undid the payment; ``sealed``: the token of its
    callback's address.
    """

    org_id: UUID
    id: UUID
    provider_id: UUID
    payment_id: UUID
    receipt: str
    currency: str
    amount_minor: int
    reason: str
    sealed: str
    state: ReversalState
    created_at: datetime
    updated_at: datetime
    conversation_id: str | None = None
    originator_id: str | None = None
    result_code: str | None = None
    result_text: str | None = None
    reversal_id: UUID | None = None
    asked_at: datetime | None = None
    due_at: datetime | None = None
    tries: int = 0
    attempt: int = 0
    caused_by: str | None = None
    created_by: UUID | None = None

    def is_silent(self, now: datetime) -> bool:
        """Nothing was heard of it for so long that nothing will be."""
        return self.asked_at is None or now - self.asked_at >= SILENCE


@dataclass(frozen=True, slots=True)
class Wake:
    """A request that a worker is to look after, for the queue; ``attempt``: the one that the worker will make."""

    org_id: UUID
    id: UUID
    attempt: int
    caused_by: str | None


def check_payment(payment: Payment, rows: Sequence[Payment]) -> None:
    """``NotReversible``, ``AmountNotWhole``: unless it is a whole payment of a provider that can be asked. ``rows``:
    all that came of it.
    """
    if payment.kind is not Kind.PAYMENT:
        raise NotReversible("This is no payment that a provider reported.")
    if payment.provider != ProviderName.DARAJA:
        raise NotReversible("This payment did not come by a provider that can be asked; note a refund instead.")
    if any(row.kind in {Kind.REFUND, Kind.REVERSAL} for row in rows):
        raise NotReversible("Some of this payment went back already.")
    if payment.amount_minor % 10 ** places(payment.currency):
        raise AmountNotWhole


def missing_setting(account: ProviderAccount) -> str | None:
    """Which setting of the account a reversal waits for; None: none. ``Unreadable``."""
    account.check_readable()
    config = account.config
    return "config.initiator" if isinstance(config, DarajaConfig) and config.initiator is None else None
