"""Pure rules of invoices: amounts, numbers, states, and what each does to the books of both sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound, invalid_field
from waypost.kernel.money import LARGEST_MINOR, percent

MILLI = 1000  # a quantity is counted in thousandths


class InvoiceNotFound(NotFound):
    """No such invoice, or none that you may see."""

    code = "invoice-not-found"


class InvoiceMoveRefused(Conflict):
    """The invoice's present status does not allow this."""

    code = "invoice-status"


class InvoiceEmpty(Conflict):
    """There is nothing to ask for: the invoice's total must be more than zero."""

    code = "invoice-empty"


class TripBilled(Conflict):
    """The trip stands on another invoice that has not been voided."""

    code = "trip-billed"


class Status(StrEnum):
    """Where an invoice stands."""

    DRAFT = "draft"
    ISSUED = "issued"
    PART_PAID = "part_paid"
    PAID = "paid"
    VOIDED = "voided"


class Kind(StrEnum):
    """What asks for money, and what takes that back."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Move(StrEnum):
    """What may be done to an invoice."""

    CHANGE = "change"
    DELETE = "delete"
    ISSUE = "issue"
    SEND = "send"
    VOID = "void"
    PAY = "pay"


PREFIX: Mapping[Kind, str] = {Kind.INVOICE: "INV", Kind.CREDIT_NOTE: "CRN"}
OPEN = frozenset({Status.ISSUED, Status.PART_PAID})
# From which statuses each move may be made; money on an invoice is given back before it is voided.
ALLOWED: Mapping[Move, frozenset[Status]] = {
    Move.CHANGE: frozenset({Status.DRAFT}),
    Move.DELETE: frozenset({Status.DRAFT}),
    Move.ISSUE: frozenset({Status.DRAFT}),
    Move.SEND: frozenset({Status.ISSUED, Status.PART_PAID, Status.PAID}),
    Move.VOID: frozenset({Status.ISSUED}),
    Move.PAY: OPEN,
}


@dataclass(frozen=True, slots=True)
class Line:
    """What is billed. ``quantity_milli``: thousandths; a negative price is a discount."""

    description: str
    quantity_milli: int
    unit_price_minor: int
    tax_bp: int
    trip_id: UUID | None = None

    @property
    def net_minor(self) -> int:
        """Quantity times price, rounded half up (away from zero, of a discount)."""
        whole = (abs(self.quantity_milli * self.unit_price_minor) * 2 + MILLI) // (2 * MILLI)
        return whole if self.unit_price_minor >= 0 else -whole


@dataclass(frozen=True, slots=True)
class Tax:
    """The tax of one rate, over all lines that have it."""

    tax_bp: int
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What an invoice comes to."""

    net_minor: int
    tax_minor: int

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice or a credit note; the amounts of both are positive. The names are None where nobody asked for them.

    ``number``: from when it is issued. ``credit_note_id``: what took it back.
    """

    org_id: UUID
    id: UUID
    counterparty_org_id: UUID
    kind: Kind
    status: Status
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    paid_minor: int
    terms_days: int
    created_at: datetime
    updated_at: datetime
    version: int
    number: str | None = None
    of_invoice_id: UUID | None = None
    credit_note_id: UUID | None = None
    issue_date: date | None = None
    due_date: date | None = None
    issued_at: datetime | None = None
    sent_at: datetime | None = None
    paid_at: datetime | None = None
    voided_at: datetime | None = None
    note: str | None = None
    created_by: UUID | None = None
    org_name: str | None = None
    counterparty_name: str | None = None
    lines: Sequence[Line] = field(default=())

    @property
    def open_minor(self) -> int:
        """What is still to be paid; of a draft, a voided one or a credit note nothing."""
        return self.total_minor - self.paid_minor if self.kind is Kind.INVOICE and self.status in OPEN else 0

    def is_overdue(self, today: date) -> bool:
        return self.open_minor > 0 and self.due_date is not None and self.due_date < today


@dataclass(frozen=True, slots=True)
class Issued:
    """What an invoice gets as it is issued."""

    year: int
    serial: int
    number: str
    issue_date: date
    due_date: date
    at: datetime


class Direction(StrEnum):
    """Whose invoices a list shows."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which invoices a list wants; None: any. ``overdue_on``: those that are overdue on that day."""

    direction: Direction = Direction.SENT
    status: Status | None = None
    other_org_id: UUID | None = None
    overdue_on: date | None = None


def check_move(move: Move, invoice: Invoice) -> None:
    """``InvoiceMoveRefused``, with the present status, unless the table allows it."""
    credit_note = invoice.kind is Kind.CREDIT_NOTE and move is not Move.SEND
    if not credit_note and invoice.status in ALLOWED[move]:
        return
    what = "It is a credit note" if credit_note else f"The invoice is {invoice.status.replace('_', ' ')}"
    raise InvoiceMoveRefused(f"{what}; that is not possible now.", invoiceStatus=str(invoice.status))


def taxes(lines: Iterable[Line]) -> list[Tax]:
    """By rate: over the sum of its lines, rounded half up once (R1)."""
    nets: dict[int, int] = {}
    for line in lines:
        nets[line.tax_bp] = nets.get(line.tax_bp, 0) + line.net_minor
    return [Tax(rate, net, percent(net, rate)) for rate, net in sorted(nets.items())]


def totals(lines: Sequence[Line]) -> Totals:
    """``Invalid`` for an amount that is no amount of ours, or a total below zero."""
    for n, line in enumerate(lines):
        if abs(line.net_minor) > LARGEST_MINOR:
            raise invalid_field(f"lines[{n}]", "the amount is too large")
    found = taxes(lines)
    sums = Totals(sum(tax.net_minor for tax in found), sum(tax.tax_minor for tax in found))
    if not 0 <= sums.total_minor <= LARGEST_MINOR:
        raise invalid_field("lines", "the total is below zero" if sums.total_minor < 0 else "the total is too large")
    return sums


def issued(kind: Kind, serial: int, today: date, terms_days: int, at: datetime) -> Issued:
    """``serial``: the next of its kind and the year of ``today``, the organisation's own date."""
    number = f"{PREFIX[kind]}-{today.year}-{serial:06d}"
    return Issued(today.year, serial, number, today, today + timedelta(days=terms_days), at)


def status_after(total_minor: int, paid_minor: int) -> Status:
    """Where an issued invoice stands by what is paid of it."""
    if paid_minor == 0:
        return Status.ISSUED
    return Status.PAID if paid_minor == total_minor else Status.PART_PAID


def spread(amount_minor: int, open_minor: Sequence[int]) -> list[int]:
    """What of an amount goes to each, the first first; what is left over goes to none."""
    parts = []
    for each in open_minor:
        parts.append(min(each, amount_minor))
        amount_minor -= parts[-1]
    return parts
