"""Bodies and events of notifications."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.notifications import domain
from waypost.notifications.states import State
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery


class NotificationsQuery(PageQuery):
    """Which notifications a list shows; ``state``: of one of its deliveries."""

    state: State | None = None
    kind: Annotated[str, Meta(min_length=1, max_length=60, pattern=NO_NUL)] | None = None
    trip_id: UUID | None = None


class Why(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why a person sends it once more; kept in the audit log."""

    why: Annotated[str, Meta(min_length=1, max_length=500, pattern=SOME_TEXT)]


class Resolution(Why):
    """What a person has decided of a delivery in doubt, and why."""

    action: Literal["send_again", "let_be"]


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
    def from_domain(cls, a: domain.Attempt) -> Attempt:
        return cls(
            a.attempt, a.provider, instant(a.started_at), instant_or_none(a.finished_at), a.outcome, a.reason, a.status,
            a.latency_ms,
        )  # fmt: skip


class Delivery(msgspec.Struct, rename="camel", omit_defaults=True):
    """One way by which a notification goes out. ``dueAt``: while it is pending, when it is tried next."""

    id: UUID
    notification_id: UUID
    channel: str
    address: str
    state: str
    attempt: int
    updated_at: Instant
    due_at: Instant | None = None
    reason: str | None = None
    provider: str | None = None
    provider_ref: str | None = None

    @classmethod
    def from_domain(cls, d: domain.Delivery) -> Delivery:
        return cls(**_of(d))


class DeliveryDetail(Delivery):
    """The same with what was said, and every try."""

    subject: str | None = None
    body: str | None = None
    attempts: list[Attempt] = []

    @classmethod
    def with_attempts(cls, d: domain.Delivery, attempts: list[domain.Attempt]) -> DeliveryDetail:
        return cls(**_of(d), subject=d.subject, body=d.body, attempts=[Attempt.from_domain(a) for a in attempts])


class Notification(msgspec.Struct, rename="camel", omit_defaults=True):
    """What was told a customer, and by which ways."""

    id: UUID
    kind: str
    customer_id: UUID
    recipient: str
    created_at: Instant
    valid_until: Instant
    deliveries: list[Delivery] = []
    trip_id: UUID | None = None

    @classmethod
    def from_domain(cls, told: domain.Told) -> Notification:
        return cls(**_told(told.notification), deliveries=[Delivery.from_domain(d) for d in told.deliveries])


class NotificationDetail(msgspec.Struct, rename="camel", omit_defaults=True):
    """The same with every word and every try."""

    id: UUID
    kind: str
    customer_id: UUID
    recipient: str
    created_at: Instant
    valid_until: Instant
    deliveries: list[DeliveryDetail] = []
    trip_id: UUID | None = None

    @classmethod
    def from_domain(cls, told: domain.Told) -> NotificationDetail:
        tries = {d.id: [a for a in told.attempts if a.delivery_id == d.id] for d in told.deliveries}
        details = [DeliveryDetail.with_attempts(d, tries[d.id]) for d in told.deliveries]
        return cls(**_told(told.notification), deliveries=details)


class DeliveryChanged(msgspec.Struct, rename="camel", omit_defaults=True):
    """`notification:changed`: a delivery has moved."""

    event_id: UUID
    notification_id: UUID
    delivery_id: UUID
    kind: str
    channel: str
    state: str
    reason: str | None = None


def _told(n: domain.Notification) -> dict[str, Any]:
    return {
        "id": n.id,
        "kind": n.kind,
        "customer_id": n.customer_id,
        "recipient": n.recipient,
        "created_at": instant(n.created_at),
        "valid_until": instant(n.valid_until),
        "trip_id": n.subject_id if n.subject_kind == "trip" else None,
    }


def _of(d: domain.Delivery) -> dict[str, Any]:
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
        "provider": d.provider,
        "provider_ref": d.provider_ref,
    }
