"""A provider's CSV: which columns are what, and what a line says."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from waypost.payments.reconcile import merged
from waypost.payments.statement_lines import (
    MPESA,
    SIMPLE,
    Columns,
    Line,
    MoneyIn,
    MoneyOut,
    NoMoney,
    StatementUnreadable,
    UnreadableLine,
    count,
    not_ahead,
    read,
    sheet_of,
)
from waypost.payments.storage_reconcile import Span

MPESA_FILE = """Account Holder,,Chipo Traders\r
Short Code,,174379\r
Time Period,,From 22-11-2026 to 22-11-2026\r
\r
Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,Balance,Balance Confirmed,\
Reason Type,Other Party Info,Linked Transaction ID,A/C No.\r
RKT9QD7W6S,22-11-2026 06:38:45,22-11-2026 06:38:44,"Pay Bill from 25470****149 - ""JANE"", Acc. 7K3MQ96",Completed,\
"1,250.00",,"10,250.00",true,Pay Utility,25470****149 - JANE,,7K3MQ96\r
RKT9QD7W6S,22-11-2026 06:38:45,22-11-2026 06:38:44,Pay Utility Charge,Completed,,-6.25,"10,243.75",true,Charge,,,\r
RKT9QD7X01,22-11-2026 07:00:00,22-11-2026 07:00:00,Pay Bill,Failed,300.00,,,false,Pay Utility,,,7K3MQ96\r
RKT9QD7X02,22-11-2026 08:00:00,22-11-2026 08:00:00,Reversal,Completed,,-1250.00,,true,Reversal,,RKT9QD7W6S,\r
Total,,,,,,,,,,,,\r
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def lines_of(text: str | bytes, columns: Columns, currency: str = "KES") -> list[Line]:
    sheet = sheet_of(text if isinstance(text, bytes) else text.encode(), columns)
    return [read(sheet, columns, currency, record) for record in sheet.records()]


def test_the_statement_of_the_portal_is_read_with_its_charges_failures_and_reversals():
    assert lines_of(MPESA_FILE, MPESA) == [
        MoneyIn("RKT9QD7W6S", 125000, at("2026-11-22T06:38:45+03:00"), "7K3MQ96"),
        MoneyOut("RKT9QD7W6S", 625, at("2026-11-22T06:38:45+03:00"), None),
        NoMoney("status Failed", "RKT9QD7X01"),
        MoneyOut("RKT9QD7X02", 125000, at("2026-11-22T08:00:00+03:00"), "RKT9QD7W6S"),
        NoMoney("no status", "Total"),
    ]


HEADER = "receipt,time,paid_in,reference"
ROW = "R1,2026-11-22 06:38:45,10.50,7K3MQ96"
PLAIN = MoneyIn("R1", 1050, at("2026-11-22T06:38:45+00:00"), "7K3MQ96")
DIALECTS = {
    "commas": f"{HEADER}\n{ROW}\n",
    "semicolons": f"{HEADER}\n{ROW}\n".replace(",", ";"),
    "tabs": f"{HEADER}\n{ROW}\n".replace(",", "\t"),
    "a mark of UTF-8 before it": f"\ufeff{HEADER}\r\n{ROW}\r\n",
    "quoted": f'"{HEADER.replace(",", chr(34) + "," + chr(34))}"\n"{ROW.replace(",", chr(34) + "," + chr(34))}"\n',
    "no end of line": f"{HEADER}\n{ROW}",
    "old ends of line": f"{HEADER}\r{ROW}\r",
    "columns in another order and case": "Reference;TIME; Paid_In ;receipt\n7K3MQ96;2026-11-22 06:38:45; 10.50 ;R1\n",
    "empty lines": f"\n\n{HEADER}\n\n{ROW}\n,,,\n\n",
    "a title before it": f"Statement of November\n\n{HEADER}\n{ROW}\n",
    "more columns": f"{HEADER},x\n{ROW},y\n",
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS.keys())
def test_every_dialect_is_the_same_line(text: str):
    assert lines_of(text, SIMPLE) == [PLAIN]
    assert count(sheet_of(text.encode(), SIMPLE)) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_files_of_spreadsheets_are_text_too(encoding: str):
    text = f"{HEADER},who\n{ROW},José\n"
    columns = msgspec.structs.replace(SIMPLE, payer="who")
    assert lines_of(text.encode(encoding), columns) == [
        MoneyIn("R1", 1050, at("2026-11-22T06:38:45+00:00"), "7K3MQ96", "José")
    ]


def row(amount: str = "10.50", time: str = "2026-11-22 06:38:45", receipt: str = "R1") -> str:
    return f'{HEADER}\n"{receipt}","{time}","{amount}",7K3MQ96\n'


@pytest.mark.parametrize(
    "amount",
    ["1,000.00", "1.000,00", "1 000", "10,50", "10.505", "1e3", "KES 5", "٣", "--5", "1_000", "nan", "9" * 30, "-5"],
)
def test_an_amount_that_is_not_plain_is_never_guessed(amount: str):
    (line,) = lines_of(row(amount), SIMPLE)
    assert isinstance(line, UnreadableLine)
    assert line.receipt == "R1"
    assert line.why


@pytest.mark.parametrize(
    ("amount", "thousands", "decimal_mark", "minor"),
    [
        ("1,000.00", ",", ".", 100000),
        ("1,234,567.89", ",", ".", 123456789),
        ("999.5", ",", ".", 99950),
        ("1.000,50", ".", ",", 100050),
        ("10,50", "", ",", 1050),
        ("1'000.00", "'", ".", 100000),
        ("1 000,00", " ", ",", 100000),
    ],
)
def test_marks_between_thousands_are_read_where_the_mapping_names_them(
    amount: str, thousands: str, decimal_mark: str, minor: int
):
    columns = msgspec.structs.replace(SIMPLE, thousands=thousands, decimal_mark=decimal_mark)
    (line,) = lines_of(row(amount), columns)
    assert isinstance(line, MoneyIn)
    assert line.amount_minor == minor


