"""A provider's CSV: which of its columns is what, and what each of its lines says. Pure."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from waypost.kernel import money
from waypost.kernel.errors import Invalid
from waypost.kernel.money import BadAmount
from waypost.kernel.zones import zone_named
from waypost.payments.providers.strict_json import clean

HEADER_WITHIN: Final = 40  # lines: some begin with the account's name and the period
DELIMITERS: Final = (",", ";", "\t")
LONGEST_FIELD: Final = 131_072
AHEAD: Final = timedelta(days=1)  # of a provider's clock and zone; what lies later is a wrong date
_GROUPED: Final = r"-?\d{{1,3}}({mark}\d{{3}})*"
_TIMES: Final[Mapping[str, Sequence[str]]] = {
    "ymd": ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S"),
    "dmy": ("%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
    "mdy": ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m-%d-%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p"),
}


class StatementUnreadable(Invalid):
    """No line of the file has the columns that its mapping names; `missing` says which are not there."""

    code = "statement-unreadable"


class BadMapping(Invalid):
    """The statement cannot be read in the way that the query names."""

    code = "bad-statement-mapping"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}", [{"field": field, "detail": detail}])


class Columns(msgspec.Struct, frozen=True, rename="camel"):
    """How a provider's CSV is read: the names of its columns, and its way to write times and amounts.

    ``done``: the values of ``status`` that mean that it happened; ``order``: of day and month; ``zone``: whose time it
    is where a time names none; ``thousands``: the mark between groups of three, none: such a mark is not read.
    """

    receipt: str
    time: str
    paid_in: str
    withdrawn: str | None = None
    status: str | None = None
    account: str | None = None
    linked: str | None = None
    payer: str | None = None
    done: tuple[str, ...] = ("completed", "success", "successful", "succeeded", "paid")
    order: Literal["ymd", "dmy", "mdy"] = "ymd"
    zone: str = "UTC"
    thousands: Literal["", ",", ".", " ", "'"] = ""
    decimal_mark: Literal[".", ","] = "."

    @property
    def needed(self) -> Sequence[str]:
        """The columns that it names."""
        named = (
            self.receipt, self.time, self.paid_in, self.withdrawn, self.status, self.account, self.linked, self.payer,
        )  # fmt: skip
        return [name for name in named if name is not None]


# As the organisation's portal of M-Pesa writes it; times are East Africa's.
MPESA: Final = Columns(
    receipt="Receipt No.",
    time="Completion Time",
    paid_in="Paid In",
    withdrawn="Withdrawn",
    status="Transaction Status",
    account="A/C No.",
    linked="Linked Transaction ID",
    order="dmy",
    zone="Africa/Nairobi",
    thousands=",",
)
SIMPLE: Final = Columns(receipt="receipt", time="time", paid_in="paid_in", account="reference")


@dataclass(frozen=True, slots=True)
class MoneyIn:
    """The provider took in money."""

    receipt: str
    amount_minor: int
    at: datetime
    account_ref: str | None
    payer: str | None = None


@dataclass(frozen=True, slots=True)
class MoneyOut:
    """Money went out; ``linked``: the receipt of what it takes back, if it does."""

    receipt: str
    amount_minor: int
    at: datetime
    linked: str | None


@dataclass(frozen=True, slots=True)
class NoMoney:
    """A line that moves nothing, such as one that failed."""

    why: str
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that is not understood."""

    why: str
    receipt: str | None = None


Line: TypeAlias = MoneyIn | MoneyOut | NoMoney | UnreadableLine


@dataclass(frozen=True, slots=True)
class Sheet:
    """A statement's text, how it is divided, where its columns are. ``first``: how many records precede the lines."""

    text: str
    delimiter: str
    first: int
    places: Mapping[str, int]

    def records(self) -> Iterator[list[str] | None]:
        """The records after the header, blank ones left out; None: one that is none."""
        for number, record in enumerate(_records(self.text, self.delimiter)):
            if number >= self.first and (record is None or any(cell.strip() for cell in record)):
                yield record


