"""Invoices: amounts to the cent, numbers, states, and the books of both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON
from waypost.invoices import wire
from waypost.invoices.books import invoice_lines, payment_lines, reversed_lines
from waypost.invoices.domain import (
    ALLOWED,
    Invoice,
    InvoiceMoveRefused,
    Kind,
    Line,
    Move,
    Status,
    Totals,
    check_move,
    issued,
    spread,
    status_after,
    taxes,
    totals,
)
from waypost.kernel.errors import Invalid
from waypost.ledger.domain import Account, settled

A, B = UUID(int=1), UUID(int=2)
TODAY = date(2026, 11, 22)
LINES = st.builds(
    Line,
    description=st.just("Harare - Bulawayo"),
    quantity_milli=st.integers(1, 10_000_000),
    unit_price_minor=st.integers(0, 10**8),
    tax_bp=st.sampled_from([0, 500, 1_450, 1_500, 1_600]),
)


def line(quantity_milli: int, unit_price_minor: int, tax_bp: int = 0) -> Line:
    return Line("Harare - Bulawayo", quantity_milli, unit_price_minor, tax_bp)


def invoice(lines: Sequence[Line] = (line(1_000, 10_000, 1_500),), **fields: object) -> Invoice:
    sums = totals(lines)
    draft = Invoice(
        org_id=A, id=UUID(int=9), counterparty_org_id=B, kind=Kind.INVOICE, status=Status.DRAFT, currency="USD",
        net_minor=sums.net_minor, tax_minor=sums.tax_minor, total_minor=sums.total_minor, paid_minor=0, terms_days=30,
        created_at=NOON, updated_at=NOON, version=1, lines=lines,
    )  # fmt: skip
    return replace(draft, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("quantity_milli", "unit_price_minor", "net_minor"),
    [
        (1_000, 12_345, 12_345),
        (2_500, 999, 2_498),  # 2497.5
        (333, 100, 33),  # 33.3
        (335, 100, 34),  # 33.5
        (1, 499, 0),
        (1, 500, 1),
        (2_500, -999, -2_498),  # a discount: away from zero
        (9_999_999_999, 10**5, 999_999_999_900),
    ],
)
def test_a_line_is_quantity_times_price_rounded_half_up(quantity_milli: int, unit_price_minor: int, net_minor: int):
    assert line(quantity_milli, unit_price_minor).net_minor == net_minor


def test_tax_is_rounded_once_a_rate_and_not_once_a_line():
    """Three lines of 0.33 at 15 %: 0.1485 in all is 0.15; line by line it would be 3 x 0.05."""
    lines = [line(1_000, 33, 1_500), line(1_000, 33, 1_500), line(1_000, 33, 1_500), line(1_000, 10, 500)]
    assert [(tax.tax_bp, tax.net_minor, tax.tax_minor) for tax in taxes(lines)] == [(500, 10, 1), (1_500, 99, 15)]
    assert totals(lines) == Totals(109, 16)
    many = [line(1_000, 10, 500) for _ in range(3)]  # 0.5 each, 1.5 in all
    assert totals(many).tax_minor == 2


@given(st.lists(LINES, min_size=1, max_size=12))
def test_totals_are_what_exact_decimals_say(lines: list[Line]):
    def rounded(exact: Decimal) -> int:
        return int(exact.quantize(Decimal(1), ROUND_HALF_UP))

    nets = [rounded(Decimal(each.quantity_milli) / 1_000 * each.unit_price_minor) for each in lines]
    by_rate: dict[int, int] = {}
    for each, net in zip(lines, nets, strict=True):
        by_rate[each.tax_bp] = by_rate.get(each.tax_bp, 0) + net
    sums = totals(lines)
    assert sums.net_minor == sum(nets)
    assert sums.tax_minor == sum(rounded(Decimal(net) * rate / 10_000) for rate, net in by_rate.items())
    assert sums.total_minor == sums.net_minor + sums.tax_minor


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([line(1_000, 100), line(1_000, -101)], "lines"),
        ([line(1_000, 1), line(9_999_999_999, 10**13)], "lines[1]"),
        ([line(1_000, 6 * 10**14), line(1_000, 6 * 10**14)], "lines"),
    ],
    ids=["below-zero", "one-too-large", "sum-too-large"],
)
def test_a_total_below_zero_or_beyond_all_money_is_refused(lines: list[Line], field: str):
    with pytest.raises(Invalid) as refused:
        totals(lines)
    assert refused.value.extra["errors"][0]["field"] == field  # type: ignore[index]


@pytest.mark.parametrize(
    ("kind", "serial", "number"),
    [
        (Kind.INVOICE, 123, "INV-2026-000123"),
        (Kind.CREDIT_NOTE, 1, "CRN-2026-000001"),
        (Kind.INVOICE, 1_234_567, "INV-2026-1234567"),
    ],
    ids=["invoice", "credit-note", "more-digits"],
)
def test_a_number_names_kind_year_and_serial(kind: Kind, serial: int, number: str):
    assert issued(kind, serial, TODAY, 30, NOON).number == number


def test_terms_count_from_the_day_of_issue():
    assert issued(Kind.INVOICE, 1, date(2026, 12, 20), 30, NOON).due_date == date(2027, 1, 19)
    assert issued(Kind.INVOICE, 1, TODAY, 0, NOON).due_date == TODAY


@pytest.mark.parametrize("status", Status, ids=str)
@pytest.mark.parametrize("move", Move, ids=str)
def test_each_move_is_allowed_or_names_the_status(move: Move, status: Status):
    if status in ALLOWED[move]:
        check_move(move, invoice(status=status))
    else:
        with pytest.raises(InvoiceMoveRefused, match=status.replace("_", " ")):
            check_move(move, invoice(status=status))


@pytest.mark.parametrize("move", [move for move in Move if move is not Move.SEND], ids=str)
def test_a_credit_note_is_sent_and_nothing_else(move: Move):
    note = invoice(kind=Kind.CREDIT_NOTE, status=Status.ISSUED)
    check_move(Move.SEND, note)
    assert note.open_minor == 0
    with pytest.raises(InvoiceMoveRefused, match="credit note"):
        check_move(move, note)


@pytest.mark.parametrize(
    ("paid", "status"), [(0, Status.ISSUED), (1, Status.PART_PAID), (99, Status.PART_PAID), (100, Status.PAID)]
)
def test_the_status_follows_what_is_paid(paid: int, status: Status):
    assert status_after(100, paid) is status


@pytest.mark.parametrize(
    ("status", "due", "overdue"),
    [
        (Status.ISSUED, TODAY - timedelta(days=1), True),
        (Status.PART_PAID, TODAY - timedelta(days=1), True),
        (Status.ISSUED, TODAY, False),
        (Status.PAID, TODAY - timedelta(days=1), False),
        (Status.VOIDED, TODAY - timedelta(days=1), False),
        (Status.DRAFT, None, False),
    ],
    ids=["day-after", "part-paid", "on-the-day", "paid", "voided", "draft"],
)
def test_an_open_invoice_is_overdue_from_the_day_after(status: Status, due: date | None, *, overdue: bool):
    paid = 11_500 if status is Status.PAID else 0
    assert invoice(status=status, due_date=due, paid_minor=paid).is_overdue(TODAY) is overdue


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), max_size=20))
def test_money_goes_to_the_oldest_first_and_none_is_lost(amount: int, waiting: list[int]):
    parts = spread(amount, waiting)
    assert len(parts) == len(waiting)
    assert sum(parts) == min(amount, sum(waiting))
    assert all(0 <= part <= each for part, each in zip(parts, waiting, strict=True))
    for n, part in enumerate(parts):
        if part:
            assert parts[:n] == waiting[:n], "a later one gets something only when every older one is paid"


@given(st.lists(LINES, min_size=1, max_size=6).filter(lambda lines: totals(lines).total_minor > 0))
def test_the_books_of_both_sides_balance_and_mirror_each_other(lines: list[Line]):
    books = invoice_lines(invoice(lines))
    for half in (books.own, books.theirs, reversed_lines(books).own, reversed_lines(books).theirs):
        assert sum(each.amount_minor for each in settled(half)) == 0
    receivable = sum(each.amount_minor for each in books.own if each.account is Account.RECEIVABLE)
    payable = sum(each.amount_minor for each in books.theirs if each.account is Account.PAYABLE)
    assert receivable == totals(lines).total_minor == -payable


@given(st.integers(-(10**12), 10**12))
def test_a_payment_lowers_what_one_has_to_get_and_the_other_to_pay(amount: int):
    books = payment_lines(A, B, amount, held_in=Account.CASH)
    assert [(each.account, each.amount_minor, each.counterparty_org_id) for each in books.own] == [
        (Account.CASH, amount, None),
        (Account.RECEIVABLE, -amount, B),
    ]
    assert [(each.account, each.amount_minor, each.counterparty_org_id) for each in books.theirs] == [
        (Account.PAYABLE, amount, A),
        (Account.BANK, -amount, None),
    ]


@pytest.mark.parametrize(
    ("text", "milli", "back"),
    [
        ("1", 1_000, "1"), ("2.5", 2_500, "2.5"), ("0.125", 125, "0.125"), ("10.50", 10_500, "10.5"),
        ("007", 7_000, "7"), ("1200", 1_200_000, "1200"), ("9999999.999", 9_999_999_999, "9999999.999"),
    ],
)  # fmt: skip
def test_a_quantity_is_decimal_text_of_up_to_three_places(text: str, milli: int, back: str):
    body = msgspec.convert({"description": "x", "unitPriceMinor": 1, "quantity": text}, wire.NewInvoiceLine)
    (read,) = wire.InvoiceChange(lines=[body]).to_domain()["lines"]
    assert read.quantity_milli == milli
    assert wire.quantity_text(milli) == back


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.", ".5", "1.2345", "1e3", "1,5", "NaN", "12345678", "٣", "1\n", 1, 1.5, None],
    ids=range(15),
)  # fmt: skip
def test_anything_else_is_no_quantity(text: object):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"description": "x", "unitPriceMinor": 1, "quantity": text}, wire.NewInvoiceLine)


def test_a_quantity_of_nothing_is_refused():
    with pytest.raises(Invalid, match=r"lines\[0\]\.quantity"):
        wire.InvoiceChange(lines=[wire.NewInvoiceLine("x", 1, "0.000")]).to_domain()


def test_a_float_is_no_price():
    with pytest.raises(msgspec.ValidationError, match="int"):
        msgspec.json.decode(b'{"description": "x", "unitPriceMinor": 1.0}', type=wire.NewInvoiceLine)
