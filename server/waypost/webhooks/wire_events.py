"""The data of each type of event, as subscribers read it; what is not known is left out.

A field is added without a new version; one that goes or changes its meaning makes a new one. Amounts are in minor
units.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec


class Data(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What every event tells of. ``test``: made by hand, of invented facts."""

    customer_id: UUID | None = None
    test: bool = False


class WebhookTest(Data):
    """Sent by hand, to see whether it arrives."""

    webhook_id: UUID


class TripTold(Data):
    """A trip; ``start_*``: as it is planned, ``arrive_*``: when it is expected, by the shop's clock."""

    trip_id: UUID
    reference: str | None = None
    origin: str | None = None
    destination: str | None = None
    start_date: date | None = None
    start_time: str | None = None
    arrive_date: date | None = None
    arrive_time: str | None = None
    minutes: int | None = None
    reason: str | None = None
    link: str | None = None


class LaybyTold(Data):
    """A layby as it was then."""

    layby_id: UUID
    reference: str | None = None
    status: str | None = None
    currency: str | None = None
    balance_minor: int | None = None
    next_due_minor: int | None = None
    next_due_date: date | None = None
    final_date: date | None = None


class GoodTold(msgspec.Struct, rename="camel", omit_defaults=True):
    """Goods that are laid by."""

    name: str
    quantity: int
    total_minor: int


class InstalmentLeft(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is still owed with an instalment, and its date."""

    n: int
    date: date
    open_minor: int


class LaybyCreated(LaybyTold):
    """A layby was opened; ``receipt``: of its deposit."""

    payable_minor: int | None = None
    items_minor: int | None = None
    fees_minor: int | None = None
    deposit_minor: int | None = None
    receipt: str | None = None
    goods: list[GoodTold] | None = None
    schedule: list[InstalmentLeft] | None = None


class LaybyRescheduled(LaybyTold):
    """A layby goes on with these dates."""

    schedule: list[InstalmentLeft] | None = None


class LaybyCompleted(LaybyTold):
    """A layby is paid off; its goods wait under this order."""

    order: str | None = None
    collect_by: date | None = None


class LaybyCancelled(LaybyTold):
    """A layby has ended before it was paid off; ``by``: whose wish it was."""

    by: str | None = None
    paid_minor: int | None = None
    fee_minor: int | None = None
    refund_minor: int | None = None


class LaybyDefaulted(LaybyTold):
    """Too many instalments were missed."""

    missed: int | None = None
    reinstate_until: date | None = None


class InstalmentTold(LaybyTold):
    """One instalment of a layby; ``days``: until its date, or since."""

    n: int | None = None
    of: int | None = None
    due_date: date | None = None
    amount_minor: int | None = None
    open_minor: int | None = None
    days: int | None = None
    fee_minor: int | None = None
    late_fee_minor: int | None = None


class PaymentTold(Data):
    """Money that came or went. ``reference``, ``balance_minor``, ``status``: of the layby that it was for, as it is
    with it.
    """

    payment_id: UUID
    reference: str | None = None
    status: str | None = None
    currency: str | None = None
    amount_minor: int | None = None
    applied_minor: int | None = None
    credit_minor: int | None = None
    balance_minor: int | None = None
    receipt: str | None = None
    original_receipt: str | None = None
    method: str | None = None
    paid_at: datetime | None = None


class PaymentFailed(Data):
    """A customer was asked by phone to pay, and nothing was paid."""

    prompt_id: UUID
    reference: str | None = None
    currency: str | None = None
    amount_minor: int | None = None
    balance_minor: int | None = None
    reason: str | None = None


class InvoiceTold(Data):
    """A freight invoice; ``issuer``: who bills; ``days``: for how long it is overdue."""

    invoice_id: UUID
    number: str | None = None
    issuer: str | None = None
    currency: str | None = None
    total_minor: int | None = None
    open_minor: int | None = None
    issue_date: date | None = None
    due_date: date | None = None
    days: int | None = None
    link: str | None = None


class StockTold(Data):
    """Goods of a layby that the shop's stock must know of; ``round``: one that was opened again has several."""

    layby_id: UUID
    reference: str | None = None
    item: int | None = None
    product: str | None = None
    quantity: int | None = None
    kind: Literal["reserved", "released", "sold"] | None = None
    round: int | None = None
    at: datetime | None = None
