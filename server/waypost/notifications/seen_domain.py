"""Notifications, deliveries and tries as staff see them, and what lists may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from waypost.notifications.states import State


@dataclass(frozen=True, slots=True)
class Notification:
    """What was told a customer, as staff see it."""

    org_id: UUID
    id: UUID
    kind: str
    customer_id: UUID | None
    recipient: str
    subject_kind: str
    subject_id: UUID
    created_at: datetime
    valid_until: datetime
    user_id: UUID | None = None
    resent_from: UUID | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One way by which a notification goes out, as staff see it."""

    org_id: UUID
    id: UUID
    notification_id: UUID
    kind: str
    channel: str
    address: str
    state: State
    reason: str | None
    attempt: int
    budget: int
    due_at: datetime
    updated_at: datetime
    provider: str | None = None
    provider_ref: str | None = None
    subject: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A delivery with all that is known of it. ``error``: the first that a receipt named; ``told_at``: when one said
    that it came, or did not.
    """

    delivery: Delivery
    created_at: datetime
    provider_id: UUID | None
    sender: str | None
    template: str | None
    segments: int | None
    cost: Decimal | None
    cost_currency: str | None
    error: str | None
    sent_at: datetime | None
    told_at: datetime | None
    instead_of: UUID | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try."""

    delivery_id: UUID
    attempt: int
    provider: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    reason: str | None
    status: int | None
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """A notification with its deliveries and, where they were asked for, their attempts."""

    notification: Notification
    deliveries: Sequence[Seen]
    attempts: Sequence[Attempt] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which notifications a list wants; None: any. ``state``, ``reason``, ``channel``: of one of its deliveries;
    ``subjects``: about one of these.
    """

    state: State | None = None
    kind: str | None = None
    subjects: Sequence[UUID] | None = None
    customer_id: UUID | None = None
    reason: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a list wants, or a person wants to send once more; None: any."""

    state: State | None = None
    kind: str | None = None
    reason: str | None = None
    channel: str | None = None
    address: str | None = None
    provider_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """What became of the deliveries of a day, kind, channel and provider. ``p50_s``, ``p95_s``: from their making to
    the provider's yes.
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
    cost: Decimal
    currency: str
    p50_s: float | None
    p95_s: float | None
