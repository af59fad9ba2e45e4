"""A layby's account, line by line: everything that was charged and paid, with what was owed after it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from waypost.laybys.domain import Layby, Status


class LineKind(StrEnum):
    """What a line is of. The last five are those of payment rows."""

    GOODS = "goods"
    SERVICE_FEE = "service_fee"
    ADMIN_FEE = "admin_fee"
    LATE_FEE = "late_fee"
    CANCELLED = "cancelled"
    CANCELLATION_FEE = "cancellation_fee"
    PAYMENT = "payment"
    CREDIT = "credit"
    ASSIGNMENT = "assignment"
    REFUND = "refund"
    REVERSAL = "reversal"


@dataclass(frozen=True, slots=True)
class Booked:
    """A payment row of the layby. ``at``: when it was booked; ``paid_at``: when the money moved."""

    kind: str
    method: str
    receipt: str
    applied_minor: int
    credit_minor: int
    paid_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """``charged_minor`` raises what is owed, ``paid_minor`` lowers it (negative: money went back).

    ``credit_minor``: what it put to the customer's credit, or took from there; ``n``: the instalment of a late fee.
    """

    at: datetime
    kind: LineKind
    charged_minor: int = 0
    paid_minor: int = 0
    credit_minor: int = 0
    balance_minor: int = 0
    receipt: str | None = None
    method: str | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """All lines, and their sums: balance = charged - paid. A negative balance is to be paid back."""

    lines: Sequence[Line]
    charged_minor: int
    paid_minor: int

    @property
    def balance_minor(self) -> int:
        return self.charged_minor - self.paid_minor


def account_of(layby: Layby, rows: Iterable[Booked]) -> Account:
    """In the order in which it was booked, from the goods on."""
    later = sorted([*_late_fees(layby), *_cancellation(layby), *map(_paid, rows)], key=lambda entry: entry[0])
    lines = list(_with_balances([*_agreed(layby), *(line for _, line in later)]))
    return Account(lines, sum(line.charged_minor for line in lines), sum(line.paid_minor for line in lines))


def expected_balance(layby: Layby) -> int:
    """What the layby's own row says that the lines must come to."""
    return -layby.refund_due_minor if layby.status is Status.CANCELLED else layby.balance_minor


def _agreed(layby: Layby) -> list[Line]:
    charges = [
        (LineKind.GOODS, layby.items_minor),
        (LineKind.SERVICE_FEE, layby.service_fee_minor),
        (LineKind.ADMIN_FEE, layby.admin_fee_minor),
    ]
    return [Line(layby.created_at, kind, minor) for kind, minor in charges if minor]


def _late_fees(layby: Layby) -> Iterator[tuple[datetime, Line]]:
    for each in layby.instalments:
        if each.late_fee_minor and each.late_fee_at:
            yield each.late_fee_at, Line(each.late_fee_at, LineKind.LATE_FEE, each.late_fee_minor, n=each.n)


def _cancellation(layby: Layby) -> Iterator[tuple[datetime, Line]]:
    """What is no longer owed; of parts that were handed over the price stays."""
    at = layby.cancelled_at
    if at is None:
        return
    handed_over = layby.cancellation.get("handedOverMinor", 0)
    kept = handed_over if isinstance(handed_over, int) else 0
    yield at, Line(at, LineKind.CANCELLED, kept - layby.payable_minor - layby.late_fees_minor)
    if layby.cancellation_fee_minor:
        yield at, Line(at, LineKind.CANCELLATION_FEE, layby.cancellation_fee_minor)


def _paid(row: Booked) -> tuple[datetime, Line]:
    return row.at, Line(
        row.paid_at,
        LineKind(row.kind),
        paid_minor=row.applied_minor,
        credit_minor=row.credit_minor,
        receipt=row.receipt,
        method=row.method,
    )


def _with_balances(lines: Iterable[Line]) -> Iterator[Line]:
    balance = 0
    for line in lines:
        balance += line.charged_minor - line.paid_minor
        yield replace(line, balance_minor=balance)
