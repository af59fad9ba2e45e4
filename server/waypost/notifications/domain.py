"""Pure rules of notifications: a delivery's states and moves, what becomes of an attempt, whom to tell how."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound

MAX_ATTEMPTS = 8
LONGEST_WAIT_S = 3600.0
LONGEST_RETRY_AFTER_S = 86_400.0  # a provider that asks for more is asked again after a day


class NotificationNotFound(NotFound):
    """No such notification, or none of yours."""

    code = "notification-not-found"


class DeliveryNotFound(NotFound):
    """No such delivery, or none of yours."""

    code = "delivery-not-found"


class DeliveryMoveRefused(Conflict):
    """The delivery's present state does not allow this."""

    code = "delivery-state"


class State(StrEnum):
    """Where a delivery is. From ``SENT`` on it is final, unless a receipt comes or a person acts."""

    PENDING = "pending"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"
    DEAD = "dead"


class Event(StrEnum):
    """What can happen to a delivery."""

    GUARDED = "guarded"  # no longer wanted when its turn came
    TOO_LATE = "too_late"
    UNFIT = "unfit"  # there are no words for it
    CLAIM = "claim"
    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"  # surely, and attempts are left
    SPENT = "spent"  # surely not sent, and none is left
    REFUSED = "refused"  # for good
    UNKNOWN = "unknown"  # it may or may not have been sent
    LEASE_OUT = "lease_out"
    REPEAT = "repeat"  # the receiver drops a repeat, so we may
    SEND_AGAIN = "send_again"  # a person
    LET_BE = "let_be"  # a person
    REPLAY = "replay"  # a person


# The one table of moves; the statements that move a row take from it the states that they may move it from.
NEXT: Mapping[tuple[State, Event], State] = {
    (State.PENDING, Event.GUARDED): State.CANCELLED,
    (State.PENDING, Event.TOO_LATE): State.EXPIRED,
    (State.PENDING, Event.UNFIT): State.FAILED,
    (State.PENDING, Event.CLAIM): State.SENDING,
    (State.SENDING, Event.ACCEPTED): State.SENT,
    (State.SENDING, Event.NOT_SENT): State.PENDING,
    (State.SENDING, Event.SPENT): State.DEAD,
    (State.SENDING, Event.REFUSED): State.FAILED,
    (State.SENDING, Event.UNKNOWN): State.IN_DOUBT,
    (State.SENDING, Event.LEASE_OUT): State.IN_DOUBT,
    # A late but definite answer settles what the sweep has put in doubt already.
    (State.IN_DOUBT, Event.ACCEPTED): State.SENT,
    (State.IN_DOUBT, Event.NOT_SENT): State.PENDING,
    (State.IN_DOUBT, Event.SPENT): State.DEAD,
    (State.IN_DOUBT, Event.REFUSED): State.FAILED,
    (State.IN_DOUBT, Event.UNKNOWN): State.IN_DOUBT,
    (State.IN_DOUBT, Event.REPEAT): State.PENDING,
    (State.IN_DOUBT, Event.SEND_AGAIN): State.PENDING,
    (State.IN_DOUBT, Event.LET_BE): State.FAILED,
    (State.FAILED, Event.REPLAY): State.PENDING,
    (State.DEAD, Event.REPLAY): State.PENDING,
}


def moved_by(event: Event) -> list[State]:
    """The states that ``event`` moves a delivery out of."""
    return [state for state, happened in NEXT if happened is event]


