"""Money: minor units, in and out, in currencies of 0, 2 and 3 decimal places."""

from __future__ import annotations

from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.kernel.money import (
    LARGEST_MINOR,
    PLACES,
    BadAmount,
    CurrencyMismatch,
    Money,
    parse,
    percent,
    places,
    plain_text,
)

CURRENCIES = st.sampled_from(["JPY", "UGX", "KES", "USD", "ZAR", "KWD", "BHD"])
AMOUNTS = st.integers(-LARGEST_MINOR, LARGEST_MINOR)


@pytest.mark.parametrize(
    ("minor", "basis_points", "share"),
    [
        (10_000, 2_000, 2_000),
        (1, 5_000, 1),  # 0.5 is rounded up
        (1, 4_999, 0),
        (3, 5_000, 2),  # 1.5
        (199, 1_000, 20),  # 19.9
        (194, 1_000, 19),  # 19.4
        (195, 1_000, 20),  # 19.5, where half to even would say 20 too
        (205, 1_000, 21),  # 20.5, where half to even would say 20
        (12_345, 150, 185),  # 1.5 % of 123.45 is 1.85175
        (0, 10_000, 0),
        (-205, 1_000, -21),  # away from zero
        (10**15, 10_000, 10**15),
    ],
)
def test_a_percentage_rounds_half_up_to_the_minor_unit(minor: int, basis_points: int, share: int):
    assert percent(minor, basis_points) == share


@given(AMOUNTS, st.integers(0, 100_000))
def test_a_percentage_is_what_exact_decimals_say(minor: int, basis_points: int):
    exact = Decimal(minor) * basis_points / 10_000
    assert percent(minor, basis_points) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "JPY", "0"),
        (1_500, "JPY", "1500"),
        (-7, "UGX", "-7"),
        (0, "USD", "0.00"),
        (5, "USD", "0.05"),
        (123_450, "KES", "1234.50"),
        (-5, "ZAR", "-0.05"),
        (-123_450, "KES", "-1234.50"),
        (1, "KWD", "0.001"),
        (1_234_567, "BHD", "1234.567"),
        (-1_000, "TND", "-1.000"),
    ],
)
def test_plain_text_has_the_places_of_its_currency(minor: int, currency: str, text: str):
    assert plain_text(minor, currency) == text
    assert parse(text, currency) == minor


@given(AMOUNTS, CURRENCIES)
def test_what_is_printed_is_read_back(minor: int, currency: str):
    text = plain_text(minor, currency)
    assert parse(text, currency) == minor
    assert parse(Decimal(text), currency) == minor
    assert len(text.partition(".")[2]) == places(currency)


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("250", "KES", 25_000),
        ("250.5", "KES", 25_050),
        ("250.50", "KES", 25_050),
        ("250.500", "KES", 25_050),  # not finer than a cent: zeros say nothing
        (" 1 ", "KES", 100),
        ("007", "JPY", 7),
        ("12.0", "JPY", 12),
        ("0.125", "KWD", 125),
        (250, "KES", 25_000),
        (Decimal("1E+2"), "USD", 10_000),  # a JSON number, read exactly
        (Decimal("10.00"), "USD", 1_000),
        ("-3.20", "USD", -320),
    ],
    ids=str,
)
def test_an_amount_is_a_plain_number_or_decimal_text(value: Decimal | int | str, currency: str, minor: int):
    assert parse(value, currency) == minor


BAD = [
    "", " ", ".", ".5", "5.", "+5", "--5", "1,000", "1 000", "1e3", "0x10", "NaN", "Infinity", "-", "٣", "1_000",
    "1\x00", "1.2.3", "9" * 41, "10.001", "10000000000000000",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_anything_else_is_no_amount(text: str):
    with pytest.raises(BadAmount):
        parse(text, "KES")


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        (True, "KES"),
        (Decimal("NaN"), "KES"),
        (Decimal("Infinity"), "KES"),
        (Decimal("-Infinity"), "KES"),
        (Decimal("1E+400"), "KES"),
        (Decimal("1E-400"), "KES"),
        (Decimal("0.001"), "KES"),
        (Decimal("0.5"), "JPY"),
        (Decimal("10." + "0" * 60 + "1"), "KES"),  # more digits than decimals reckon with by default
        ("10." + "0" * 36 + "1", "KES"),
        ("0.0001", "KWD"),
        (LARGEST_MINOR + 1, "JPY"),
    ],
    ids=str,
)
def test_a_number_that_is_no_amount_of_the_currency_is_refused(value: Decimal | int | str, currency: str):
    with pytest.raises(BadAmount):
        parse(value, currency)


@given(st.text(max_size=50))
def test_no_text_makes_reading_fail_in_another_way(text: str):
    with suppress(BadAmount):
        assert isinstance(parse(text, "USD"), int)


@given(st.decimals(), CURRENCIES)
def test_a_number_is_read_exactly_or_refused(value: Decimal, currency: str):
    try:
        minor = parse(value, currency)
    except BadAmount:
        return
    assert Decimal(minor).scaleb(-places(currency)) == value


def test_two_currencies_are_never_added():
    with pytest.raises(CurrencyMismatch):
        Money(1, "USD") + Money(1, "KES")
    with pytest.raises(CurrencyMismatch):
        Money(1, "USD") - Money(1, "KES")
    assert Money(3, "USD") + Money(4, "USD") - Money(10, "USD") == -Money(3, "USD")
    assert str(Money(-3, "KWD")) == "-0.003 KWD"


@pytest.mark.parametrize("code", ["", "usd", "US", "XXX", "EURO", "BTC"])
def test_an_unknown_currency_is_refused(code: str):
    with pytest.raises(ValueError, match="no such currency"):
        places(code)


def test_every_currency_has_a_code_of_three_letters_and_0_2_or_3_places():
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in PLACES)
    assert set(PLACES.values()) == {0, 2, 3}
