"""A provider's JSON: what is refused, and how values are read without a guess."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from waypost.kernel.money import BadAmount
from waypost.payments.providers.daraja import EAST_AFRICA
from waypost.payments.providers.json_reading import amount_of, code_of, moment_of, name_of, named_values, text_of
from waypost.payments.providers.strict_json import NotStrict, clean, read_object

REFUSED = {
    "nothing": b"",
    "no JSON": b"<xml/>",
    "cut off": b'{"a": 1',
    "no object": b"[1]",
    "a bare text": b'"paid"',
    "null": b"null",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "deep lists": b"[" * 30_000,
    "deep objects": b'{"a":' * 10_000,
    "deep inside": b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a key twice": b'{"Amount": 1, "Amount": 2}',
    "a key twice, inside": b'{"a": [{"b": 1, "b": 1}]}',
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "thousands of digits": b'{"a": ' + b"9" * 5000 + b"}",
    "an endless exponent": b'{"a": 1e9999999999999999999}',
    "something after it": b"{} {}",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_no_plain_object_is_refused_in_words(body: bytes):
    with pytest.raises(NotStrict):
        read_object(body)


def test_an_object_is_read_with_exact_numbers():
    assert read_object(b'\xef\xbb\xbf{"a": 1.10, "b": 1e2, "c": 7, "d": null}') == {
        "a": Decimal("1.10"), "b": Decimal(100), "c": 7, "d": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "minor"),
    [(1, 100), (Decimal("1.00"), 100), ("1", 100), ("1.00", 100), (" 10.5 ", 1050), (Decimal("1E+2"), 10_000)],
    ids=str,
)
def test_an_amount_is_a_number_or_plain_text(value: object, minor: int):
    assert amount_of(value, "KES") == minor


WRONG = {
    "true": True,
    "false": False,
    "nothing": None,
    "no amount": 0,
    "negative": -5,
    "negative text": "-5",
    "too fine": Decimal("1.001"),
    "too fine text": "1.001",
    "1e400": Decimal("1e400"),
    "huge": 10**30,
    "exponent in text": "1e2",
    "thousands' mark": "1,000",
    "a sign": "+5",
    "other digits": "١٢",
    "a currency": "KES 10",
    "empty": "",
    "NaN": "NaN",
    "a list": [1],
    "an object": {"Amount": 1},
}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_what_is_no_positive_amount_is_never_guessed(value: object):
    with pytest.raises(BadAmount):
        amount_of(value, "KES")


@pytest.mark.parametrize("value", [0, "0", " 0 ", Decimal("0.0"), "000", Decimal("0E+5")], ids=repr)
def test_the_code_of_success_is_one_however_it_is_written(value: object):
    assert code_of(value) == "0"


@pytest.mark.parametrize(
    ("value", "code"),
    [(1032, "1032"), ("SFC_IC0003", "SFC_IC0003"), (True, None), (None, None), ("", None), (Decimal("1e99"), None)],
    ids=str,
)
def test_other_codes_are_kept_as_text(value: object, code: str | None):
    assert code_of(value) == code


def test_text_that_leaves_the_raw_row_can_be_stored():
    assert text_of("a\0b\ud800c", 200) == "a\ufffdb?c"
    assert text_of(254708374149) == "254708374149"
    assert text_of("x" * 500, 10) == "x" * 10
    assert (text_of("  "), text_of(True), text_of([1]), text_of(10**30)) == (None, None, None, None)
    clean("\0\udfff").encode()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("NLJ7RT61SV", "NLJ7RT61SV"),
        (" NLJ7RT61SV ", "NLJ7RT61SV"),
        (12345, "12345"),
        ("NLJ 7RT", None),
        ("NLJ\0", None),
        ("NLJ\ud800", None),
        ("é", None),
        ("N" * 65, None),
        ("", None),
        (None, None),
    ],
    ids=repr,
)
def test_a_receipt_is_visible_ascii_and_never_cut(value: object, name: str | None):
    assert name_of(value) == name


@pytest.mark.parametrize("value", ["20261122091500", 20261122091500, Decimal("20261122091500")], ids=repr)
def test_a_moment_is_east_african_time(value: object):
    assert moment_of(value, EAST_AFRICA) == datetime(2026, 11, 22, 6, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["", "2026", "20261322091500", "20260230091500", "00011122091500", None, True], ids=repr
)
def test_what_is_no_moment_is_none(value: object):
    assert moment_of(value, EAST_AFRICA) is None


def test_items_are_found_by_name_in_whatever_order_and_one_without_a_value_has_none():
    items = [{"Name": "B"}, {"Name": "A", "Value": 1}, "odd", {"Value": 2}, {"Name": 7, "Value": 3}]
    assert named_values(items, "Name", "Value") == {"B": None, "A": 1, "7": 3}
    assert named_values({"Name": "A", "Value": 1}, "Name", "Value") == {"A": 1}


def test_items_that_contradict_each_other_are_none():
    twice = [{"Name": "A", "Value": 1}, {"Name": "A", "Value": 2}]
    assert named_values(twice, "Name", "Value") is None
    assert named_values([twice[0], twice[0]], "Name", "Value") == {"A": 1}
    assert named_values("text", "Name", "Value") is None
