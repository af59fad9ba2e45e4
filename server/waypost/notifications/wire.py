"""Bodies and events of notifications."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from waypost.notifications import seen_domain
from waypost.notifications.reasons import in_words
from waypost.notifications.states import State
from waypost.platform.codec import Instant, instant, instant_or_none


class Replayed(msgspec.Struct, rename="camel"):
    """``more``: there are others that were meant; ask again for them."""

    replayed: int
    more: bool


class Resent(msgspec.Struct, rename="camel"):
    """It is made in a moment: a notification with this one as its ``resentFrom``."""

    resent_from: UUID


class Attempt(msgspec.Struct, rename="camel", omit_defaults=True):
    """One try. ``status``: the provider's number."""

    attempt: int
    provider: str
    started_at: Instant
    finished_at: Instant | None = None
    outcome: str | None = None
    reason: str | None = None
    status: int | None = None
    latency_ms: int | None = None

    @classmethod
    def from_domain(cls, a: seen_domain.Attempt) -> Attempt:
        return cls(
            a.attempt, a.provider, instant(a.started_at), instant_or_none(a.finished_at), a.outcome, a.reason, a.status,
            a.latency_ms,
        )  # fmt: skip


class Delivery(msgspec.Struct, rename="camel", omit_defaults=True):
    """One way by which a notification goes out. ``dueAt``: while it is pending, when it is tried next; ``why``: its
    reason in words; ``error``: what the provider named first; ``toldAt``: when a receipt said that it came, or did not;
    ``cost``: a decimal in ``costCurrency``; ``insteadOf``: the delivery that could not tell.
    """

    id: UUID
    notification_id: UUID
    channel: str
    address: str
    state: str
    attempt: int
    updated_at: Instant
    due_at: Instant | None = None
    reason: str | None = None
    why: str | None = None
    provider: str | None = None
    provider_ref: str | None = None
    provider_id: UUID | None = None
    sender: str | None = None
    segments: int | None = None
    cost: str | None = None
    cost_currency: str | None = None
    error: str | None = None
    sent_at: Instant | None = None
    told_at: Instant | None = None
    instead_of: UUID | None = None

    @classmethod
    def from_domain(cls, d: seen_domain.Delivery) -> Delivery:
        return cls(**_of(d))

    @classmethod
    def from_seen(cls, seen: seen_domain.Seen) -> Delivery:
        return cls(**_of(seen.delivery), **_more(seen))


class KindedDelivery(Delivery):
    """One of a list that goes across notifications. ``kind``: of its notification."""

    kind: str = ""
    created_at: Instant | None = None

    @classmethod
    def of(cls, seen: seen_domain.Seen) -> KindedDelivery:
        made = instant(seen.created_at)
        return cls(**_of(seen.delivery), **_more(seen), kind=seen.delivery.kind, created_at=made)


class DeliveryDetail(Delivery):
    """The same with what was said, and every try."""

    template: str | None = None
    subject: str | None = None
    body: str | None = None
    attempts: list[Attempt] = []

    @classmethod
    def with_attempts(cls, seen: seen_domain.Seen, attempts: list[seen_domain.Attempt]) -> DeliveryDetail:
        d = seen.delivery
        return cls(
            **_of(d), **_more(seen), template=seen.template, subject=d.subject, body=d.body,
            attempts=[Attempt.from_domain(a) for a in attempts],
        )  # fmt: skip


class Notification(msgspec.Struct, rename="camel", omit_defaults=True):
    """What somebody was told, and by which ways: a customer, or (``userId``) a member of staff.

    ``subjectKind`` and ``subjectId``: what it is about; the other ids name the same by its kind.
    """

    id: UUID
    kind: str
    recipient: str
    created_at: Instant
    valid_until: Instant
    subject_kind: str
    subject_id: UUID
    deliveries: list[Delivery] = []
    customer_id: UUID | None = None
    user_id: UUID | None = None
    trip_id: UUID | None = None
    layby_id: UUID | None = None
    payment_id: UUID | None = None
    invoice_id: UUID | None = None
    resent_from: UUID | None = None

    @classmethod
    def from_domain(cls, told: seen_domain.Told) -> Notification:
        return cls(**_told(told.notification), deliveries=[Delivery.from_seen(d) for d in told.deliveries])


