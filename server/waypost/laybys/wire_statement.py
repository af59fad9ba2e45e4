"""Bodies of a layby's papers."""

from __future__ import annotations

from typing import Literal

import msgspec

from waypost.laybys.documents import movements
from waypost.laybys.documents import statement as documents
from waypost.platform.codec import Instant, instant
from waypost.platform.papers.edge import Language


class StatementQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """In what form and language; ``lang``: of a page or a PDF, a BCP 47 tag; left out: the customer's own."""

    format: Literal["json", "csv", "html", "pdf"] = "json"
    lang: Language | None = None


class StatementLine(msgspec.Struct, rename="camel", omit_defaults=True):
    """``balanceMinor``: what was owed after it; ``paidMinor`` is negative where money went back.

    ``creditMinor``: what it put to the customer's credit, or (negative) took from there; ``instalment``: which one a
    late fee is for.
    """

    at: Instant
    kind: str
    balance_minor: int
    charged_minor: int = 0
    paid_minor: int = 0
    credit_minor: int = 0
    receipt: str | None = None
    method: str | None = None
    instalment: int | None = None

    @classmethod
    def from_domain(cls, line: movements.Line) -> StatementLine:
        return cls(
            instant(line.at), line.kind, line.balance_minor, line.charged_minor, line.paid_minor, line.credit_minor,
            line.receipt, line.method, line.n,
        )  # fmt: skip


class Statement(msgspec.Struct, rename="camel"):
    """A layby's account. balance = charged - paid; a negative one is to be paid back. ``creditMinor``: the customer's
    credit of all their laybys in this currency; below zero: what they owe beside.
    """

    reference: str
    status: str
    customer_name: str
    currency: str
    made_at: Instant
    charged_minor: int
    paid_minor: int
    balance_minor: int
    credit_minor: int
    lines: list[StatementLine]

    @classmethod
    def from_domain(cls, s: documents.Statement) -> Statement:
        return cls(
            reference=s.layby.reference,
            status=s.layby.status,
            customer_name=s.layby.customer_name,
            currency=s.layby.currency,
            made_at=instant(s.made_at),
            charged_minor=s.account.charged_minor,
            paid_minor=s.account.paid_minor,
            balance_minor=s.account.balance_minor,
            credit_minor=s.credit_minor,
            lines=[StatementLine.from_domain(line) for line in s.account.lines],
        )
