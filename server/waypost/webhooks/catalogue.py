"""Every type of event that a subscriber may hear of: the one table that sending, the API's description, the docs and
the examples read. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from waypost.webhooks import wire_events as wire
from waypost.webhooks.wire_events import Data

TEST: Final = "webhook.test"
SUBJECT: Final = "00000000-0000-7000-8000-000000000001"  # of examples


@dataclass(frozen=True, slots=True)
class EventType:
    """``kind``: of the outbox rows that it is made of; ``subject``: the field that names what it is about."""

    name: str
    kind: str
    subject: str
    data: type[Data]
    words: str
    example: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


_TRIP = {"reference": "JD-0042", "origin": "Warehouse 3", "destination": "12 Jason Moyo Ave"}
_LAYBY = {
    "reference": "LB-2026-0042", "status": "active", "currency": "KES", "balanceMinor": "450000",
    "nextDueMinor": "150000", "nextDueDate": "2026-12-01", "finalDate": "2027-02-01",
}  # fmt: skip
_SCHEDULE = '[{"n":"1","date":"2026-12-01","openMinor":"150000"},{"n":"2","date":"2027-01-01","openMinor":"300000"}]'
_GOODS = '[{"name":"Sofa","quantity":"1","totalMinor":"600000"}]'
_INSTALMENT = {"n": "1", "of": "4", "dueDate": "2026-12-01", "amountMinor": "150000", "openMinor": "150000"}
_MONEY = {
    "amountMinor": "150000", "receipt": "QGH7XYZ123", "method": "mobile", "paidAt": "2026-11-22T09:30:00+00:00",
}  # fmt: skip
_INVOICE = {
    "number": "INV-2026-0042", "issuer": "Harare Haulage", "currency": "KES", "totalMinor": "1250000",
    "openMinor": "1250000", "issueDate": "2026-11-22", "dueDate": "2026-12-22",
}  # fmt: skip
_STOCK = {
    "reference": "LB-2026-0042", "item": 1, "product": "SOFA-3", "quantity": 1, "round": 1,
    "at": "2026-11-22T09:30:00.000Z",
}  # fmt: skip


def _trip(kind: str, words: str, **facts: str) -> EventType:
    return EventType(kind.replace("_", ".", 1), kind, "tripId", wire.TripTold, words, {**_TRIP, **facts})


def _layby(name: str, kind: str, words: str, data: type[Data] = wire.LaybyTold, **facts: str) -> EventType:
    return EventType(f"layby.{name}", kind, "laybyId", data, words, {**_LAYBY, **facts})


def _payment(name: str, kind: str, words: str, **facts: str) -> EventType:
    example = {**_LAYBY, **_MONEY, **facts}
    return EventType(f"payment.{name}", kind, "paymentId", wire.PaymentTold, words, example)


def _invoice(name: str, words: str, **facts: str) -> EventType:
    kind, example = f"invoice_{name}", {**_INVOICE, **facts}
    return EventType(f"invoice.{name}", kind, "invoiceId", wire.InvoiceTold, words, example)


def _stock(kind: str, words: str) -> EventType:
    example = {**_STOCK, "kind": kind}
    return EventType(f"stock.{kind}", f"stock_{kind}", "laybyId", wire.StockTold, words, example)


ALL: Final = (
    _trip("trip_scheduled", "A trip was planned.", startDate="2026-11-23", startTime="09:00"),
    _trip("trip_started", "A trip has set out."),
    _trip("trip_near", "A vehicle comes near a stop.", minutes="10"),
    _trip("trip_arrived", "A vehicle has arrived at a stop."),
    _trip("trip_completed", "A trip is done."),
    _trip("trip_delayed", "A trip will be late.", arriveDate="2026-11-23", arriveTime="11:30"),
    _trip("trip_failed", "A trip was called off or could not be done.", reason="cancelled"),
    _layby(
        "created", "layby_created", "A layby was opened.", wire.LaybyCreated, payableMinor="600000",
        itemsMinor="600000", feesMinor="0", depositMinor="150000", receipt="R-1", goods=_GOODS, schedule=_SCHEDULE,
    ),
    _layby("payment_due", "payment_reminder", "An instalment falls due soon.", wire.InstalmentTold,
           **_INSTALMENT, days="3"),
    _layby("payment_overdue", "payment_overdue", "An instalment is overdue; again at each step.", wire.InstalmentTold,
           **_INSTALMENT, days="3", lateFeeMinor="0"),
    _layby("late_fee_applied", "late_fee_applied", "A late fee was charged.", wire.InstalmentTold,
           **_INSTALMENT, feeMinor="5000"),
    _layby("completion_due", "completion_reminder", "A layby's last day comes near."),
    _layby("completed", "layby_completed", "A layby is paid off.", wire.LaybyCompleted, status="completed",
           balanceMinor="0", order="O-42", collectBy="2027-03-01"),
    _layby("collection_due", "collection_reminder", "Goods that are paid wait to be collected.", wire.LaybyCompleted,
           status="completed", balanceMinor="0", order="O-42", collectBy="2027-03-01"),
    _layby("on_hold", "layby_on_hold", "A layby rests; nothing falls due.", status="on_hold"),
    _layby("reactivated", "layby_reactivated", "A layby that rested goes on.", wire.LaybyRescheduled,
           schedule=_SCHEDULE),
    _layby("extended", "layby_extended", "A layby has more time.", wire.LaybyRescheduled, schedule=_SCHEDULE),
    _layby("reinstated", "layby_reinstated", "A layby that defaulted goes on.", wire.LaybyRescheduled,
           schedule=_SCHEDULE),
    _layby("cancelled", "layby_cancelled", "A layby was cancelled.", wire.LaybyCancelled, status="cancelled",
           by="customer", paidMinor="150000", feeMinor="30000", refundMinor="120000"),
    _layby("defaulted", "layby_defaulted", "Too many instalments were missed.", wire.LaybyDefaulted,
           status="defaulted", missed="2", reinstateUntil="2027-01-01"),
    _payment("received", "payment_received", "Money has come.", appliedMinor="150000", creditMinor="0"),
    EventType("payment.failed", "payment_failed", "promptId", wire.PaymentFailed,
              "A customer was asked by phone to pay, and nothing was paid.",
              {**_LAYBY, "amountMinor": "150000", "reason": "no_funds"}),
    _payment("refunded", "refund_issued", "Money was given back."),
    _payment("reversed", "payment_reversed", "A provider took a payment back.", originalReceipt="QGH7XYZ122"),
    _invoice("issued", "A freight invoice was issued."),
    _invoice("overdue", "A freight invoice is overdue.", days="7"),
    _invoice("voided", "A freight invoice was voided."),
    _stock("reserved", "Goods were laid by."),
    _stock("released", "Goods that were laid by are free again."),
    _stock("sold", "Goods that were laid by are sold."),
    EventType(TEST, "", "webhookId", wire.WebhookTest, "Sent by hand, to see whether it arrives."),
)  # fmt: skip

TYPES: Final[Mapping[str, EventType]] = MappingProxyType({each.name: each for each in ALL})
# Money that is kept as credit has come all the same.
OF_KIND: Final[Mapping[str, EventType]] = MappingProxyType(
    {each.kind: each for each in ALL if each.kind} | {"payment_received_credit": TYPES["payment.received"]}
)
# What no subscriber hears of: what is told to staff alone, and the try of a provider.
NO_EVENT: Final = frozenset({"alert_raised", "alert_digest", "export_ready", "provider_test", "help_answer"})
