"""What of a text is a person's: their name and addresses in the spellings in which others write them."""

from __future__ import annotations

import json
import re

import pytest

from waypost.erasure.domain import NOBODY, pattern_of

PHONE, EMAIL = "+263771000999", "chipo.dube@example.com"
PATTERN = pattern_of("Chipo O'Dube", [PHONE, EMAIL])


def without(text: str, pattern: str = PATTERN) -> str:
    return re.sub(pattern, "(erased)", text, flags=re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "Chipo O'Dube", "CHIPO O'DUBE", "Chipo  O'Dube", PHONE, "263771000999", "00263771000999", "%2B263771000999",
        "0771000999", EMAIL, "Chipo.Dube@Example.com", "chipo.dube%40example.com",
    ],
)  # fmt: skip
def test_every_usual_spelling_goes(text: str):
    assert without(f"ask {text}, please") == "ask (erased), please"
    assert without(text) == "(erased)"


@pytest.mark.parametrize(
    "text", ["Chipo", "Dube", "2637710009990", "1771000999", "xchipo.dube@example.com", "chipo.dube@example.community"]
)
def test_what_only_looks_like_it_stays(text: str):
    assert without(text) == text


def test_a_short_name_is_not_taken_out_of_words():
    assert without("Li limits the list for Li", pattern_of("Li", [])) == "(erased) limits the list for (erased)"


@pytest.mark.parametrize("name", ["nova", "bela", "u0041nna", "Ny Tana"])
def test_json_stays_json_whatever_the_name_begins_with(name: str):
    text = json.dumps({"note": f"first\n{name}\tlast\\{name} {name}", name: "x"}, ensure_ascii=False)
    json.loads(without(text, pattern_of(name, [])))


def test_of_nobody_nothing_is_taken():
    assert pattern_of(None, []) == pattern_of("(erased)", []) == NOBODY
    assert without("any\ntext $.", NOBODY) == "any\ntext $."
