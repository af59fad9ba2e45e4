"""The one registry of what customers and staff are told, and of events that are told no person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from waypost.kernel.principal import MONEY, TELLERS, Role
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Queue


class Group(StrEnum):
    """Of what sort a kind is: what may be switched off, and what an e-mail must offer, goes by it."""

    TRANSACTIONAL = "transactional"
    REMINDER = "reminder"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice.

    ``channels``: those that carry it, in order; ``validity``: after it was due, it is not sent, unless the notice names
    its own end; ``required``: nobody can switch it off; ``quiet``: it waits for the end of quiet hours; ``sensitive``:
    its words are not kept, such as a sign-in code's; ``instead``: a channel that carries it only when those before
    could not tell; ``roles``: of a staff kind without a named recipient, who is told.
    """

    name: str
    channels: tuple[ChannelName, ...]
    queue: Queue
    validity: timedelta
    group: Group = Group.TRANSACTIONAL
    required: bool = False
    quiet: bool = True
    sensitive: bool = False
    instead: tuple[ChannelName, ...] = ()
    roles: frozenset[Role] = TELLERS


TRIP_SCHEDULED = "trip_scheduled"
TRIP_STARTED = "trip_started"
TRIP_NEAR = "trip_near"
TRIP_ARRIVED = "trip_arrived"
TRIP_COMPLETED = "trip_completed"
TRIP_DELAYED = "trip_delayed"
TRIP_FAILED = "trip_failed"

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

INVOICE_ISSUED = "invoice_issued"
INVOICE_OVERDUE = "invoice_overdue"
INVOICE_VOIDED = "invoice_voided"

ALERT_RAISED = "alert_raised"  # one that cannot wait for the digest
ALERT_DIGEST = "alert_digest"
EXPORT_READY = "export_ready"
PROVIDER_TEST = "provider_test"  # an owner tries an account; about it, to an address that they name

HELP_ANSWER = "help_answer"  # to who wrote HELP, by the account that they wrote to

# What somebody has just asked for: told also to who has stopped everything else.
ANSWERS = frozenset({HELP_ANSWER})
# By the one account that they are about.
BY_ONE_ACCOUNT = frozenset({PROVIDER_TEST, HELP_ANSWER})
# About a trip, true only while it stands as it did.
OF_TRIPS = (TRIP_SCHEDULED, TRIP_STARTED, TRIP_NEAR, TRIP_ARRIVED, TRIP_COMPLETED, TRIP_DELAYED, TRIP_FAILED)
# About an invoice between two organisations.
OF_INVOICES = (INVOICE_ISSUED, INVOICE_OVERDUE, INVOICE_VOIDED)
# About a layby itself, true only while it stands as it did.
OF_LAYBYS = (
    LAYBY_CREATED, PAYMENT_REMINDER, PAYMENT_OVERDUE, LATE_FEE_APPLIED, COMPLETION_REMINDER, LAYBY_COMPLETED,
    COLLECTION_REMINDER, LAYBY_ON_HOLD, LAYBY_REACTIVATED, LAYBY_EXTENDED, LAYBY_REINSTATED, LAYBY_CANCELLED,
    LAYBY_DEFAULTED,
)  # fmt: skip

# Of a layby's money: who is not told within three days asks the shop, and hears it there.
_SOON, _DAYS = timedelta(hours=6), timedelta(days=3)
_ALL = (ChannelName.SMS, ChannelName.EMAIL, ChannelName.PUSH)
_QUIETLY = (ChannelName.EMAIL, ChannelName.PUSH)  # an SMS only to who has no other address
_BY_SMS = (ChannelName.SMS, ChannelName.PUSH)
_BOOKS = (ChannelName.IN_APP, ChannelName.EMAIL)
_STAFF = (ChannelName.IN_APP, ChannelName.EMAIL, ChannelName.PUSH)
_SMS, _EMAIL = (ChannelName.SMS,), (ChannelName.EMAIL,)


def _told(name: str, validity: timedelta, channels: tuple[ChannelName, ...] = _ALL, **more: object) -> Kind:
    """At once, to a customer."""
    return Kind(name, channels, Queue.URGENT, validity, **more)  # type: ignore[arg-type]  # by their names


