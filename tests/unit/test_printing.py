"""Money, dates and counts in the reader's language."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.kernel.money import PLACES, parse
from waypost.platform.printing import chain, language_for, print_for

DAY = date(2026, 12, 5)


@pytest.mark.parametrize(
    ("tag", "minor", "currency", "said"),
    [
        ("en", 125_050, "KES", "KES 1,250.50"),
        ("en", -125_050, "KES", "-KES 1,250.50"),
        ("en", 0, "USD", "USD 0.00"),
        ("en", 1_250, "RWF", "RWF 1,250"),
        ("en", 1_250, "TND", "TND 1.250"),
        ("en-ZA", 125_050, "ZAR", "ZAR 1 250,50"),
        ("fr", 125_050, "KES", "1 250,50 KES"),
        ("fr-CD", -7, "USD", "-0,07 USD"),
        ("fr", 1_250, "XAF", "1 250 XAF"),
        ("sn-ZW", 100, "ZWG", "ZWG 1.00"),
    ],
)
def test_money_has_its_code_and_all_its_places(tag: str, minor: int, currency: str, said: str):
    how = print_for(tag, language_for(tag, ("en", "fr")))
    assert how.money(minor, currency).replace("\u00a0", " ").replace("\u202f", " ") == said


@given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(PLACES)), st.sampled_from(["en", "fr", "en-ZA", "fr-CH"]))
def test_printed_money_is_the_amount_to_the_minor_unit(minor: int, currency: str, tag: str):
    said = print_for(tag, tag[:2]).number(minor, currency)
    digits = "".join(each for each in said if each.isdigit())
    plain = digits if not PLACES[currency] else f"{digits[: -PLACES[currency]]}.{digits[-PLACES[currency] :]}"
    assert parse(f"-{plain}" if said.startswith("-") else plain, currency) == minor


@pytest.mark.parametrize(
    ("tag", "said", "short"),
    [
        ("en", "5 December 2026", "5 Dec 2026"),
        ("en-US", "December 5, 2026", "5 Dec 2026"),
        ("fr", "5 décembre 2026", "5 déc. 2026"),
        (None, "5 December 2026", "5 Dec 2026"),
    ],
)
def test_dates_are_written_out(tag: str | None, said: str, short: str):
    how = print_for(tag, language_for(tag, ("en", "fr")))
    assert how.day(DAY) == said
    assert how.short_day(DAY).replace("\u00a0", " ") == short


def test_a_moment_is_that_of_the_shop():
    at = datetime(2026, 12, 5, 22, 30, tzinfo=UTC)
    assert print_for("en", "en").moment(at, "Africa/Harare") == "6 December 2026, 00:30"
    assert print_for("fr", "fr").day_there(at, "Africa/Harare") == date(2026, 12, 6)


def test_nought_is_one_in_french_and_many_in_english():
    assert [print_for("fr", "fr").plural(n, "jour", "jours") for n in (0, 1, 2)] == ["jour", "jour", "jours"]
    assert [print_for("en", "en").plural(n, "day", "days") for n in (0, 1, 2)] == ["days", "day", "days"]


def test_a_percentage_has_no_more_places_than_it_needs():
    assert [print_for("en", "en").percent(bp) for bp in (1000, 150, 1, 0)] == ["10%", "1.5%", "0.01%", "0%"]
    assert print_for("fr", "fr").percent(150) == "1,5\u00a0%"


def test_countries_have_names_of_the_language():
    assert (print_for("fr", "fr").country("ZA"), print_for("en", "en").country("ZA")) == (
        "Afrique du Sud",
        "South Africa",
    )
    assert print_for("en", "en").country("NOWHERE") == "NOWHERE"


@pytest.mark.parametrize(
    ("tag", "tags"),
    [
        ("fr-CD", ["fr-CD", "fr", "en"]),
        ("FR_cd", ["fr-cd", "fr", "en"]),
        ("zh-Hant-TW", ["zh-Hant-TW", "zh-Hant", "zh", "en"]),
        ("en-GB", ["en-GB", "en"]),
        ("", ["en"]),
        (None, ["en"]),
    ],
)
def test_a_language_falls_back_step_by_step_to_english(tag: str | None, tags: list[str]):
    assert chain(tag) == tags


@given(st.text(max_size=40))
def test_whatever_stands_for_a_language_something_is_printed(tag: str):
    how = print_for(tag, language_for(tag, ("en", "fr")))
    assert how.language in {"en", "fr"}
    assert "2026" in how.day(DAY)


@pytest.mark.parametrize(
    ("tag", "said"),
    [("en", "6 Dec 2026"), ("en-US", "6 Dec 2026"), ("fr", "06/12/2026"), ("es", "6/12/2026"), ("pt", "06/12/2026")],
)
def test_a_day_in_figures_is_written_only_where_it_can_be_read_in_one_way(tag: str, said: str):
    assert print_for(tag, tag[:2]).brief_day(date(2026, 12, 6)) == said
