"""Pure rules of laybys: states and moves, what a payment covers, what is due next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound

if TYPE_CHECKING:
    from waypost.laybys.rules import Terms


class LaybyNotFound(NotFound):
    """No such layby, or none of yours."""

    code = "layby-not-found"


class LaybyMoveRefused(Conflict):
    """The layby's present status does not allow this."""

    code = "layby-status"


class Status(StrEnum):
    """Where a layby stands."""

    ACTIVE = "active"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DEFAULTED = "defaulted"


class Move(StrEnum):
    """What may be done to a layby."""

    HOLD = "hold"
    REACTIVATE = "reactivate"
    EXTEND = "extend"
    CHANGE = "change"
    COMPLETE = "complete"
    REOPEN = "reopen"  # by a reversal, before the goods are out
    CANCEL = "cancel"
    DEFAULT = "default"
    REINSTATE = "reinstate"
    COLLECT = "collect"
    HAND_OVER = "hand_over"  # of a part, as it is paid
    DELIVER = "deliver"  # its order becomes a trip
    PAY = "pay"  # money that staff type in


# From which statuses each move may be made (the reference's section 2); every other pair is refused.
ALLOWED: Mapping[Move, frozenset[Status]] = {
    Move.HOLD: frozenset({Status.ACTIVE}),
    Move.REACTIVATE: frozenset({Status.ON_HOLD}),
    Move.EXTEND: frozenset({Status.ACTIVE}),
    Move.CHANGE: frozenset({Status.ACTIVE, Status.ON_HOLD, Status.DEFAULTED}),
    Move.COMPLETE: frozenset({Status.ACTIVE}),
    Move.REOPEN: frozenset({Status.COMPLETED}),
    Move.CANCEL: frozenset({Status.ACTIVE, Status.ON_HOLD, Status.DEFAULTED}),
    Move.DEFAULT: frozenset({Status.ACTIVE}),
    Move.REINSTATE: frozenset({Status.DEFAULTED}),
    Move.COLLECT: frozenset({Status.COMPLETED}),
    Move.HAND_OVER: frozenset({Status.ACTIVE}),
    Move.DELIVER: frozenset({Status.COMPLETED}),
    Move.PAY: frozenset({Status.ACTIVE, Status.DEFAULTED}),
}
BECOMES: Mapping[Move, Status] = {
    Move.HOLD: Status.ON_HOLD,
    Move.REACTIVATE: Status.ACTIVE,
    Move.COMPLETE: Status.COMPLETED,
    Move.REOPEN: Status.ACTIVE,
    Move.CANCEL: Status.CANCELLED,
    Move.DEFAULT: Status.DEFAULTED,
    Move.REINSTATE: Status.ACTIVE,
}


class Rhythm(StrEnum):
    """How instalments follow each other."""

    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"
    CUSTOM = "custom"


class CancelledBy(StrEnum):
    """Whose wish a cancellation is; of the last two no fee is due, unless the customer has defaulted."""

    CUSTOMER = "customer"
    SHOP = "shop"
    GOODS_GONE = "goods_gone"


@dataclass(frozen=True, slots=True)
class Item:
    """Goods on layby. ``product``: the shop's own code of it; ``handed_over``: how many the customer has already."""

    n: int
    product: str
    name: str
    quantity: int
    unit_price_minor: int
    handed_over: int = 0

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_price_minor


@dataclass(frozen=True, slots=True)
class Instalment:
    """One scheduled amount; ``n`` from 1. ``agreed_date``: at first; ``due_date``: after holds and extensions."""

    n: int
    agreed_date: date
    due_date: date
    amount_minor: int
    late_fee_minor: int = 0
    late_fee_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NextDue:
    """The first instalment that is not covered, and what is still open on it (R5)."""

    n: int
    due_date: date
    open_minor: int