def _money(name: str) -> Kind:
    """That money has moved: never held, never switched off."""
    return Kind(name, _ALL, Queue.URGENT, _DAYS, required=True, quiet=False)


def _reminder(name: str, validity: timedelta) -> Kind:
    return Kind(name, _ALL, Queue.BULK, validity, group=Group.REMINDER)


def _staff(
    name: str, queue: Queue, channels: tuple[ChannelName, ...] = _STAFF, roles: frozenset[Role] = TELLERS
) -> Kind:
    return Kind(name, channels, queue, timedelta(days=1), group=Group.STAFF, quiet=False, roles=roles)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _told(TRIP_SCHEDULED, timedelta(hours=24)),
            _told(TRIP_STARTED, timedelta(hours=6), quiet=False),
            _told(TRIP_NEAR, timedelta(minutes=30), quiet=False),
            _told(TRIP_ARRIVED, timedelta(hours=1), quiet=False),
            _told(TRIP_COMPLETED, timedelta(hours=24), quiet=False),
            _told(TRIP_DELAYED, timedelta(hours=6), quiet=False),
            _told(TRIP_FAILED, timedelta(hours=24)),
            _told(LAYBY_CREATED, _DAYS, required=True, quiet=False),
            _money(PAYMENT_RECEIVED),
            _money(PAYMENT_RECEIVED_CREDIT),
            _told(PAYMENT_FAILED, _SOON, _BY_SMS, quiet=False, instead=_EMAIL),
            _reminder(PAYMENT_REMINDER, timedelta(hours=15)),
            _reminder(PAYMENT_OVERDUE, timedelta(days=6)),
            _reminder(LATE_FEE_APPLIED, _DAYS),
            _reminder(COMPLETION_REMINDER, _DAYS),
            _told(LAYBY_COMPLETED, _DAYS, required=True),
            _reminder(COLLECTION_REMINDER, _DAYS),
            _told(LAYBY_ON_HOLD, _DAYS, _QUIETLY, instead=_SMS),
            _told(LAYBY_REACTIVATED, _DAYS, _QUIETLY, instead=_SMS),
            _told(LAYBY_EXTENDED, _DAYS, _QUIETLY, instead=_SMS),
            _told(LAYBY_REINSTATED, _DAYS, _QUIETLY, instead=_SMS),
            _told(LAYBY_CANCELLED, _DAYS, required=True),
            _told(LAYBY_DEFAULTED, _DAYS, required=True),
            _money(REFUND_ISSUED),
            _money(PAYMENT_REVERSED),
            _staff(INVOICE_ISSUED, Queue.URGENT, _BOOKS, MONEY),
            _staff(INVOICE_OVERDUE, Queue.BULK, _BOOKS, MONEY),
            _staff(INVOICE_VOIDED, Queue.URGENT, _BOOKS, MONEY),
            _staff(ALERT_RAISED, Queue.URGENT, (*_STAFF, ChannelName.OTHER)),
            _staff(ALERT_DIGEST, Queue.BULK, (ChannelName.EMAIL, ChannelName.OTHER)),
            _staff(EXPORT_READY, Queue.BULK, (ChannelName.IN_APP, ChannelName.PUSH)),
            _told(HELP_ANSWER, timedelta(hours=1), _SMS, required=True, quiet=False),
            Kind(
                PROVIDER_TEST,
                (ChannelName.SMS, ChannelName.EMAIL, ChannelName.OTHER),
                Queue.URGENT,
                timedelta(hours=1),
                group=Group.STAFF,
                required=True,
                quiet=False,
            ),
        )
    }
)
SOME_VALIDITY = timedelta(hours=24)  # of a kind that only a newer version knows

STOCK_RESERVED = "stock_reserved"
STOCK_RELEASED = "stock_released"
STOCK_SOLD = "stock_sold"
# Told to no person: only subscribers hear of them, by webhooks.
EVENTS = frozenset({STOCK_RESERVED, STOCK_RELEASED, STOCK_SOLD})


def validity_of(kind: str) -> timedelta:
    """How long a notice of that kind may be sent after it was due, or after a person has decided that it shall be."""
    return KINDS[kind].validity if kind in KINDS else SOME_VALIDITY
