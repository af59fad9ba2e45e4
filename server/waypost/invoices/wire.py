"""Bodies and events of invoices."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost.invoices import domain
from waypost.kernel.errors import invalid_field
from waypost.kernel.money import places
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant
from waypost.platform.queries import PageQuery

MOST_MINOR = 10**13  # of one price: a line's amount is checked by itself
Description = Annotated[str, Meta(min_length=1, max_length=300, pattern=SOME_TEXT)]
Quantity = Annotated[str, Meta(max_length=11, pattern=r"^[0-9]{1,7}(\.[0-9]{1,3})?\Z")]
Currency = Annotated[str, Meta(min_length=3, max_length=3, pattern=r"^[A-Z]{3}\Z")]
TermsDays = Annotated[int, Meta(ge=0, le=365)]
Note = Annotated[str, Meta(max_length=2000, pattern=NO_NUL)]


class InvoicesQuery(PageQuery):
    """Which invoices a list shows. ``counterpartyOrgId``: the other side; ``overdue``: those that are, the oldest
    first.
    """

    direction: domain.Direction = domain.Direction.SENT
    status: domain.Status | None = None
    counterparty_org_id: UUID | None = None
    overdue: bool = False


class NewInvoiceLine(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A line. ``quantity``: decimal digits, up to three places; ``unitPriceMinor``: without tax, negative for a
    discount; ``taxBp``: hundredths of a percent.
    """

    description: Description
    unit_price_minor: Annotated[int, Meta(ge=-MOST_MINOR, le=MOST_MINOR)]
    quantity: Quantity = "1"
    tax_bp: Annotated[int, Meta(ge=0, le=10_000)] = 0
    trip_id: UUID | None = None


Lines = Annotated[list[NewInvoiceLine], Meta(max_length=200)]


class NewInvoice(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A draft to be."""

    counterparty_org_id: UUID
    currency: Currency
    terms_days: TermsDays = 30
    note: Note | None = None
    lines: Lines = []

    def to_domain(self) -> dict[str, Any]:
        """By column; ``Invalid`` names what is not acceptable."""
        return _checked({name: getattr(self, name) for name in self.__struct_fields__})


class InvoiceChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What of a draft is to change; null empties the note, what is left out stays, lines are all given anew."""

    counterparty_org_id: UUID | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    terms_days: TermsDays | UnsetType = UNSET
    note: Note | None | UnsetType = UNSET
    lines: Lines | UnsetType = UNSET

    def to_domain(self) -> dict[str, Any]:
        """The changed columns."""
        return _checked({name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET})


class VoidReason(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why, in words; kept in the log."""

    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    if "currency" in given:
        try:
            places(given["currency"])
        except ValueError as error:
            raise invalid_field("currency", str(error)) from error
    if "lines" in given:
        given["lines"] = [_line(n, line) for n, line in enumerate(given["lines"])]
    return given


def _line(n: int, line: NewInvoiceLine) -> domain.Line:
    whole, _, rest = line.quantity.partition(".")
    quantity_milli = int(whole) * domain.MILLI + int(rest.ljust(3, "0"))
    if not quantity_milli:
        raise invalid_field(f"lines[{n}].quantity", "must be more than zero")
    return domain.Line(line.description, quantity_milli, line.unit_price_minor, line.tax_bp, line.trip_id)


def quantity_text(milli: int) -> str:
    """As it is written: "1", "2.5", "0.125"."""
    whole, rest = divmod(milli, domain.MILLI)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".")


class InvoiceLine(msgspec.Struct, rename="camel", omit_defaults=True):
    """A line of an invoice; ``netMinor``: quantity times price, rounded half up."""

    description: str
    quantity: str
    unit_price_minor: int
    tax_bp: int
    net_minor: int
    trip_id: UUID | None = None

    @classmethod
    def from_domain(cls, line: domain.Line) -> InvoiceLine:
        return cls(
            line.description, quantity_text(line.quantity_milli), line.unit_price_minor, line.tax_bp, line.net_minor,
            line.trip_id,
        )  # fmt: skip


class InvoiceTax(msgspec.Struct, rename="camel"):
    """The tax of one rate, rounded half up once over all its lines."""

    tax_bp: int
    net_minor: int
    tax_minor: int


class InvoiceRow(msgspec.Struct, rename="camel", omit_defaults=True):
    """An invoice as a list has it; what is unknown is left out. ``openMinor``: what is still to be paid."""

    id: UUID
    org_id: UUID
    counterparty_org_id: UUID
    kind: domain.Kind
    status: domain.Status
    overdue: bool
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    paid_minor: int
    open_minor: int
    terms_days: int
    created_at: Instant
    updated_at: Instant
    version: int
    org_name: str | None = None
    counterparty_name: str | None = None
    number: str | None = None
    of_invoice_id: UUID | None = None
    credit_note_id: UUID | None = None
    issue_date: date | None = None
    due_date: date | None = None
    issued_at: Instant | None = None
    sent_at: Instant | None = None
    paid_at: Instant | None = None
    voided_at: Instant | None = None
    note: str | None = None

    @classmethod
    def from_domain(cls, invoice: domain.Invoice, today: date) -> InvoiceRow:
        return cls(**_values(cls, invoice, today))


class Invoice(InvoiceRow, kw_only=True):
    """An invoice with its lines, and its tax by rate."""

    lines: list[InvoiceLine]
    taxes: list[InvoiceTax]

    @classmethod
    def from_domain(cls, invoice: domain.Invoice, today: date) -> Invoice:
        whole = {
            "lines": [InvoiceLine.from_domain(line) for line in invoice.lines],
            "taxes": [InvoiceTax(tax.tax_bp, tax.net_minor, tax.tax_minor) for tax in domain.taxes(invoice.lines)],
        }
        return cls(**{**_values(InvoiceRow, invoice, today), **whole})


def _values(kind: type[InvoiceRow], invoice: domain.Invoice, today: date) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(invoice, name) for name in kind.__struct_fields__ if name != "overdue"}
    moments = {name: instant(value) for name, value in found.items() if isinstance(value, datetime)}
    return {**found, **moments, "overdue": invoice.is_overdue(today)}


class InvoiceChanged(msgspec.Struct, rename="camel", omit_defaults=True):
    """`invoice:changed`: an invoice of yours, sent or received, is not what it was; ``deleted``: a draft is gone."""

    event_id: UUID
    invoice_id: UUID
    org_id: UUID
    counterparty_org_id: UUID
    kind: domain.Kind
    status: domain.Status
    currency: str
    total_minor: int
    paid_minor: int
    version: int
    number: str | None = None
    due_date: date | None = None
    deleted: bool = False