def sheet_of(body: bytes, columns: Columns) -> Sheet:
    """A file as text, and where its columns are. ``StatementUnreadable`` where no line has them."""
    text = _text(body)
    missing: Sequence[str] = columns.needed
    for delimiter in DELIMITERS:
        for number, record in enumerate(_records(text, delimiter)):
            if number >= HEADER_WITHIN:
                break
            places = {_plain(cell): place for place, cell in reversed(list(enumerate(record or [])))}
            absent = [name for name in columns.needed if _plain(name) not in places]
            if not absent:
                return Sheet(text, delimiter, number + 1, places)
            missing = min(missing, absent, key=len)
    raise StatementUnreadable(
        f"No line has all the columns that the mapping names; missing: {', '.join(missing)}.", missing=list(missing)
    )


def count(sheet: Sheet) -> int:
    """How many lines there are."""
    return sum(1 for _ in sheet.records())


def read(sheet: Sheet, columns: Columns, currency: str, record: list[str] | None) -> Line:
    """What a line says. ``currency``: the account's."""
    if record is None:
        return UnreadableLine("not divided into fields")

    def cell(name: str | None) -> str:
        place = sheet.places[_plain(name)] if name is not None else len(record)
        return record[place].strip() if place < len(record) else ""

    receipt = clean(cell(columns.receipt), 100)
    if not receipt:
        return UnreadableLine("no receipt")
    status = cell(columns.status)
    if columns.status is not None and status.casefold() not in {word.casefold() for word in columns.done}:
        return NoMoney(clean(f"status {status}") if status else "no status", receipt)
    try:
        came, went = (
            _amount(cell(columns.paid_in), columns, currency),
            _amount(cell(columns.withdrawn), columns, currency),
        )
        at = _moment(cell(columns.time), columns)
    except ValueError as error:
        return UnreadableLine(clean(str(error)), receipt)
    return _moved(receipt, came, went, at, cell(columns.account), cell(columns.linked), cell(columns.payer))


def not_ahead(line: Line, sent_at: datetime) -> Line:
    """The line; unreadable where its money moves more than a day after the statement came."""
    if isinstance(line, MoneyIn | MoneyOut) and line.at > sent_at + AHEAD:
        return UnreadableLine(f"{line.at:%Y-%m-%d} is in the future", line.receipt)
    return line


def _moved(receipt: str, came: int, went: int, at: datetime, account: str, linked: str, payer: str) -> Line:
    if came and went:
        return UnreadableLine("money in and out at once", receipt)
    if came < 0:
        return UnreadableLine("less than nothing came in", receipt)
    if came:
        return MoneyIn(receipt, came, at, clean(account) or None, clean(payer) or None)
    if went:  # some write it below zero
        return MoneyOut(receipt, abs(went), at, clean(linked, 100) or None)
    return NoMoney("no amount", receipt)


def _amount(text: str, columns: Columns, currency: str) -> int:
    """Minor units; 0 for an empty cell. ``ValueError`` for what is not written as the mapping says."""
    if not text:
        return 0
    whole, mark, rest = text.partition(columns.decimal_mark)
    if columns.thousands and columns.thousands in whole:
        if not re.fullmatch(_GROUPED.format(mark=re.escape(columns.thousands)), whole, re.ASCII):
            raise BadAmount(f"{text[:40]} is not in groups of three")
        whole = whole.replace(columns.thousands, "")
    try:
        return money.parse(f"{whole}.{rest}" if mark else whole, currency)
    except BadAmount as error:
        raise BadAmount(f"{text[:40]}: {error}") from error


def _moment(text: str, columns: Columns) -> datetime:
    """``ValueError`` for a time that is none."""
    zone = zone_named(columns.zone)
    for form in (*_TIMES[columns.order], *_TIMES["ymd"]):
        try:
            return datetime.strptime(text, form).replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo is not None else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:40]} is no time") from error


def _records(text: str, delimiter: str) -> Iterator[list[str] | None]:
    """Each record; None for one that the reader gives up (a quote that nobody closes)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None


def _text(body: bytes) -> str:
    """Files of spreadsheets: UTF-8 or UTF-16 by its mark, else what Windows writes."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
