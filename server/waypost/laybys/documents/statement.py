"""The statement as a paper and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from waypost.identity.domain import Selling
from waypost.identity.letterhead import letterhead
from waypost.kernel import csv_text
from waypost.kernel.money import plain_text
from waypost.laybys.documents.agreement import Parties, to_lines
from waypost.laybys.documents.movements import Account, Line, LineKind
from waypost.laybys.domain import Layby, Status, open_parts
from waypost.platform.codec import instant
from waypost.platform.papers.model import Block, Column, Field, Fields, Figure, Paper, Table
from waypost.platform.papers.pen import Pen

HEADER = ("at", "kind", "receipt", "method", "currency", "charged", "paid", "credit", "balance")
_WAITING = frozenset({Status.ACTIVE, Status.ON_HOLD, Status.DEFAULTED})


@dataclass(frozen=True, slots=True)
class Statement:
    """What a statement says. ``credit_minor``: the customer's, of all their laybys in that currency."""

    layby: Layby
    account: Account
    credit_minor: int
    made_at: datetime


def paper_of(statement: Statement, parties: Parties, selling: Selling, pen: Pen) -> Paper:
    """To print."""
    layby, account = statement.layby, statement.account
    facts = [
        Field(pen.say("reference"), layby.reference),
        Field(pen.say("made_on"), pen.day(pen.day_of(statement.made_at))),
        Field(pen.say("status"), pen.say(f"status_{layby.status}")),
    ]
    owes = account.balance_minor >= 0
    blocks: list[Block] = [
        Figure(pen.say("left_now" if owes else "to_pay_back"), pen.money(abs(account.balance_minor))),
        _movements(account, pen),
        *_credit(statement, pen),
        *_upcoming(layby, pen),
    ]
    shop = letterhead(parties.org_name, selling, pen.say)
    language, page = pen.how.language, pen.words["page"]
    return Paper(language, pen.say("statement"), layby.reference, shop, to_lines(parties), facts, blocks, page)


def csv_of(statement: Statement) -> Iterator[str]:
    """For machines: plain decimals, one line a movement."""
    currency = statement.layby.currency
    yield csv_text.line(HEADER)
    for line in statement.account.lines:
        words = csv_text.line((instant(line.at), line.kind, line.receipt, line.method, currency)).removesuffix("\r\n")
        amounts = (line.charged_minor, line.paid_minor, line.credit_minor, line.balance_minor)
        # Digits of our own, a minus before them or not: nothing that a spreadsheet could run.
        yield ",".join((words, *(plain_text(minor, currency) for minor in amounts))) + "\r\n"


def _movements(account: Account, pen: Pen) -> Table:
    columns = [
        Column(pen.say("date")),
        Column(pen.say("details"), share=3),
        Column(pen.say("charged"), "right"),
        Column(pen.say("paid"), "right"),
        Column(pen.say("balance"), "right"),
    ]
    rows = [
        [
            pen.short_day(pen.day_of(line.at)),
            _details(line, pen),
            pen.number(line.charged_minor) if line.charged_minor else "",
            pen.number(line.paid_minor) if line.paid_minor else "",
            pen.number(line.balance_minor),
        ]
        for line in account.lines
    ]
    sums = [
        Field(pen.say("total_charged"), pen.number(account.charged_minor)),
        Field(pen.say("total_paid"), pen.number(account.paid_minor)),
        Field(f"{pen.say('balance')} ({pen.currency})", pen.number(account.balance_minor)),
    ]
    return Table(columns, rows, sums, pen.say("movements"))


def _details(line: Line, pen: Pen) -> str:
    method = pen.say(f"method_{line.method}") if line.method else ""
    words = pen.say(f"line_{line.kind}", method=method, receipt=line.receipt or "", n=str(line.n or ""))
    if line.credit_minor and line.kind is not LineKind.CREDIT:
        name = "of_which_credit" if line.credit_minor > 0 else "credit_lowered"
        words += f" ({pen.say(name, amount=pen.number(abs(line.credit_minor)))})"
    return words


def _credit(statement: Statement, pen: Pen) -> list[Block]:
    if not statement.credit_minor:
        return []
    label = pen.say("kept_as_credit" if statement.credit_minor > 0 else "owed_beyond_credit")
    return [Fields([Field(label, pen.money(abs(statement.credit_minor)))])]


def _upcoming(layby: Layby, pen: Pen) -> list[Block]:
    """What is open of the schedule, while it is."""
    open_ = [(each, part) for each, part in zip(layby.instalments, open_parts(layby), strict=True) if part > 0]
    if layby.status not in _WAITING or not open_:
        return []
    columns = [
        Column(pen.say("n")),
        Column(pen.say("due_by"), share=3),
        Column(pen.say("amount", currency=layby.currency), "right"),
    ]
    rows = [[str(each.n), pen.day(each.due_date), pen.number(part)] for each, part in open_]
    total = Field(pen.say("left_now"), pen.number(sum(part for _, part in open_)))
    return [Table(columns, rows, [total], pen.say("upcoming"))]
