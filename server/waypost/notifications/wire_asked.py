"""What may be asked of notifications and deliveries, and the bodies of what a person does to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import invalid_field
from waypost.notifications import seen_domain
from waypost.notifications.addresses import ChannelName
from waypost.notifications.states import State
from waypost.platform.codec import NO_NUL, SOME_TEXT, utc
from waypost.platform.queries import PageQuery

Word = Annotated[str, Meta(min_length=1, max_length=60, pattern=NO_NUL)]
Moment = Annotated[datetime, Meta(tz=True)]
MOST_AT_ONCE = 500


class NotificationsQuery(PageQuery):
    """Which notifications a list shows. ``state``, ``reason``, ``channel``: of one of its deliveries."""

    state: State | None = None
    kind: Word | None = None
    reason: Word | None = None
    channel: ChannelName | None = None
    trip_id: UUID | None = None
    layby_id: UUID | None = None
    payment_id: UUID | None = None
    invoice_id: UUID | None = None
    customer_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None

    def wanted(self) -> seen_domain.Filter:
        about = [each for each in (self.trip_id, self.layby_id, self.payment_id, self.invoice_id) if each is not None]
        return seen_domain.Filter(
            self.state,
            self.kind,
            about or None,
            self.customer_id,
            self.reason,
            self.channel,
            *span(self.since, self.until),
        )


class DeliveriesQuery(PageQuery):
    """Which deliveries a list shows: `state=dead` are the dead letters. ``address`` needs ``channel``."""

    state: State | None = None
    kind: Word | None = None
    reason: Word | None = None
    channel: ChannelName | None = None
    address: Annotated[str, Meta(min_length=1, max_length=300, pattern=NO_NUL)] | None = None
    provider_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None

    def wanted(self) -> seen_domain.DeliveryFilter:
        return seen_domain.DeliveryFilter(
            self.state,
            self.kind,
            self.reason,
            self.channel,
            self.address,
            self.provider_id,
            *span(self.since, self.until),
        )


class DeliveryFiguresQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Of what was made from ``since`` up to, not including, ``until``; the last seven days unless given."""

    since: Moment | None = None
    until: Moment | None = None


class Why(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why a person sends it once more; kept in the audit log."""

    why: Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)]


class Resolution(Why):
    """What a person has decided of a delivery in doubt, and why."""

    action: Literal["send_again", "let_be"]


class ReplayRange(Why):
    """Which of those that were given up, or refused, are sent once more: the oldest first, ``limit`` of them."""

    state: Literal["dead", "failed"]
    kind: Word | None = None
    reason: Word | None = None
    channel: ChannelName | None = None
    provider_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_AT_ONCE)] = 100

    def wanted(self) -> seen_domain.DeliveryFilter:
        return seen_domain.DeliveryFilter(
            State(self.state),
            self.kind,
            self.reason,
            self.channel,
            None,
            self.provider_id,
            *span(self.since, self.until),
        )


def span(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """``Invalid`` for a moment beyond all calendars, or a span that ends before it begins."""
    since, until = _checked("since", since), _checked("until", until)
    if since is not None and until is not None and until <= since:
        raise invalid_field("until", "the span ends before it begins")
    return since, until


def _checked(field: str, at: datetime | None) -> datetime | None:
    try:
        return utc(at) if at is not None else None
    except ValueError as error:
        raise invalid_field(field, str(error)) from error
