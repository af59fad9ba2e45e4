"""Bodies and events of payments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.money import LARGEST_MINOR
from waypost.laybys import wire as laybys_wire
from waypost.payments import domain
from waypost.payments.storage import Filter
from waypost.payments.storage_credit import Remainder
from waypost.payments.storage_due import RefundDue as _RefundDue
from waypost.payments.storage_suggestions import Suggestion as _Suggestion
from waypost.payments.till import Taken
from waypost.payments.ways import Way
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none, utc
from waypost.platform.queries import PageQuery
from waypost.platform.web import BadQuery

Amount = Annotated[int, Meta(ge=1, le=LARGEST_MINOR)]
Receipt = Annotated[str, Meta(min_length=1, max_length=60, pattern=SOME_TEXT)]
Words = Annotated[str, Meta(max_length=500, pattern=NO_NUL)]
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Moment = Annotated[datetime, Meta(tz=True)]


class CounterMethod(StrEnum):
    """By what way staff take money, or give it back."""

    CASH = "cash"
    CARD = "card"
    BANK = "bank"
    MOBILE = "mobile"
    OTHER = "other"


class RowDisposition(StrEnum):
    """What became of a payment's row; what becomes of callbacks alone is in their list."""

    APPLIED = "applied"
    OVERPAID = "overpaid"
    CREDIT = "credit"
    UNMATCHED = "unmatched"
    REVERSED = "reversed"
    REFUNDED = "refunded"


class PaymentsQuery(PageQuery):
    """Which payments a list shows. ``receipt``: exactly that one; ``unsettled``: money that waits to be assigned;
    ``from``, ``to``: when it was paid, and the list is in that order.
    """

    layby_id: UUID | None = None
    customer_id: UUID | None = None
    receipt: Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)] | None = None
    disposition: RowDisposition | None = None
    kind: domain.Kind | None = None
    provider: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)] | None = None
    method: domain.Method | None = None
    unsettled: bool = False
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None

    def to_domain(self) -> Filter:
        """``BadQuery`` for a moment beyond all plans, and for what no payment is at once."""
        if self.unsettled and self.disposition not in (None, RowDisposition.UNMATCHED):
            raise BadQuery("unsettled: only what is unmatched waits to be assigned; leave out disposition")
        return Filter(
            layby_id=self.layby_id,
            customer_id=self.customer_id,
            receipt=self.receipt,
            disposition=domain.Disposition(self.disposition) if self.disposition else None,
            kind=self.kind,
            provider=self.provider,
            method=self.method,
            unsettled=self.unsettled,
            paid_from=_moment("from", self.from_),
            paid_until=_moment("to", self.to),
        )


def _moment(name: str, at: datetime | None) -> datetime | None:
    try:
        return utc(at) if at is not None else None
    except ValueError as error:
        raise BadQuery(f"{name}: {error}") from error


