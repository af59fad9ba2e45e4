"""A layby as the API knows it: a new one, its plan, and the whole of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.money import LARGEST_MINOR
from waypost.laybys import deal, domain
from waypost.laybys.rules import RefundPolicy, Terms
from waypost.laybys.storage_read import Whole
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none

Amount = Annotated[int, Meta(ge=0, le=LARGEST_MINOR)]
Product = Annotated[str, Meta(min_length=1, max_length=100, pattern=SOME_TEXT)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]
Note = Annotated[str, Meta(max_length=2000, pattern=NO_NUL)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Dates = Annotated[list[date], Meta(max_length=260)]


class NewItem(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Goods to be laid by. ``product``: your own code of it, by which laybys are found."""

    product: Product
    name: Name
    quantity: Count
    unit_price_minor: Amount

    def to_domain(self) -> deal.NewItem:
        return deal.NewItem(self.product, self.name, self.quantity, self.unit_price_minor)


class Deal(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What is agreed on. What is left out: as your organisation sells (`PATCH /org`), the rhythm of the trade's rules,
    as many instalments as fit into their longest term, from today.

    ``dates``: of the rhythm `custom`, one an instalment.
    """

    items: Annotated[list[NewItem], Meta(min_length=1, max_length=1000)]
    trade: str | None = None
    currency: Currency | None = None
    rhythm: domain.Rhythm | None = None
    instalments: Annotated[int, Meta(ge=1, le=260)] | None = None
    dates: Dates = []
    start_date: date | None = None

    def deal(self) -> deal.Deal:
        return deal.Deal(
            items=[item.to_domain() for item in self.items],
            trade=self.trade,
            currency=self.currency,
            rhythm=self.rhythm,
            instalments=self.instalments,
            dates=self.dates,
            start_date=self.start_date,
        )


class NewLayby(Deal, kw_only=True):
    """A deal with a customer. ``toldBefore``: they were told of the fee for cancelling before they agreed.

    ``reference``: one that you brought along; else one is made.
    """

    customer_id: UUID
    told_before: bool = False
    reference: Annotated[str, Meta(min_length=3, max_length=40, pattern=SOME_TEXT)] | None = None
    note: Note | None = None

    def to_domain(self) -> deal.NewLayby:
        return deal.NewLayby(self.customer_id, self.deal(), self.told_before, self.reference, self.note)


class PlanAsked(Deal, kw_only=True):
    """A deal to be worked out. ``depositMinor``: the usual one when it is left out."""

    deposit_minor: Amount | None = None


class Item(msgspec.Struct, rename="camel"):
    """Goods. ``handedOver``: how many the customer has already."""

    n: int
    product: str
    name: str
    quantity: int
    unit_price_minor: int
    total_minor: int
    handed_over: int

    @classmethod
    def from_domain(cls, item: domain.Item) -> Item:
        return cls(
            item.n, item.product, item.name, item.quantity, item.unit_price_minor, item.total_minor, item.handed_over
        )


class Instalment(msgspec.Struct, rename="camel", omit_defaults=True):
    """One scheduled amount; ``state``: `covered`, `open` or `overdue`. ``agreedDate``: before holds and extensions."""

    n: int
    due_date: date
    agreed_date: date
    amount_minor: int
    covered_minor: int
    open_minor: int
    state: str
    late_fee_minor: int = 0

    @classmethod
    def all_of(cls, layby: domain.Layby, today: date) -> list[Instalment]:
        pairs = zip(layby.instalments, domain.covered(layby), strict=True)
        return [cls.of(instalment, part, today) for instalment, part in pairs]

    @classmethod
    def of(cls, each: domain.Instalment, covered_minor: int, today: date) -> Instalment:
        left = each.amount_minor - covered_minor
        state = ("overdue" if each.due_date < today else "open") if left else "covered"
        return cls(
            each.n, each.due_date, each.agreed_date, each.amount_minor, covered_minor, left, state, each.late_fee_minor
        )


class Order(msgspec.Struct, rename="camel", omit_defaults=True):
    """What the layby became; with the trip that delivers it, and its state."""

    id: UUID
    number: str
    created_at: Instant
    trip_id: UUID | None = None
    trip_status: str | None = None
    trip_reference: str | None = None


class NextDue(msgspec.Struct, rename="camel"):
    """What falls due next, and what is still open on it."""

    n: int
    due_date: date
    open_minor: int


class TermsSummary(msgspec.Struct, rename="camel"):
    """What the agreement was made under; `rulesVersion` 0: the defaults."""

    rules_version: int
    jurisdiction: str
    refund_policy: RefundPolicy
    cancellation_fee_bp: int
    late_fee_minor: int
    late_fee_after_days: int
    default_after_missed: int
    reinstate_days: int
    extensions: int
    extension_days: int
    collect_days: int
    partial_hand_over: bool
    exemptions: list[str]

    @classmethod
    def of(cls, terms: Terms) -> TermsSummary:
        values: dict[str, Any] = {
            name: getattr(terms.rules, name) for name in cls.__struct_fields__ if hasattr(terms.rules, name)
        }
        return cls(
            **values,
            rules_version=terms.rules.version,
            jurisdiction=terms.jurisdiction.name,
            exemptions=list(terms.jurisdiction.exemptions),
        )


class Layby(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A layby whole. Amounts are minor units of ``currency``: balance = payable + late fees - paid.

    ``sentOutAt``: since when the goods are on their way, by the trip of its order; ``releasedAt``: since when they are
    the customer's. ``refundDueMinor``: what of a cancelled one is still to be paid back; ``cancellation``: how that was
    worked out.
    """

    id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    status: str
    trade: str
    jurisdiction: str
    currency: str
    items_minor: int
    service_fee_minor: int
    admin_fee_minor: int
    payable_minor: int
    late_fees_minor: int
    deposit_minor: int
    paid_minor: int
    balance_minor: int
    rhythm: str
    start_date: date
    final_date: date
    items: list[Item]
    instalments: list[Instalment]
    items_released: bool
    terms: TermsSummary
    created_at: Instant
    updated_at: Instant
    version: int
    next_due: NextDue | None = None
    order: Order | None = None
    note: str | None = None
    extensions: int = 0
    told_before_at: Instant | None = None
    held_since: date | None = None
    completed_at: Instant | None = None
    collect_by: date | None = None
    sent_out_at: Instant | None = None
    released_at: Instant | None = None
    defaulted_at: Instant | None = None
    reinstate_until: date | None = None
    cancelled_at: Instant | None = None
    cancelled_by: str | None = None
    cancellation: Mapping[str, Any] | None = None
    cancellation_fee_minor: int = 0
    refund_due_minor: int = 0

    @classmethod
    def of(cls, found: Whole, today: date) -> Layby:
        """``today``: the organisation's, by which an instalment is overdue."""
        layby = found.layby
        due = domain.next_due(layby) if layby.status is not domain.Status.CANCELLED else None
        return cls(
            **{name: getattr(layby, name) for name in _PLAIN},
            items=[Item.from_domain(item) for item in found.items],
            instalments=Instalment.all_of(layby, today),
            items_released=layby.released_at is not None,
            terms=TermsSummary.of(layby.terms),
            created_at=instant(layby.created_at),
            updated_at=instant(layby.updated_at),
            next_due=NextDue(due.n, due.due_date, due.open_minor) if due else None,
            order=_order(found),
            told_before_at=instant_or_none(layby.told_before_at),
            completed_at=instant_or_none(layby.completed_at),
            sent_out_at=instant_or_none(layby.sent_out_at),
            released_at=instant_or_none(layby.released_at),
            defaulted_at=instant_or_none(layby.defaulted_at),
            reinstate_until=layby.reinstate_until if layby.status is domain.Status.DEFAULTED else None,
            cancelled_at=instant_or_none(layby.cancelled_at),
            cancellation=layby.cancellation or None,
        )


_PLAIN = (
    "id", "reference", "customer_id", "customer_name", "status", "trade", "jurisdiction", "currency", "items_minor",
    "service_fee_minor", "admin_fee_minor", "payable_minor", "late_fees_minor", "deposit_minor", "paid_minor",
    "balance_minor", "rhythm", "start_date", "final_date", "version", "note", "extensions", "held_since", "collect_by",
    "cancelled_by", "cancellation_fee_minor", "refund_due_minor",
)  # fmt: skip


def _order(found: Whole) -> Order | None:
    order = found.order
    if order is None:
        return None
    return Order(
        order.id, order.number, instant(order.created_at), order.trip_id, found.trip_status, found.trip_reference
    )


class Plan(msgspec.Struct, rename="camel"):
    """A deal worked out; nothing of it is stored."""

    trade: str
    currency: str
    items: list[Item]
    items_minor: int
    service_fee_minor: int
    admin_fee_minor: int
    payable_minor: int
    deposit_minor: int
    least_deposit_minor: int
    most_deposit_minor: int
    rhythm: str
    start_date: date
    final_date: date
    instalments: list[Instalment]
    terms: TermsSummary

    @classmethod
    def from_domain(cls, plan: deal.Plan) -> Plan:
        least, most = plan.deposit_bounds
        return cls(
            trade=plan.terms.rules.trade,
            currency=plan.currency,
            items=[Item.from_domain(item) for item in plan.items],
            items_minor=plan.items_minor,
            service_fee_minor=plan.service_fee_minor,
            admin_fee_minor=plan.admin_fee_minor,
            payable_minor=plan.payable_minor,
            deposit_minor=plan.deposit_minor,
            least_deposit_minor=least,
            most_deposit_minor=most,
            rhythm=str(plan.rhythm),
            start_date=plan.start_date,
            final_date=plan.final_date,
            instalments=[Instalment.of(each, 0, each.due_date) for each in plan.instalments],
            terms=TermsSummary.of(plan.terms),
        )
