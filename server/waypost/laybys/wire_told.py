"""What sockets are told of laybys."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec

from waypost.laybys import domain
from waypost.platform.codec import Instant, instant


class LaybyChanged(msgspec.Struct, rename="camel", omit_defaults=True):
    """`layby:changed`: a layby as it is now. ``kind``: what happened, as in its events."""

    event_id: UUID
    layby_id: UUID
    kind: str
    at: Instant
    reference: str
    customer_id: UUID
    status: str
    version: int
    currency: str
    paid_minor: int
    balance_minor: int
    next_due_date: date | None = None
    next_due_minor: int | None = None

    @classmethod
    def of(cls, layby: domain.Layby, event_id: UUID, kind: str, at: datetime) -> LaybyChanged:
        due = domain.next_due(layby) if layby.status is not domain.Status.CANCELLED else None
        return cls(
            event_id=event_id,
            layby_id=layby.id,
            kind=kind,
            at=instant(at),
            reference=layby.reference,
            customer_id=layby.customer_id,
            status=str(layby.status),
            version=layby.version,
            currency=layby.currency,
            paid_minor=layby.paid_minor,
            balance_minor=layby.balance_minor,
            next_due_date=due.due_date if due else None,
            next_due_minor=due.open_minor if due else None,
        )