@dataclass(frozen=True, slots=True)
class Layby:
    """An agreement as its row says it, with its instalments. ``terms``: the rules as they were frozen into it."""

    org_id: UUID
    id: UUID
    reference: str
    customer_id: UUID
    customer_name: str
    status: Status
    trade: str
    jurisdiction: str
    currency: str
    items_minor: int
    service_fee_minor: int
    admin_fee_minor: int
    late_fees_minor: int
    paid_minor: int
    deposit_minor: int
    rhythm: Rhythm
    start_date: date
    final_date: date
    terms: Terms
    created_at: datetime
    updated_at: datetime
    version: int
    instalments: Sequence[Instalment] = ()
    told_before_at: datetime | None = None
    note: str | None = None
    extensions: int = 0
    held_since: date | None = None
    completions: int = 0
    completed_at: datetime | None = None
    collect_by: date | None = None
    sent_out_at: datetime | None = None
    released_at: datetime | None = None
    defaulted_at: datetime | None = None
    reinstate_until: date | None = None
    cancelled_at: datetime | None = None
    cancelled_by: CancelledBy | None = None
    cancellation: Mapping[str, object] = field(default_factory=dict)
    cancellation_fee_minor: int = 0
    refund_due_minor: int = 0
    created_by: UUID | None = None

    @property
    def payable_minor(self) -> int:
        """Goods and fees as they were agreed (R2)."""
        return self.items_minor + self.service_fee_minor + self.admin_fee_minor

    @property
    def is_out(self) -> bool:
        """Are the goods gone: with the customer, or on their way there?"""
        return self.released_at is not None or self.sent_out_at is not None

    @property
    def balance_minor(self) -> int:
        """What is still owed (R2)."""
        return self.payable_minor + self.late_fees_minor - self.paid_minor


@dataclass(frozen=True, slots=True)
class Order:
    """What a completed layby became."""

    id: UUID
    layby_id: UUID
    number: str
    created_at: datetime
    trip_id: UUID | None = None
    voided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What becomes of money that came for a layby: so much of it pays, so much is kept as credit."""

    applied_minor: int
    credit_minor: int


def check_move(move: Move, status: Status) -> None:
    """``LaybyMoveRefused``, with the present status, unless the table allows it."""
    if status not in ALLOWED[move]:
        raise LaybyMoveRefused(
            f"The layby is {status.replace('_', ' ')}; that is not possible now.", laybyStatus=str(status)
        )


def share(layby: Layby, amount_minor: int, today: date) -> Share:
    """How much of money that came for a layby pays it (R11): up to the balance while it runs, or may be reinstated;
    else nothing of it. The rest is credit.
    """
    takes = layby.status is Status.ACTIVE or (layby.status is Status.DEFAULTED and may_reinstate(layby, today))
    applied = min(amount_minor, layby.balance_minor) if takes else 0
    return Share(applied, amount_minor - applied)


def may_reinstate(layby: Layby, today: date) -> bool:
    """Is the rule's window for the way back still open? Its last day counts."""
    return layby.reinstate_until is not None and today <= layby.reinstate_until


def covered(layby: Layby) -> list[int]:
    """What is covered of each instalment: money beyond the deposit, the oldest first (R5)."""
    left = max(0, layby.paid_minor - layby.deposit_minor)
    parts = []
    for instalment in layby.instalments:
        part = min(left, instalment.amount_minor)
        parts.append(part)
        left -= part
    return parts


def open_parts(layby: Layby) -> list[int]:
    """What is still owed with each instalment: what of it is not covered; with the last one late fees, too (R7), and
    what was taken back of the deposit. Their sum is the balance.
    """
    parts = [i.amount_minor - part for i, part in zip(layby.instalments, covered(layby), strict=True)]
    if parts:
        parts[-1] = max(0, layby.balance_minor) - sum(parts[:-1])
    return parts


def next_due(layby: Layby) -> NextDue | None:
    """The first instalment with which something is owed (R5, R7); None: nothing is.

    0: the deposit is not whole, and there is no instalment with which the rest of it would be owed.
    """
    if layby.balance_minor <= 0:
        return None
    for instalment, part in zip(layby.instalments, open_parts(layby), strict=True):
        if part > 0:
            return NextDue(instalment.n, instalment.due_date, part)
    return NextDue(0, layby.final_date, layby.balance_minor)


def past_due_minor(layby: Layby, today: date) -> int:
    """What is owed of dates that have passed, late fees with the last of them."""
    due = next_due(layby)
    if due is None or due.due_date >= today:
        return 0
    pairs = zip(layby.instalments, open_parts(layby), strict=True)
    return sum(part for each, part in pairs if each.due_date < today) or due.open_minor


def missed(layby: Layby, today: date) -> list[Instalment]:
    """Instalments past their date that are not covered."""
    return [
        instalment
        for instalment, part in zip(layby.instalments, covered(layby), strict=True)
        if part < instalment.amount_minor and instalment.due_date < today
    ]
