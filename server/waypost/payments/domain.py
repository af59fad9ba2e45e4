"""What payments are made of, and the errors that they raise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Conflict, Invalid, NotFound
from waypost.laybys.domain import Layby, Share
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


class ReceiptTaken(Conflict):
    """A payment with this receipt number is booked already; if this is another payment, it needs another number."""

    code = "receipt-taken"


class NothingToGive(Conflict):
    """There is nothing to give back, or no credit to use."""

    code = "nothing-there"


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


LONGEST_PHONE = 20  # what is longer is a provider's mark of one
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
    masked phone that a provider gave; ``receipt`` is unique with its provider; ``account_ref``: what the payer typed,
    of a refund the reference under which it went.
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


def placed(draft: Payment, layby: Layby | None, part: Share | None) -> Payment:
    """A payment's row as it is decided: ``part`` says what pays ``layby`` and what is credit; no layby: suspense."""
    if layby is None or part is None:
        return replace(draft, disposition=Disposition.UNMATCHED, suspense_minor=draft.amount_minor)
    decided = Disposition.APPLIED
    if part.credit_minor:
        decided = Disposition.OVERPAID if part.applied_minor else Disposition.CREDIT
    return replace(
        draft,
        disposition=decided,
        applied_minor=part.applied_minor,
        credit_minor=part.credit_minor,
        suspense_minor=0,
        balance_minor=layby.balance_minor - part.applied_minor,
        layby_id=layby.id,
        customer_id=layby.customer_id,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where applied money of a group lies: a layby or an invoice."""

    layby_id: UUID | None
    invoice_id: UUID | None
    applied_minor: int


@dataclass(frozen=True, slots=True)
class Group:
    """A payment and all that came of it, summed up. ``places``: in the order in which money came there;
    ``sent_back_minor``: refunds that staff recorded by the way on which it came.
    """

    root: Payment
    amount_minor: int
    reversed_minor: int
    sent_back_minor: int
    credit_minor: int
    suspense_minor: int
    customer_id: UUID | None
    places: Sequence[Place]

    @property
    def laybys(self) -> frozenset[UUID]:
        return frozenset(place.layby_id for place in self.places if place.layby_id is not None)

    @property
    def invoices(self) -> frozenset[UUID]:
        return frozenset(place.invoice_id for place in self.places if place.invoice_id is not None)

    @property
    def to_reverse_minor(self) -> int:
        """What its provider may still take back: what came, less what it took back already."""
        return self.root.amount_minor - self.reversed_minor

    def may_be_reversed(self, amount_minor: int, *, by_person: bool) -> bool:
        """Is it surely the provider's own doing? What is no more than staff say they sent back by the same way may be
        that very money: only a person knows.
        """
        if not 0 < amount_minor <= self.to_reverse_minor:
            return False
        return by_person or amount_minor > self.sent_back_minor


@dataclass(frozen=True, slots=True)
class Part:
    """A share of money that goes back: so much from each place. ``owed_minor``: what could be taken from nowhere any
    more; the customer owes it.
    """

    place: Place | None
    applied_minor: int = 0
    credit_minor: int = 0
    suspense_minor: int = 0
    owed_minor: int = 0
    out_of: Account = Account.DEPOSITS_HELD  # where the applied part lies

    @property
    def amount_minor(self) -> int:
        return self.applied_minor + self.credit_minor + self.suspense_minor + self.owed_minor


@dataclass(frozen=True, slots=True)
class Source:
    """What of applied money in a place can still be taken out, and of which account."""

    place: Place
    free_minor: int
    out_of: Account = Account.DEPOSITS_HELD


def taken_back(group: Group, sources: Sequence[Source], amount_minor: int) -> list[Part]:
    """How ``amount_minor`` of a group goes back: what has no place first, then credit, then what was applied, the last
    place first. What is in none of them is owed. One part for each row that is to be written, none of nothing.
    """
    suspense = min(amount_minor, max(0, group.suspense_minor))
    left = amount_minor - suspense
    credit = min(left, max(0, group.credit_minor))
    left -= credit
    parts = []
    for source in reversed(sources):
        applied = min(left, source.free_minor)
        left -= applied
        if applied:
            parts.append(Part(source.place, applied_minor=applied, out_of=source.out_of))
    if not (suspense or credit or left):
        return parts
    if not parts:
        last = sources[-1].place if sources else None
        return [Part(last, credit_minor=credit, suspense_minor=suspense, owed_minor=left)]
    return [replace(parts[0], credit_minor=credit, suspense_minor=suspense, owed_minor=left), *parts[1:]]


def free_of(group: Group, sources: Sequence[Source]) -> int:
    """How much of a group can be given back."""
    return max(0, group.suspense_minor) + max(0, group.credit_minor) + sum(source.free_minor for source in sources)


def hint_of(payer: str) -> str:
    """A payer's phone as staff may see it: its last three digits, if it has any."""
    tail = payer.strip()[-3:]
    return f"…{tail}" if len(payer.strip()) <= LONGEST_PHONE and tail.isdigit() else "…"
