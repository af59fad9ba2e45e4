"""Pure rules of a delivery: its states and moves, what becomes of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

MAX_ATTEMPTS = 8
LONGEST_WAIT_S = 3600.0
NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # due_at of what is not tried again by itself
LONGEST_RETRY_AFTER_S = 86_400.0  # a provider that asks for more is asked again after a day


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

    WITHHELD = "withheld"  # the recipient does not want it, or must not be written to
    HELD = "held"  # not now: quiet hours, a throttle, a cap, no provider that is well
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
    DOUBT_STAYS = "doubt_stays"  # it would end unsent, but an earlier try may have sent it
    REPEAT = "repeat"  # the receiver drops a repeat, so we may
    SEND_AGAIN = "send_again"  # a person
    ABSENT = "absent"  # a look-up proves that the provider never had it
    LET_BE = "let_be"  # a person
    REPLAY = "replay"  # a person
    RECEIPT_SENT = "receipt_sent"  # the provider has it, or has handed it on; or a look-up finds it
    DELIVERED = "delivered"  # a receipt
    UNDELIVERED = "undelivered"  # a receipt


# The one table of moves; the statements that move a row take from it the states that they may move it from.
NEXT: Mapping[tuple[State, Event], State] = {
    (State.PENDING, Event.WITHHELD): State.SUPPRESSED,
    (State.PENDING, Event.HELD): State.PENDING,
    (State.PENDING, Event.GUARDED): State.CANCELLED,
    (State.PENDING, Event.TOO_LATE): State.EXPIRED,
    (State.PENDING, Event.UNFIT): State.FAILED,
    (State.PENDING, Event.DOUBT_STAYS): State.IN_DOUBT,
    (State.PENDING, Event.CLAIM): State.SENDING,
    (State.SENDING, Event.ACCEPTED): State.SENT,
    (State.SENDING, Event.NOT_SENT): State.PENDING,
    (State.SENDING, Event.SPENT): State.DEAD,
    (State.SENDING, Event.REFUSED): State.FAILED,
    (State.SENDING, Event.UNKNOWN): State.IN_DOUBT,
    (State.SENDING, Event.LEASE_OUT): State.IN_DOUBT,
    (State.SENDING, Event.DOUBT_STAYS): State.IN_DOUBT,
    # A late but definite answer settles what the sweep has put in doubt already.
    (State.IN_DOUBT, Event.ACCEPTED): State.SENT,
    (State.IN_DOUBT, Event.NOT_SENT): State.PENDING,
    (State.IN_DOUBT, Event.SPENT): State.DEAD,
    (State.IN_DOUBT, Event.REFUSED): State.FAILED,
    (State.IN_DOUBT, Event.UNKNOWN): State.IN_DOUBT,
    (State.IN_DOUBT, Event.DOUBT_STAYS): State.IN_DOUBT,
    (State.IN_DOUBT, Event.REPEAT): State.PENDING,
    (State.IN_DOUBT, Event.SEND_AGAIN): State.PENDING,
    (State.IN_DOUBT, Event.ABSENT): State.PENDING,
    (State.IN_DOUBT, Event.LET_BE): State.FAILED,
    (State.FAILED, Event.REPLAY): State.PENDING,
    (State.DEAD, Event.REPLAY): State.PENDING,
    # Receipts come before the answer of the send, late, twice and in any order; the rank never falls. What was to go
    # out again, or was let be, and is now known to have come, is settled. Of several receipts the worst stays: a long
    # SMS has come when all of its parts have, and a mail may bounce after it was taken.
    (State.PENDING, Event.RECEIPT_SENT): State.SENT,
    (State.SENDING, Event.RECEIPT_SENT): State.SENT,
    (State.IN_DOUBT, Event.RECEIPT_SENT): State.SENT,
    (State.FAILED, Event.RECEIPT_SENT): State.SENT,
    (State.PENDING, Event.DELIVERED): State.DELIVERED,
    (State.SENDING, Event.DELIVERED): State.DELIVERED,
    (State.IN_DOUBT, Event.DELIVERED): State.DELIVERED,
    (State.SENT, Event.DELIVERED): State.DELIVERED,
    (State.FAILED, Event.DELIVERED): State.DELIVERED,
    (State.PENDING, Event.UNDELIVERED): State.UNDELIVERED,  # only while a try is in doubt, see storage.report
    (State.SENDING, Event.UNDELIVERED): State.UNDELIVERED,
    (State.IN_DOUBT, Event.UNDELIVERED): State.UNDELIVERED,
    (State.SENT, Event.UNDELIVERED): State.UNDELIVERED,
    (State.DELIVERED, Event.UNDELIVERED): State.UNDELIVERED,
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
    """How a try ended. ``reason``: a stable word; ``status``: the provider's number; ``reference``: the provider's.

    ``provider_failed``: it says something of the provider, not of this message, so its breaker counts it. ``suppress``:
    why the address must not be written to any more, one of ``suppressions.reason``; ``sender``: our number that it
    went out from, or would have. ``segments``, ``cost``: as far as the provider says; else they are reckoned.
    ``elsewhere``: refused for good, but another provider may take it.
    """

    kind: OutcomeKind
    reason: str | None = None
    reference: str | None = None
    status: int | None = None
    retry_after_s: float | None = None
    provider_failed: bool = False
    suppress: str | None = None
    sender: str | None = None
    segments: int | None = None
    cost: Decimal | None = None
    cost_currency: str | None = None
    elsewhere: bool = False


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


def after_attempt(
    outcome: Outcome,
    *,
    tried: int,
    now: datetime,
    base_s: float,
    jitter: float,
    doubted: bool = False,
    others: bool = False,
) -> Verdict:
    """What becomes of a delivery after ``outcome`` of its ``tried``-th try (of the present budget).

    Only what was surely not sent is tried again by itself. An unknown outcome is in doubt; ``due_at`` is then when it
    may be repeated, if its channel may repeat at all. ``doubted``: nobody knows what became of an earlier try, so this
    one's end is not the delivery's: a person decides. ``others``: there is another provider, so what this one surely
    did not take, and another may, goes to that one at once.
    """
    again = now + timedelta(seconds=wait_s(tried, base_s, jitter))
    surely_not = outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.REFUSED}
    if surely_not and (outcome.provider_failed or outcome.elsewhere) and others and tried < MAX_ATTEMPTS:
        return Verdict(Event.NOT_SENT, outcome.reason, now)
    match outcome.kind:
        case OutcomeKind.ACCEPTED:
            return Verdict(Event.ACCEPTED)
        case OutcomeKind.REFUSED:
            return _ended(Event.REFUSED, outcome.reason, doubted=doubted)
        case OutcomeKind.UNKNOWN:
            return Verdict(Event.UNKNOWN, outcome.reason, again)
        case OutcomeKind.NOT_SENT:
            if tried >= MAX_ATTEMPTS:
                return _ended(Event.SPENT, outcome.reason, doubted=doubted)
            floor_s = min(outcome.retry_after_s or 0, LONGEST_RETRY_AFTER_S)
            return Verdict(Event.NOT_SENT, outcome.reason, max(again, now + timedelta(seconds=floor_s)))


def _ended(event: Event, reason: str | None, *, doubted: bool) -> Verdict:
    return Verdict(Event.DOUBT_STAYS, reason, NEVER) if doubted else Verdict(event, reason)