class NotificationDetail(msgspec.Struct, rename="camel", omit_defaults=True):
    """The same with every word and every try."""

    id: UUID
    kind: str
    recipient: str
    created_at: Instant
    valid_until: Instant
    subject_kind: str
    subject_id: UUID
    deliveries: list[DeliveryDetail] = []
    customer_id: UUID | None = None
    user_id: UUID | None = None
    trip_id: UUID | None = None
    layby_id: UUID | None = None
    payment_id: UUID | None = None
    invoice_id: UUID | None = None
    resent_from: UUID | None = None

    @classmethod
    def from_domain(cls, told: seen_domain.Told) -> NotificationDetail:
        tries = {s.delivery.id: [a for a in told.attempts if a.delivery_id == s.delivery.id] for s in told.deliveries}
        details = [DeliveryDetail.with_attempts(seen, tries[seen.delivery.id]) for seen in told.deliveries]
        return cls(**_told(told.notification), deliveries=details)


class Figure(msgspec.Struct, rename="camel", omit_defaults=True):
    """What became of a day's deliveries of a kind, by a channel and a provider. ``withheld``: never tried, with a
    reason; ``p50S``, ``p95S``: seconds from the making of a delivery to the provider's yes.
    """

    day: date
    kind: str
    channel: str
    provider: str
    deliveries: int
    sent: int
    delivered: int
    undelivered: int
    withheld: int
    failed: int
    in_doubt: int
    waiting: int
    segments: int
    cost: str
    currency: str
    p50_s: float | None = None
    p95_s: float | None = None

    @classmethod
    def from_domain(cls, figure: seen_domain.Figure) -> Figure:
        values = {name: getattr(figure, name) for name in cls.__struct_fields__}
        return cls(**values | {"cost": decimal_text(figure.cost)})


class Figures(msgspec.Struct, rename="camel"):
    """The newest day first."""

    since: Instant
    until: Instant
    data: list[Figure]


class DeliveryChanged(msgspec.Struct, rename="camel", omit_defaults=True):
    """`notification:changed`: a delivery has moved."""

    event_id: UUID
    notification_id: UUID
    delivery_id: UUID
    kind: str
    channel: str
    state: str
    reason: str | None = None


def _told(n: seen_domain.Notification) -> dict[str, Any]:
    about = f"{n.subject_kind}_id"
    return {
        "id": n.id,
        "kind": n.kind,
        "customer_id": n.customer_id,
        "user_id": n.user_id,
        "recipient": n.recipient,
        "created_at": instant(n.created_at),
        "valid_until": instant(n.valid_until),
        "subject_kind": n.subject_kind,
        "subject_id": n.subject_id,
        "resent_from": n.resent_from,
        **({about: n.subject_id} if about in {"trip_id", "layby_id", "payment_id", "invoice_id"} else {}),
    }


def _of(d: seen_domain.Delivery) -> dict[str, Any]:
    return {
        "id": d.id,
        "notification_id": d.notification_id,
        "channel": d.channel,
        "address": d.address,
        "state": d.state,
        "attempt": d.attempt,
        "updated_at": instant(d.updated_at),
        "due_at": instant(d.due_at) if d.state is State.PENDING else None,
        "reason": d.reason,
        "why": in_words(d.reason),
        "provider": d.provider,
        "provider_ref": d.provider_ref,
    }


def _more(seen: seen_domain.Seen) -> dict[str, Any]:
    return {
        "provider_id": seen.provider_id,
        "sender": seen.sender,
        "segments": seen.segments,
        "cost": decimal_text(seen.cost) if seen.cost is not None else None,
        "cost_currency": seen.cost_currency,
        "error": seen.error,
        "sent_at": instant_or_none(seen.sent_at),
        "told_at": instant_or_none(seen.told_at),
        "instead_of": seen.instead_of,
    }


def decimal_text(value: Decimal) -> str:
    """Without the zeros at its end: "0.8"."""
    return f"{value.normalize():f}"
