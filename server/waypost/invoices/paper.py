"""An invoice, or a credit note, as a paper. Pure."""

from __future__ import annotations

from decimal import Decimal

from waypost.identity.domain import Selling
from waypost.identity.letterhead import letterhead
from waypost.invoices.domain import Invoice, Kind, Line, Status, taxes
from waypost.platform.papers.model import Block, Column, Field, Figure, Paper, Table, Text
from waypost.platform.papers.pen import Pen


def invoice_paper(invoice: Invoice, selling: Selling, pen: Pen) -> Paper:
    """``selling``: how its issuer stands on papers."""
    shop = letterhead(invoice.org_name or "", selling, pen.say)
    credited = invoice.kind is Kind.CREDIT_NOTE
    amount = invoice.total_minor if credited or invoice.status is Status.DRAFT else invoice.open_minor
    blocks: list[Block] = [
        Figure(pen.say("credited" if credited else "to_pay"), pen.money(amount)),
        _lines(invoice, pen),
        *([Text([invoice.note], pen.say("note"))] if invoice.note else []),
    ]
    number = invoice.number or pen.say("draft")
    to = [invoice.counterparty_name or ""]
    return Paper(
        pen.how.language, pen.say(str(invoice.kind)), number, shop, to, _facts(invoice, pen), blocks, pen.words["page"]
    )


def _facts(invoice: Invoice, pen: Pen) -> list[Field]:
    dates = [("issue_date", invoice.issue_date)]
    if invoice.kind is Kind.INVOICE:
        dates.append(("due_date", invoice.due_date))
    facts = [Field(pen.say(name), pen.day(day)) for name, day in dates if day is not None]
    if invoice.kind is Kind.INVOICE:
        facts.append(Field(pen.say("status"), pen.say(f"status_{invoice.status}")))
    return facts


def _lines(invoice: Invoice, pen: Pen) -> Table:
    columns = [
        Column(pen.say("description"), share=3),
        Column(pen.say("quantity"), "right"),
        Column(pen.say("unit_price", currency=invoice.currency), "right"),
        Column(pen.say("tax_rate"), "right"),
        Column(pen.say("net", currency=invoice.currency), "right"),
    ]
    return Table(columns, [_row(line, pen) for line in invoice.lines], _sums(invoice, pen))


def _row(line: Line, pen: Pen) -> list[str]:
    quantity = pen.how.decimal(Decimal(line.quantity_milli).scaleb(-3))
    price, net = pen.number(line.unit_price_minor), pen.number(line.net_minor)
    return [line.description, quantity, price, pen.how.percent(line.tax_bp), net]


def _sums(invoice: Invoice, pen: Pen) -> list[Field]:
    sums = [Field(pen.say("net_sum"), pen.number(invoice.net_minor))]
    for tax in taxes(invoice.lines):
        if tax.tax_bp:
            words = pen.say("tax_sum", percent=pen.how.percent(tax.tax_bp), net=pen.number(tax.net_minor))
            sums.append(Field(words, pen.number(tax.tax_minor)))
    sums.append(Field(pen.say("total", currency=invoice.currency), pen.number(invoice.total_minor)))
    if invoice.paid_minor:
        sums.append(Field(pen.say("paid"), pen.number(-invoice.paid_minor)))
        sums.append(Field(pen.say("open", currency=invoice.currency), pen.number(invoice.open_minor)))
    return sums
