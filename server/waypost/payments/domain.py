"""What payments are made of, and the errors that they raise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Conflict, Invalid, NotFound
from waypost.ledger.domain import Account


class PaymentNotFound(NotFound):
    """No such payment, or none of yours."""

    code = "payment-not-found"


class AlreadySettled(Conflict):
    """Somebody has settled this already."""

    code = "already-settled"


class TooMuch(Invalid):
    """More than can be taken: the answer says how much can."""

    code = "amount-too-large"


class Kind(StrEnum):
    """What a row of payments is."""

    PAYMENT = "payment"
    CREDIT = "credit"  # credit is used: no money moves
    ASSIGNMENT = "assignment"  # money without a reference finds its layby: no money moves
    REFUND = "refund"
    REVERSAL = "reversal"


class Method(StrEnum):
    """By what way money came or went."""

    CASH = "cash"
    CARD = "card"
    BANK = "bank"
    MOBILE = "mobile"
    OTHER = "other"
    INTERNAL = "internal"


COUNTER = "counter"  # the provider of what staff type in
INTERNAL = "internal"  # of rows that move no money
# Where the money of a method lies; what a provider reports lies in clearing until it settles.
HELD_IN = {
    Method.CASH: Account.CASH,
    Method.CARD: Account.CARD,
    Method.BANK: Account.BANK,
    Method.MOBILE: Account.CLEARING,
    Method.OTHER: Account.CLEARING,
}


class Disposition(StrEnum):
    """What became of a callback (all of them), or of a payment row (the first five, and refunded)."""

    APPLIED = "applied"
    OVERPAID = "overpaid"
    CREDIT = "credit"
    UNMATCHED = "unmatched"
    REVERSED = "reversed"
    REFUNDED = "refunded"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    IGNORED = "ignored"
    REVIEW = "review"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Payment:
    """A row: money that moved or found its place; amount = applied + credit + suspense, all in minor units.

    ``root_id``: the payment that it all began with; ``balance_minor``: the layby's after it; ``payer_hint``: the
    masked phone that a provider gave; ``receipt`` is unique with its provider.
    """

    org_id: UUID
    id: UUID
    root_id: UUID
    kind: Kind
    method: Method
    provider: str
    receipt: str
    disposition: Disposition
    currency: str
    amount_minor: int
    applied_minor: int
    credit_minor: int
    suspense_minor: int
    paid_at: datetime
    created_at: datetime
    balance_minor: int | None = None
    layby_id: UUID | None = None
    invoice_id: UUID | None = None
    customer_id: UUID | None = None
    account_ref: str | None = None
    payer_mark: bytes | None = None
    payer_hint: str | None = None
    prompt_id: UUID | None = None
    callback_id: UUID | None = None
    note: str | None = None
    created_by: UUID | None = None
    settled_at: datetime | None = None
    settled_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Money that a provider says it has received, in our terms, whichever road it came by.

    ``account_ref``: what the payer typed; ``layby_id``: where our own prompt says for what it was; ``payer``: the
    payer's phone, or what the provider shows of it.
    """

    provider: str
    receipt: str
    method: Method
    currency: str
    amount_minor: int
    paid_at: datetime
    account_ref: str | None = None
    layby_id: UUID | None = None
    payer: str | None = None
    prompt_id: UUID | None = None
    callback_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of a report. ``payment``: its row; of a duplicate the one that was there before."""

    disposition: Disposition
    payment: Payment