class NewPayment(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Money taken at the counter. ``receipt``: your own number of it; else one is made."""

    amount_minor: Amount
    currency: Currency
    method: CounterMethod
    receipt: Receipt | None = None
    note: Words | None = None

    def to_domain(self) -> Taken:
        return Taken(self.amount_minor, domain.Method(self.method), self.receipt, self.currency, self.note)


class Deposit(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The first payment of a layby."""

    amount_minor: Annotated[int, Meta(ge=0, le=LARGEST_MINOR)]
    method: CounterMethod
    receipt: Receipt | None = None
    note: Words | None = None

    def to_domain(self) -> Taken:
        return Taken(self.amount_minor, domain.Method(self.method), self.receipt, note=self.note)


class NewLayby(laybys_wire.NewLayby, kw_only=True):
    """A deal with a customer, and its deposit. ``toldBefore``: they were told of the fee for cancelling before they
    agreed; ``reference``: one that you brought along, else one is made.
    """

    deposit: Deposit


class Refund(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Money that goes back. ``reference``: under which it can be found where it was sent."""

    amount_minor: Amount
    method: CounterMethod
    reason: Reason
    reference: Words | None = None

    def to_domain(self) -> Way:
        return Way(domain.Method(self.method), self.reference, self.reason)


class LaybyRefund(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A refund that a cancellation has left to be paid. ``amountMinor``: all that is due when it is left out."""

    method: CounterMethod
    amount_minor: Amount | None = None
    reference: Words | None = None
    reason: Words | None = None

    def to_domain(self) -> Way:
        return Way(domain.Method(self.method), self.reference, self.reason)


class UseCredit(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``amountMinor``: as much as there is, and the layby takes, when it is left out."""

    amount_minor: Amount | None = None


class Assignment(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """For which layby, or which invoice, the money was: one of them. ``onAccount``: what is more than is open of the
    invoice is kept for the next one to the same organisation; else it is refused.
    """

    layby_id: UUID | None = None
    invoice_id: UUID | None = None
    on_account: bool = False


class NewInvoicePayment(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Money that another organisation has paid of an invoice. ``reference``: under which it can be found there;
    ``onAccount``: what is more than is open is kept for the next invoice to them; else it is refused.
    """

    amount_minor: Amount
    currency: Currency
    method: CounterMethod
    reference: Words | None = None
    receipt: Receipt | None = None
    note: Words | None = None
    on_account: bool = False

    def to_domain(self) -> Taken:
        taken = Taken(self.amount_minor, domain.Method(self.method), self.receipt, self.currency, self.note)
        return replace(taken, reference=self.reference)


class Payment(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Money that moved or found its place: amount = applied + credit + suspense, in minor units of ``currency``.

    ``rootId``: the payment that it all began with; ``balanceMinor``: the layby's after it. A refund and a reversal are
    negative; credit that is used and an assignment move no money.
    """

    id: UUID
    root_id: UUID
    kind: str
    method: str
    provider: str
    receipt: str
    disposition: str
    currency: str
    amount_minor: int
    applied_minor: int
    credit_minor: int
    suspense_minor: int
    paid_at: Instant
    created_at: Instant
    balance_minor: int | None = None
    layby_id: UUID | None = None
    invoice_id: UUID | None = None
    customer_id: UUID | None = None
    account_ref: str | None = None
    payer_hint: str | None = None
    prompt_id: UUID | None = None
    callback_id: UUID | None = None
    note: str | None = None
    created_by: UUID | None = None
    settled_at: Instant | None = None
    settled_by: UUID | None = None

    @classmethod
    def from_domain(cls, payment: domain.Payment) -> Payment:
        values: dict[str, Any] = {name: getattr(payment, name) for name in cls.__struct_fields__}
        return cls(
            **values
            | {
                "paid_at": instant(payment.paid_at),
                "created_at": instant(payment.created_at),
                "settled_at": instant_or_none(payment.settled_at),
            }
        )


class PaymentWhole(Payment, kw_only=True):
    """A payment with all that came of it. ``remaining…``: what of the money lies there now; ``refundableMinor``: what
    can be given back of it.
    """

    remaining_minor: int
    remaining_credit_minor: int
    remaining_suspense_minor: int
    refundable_minor: int
    rows: list[Payment]


class Refunded(msgspec.Struct, rename="camel", omit_defaults=True):
    """What went back. ``rows``: one for each place that it was taken out of; ``refundDueMinor``: of a cancelled layby
    what is still to be paid back; ``balanceMinor``: of the layby.
    """

    amount_minor: int
    currency: str
    receipt: str
    rows: list[Payment]
    layby_id: UUID | None = None
    balance_minor: int | None = None
    refund_due_minor: int | None = None


class RefundDue(msgspec.Struct, rename="camel"):
    """A cancelled layby of which money is still to be paid back."""

    layby_id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    currency: str
    refund_due_minor: int
    paid_minor: int
    cancelled_at: Instant

    @classmethod
    def from_domain(cls, due: _RefundDue) -> RefundDue:
        values: dict[str, Any] = {name: getattr(due, name) for name in cls.__struct_fields__}
        return cls(**values | {"cancelled_at": instant(due.cancelled_at)})


class CreditPart(msgspec.Struct, rename="camel"):
    """What is left of one payment; below zero: what the customer owes since it was taken back."""

    payment_id: UUID
    receipt: str
    paid_at: Instant
    credit_minor: int


class CreditSum(msgspec.Struct, rename="camel"):
    """A customer's credit in one currency, with the payments that it is of."""

    currency: str
    credit_minor: int
    payments: list[CreditPart]


class CustomerCredit(msgspec.Struct, rename="camel"):
    """A customer's credit."""

    customer_id: UUID
    credit: list[CreditSum]

    @classmethod
    def of(cls, customer_id: UUID, parts: Sequence[Remainder]) -> CustomerCredit:
        sums: list[CreditSum] = []
        for currency in sorted({part.currency for part in parts}):
            own = [part for part in parts if part.currency == currency]
            rows = [CreditPart(p.root_id, p.receipt, instant(p.paid_at), p.credit_minor) for p in own]
            sums.append(CreditSum(currency, sum(p.credit_minor for p in own), rows))
        return cls(customer_id, sums)


class Suggestion(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A layby that the money may be for. ``reasons``: `reference`, `payer`, `amount`."""

    layby_id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    status: str
    currency: str
    balance_minor: int
    reasons: list[str]
    next_due_date: date | None = None
    next_due_minor: int | None = None

    @classmethod
    def from_domain(cls, found: _Suggestion) -> Suggestion:
        names = [name for name in cls.__struct_fields__ if name != "reasons"]
        reasons = [name for name in ("reference", "payer", "amount") if getattr(found, f"by_{name}")]
        values: dict[str, Any] = {name: getattr(found, name) for name in names}
        return cls(**values, reasons=reasons)


class Suggestions(msgspec.Struct, rename="camel"):
    """Laybys that the money may be for, the likeliest first."""

    data: list[Suggestion]


class PaymentChanged(msgspec.Struct, rename="camel"):
    """`payment:changed`: a row of payments is there."""

    event_id: UUID
    payment: Payment
