"""Papers for tests, made of values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.laybys import OPENED, START, a_layby, a_payment, goods
from waypost.identity.domain import Selling
from waypost.invoices.domain import Invoice, Line, Status, totals
from waypost.invoices.domain import Kind as InvoiceKind
from waypost.invoices.paper import invoice_paper
from waypost.invoices.paper_words import LANGUAGES as INVOICE_LANGUAGES
from waypost.laybys.documents.agreement import Parties, agreement
from waypost.laybys.documents.movements import Booked, account_of
from waypost.laybys.documents.statement import Statement, paper_of
from waypost.laybys.documents.words import LANGUAGES
from waypost.laybys.domain import Layby
from waypost.payments.domain import Payment
from waypost.payments.receipt_paper import Receipt, receipt
from waypost.payments.receipt_words import LANGUAGES as RECEIPT_LANGUAGES
from waypost.platform.papers.model import Paper
from waypost.platform.papers.pen import pen_for

ZONE = "Africa/Nairobi"
SELLING = Selling(
    currency="KES",
    shop_name="Jacaranda Stores",
    shop_address="12 Moi Avenue\nNairobi",
    shop_phone="+254 700 000 001",
    shop_email="hello@jacaranda.example",
    shop_tax_number="P051234567X",
    footer="Jacaranda Stores Ltd, registered in Kenya. Goods on layby are kept at our store in Moi Avenue.",
    colour="#6a3d9a",
)
PARTIES = Parties("Jacaranda Group", "Chipo Dube", "+254 700 000 200", "chipo@example.com", "fr-CD")


def an_agreement(language: str = "en", layby: Layby | None = None, **names: Any) -> Paper:
    """As it was made."""
    layby = layby or with_fee(a_layby(place="ZA"))
    pen = pen_for(LANGUAGES, language, layby.currency, ZONE)
    return agreement(layby, names.pop("items", goods()), replace(PARTIES, **names), SELLING, pen)


def with_fee(layby: Layby) -> Layby:
    """With an administration fee of 10.00, which the last instalment takes."""
    *others, last = layby.instalments
    instalments = [*others, replace(last, amount_minor=last.amount_minor + 1_000)]
    return replace(layby, admin_fee_minor=1_000, instalments=instalments)


def a_layby_with_a_past() -> Layby:
    """A late fee, and two payments after the deposit, one of them taken back."""
    layby = with_fee(a_layby(late_fees_minor=500, paid_minor=55_000))
    first, *others = layby.instalments
    charged = replace(first, late_fee_minor=500, late_fee_at=OPENED + timedelta(days=16))
    return replace(layby, instalments=[charged, *others])


def rows() -> list[Booked]:
    """What was booked for it."""

    def row(days: int, kind: str, minor: int, receipt: str, credit: int = 0, method: str = "mobile") -> Booked:
        at = OPENED + timedelta(days=days, minutes=5)
        return Booked(kind, method, receipt, minor, credit, at, at)

    return [
        row(0, "payment", 25_000, "R-000001", method="cash"),
        row(10, "payment", 20_000, "NLJ7RT61SV"),
        row(15, "payment", 10_000, "NLJ7RT7777", 5_000),
        row(18, "reversal", -20_000, "NLJ7REV001"),
        row(20, "credit", 5_000, "C-000004", -5_000, "internal"),
        row(21, "payment", 15_000, "NLK0AA22BB"),
    ]


def a_statement(language: str = "en") -> Paper:
    """Of a layby with a past."""
    layby = a_layby_with_a_past()
    statement = Statement(layby, account_of(layby, rows()), 2_500, OPENED + timedelta(days=25))
    return paper_of(statement, PARTIES, SELLING, pen_for(LANGUAGES, language, layby.currency, ZONE))


def a_receipt(language: str = "en", payment: Payment | None = None, layby: Layby | None = None) -> Paper:
    """Of a payment that left something over."""
    payment = payment or a_payment(30_000, applied_minor=25_000, credit_minor=5_000, balance_minor=50_000,
                                   payer_hint="2547••••149")  # fmt: skip
    layby = layby or a_layby(paid_minor=50_000)
    pen = pen_for(RECEIPT_LANGUAGES, language, payment.currency, ZONE)
    return receipt(Receipt(payment, layby, "Jacaranda Group", ["Chipo Dube", "+254 700 000 200"]), SELLING, pen)


def an_invoice(language: str = "en", **changes: Any) -> Paper:
    """Of two trips and a discount, partly paid."""
    lines = [
        Line("Nairobi - Mombasa, truck KBX 123A", 1_000, 85_000_00, 1_600),
        Line("Waiting, hours", 2_500, 1_500_00, 1_600),
        Line("Tolls, at cost", 3_000, 450_00, 0),
        Line("Discount", 1_000, -2_000_00, 1_600),
    ]
    sums = totals(lines)
    values: dict[str, Any] = {
        "kind": InvoiceKind.INVOICE, "status": Status.PART_PAID, "paid_minor": 40_000_00, "number": "INV-2026-000042",
        "issue_date": START, "due_date": START + timedelta(days=30), "note": "Thank you for the work.",
    }  # fmt: skip
    invoice = Invoice(
        UUID(int=1), UUID(int=2), UUID(int=3), currency="KES", net_minor=sums.net_minor,
        tax_minor=sums.tax_minor, total_minor=sums.total_minor, terms_days=30, created_at=OPENED, updated_at=OPENED,
        version=1, org_name="Jacaranda Group", counterparty_name="Moi Avenue Traders Ltd",
        lines=lines, **values | changes,
    )  # fmt: skip
    return invoice_paper(invoice, SELLING, pen_for(INVOICE_LANGUAGES, language, "KES", ZONE))


PAPERS = {"agreement": an_agreement, "statement": a_statement, "receipt": a_receipt, "invoice": an_invoice}