class OutcomeKind(StrEnum):
    """What a channel knows of a try."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended. ``reason``: a stable word; ``status``: the provider's number; ``reference``: the provider's."""

    kind: OutcomeKind
    reason: str | None = None
    reference: str | None = None
    status: int | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery. ``due_at`` None: stays as it is."""

    event: Event
    reason: str | None = None
    due_at: datetime | None = None

    @property
    def state(self) -> State:
        return NEXT[State.SENDING, self.event]


def wait_s(tried: int, base_s: float, jitter: float) -> float:
    """How long after the ``tried``-th try the next: doubling from ``base_s`` to an hour; ``jitter`` in [0, 1) adds up
    to a tenth.
    """
    doubled: float = base_s * 2 ** min(tried - 1, 30)
    return min(doubled, LONGEST_WAIT_S) * (1 + jitter / 10)


def after_attempt(outcome: Outcome, *, tried: int, now: datetime, base_s: float, jitter: float) -> Verdict:
    """What becomes of a delivery after ``outcome`` of its ``tried``-th try (of the present budget).

    Only what was surely not sent is tried again by itself. An unknown outcome is in doubt; ``due_at`` is then when it
    may be repeated, if its channel may repeat at all.
    """
    again = now + timedelta(seconds=wait_s(tried, base_s, jitter))
    match outcome.kind:
        case OutcomeKind.ACCEPTED:
            return Verdict(Event.ACCEPTED)
        case OutcomeKind.REFUSED:
            return Verdict(Event.REFUSED, outcome.reason)
        case OutcomeKind.UNKNOWN:
            return Verdict(Event.UNKNOWN, outcome.reason, again)
        case OutcomeKind.NOT_SENT:
            if tried >= MAX_ATTEMPTS:
                return Verdict(Event.SPENT, outcome.reason)
            floor_s = min(outcome.retry_after_s or 0, LONGEST_RETRY_AFTER_S)
            return Verdict(Event.NOT_SENT, outcome.reason, max(again, now + timedelta(seconds=floor_s)))


class ChannelName(StrEnum):
    """By what a notice goes out."""

    CONSOLE = "console"
    EMAIL = "email"


# Where the receiver drops a repeat (an e-mail with the same Message-ID) or the repeat does no harm.
REPEATABLE = frozenset({ChannelName.CONSOLE, ChannelName.EMAIL})


class Queue(StrEnum):
    """Which workers' line a delivery stands in."""

    URGENT = "urgent"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Contact:
    """A customer as we reach them, and the business that tells them."""

    name: str
    business: str
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """An outbox row's payload for what a customer is told: about what, and the facts as they were at the commit."""

    customer_id: UUID
    subject_kind: str
    subject_id: UUID
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery to be; ``reason`` set: it is suppressed, and why."""

    channel: ChannelName
    address: str
    reason: str | None = None


def plan(contact: Contact | None, wanted: tuple[ChannelName, ...], offered: frozenset[ChannelName]) -> list[Planned]:
    """One delivery for each channel that carries the notice; those that cannot, with the reason."""
    if contact is None:
        return [Planned(wanted[0], "", "no_recipient")]
    planned = []
    if ChannelName.CONSOLE in offered:
        planned.append(Planned(ChannelName.CONSOLE, contact.phone or contact.email or ""))
    for channel in wanted:
        if channel not in offered:
            if not offered:
                planned.append(Planned(channel, address_of(contact, channel) or "", "channel_off"))
            continue
        planned.append(_by(channel, address_of(contact, channel)))
    return planned


def _by(channel: ChannelName, address: str | None) -> Planned:
    if not address:
        return Planned(channel, "", "no_address")
    return Planned(channel, address, None if is_address(channel, address) else "bad_address")


def address_of(contact: Contact, channel: ChannelName) -> str | None:
    """Where ``channel`` reaches them."""
    return contact.email if channel is ChannelName.EMAIL else contact.phone


# RFC 5321's dot-string or letters beyond ASCII are rare here and refused: no provider of ours takes them.
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
)
LONGEST_EMAIL = 254  # RFC 5321, section 4.5.3.1.3


def is_address(channel: ChannelName, address: str) -> bool:
    """May it be handed to the channel? Nothing that could end an SMTP command gets through."""
    if channel is not ChannelName.EMAIL:
        return True
    return len(address) <= LONGEST_EMAIL and _EMAIL.fullmatch(address) is not None


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str, longest: int) -> str:
    """A text for a header or a subject: no line break or control character, cut to ``longest`` characters."""
    return _CONTROL.sub(" ", text).strip()[:longest].rstrip()


@dataclass(frozen=True, slots=True)
class Text:
    """A rendered notice. ``template``: which one, with its version."""

    template: str
    subject: str
    body: str
    html: str


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
    customer_id: UUID
    facts: Mapping[str, str]
    valid_until: datetime
    cancelled_at: datetime | None
    text: Text | None  # what an earlier attempt has sent, perhaps: a repeat says the same


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel sends; ``sender``: the business. ``attempt`` fences what is written of it afterwards."""

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
class Notification:
    """What was told a customer, as staff see it."""

    org_id: UUID
    id: UUID
    kind: str
    customer_id: UUID
    recipient: str
    subject_kind: str
    subject_id: UUID
    created_at: datetime
    valid_until: datetime


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
    deliveries: Sequence[Delivery]
    attempts: Sequence[Attempt] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which notifications a list wants; None: any. ``state``: of one of its deliveries."""

    state: State | None = None
    kind: str | None = None
    subject_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go: all from settings."""

    lease_s: float
    send_timeout_s: float
    retry_base_s: float
    repoke_s: float
