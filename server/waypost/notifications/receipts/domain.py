"""What a receipt is, and which move of a delivery it asks for. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from waypost.kernel.errors import Denied, NotFound
from waypost.notifications.addresses import ChannelName
from waypost.notifications.providers.reports import Reading, Report, Road, Said
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.states import Event

# A report that names a message by the provider's name of it may overtake the answer which tells us that name.
EARLY_FOR: Final = timedelta(minutes=15)
LONGEST_WORD: Final = 200


class ReceiptDoorUnknown(NotFound):
    """No such address for receipts."""

    code = "receipt-address-unknown"


class ReceiptElsewhere(Denied):
    """Receipts of this provider are not taken from your address."""

    code = "receipt-address-refused"


class ReceiptForged(Denied):
    """The signature does not fit."""

    code = "receipt-signature-invalid"


class Disposition(StrEnum):
    """What became of a receipt. ``STALE``: nothing that we did not know; ``UNKNOWN``: of no message of ours, or not to
    be understood; ``QUARANTINED``: not signed as it should be.
    """

    APPLIED = "applied"
    STALE = "stale"
    IGNORED = "ignored"
    UNKNOWN = "unknown"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider sent, as it came. ``delivery_id``: where the address or the report says it; ``query``: of the
    address that it came to, since some say all in that.
    """

    org_id: UUID
    id: UUID
    provider_id: UUID
    road: Road
    provider_ref: str
    status: str
    delivery_id: UUID | None
    body: bytes
    received_at: datetime
    due_at: datetime
    tries: int = 0
    disposition: Disposition | None = None
    detail: str | None = None
    query: str = ""

    @property
    def body_hash(self) -> bytes:
        return hashlib.sha256(self.body + b"?" + self.query.encode() if self.query else self.body).digest()


MOVES: Final[Mapping[Said, Event]] = MappingProxyType(
    {
        Said.SENT: Event.RECEIPT_SENT,
        Said.DELIVERED: Event.DELIVERED,
        Said.UNDELIVERED: Event.UNDELIVERED,
    }
)


def identity_of(road: Road, reading: Reading, delivery_id: UUID | None, own_id: UUID) -> tuple[str, str]:
    """The reference and the status by which a second one is known. What names nothing is like no other: somebody may
    well say the same twice, with something else between.
    """
    if road is Road.INBOUND:
        return next((each.reference for each in reading.answered if each.reference), str(own_id)), ""
    reference = next((each.reference for each in reading.reports if each.reference), "")
    named = delivery_id or next((each.delivery_id for each in reading.reports if each.delivery_id), None)
    if not reference and (named is None or road is not Road.STATUS):
        return str(own_id), ""
    status = next((each.status for each in reading.reports if each.status), "")
    return (reference or str(named))[:LONGEST_WORD], status[:LONGEST_WORD]


def is_anothers(report: Report, delivery: Delivery) -> bool:
    """Is it of another try than the one that the row stands at? Its failure says nothing of that one. A mail has one
    name in all its tries, and what is kept of it is its server's answer, never the reference of a web hook.
    """
    if delivery.channel == ChannelName.EMAIL and report.delivery_id == delivery.id:
        return False
    return bool(report.reference and delivery.provider_ref and report.reference != delivery.provider_ref)


def waits(receipt: Receipt, now: datetime) -> bool:
    """May the delivery that it names still become known?"""
    return receipt.road is Road.STATUS and now < receipt.received_at + EARLY_FOR


def worst(ends: list[Disposition]) -> Disposition:
    """What became of a receipt with several reports: applied if one was."""
    order = (Disposition.APPLIED, Disposition.STALE, Disposition.IGNORED, Disposition.UNKNOWN)
    return next((each for each in order if each in ends), Disposition.UNKNOWN)
