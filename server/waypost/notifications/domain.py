"""What notifications are made of, and the errors that they raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound
from waypost.notifications.addresses import ChannelName
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.states import MAX_ATTEMPTS

RESENT = "resent:"  # how the key begins of what a person wants told once more: no new event for subscribers


class NotificationNotFound(NotFound):
    """No such notification, or none of yours."""

    code = "notification-not-found"


class NamedNobody(Conflict):
    """It named nobody, as a test of a provider and what went by the house's own way: test the provider once more, or
    resend what a person was told of it.
    """

    code = "named-nobody"


class DeliveryNotFound(NotFound):
    """No such delivery, or none of yours."""

    code = "delivery-not-found"


class DeliveryMoveRefused(Conflict):
    """The delivery's present state does not allow this."""

    code = "delivery-state"


class Queue(StrEnum):
    """Which workers' line a delivery stands in."""

    URGENT = "urgent"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Notice:
    """An outbox row's payload for what somebody is told: about what, and the facts as they were at the commit.

    ``customer_id`` None: a member of staff is told, ``user_id``. ``valid_until``: after it, it is not sent; None: as
    long as its kind says. ``not_before``: it is not sent earlier. ``told_org_id``: people of another organisation are
    told. ``resent_from``: a person wanted that notification once more.
    """

    customer_id: UUID | None
    subject_kind: str
    subject_id: UUID
    facts: Mapping[str, str] = field(default_factory=dict)
    valid_until: datetime | None = None
    user_id: UUID | None = None
    not_before: datetime | None = None
    told_org_id: UUID | None = None
    resent_from: UUID | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """An outbox row to be. ``key`` names the effect ("layby:…:created"): a second row with it is none."""

    kind: str
    key: str
    notice: Notice


@dataclass(frozen=True, slots=True)
class Text:
    """A rendered notice. ``template``: which one, with its version. ``subject``: empty for an SMS; ``html``: of an
    e-mail alone.
    """

    template: str
    subject: str
    body: str
    html: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose turn has come, locked, with what its notice needs."""

    org_id: UUID
    id: UUID
    notification_id: UUID
    kind: str
    channel: ChannelName
    address: str
    attempt: int
    budget: int
    recipient: str
    locale: str
    subject_id: UUID
    customer_id: UUID | None
    facts: Mapping[str, str]
    valid_until: datetime
    cancelled_at: datetime | None
    text: Text | None  # what an earlier attempt has sent, perhaps: a repeat says the same
    doubted: bool  # nobody knows what became of an earlier attempt
    user_id: UUID | None = None
    time_zone: str | None = None  # the recipient's, if known
    reason: str | None = None  # why it was held last, or is to be sent again


@dataclass(frozen=True, slots=True)
class Try:
    """An earlier attempt at a delivery. ``outcome`` None: it has not come to its end."""

    attempt: int
    provider_id: UUID | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Used:
    """What a message that was taken has used. ``sender``: our number or name that it went out from."""

    sender: str | None = None
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel sends; ``sender``: the business. ``attempt`` fences what is written of it afterwards.

    ``account``: by whose account it goes; None: the channel needs none. ``stop_url``: where the recipient can say that
    they want no more of these, of what may be switched off; ``report_url``: where the provider may report;
    ``valid_until``: after it the provider need not bring it any more.
    """

    org_id: UUID
    delivery_id: UUID
    notification_id: UUID
    kind: str
    channel: ChannelName
    address: str
    recipient: str
    sender: str
    attempt: int
    budget: int
    text: Text
    doubted: bool = False
    account: ProviderAccount | None = None
    reply_to: str | None = None
    stop_url: str | None = None
    report_url: str | None = None
    valid_until: datetime | None = None

    @property
    def tried(self) -> int:
        """Which try of the present budget this is, from 1; a person's replay begins a new budget."""
        return self.attempt - (self.budget - MAX_ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An outbox row that waits for the relay."""

    org_id: UUID
    id: UUID
    kind: str
    key: str
    payload: str  # JSON
    request_id: str | None
    created_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Poke:
    """A due delivery of which a worker is to be told. ``attempt`` is the one that the worker will make."""

    org_id: UUID
    id: UUID
    attempt: int
    queue: Queue
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go: all from settings."""

    lease_s: float
    send_timeout_s: float
    retry_base_s: float
    repoke_s: float
