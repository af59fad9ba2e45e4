"""The one registry of what customers are told, and of events that wait in the outbox without being told anyone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Queue


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice. ``channels``: those that carry it, in order; ``validity``: after it was due, it is not sent,
    unless the notice names its own end.
    """

    name: str
    channels: tuple[ChannelName, ...]
    queue: Queue
    validity: timedelta


TRIP_STARTED = "trip_started"
TRIP_COMPLETED = "trip_completed"

LAYBY_CREATED = "layby_created"
PAYMENT_RECEIVED = "payment_received"
PAYMENT_RECEIVED_CREDIT = "payment_received_credit"
PAYMENT_FAILED = "payment_failed"
PAYMENT_REMINDER = "payment_reminder"
PAYMENT_OVERDUE = "payment_overdue"
LATE_FEE_APPLIED = "late_fee_applied"
COMPLETION_REMINDER = "completion_reminder"
LAYBY_COMPLETED = "layby_completed"
COLLECTION_REMINDER = "collection_reminder"
LAYBY_ON_HOLD = "layby_on_hold"
LAYBY_REACTIVATED = "layby_reactivated"
LAYBY_EXTENDED = "layby_extended"
LAYBY_REINSTATED = "layby_reinstated"
LAYBY_CANCELLED = "layby_cancelled"
LAYBY_DEFAULTED = "layby_defaulted"
REFUND_ISSUED = "refund_issued"
PAYMENT_REVERSED = "payment_reversed"

# About a layby itself, true only while it stands as it did.
OF_LAYBYS = (
    LAYBY_CREATED, PAYMENT_REMINDER, PAYMENT_OVERDUE, LATE_FEE_APPLIED, COMPLETION_REMINDER, LAYBY_COMPLETED,
    COLLECTION_REMINDER, LAYBY_ON_HOLD, LAYBY_REACTIVATED, LAYBY_EXTENDED, LAYBY_REINSTATED, LAYBY_CANCELLED,
    LAYBY_DEFAULTED,
)  # fmt: skip

# Of a layby's money: who is not told within three days asks the shop, and hears it there.
_SOON, _DAYS = timedelta(hours=6), timedelta(days=3)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(TRIP_STARTED, (ChannelName.EMAIL,), Queue.URGENT, timedelta(hours=6)),
        Kind(TRIP_COMPLETED, (ChannelName.EMAIL,), Queue.URGENT, timedelta(hours=24)),
        Kind(LAYBY_CREATED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(PAYMENT_RECEIVED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(PAYMENT_RECEIVED_CREDIT, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(PAYMENT_FAILED, (ChannelName.EMAIL,), Queue.URGENT, _SOON),
        Kind(PAYMENT_REMINDER, (ChannelName.EMAIL,), Queue.BULK, timedelta(hours=15)),
        Kind(PAYMENT_OVERDUE, (ChannelName.EMAIL,), Queue.BULK, timedelta(days=6)),
        Kind(LATE_FEE_APPLIED, (ChannelName.EMAIL,), Queue.BULK, _DAYS),
        Kind(COMPLETION_REMINDER, (ChannelName.EMAIL,), Queue.BULK, _DAYS),
        Kind(LAYBY_COMPLETED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(COLLECTION_REMINDER, (ChannelName.EMAIL,), Queue.BULK, _DAYS),
        Kind(LAYBY_ON_HOLD, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(LAYBY_REACTIVATED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(LAYBY_EXTENDED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(LAYBY_REINSTATED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(LAYBY_CANCELLED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(LAYBY_DEFAULTED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(REFUND_ISSUED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
        Kind(PAYMENT_REVERSED, (ChannelName.EMAIL,), Queue.URGENT, _DAYS),
    )
}
SOME_VALIDITY = timedelta(hours=24)  # of a kind that only a newer version knows

STOCK_RESERVED = "stock_reserved"
STOCK_RELEASED = "stock_released"
STOCK_SOLD = "stock_sold"
# Told to no customer: the relay closes them. Subscribers of ours will be told of them by webhooks.
EVENTS = frozenset({STOCK_RESERVED, STOCK_RELEASED, STOCK_SOLD})


def validity_of(kind: str) -> timedelta:
    """How long a notice of that kind may be sent after it was due, or after a person has decided that it shall be."""
    return KINDS[kind].validity if kind in KINDS else SOME_VALIDITY
