"""Bodies of providers' statements and of what they were compared with."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.zones import zone_named
from waypost.payments import storage_reconcile, storage_statements
from waypost.payments.statement_lines import BadMapping, Columns
from waypost.payments.storage_statements import Outcome
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]
Column = Annotated[str, Meta(max_length=100, pattern=NO_NUL)]


class NewStatementQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Whose statement it is, and how it is read. What is left out is as the provider usually writes it.

    ``receipt`` to ``payer``: names of columns (empty: it has none); ``done``: the values of ``status`` that mean that
    it happened, divided by commas; ``order``: of year, month and day; ``zone``: of times that name none;
    ``thousands``: the mark between groups of three digits, none: such a mark is not read.
    """

    provider_id: UUID
    name: Name = "statement.csv"
    receipt: Column | None = None
    time: Column | None = None
    paid_in: Column | None = None
    withdrawn: Column | None = None
    status: Column | None = None
    account: Column | None = None
    linked: Column | None = None
    payer: Column | None = None
    done: Annotated[str, Meta(max_length=300, pattern=NO_NUL)] | None = None
    order: Literal["ymd", "dmy", "mdy"] | None = None
    zone: Annotated[str, Meta(max_length=64, pattern=NO_NUL)] | None = None
    thousands: Literal["", ",", ".", " ", "'"] | None = None
    decimal_mark: Literal[".", ","] | None = None

    def over(self, usual: Columns) -> Columns:
        """The usual columns with what is given here. ``BadMapping`` names what cannot be."""
        given: dict[str, Any] = {
            name: value
            for name in Columns.__struct_fields__
            if name != "done" and (value := getattr(self, name)) is not None
        }
        for name in ("receipt", "time", "paid_in"):
            if given.get(name) == "":
                raise BadMapping({"paid_in": "paidIn"}.get(name, name), "every statement has this column")
        optional = ("withdrawn", "status", "account", "linked", "payer")
        columns = msgspec.structs.replace(
            usual,
            **{name: None if value == "" and name in optional else value for name, value in given.items()},
            **({"done": tuple(word.strip() for word in self.done.split(","))} if self.done is not None else {}),
        )
        if columns.thousands == columns.decimal_mark:
            raise BadMapping("thousands", "it cannot be the decimal mark as well")
        try:
            zone_named(columns.zone)
        except ValueError as error:
            raise BadMapping("zone", str(error)) from error
        return columns


class StatementsQuery(PageQuery):
    """``provider_id``: only this provider's."""

    provider_id: UUID | None = None


class StatementLinesQuery(PageQuery):
    """``outcome``: only lines of which this became."""

    outcome: Outcome | None = None


class PaymentStatement(msgspec.Struct, rename="camel", omit_defaults=True):
    """A provider's statement. ``progress``: from 0 to 1; ``counts``: lines by what became of them."""

    id: UUID
    provider_id: UUID
    name: str
    state: str
    lines: int
    progress: float
    counts: dict[str, int]
    mapping: Columns
    created_at: Instant
    first_at: Instant | None = None
    last_at: Instant | None = None
    finished_at: Instant | None = None
    error: str | None = None

    @classmethod
    def from_domain(cls, s: storage_statements.Statement) -> PaymentStatement:
        return cls(
            s.id, s.provider_id, s.name, str(s.state), s.lines, round(s.next_line / max(1, 2 * s.lines), 4),
            dict(s.counts), s.mapping, instant(s.created_at), instant_or_none(s.first_at), instant_or_none(s.last_at),
            instant_or_none(s.finished_at), s.error,
        )  # fmt: skip


class PaymentStatementLine(msgspec.Struct, rename="camel", omit_defaults=True):
    """One line, from 1 on. ``amount_minor``: below zero where money went out; ``detail``: why."""

    n: int
    outcome: str
    receipt: str | None = None
    amount_minor: int | None = None
    paid_at: Instant | None = None
    payment_id: UUID | None = None
    detail: str | None = None

    @classmethod
    def from_domain(cls, line: storage_statements.StatementLine) -> PaymentStatementLine:
        return cls(
            line.n, str(line.outcome), line.receipt, line.amount_minor, instant_or_none(line.paid_at), line.payment_id,
            line.detail,
        )  # fmt: skip


class ReconciliationsQuery(PageQuery):
    """Newest first."""


class ReconciliationSum(msgspec.Struct, rename="camel"):
    """Two ways to the same sum."""

    what: str
    currency: str
    one_minor: int
    other_minor: int


class ReconciliationRun(msgspec.Struct, rename="camel"):
    """What the nightly comparison of a day found; each difference is an alert. ``checked``: how many of what."""

    day: str
    checked: dict[str, int]
    sums: list[ReconciliationSum]
    differences: int
    started_at: Instant
    finished_at: Instant

    @classmethod
    def from_domain(cls, run: storage_reconcile.Run) -> ReconciliationRun:
        sums = [ReconciliationSum(each.what, each.currency, each.one_minor, each.other_minor) for each in run.sums]
        return cls(
            run.day.isoformat(), dict(run.checked), sums, run.differences, instant(run.started_at),
            instant(run.finished_at),
        )  # fmt: skip
