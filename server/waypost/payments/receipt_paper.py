"""A receipt as a paper: what was paid, and how the layby stood right after it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waypost.identity.domain import Selling
from waypost.identity.letterhead import letterhead
from waypost.laybys.domain import Layby, next_due
from waypost.payments.domain import Kind, Payment
from waypost.platform.papers.model import Block, Field, Fields, Figure, Paper, Text
from waypost.platform.papers.pen import Pen

_TITLES = {Kind.REFUND: "refund", Kind.REVERSAL: "reversal", Kind.CREDIT: "credit"}
_FIGURES = {Kind.REFUND: "we_paid_back", Kind.REVERSAL: "was_taken_back", Kind.CREDIT: "we_used"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """``layby``: as it was right after ``payment``; None: it was for none. ``to``: the customer, line by line."""

    payment: Payment
    layby: Layby | None
    org_name: str
    to: Sequence[str]


def receipt(of: Receipt, selling: Selling, pen: Pen) -> Paper:
    """As a paper to hand over."""
    payment = of.payment
    shop = letterhead(of.org_name, selling, pen.say)
    amount = payment.applied_minor if payment.kind is Kind.CREDIT else abs(payment.amount_minor)
    blocks: list[Block] = [Figure(pen.say(_FIGURES.get(payment.kind, "we_received")), pen.money(amount))]
    if account := _account(of, pen):
        blocks.append(Fields(account, pen.say("account")))
    if payment.kind is Kind.PAYMENT:
        blocks.append(Text([f"{pen.say('thanks')} {pen.say('keep')}"]))
    title = pen.say(_TITLES.get(payment.kind, "receipt"))
    page = pen.words["page"]
    return Paper(pen.how.language, title, payment.receipt, shop, of.to, _facts(of, pen), blocks, page)


def _facts(of: Receipt, pen: Pen) -> list[Field]:
    payment = of.payment
    back = payment.kind in {Kind.REFUND, Kind.REVERSAL}
    facts = [
        Field(pen.say("time"), pen.how.moment(payment.paid_at, pen.time_zone)),
        Field(pen.say("method_back" if back else "method"), pen.say(f"method_{payment.method}")),
    ]
    if payment.payer_hint:
        facts.append(Field(pen.say("payer"), payment.payer_hint))
    if of.layby is not None:
        facts.append(Field(pen.say("for_layby"), of.layby.reference))
    return facts


def _account(of: Receipt, pen: Pen) -> list[Field]:
    payment, lines = of.payment, []
    if payment.applied_minor > 0:
        lines.append(Field(pen.say("used_for_layby"), pen.money(payment.applied_minor)))
    if payment.credit_minor:
        name = "kept_as_credit" if payment.credit_minor > 0 else "taken_from_credit"
        lines.append(Field(pen.say(name), pen.money(abs(payment.credit_minor))))
    if payment.suspense_minor > 0:
        lines.append(Field(pen.say("waiting"), pen.money(payment.suspense_minor)))
    if of.layby is not None and payment.balance_minor is not None:
        lines += _standing(of.layby, pen)
    return lines


def _standing(layby: Layby, pen: Pen) -> list[Field]:
    due = next_due(layby)
    lines = [Field(pen.say("left_after"), pen.money(max(0, layby.balance_minor)))]
    if due is not None and due.open_minor > 0:
        said = pen.say("next_by", amount=pen.money(due.open_minor), day=pen.day(due.due_date))
        lines.append(Field(pen.say("next_payment"), said))
    return lines