@pytest.mark.parametrize("amount", ["10,00.00", "1,0000", ",100", "1,,000", "1.5,000"])
def test_a_mark_at_the_wrong_place_is_no_mark(amount: str):
    (line,) = lines_of(row(amount), msgspec.structs.replace(SIMPLE, thousands=","))
    assert isinstance(line, UnreadableLine)


@pytest.mark.parametrize(
    ("text", "order", "zone", "moment"),
    [
        ("2026-11-22T06:38:45Z", "ymd", "UTC", "2026-11-22T06:38:45+00:00"),
        ("2026-11-22T06:38:45+03:00", "ymd", "UTC", "2026-11-22T06:38:45+03:00"),
        ("2026-11-22 06:38", "ymd", "Africa/Nairobi", "2026-11-22T06:38:00+03:00"),
        ("20261122063845", "ymd", "UTC", "2026-11-22T06:38:45+00:00"),
        ("01/02/2026 10:00", "dmy", "UTC", "2026-02-01T10:00:00+00:00"),
        ("01/02/2026 10:00", "mdy", "UTC", "2026-01-02T10:00:00+00:00"),
        ("1.2.2026 10:00:00", "dmy", "UTC", "2026-02-01T10:00:00+00:00"),
        ("2026-11-22", "ymd", "Europe/Berlin", "2026-11-22T00:00:00+01:00"),
    ],
)
def test_a_time_is_the_zones_unless_it_names_another(text: str, order: str, zone: str, moment: str):
    (line,) = lines_of(row(time=text), msgspec.structs.replace(SIMPLE, order=order, zone=zone))
    assert isinstance(line, MoneyIn)
    assert line.at == at(moment)


@pytest.mark.parametrize("text", ["", "soon", "22-11-2026 06:38:45", "2026-13-01 00:00:00", "0001-01-01 00:00:00"])
def test_a_time_that_is_none_leaves_the_line_unread(text: str):
    columns = msgspec.structs.replace(SIMPLE, zone="Africa/Nairobi")
    (line,) = lines_of(row(time=text), columns)
    assert isinstance(line, UnreadableLine)


def test_a_line_without_receipt_amount_or_enough_fields_is_kept_with_why():
    assert lines_of(row(receipt=" "), SIMPLE) == [UnreadableLine("no receipt")]
    assert lines_of(row(amount="0.00"), SIMPLE) == [NoMoney("no amount", "R1")]
    assert lines_of(f"{HEADER}\nR1\n", SIMPLE) == [UnreadableLine(" is no time", "R1")]


def test_money_in_and_out_in_one_line_is_not_understood():
    columns = msgspec.structs.replace(SIMPLE, withdrawn="out")
    text = f"{HEADER},out\n{ROW},5.00\n"
    assert lines_of(text, columns) == [UnreadableLine("money in and out at once", "R1")]


def test_a_status_counts_only_where_it_says_that_it_happened():
    columns = msgspec.structs.replace(SIMPLE, status="status", done=("OK",))
    text = f"{HEADER},status\n{ROW},ok\n{ROW},pending\n"
    assert [type(line) for line in lines_of(text, columns)] == [MoneyIn, NoMoney]


def test_a_quote_that_nobody_closes_costs_its_line_and_not_the_file():
    text = f'{HEADER}\nR0,"{"x" * 200_000}\n{ROW}\n'
    sheet = sheet_of(text.encode(), SIMPLE)
    kinds = [type(read(sheet, SIMPLE, "KES", record)) for record in sheet.records()]
    assert kinds == [UnreadableLine, MoneyIn]
    assert count(sheet) == len(kinds)


def test_what_a_text_column_refuses_is_replaced():
    (line,) = lines_of(f"{HEADER}\nR\x001,2026-11-22 06:38:45,5,a\x00b\n", SIMPLE)
    assert isinstance(line, MoneyIn)
    assert (line.receipt, line.account_ref) == ("R\ufffd1", "a\ufffdb")


@pytest.mark.parametrize(
    "body", [b"", b"receipt,time\nR1,x\n", b"\x00\xff" * 50, b"{}"], ids=["", "few", "bytes", "json"]
)
def test_a_file_without_the_columns_is_refused_and_says_which_are_missing(body: bytes):
    with pytest.raises(StatementUnreadable) as refused:
        sheet_of(body, SIMPLE)
    assert "paid_in" in refused.value.detail


def test_the_times_of_statements_that_touch_are_one():
    def span(first: int, last: int) -> Span:
        day = datetime(2026, 11, 1, tzinfo=UTC)
        return Span(UUID(int=1), UUID(int=2), day.replace(day=first), day.replace(day=last))

    times = merged([span(1, 3), span(2, 5), span(3, 4), span(8, 9)])
    assert [(first.day, last.day) for first, last in times] == [(1, 5), (8, 9)]
    assert merged([]) == []


def test_money_that_moves_more_than_a_day_after_the_file_came_is_unread():
    sent_at, in_time, late = at("2026-11-22T09:00:00Z"), at("2026-11-23T09:00:00Z"), at("2026-11-23T09:00:01Z")
    for line in (MoneyIn("R1", 5, in_time, None), MoneyOut("R1", 5, in_time, None), NoMoney("no amount", "R1")):
        assert not_ahead(line, sent_at) is line
    for line in (MoneyIn("R1", 5, late, None), MoneyOut("R1", 5, at("2099-11-22T09:00:00Z"), None)):
        assert isinstance(not_ahead(line, sent_at), UnreadableLine)
