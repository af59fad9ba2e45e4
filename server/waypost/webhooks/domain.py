"""What webhooks are made of, and the errors that they raise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound

EVERYTHING: Final = "*"  # in place of the types that a webhook wants
MOST_WEBHOOKS: Final = 20  # of an organisation, that are not archived


class WebhookNotFound(NotFound):
    """No such webhook, or none of yours."""

    code = "webhook-not-found"


class WebhookArchived(Conflict):
    """This webhook is archived; nothing of it can be changed."""

    code = "webhook-archived"


class WebhookOff(Conflict):
    """This webhook is switched off; switch it on first."""

    code = "webhook-off"


class TooManyWebhooks(Conflict):
    """The organisation has as many webhooks as it may have; archive one that is not used."""

    code = "too-many-webhooks"


class WebhookDeliveryNotFound(NotFound):
    """No such delivery of a webhook, or none of yours."""

    code = "webhook-delivery-not-found"


class WebhookDeliveryUnderWay(Conflict):
    """This delivery is waiting to be sent, or is being sent."""

    code = "webhook-delivery-under-way"


class Switch(StrEnum):
    """Is a webhook sent to?"""

    ON = "on"
    OFF = "off"


class OffReason(StrEnum):
    """Why it was switched off."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing was taken for days
    BY_HAND = "by_hand"


class State(StrEnum):
    """Where a webhook's delivery is. There is no doubt: the receiver drops a repeat by its id."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


# What a person may have sent once more.
ENDED: Final = frozenset({State.SENT, State.FAILED, State.DEAD, State.CANCELLED})
NOT_TAKEN: Final = ENDED - {State.SENT}


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret (``whsec_…``); ``until``: of one that was replaced."""

    secret: str
    until: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        """Does it still sign?"""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Health:
    """How a webhook has fared lately. ``failing_since``: since then nothing was taken; ``failures``: tries since then;
    ``slow_until``: nothing is sent before.
    """

    failing_since: datetime | None = None
    failures: int = 0
    slow_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscriber: what happened of these types is sent to ``url``. ``secrets``: none when their key is gone."""

    org_id: UUID
    id: UUID
    name: str
    url: str
    events: Sequence[str]
    secrets: Sequence[Secret]
    created_at: datetime
    state: Switch = Switch.ON
    off_reason: str | None = None
    off_at: datetime | None = None
    health: Health = Health()
    archived_at: datetime | None = None
    version: int = 1

    def wants(self, event_type: str) -> bool:
        """Is it told of events of that type?"""
        return EVERYTHING in self.events or event_type in self.events


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is claimed: the bytes to send and where to. ``attempt`` fences what is written afterwards;
    without ``secrets`` it cannot be signed.
    """

    org_id: UUID
    id: UUID
    webhook_id: UUID
    event_id: UUID
    body: str
    attempt: int
    budget: int
    url: str
    secrets: Sequence[Secret]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event to one webhook, as staff see it."""

    org_id: UUID
    id: UUID
    webhook_id: UUID
    event_id: UUID
    type: str
    seq: int
    happened_at: datetime
    state: State
    reason: str | None
    attempt: int
    budget: int
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try; ``answer``: the first kilobyte of what came back."""

    attempt: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    reason: str | None
    status: int | None
    latency_ms: int | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Logged:
    """A delivery with the body that is sent and its tries."""

    delivery: Delivery
    body: str
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a list wants; None: any."""

    state: State | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """A due delivery of which a worker is to be told. ``attempt`` is the one that the worker will make."""

    org_id: UUID
    webhook_id: UUID
    id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many are sent again; ``more``: there are others, for another call."""

    count: int
    more: bool
