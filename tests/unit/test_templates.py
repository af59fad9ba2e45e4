"""An organisation's own words: what they may say, of how many parts they are, and when they are used."""

from __future__ import annotations

import pytest

from waypost.notifications.render import renderer
from waypost.notifications.words.checks import faults
from waypost.notifications.words.coverage import findings
from waypost.notifications.words.desk import Which
from waypost.notifications.words.domain import Form, OwnWords, TemplateNotFound
from waypost.notifications.words.gsm import downgrade, in_gsm, plain
from waypost.notifications.words.previews import parts_for, refused
from waypost.notifications.words.segments import Encoding, count
from waypost.notifications.words.service import nearest

RENDER = renderer()
OURS = ("en", "es", "fr", "pt")


def own(locale: str = "en", form: Form = Form.SMS, body: str = "{{ business }}", subject: str = "") -> OwnWords:
    return OwnWords("payment_received", form, locale, 1, subject, body)


def test_the_words_of_every_language_are_whole():
    assert findings(RENDER, 2) == []


@pytest.mark.parametrize(
    ("form", "body", "subject", "field", "detail"),
    [
        ("sms", "{{ business }} {{ amountMinr }}", "", "body", "near: amountMinor"),
        ("sms", "{{ business }} {{ amountMinor | mony }}", "", "body", "near: money"),
        ("sms", "{{ business }}\n{{ ", "", "body", "line 2"),
        ("sms", "{{ business.__class__ }}", "", "body", "not allowed"),
        ("sms", "{{ range(9) }}", "", "body", "not allowed"),
        ("sms", "{{ ''.join(name) }}", "", "body", "not allowed"),
        ("sms", "{{ 9 ** 9 }}", "", "body", "not allowed"),
        ("sms", "{{ name * 999 }}", "", "body", "not allowed"),
        ("sms", "{{ name[0] }}", "", "body", "not allowed"),
        ("sms", "{{ self }}", "", "body", "no field"),
        ("sms", "{% set a = 1 %}", "", "body", "not allowed"),
        ("sms", "{% macro a() %}{% endmacro %}", "", "body", "not allowed"),
        ("sms", "{% for a in name %}{{ a }}{% endfor %}", "", "body", "as in: for row in"),
        ("sms", "{% include 'en/_working.txt' %}", "", "body", "no part"),
        ("sms", "{% include '../layout.html' %}", "", "body", "no part"),
        ("sms", "{% extends name %}", "", "body", "not allowed"),
        ("sms", "{{ business | money(currency) }}", "", "body", "with the example ordinary"),
        ("sms", "{{ amountMinor | plural }}", "", "body", "with the example ordinary"),
        ("sms", "{% if reference == 'x' %}a{% endif %}", "", "body", "is empty"),
        ("sms", "{{ business }}" * 70, "", "body", "more than 1600 letters"),
        ("sms", "x" * 20_001, "", "body", "too long"),
        ("sms", "{{ business }}", "Hello", "subject", "has none"),
        ("email", "{{ business }}", "", "subject", "must not be empty"),
        ("email", "{{ business }}", "{{ busines }}", "subject", "near: business"),
        ("push", "{{ business }}", "{% if reference == 'x' %}a{% endif %}", "subject", "is empty"),
    ],
    ids=range(25),
)
def test_words_that_cannot_be_said_are_refused_with_what_is_wrong(
    form: str, body: str, subject: str, field: str, detail: str
):
    (error, *_) = refused(RENDER, own("en", Form(form), body, subject))
    assert error["field"] == field
    assert detail in error["detail"]


def test_words_that_can_be_said_are_not_refused():
    body = (
        "{{ business | upper }}: {% if creditMinor != '0' and not (balanceMinor == '0') %}{{ name }}{% endif %}"
        "{% include 'en/_next.sms.txt' %} {{ 'a' if receipt else 'b' }}"
    )
    assert refused(RENDER, own(body=body)) == []


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("{% for a in schedule | rows %}{{ a.date }}{% endfor %}" * 21, "more than 20 lists"),
        ("{% for a in schedule | rows %}{% for b in schedule | rows %}x{% endfor %}{% endfor %}", "too deep"),
        ("{% for a in schedule | rows %}{{ a.__class__ }}{% endfor %}", "not allowed"),
        ("{{" + "(" * 4000, "body"),
    ],
    ids=["many", "nested", "hidden", "brackets"],
)
def test_a_template_may_not_take_long_or_look_inside(body: str, wrong: str):
    found = faults(RENDER.plain, "layby_extended", "body", body, parts_for(RENDER, "layby_extended"))
    assert [fault for fault in found if wrong in f"{fault.part} {fault.detail}"]


@pytest.mark.parametrize(
    ("mine", "asked", "used"),
    [
        (["en"], "en-ZA", "en"),
        (["sn"], "sn-ZW", "sn"),
        (["sn"], "en", None),
        (["en"], "sn-ZW", "en"),
        (["en"], "fr-CD", None),
        (["fr"], "fr-CD", "fr"),
        (["fr-CD"], "FR_cd", "fr-CD"),
        (["fr-CD"], "fr-SN", None),
        (["fr-CD", "fr"], "fr-SN", "fr"),
        (["pt"], "", None),
        ([], "en", None),
    ],
)
def test_a_notice_is_told_in_the_nearest_language_and_there_in_ones_own_words(
    mine: list[str], asked: str, used: str | None
):
    found = nearest(asked, [own(locale) for locale in mine], OURS)
    assert (found.locale if found else None) == used


@pytest.mark.parametrize(
    ("given", "kept"), [("FR-cd", "fr-CD"), ("en", "en"), ("ZH-hant-tw", "zh-Hant-TW"), ("es-419", "es-419")]
)
def test_a_language_is_kept_as_it_is_usually_written(given: str, kept: str):
    assert Which.of("trip_near", "sms", given).locale == kept


@pytest.mark.parametrize("locale", ["", "e", "en-", "../en", "en_US", "english-language"])
def test_what_is_no_language_has_no_words(locale: str):
    with pytest.raises(TemplateNotFound):
        Which.of("trip_near", "sms", locale)


@pytest.mark.parametrize(
    ("text", "encoding", "parts", "units"),
    [
        ("", "gsm7", 1, 0),
        ("a" * 160, "gsm7", 1, 160),
        ("a" * 161, "gsm7", 2, 161),
        ("a" * 306, "gsm7", 2, 306),
        ("a" * 307, "gsm7", 3, 307),
        ("€" * 80, "gsm7", 1, 160),
        ("€" * 81, "gsm7", 2, 162),
        ("€" * 153, "gsm7", 3, 306),
        ("a" * 152 + "€" + "a" * 151, "gsm7", 2, 305),
        ("a" * 152 + "€" + "a" * 152, "gsm7", 3, 306),
        ("ç" * 70, "ucs2", 1, 70),
        ("ç" * 71, "ucs2", 2, 71),
        ("😀" * 35, "ucs2", 1, 70),
        ("😀" * 36, "ucs2", 2, 72),
        ("😀" * 66, "ucs2", 2, 132),
        ("😀" * 67, "ucs2", 3, 134),
    ],
    ids=range(16),
)
def test_parts_are_counted_by_packing(text: str, encoding: str, parts: int, units: int):
    counted = count(text)
    assert (counted.encoding, counted.parts, counted.units) == (Encoding(encoding), parts, units)
    assert counted.units <= counted.room


def test_one_curly_quote_is_swapped_and_keeps_a_message_in_one_part():
    text = "It’s " + "a" * 150
    assert (count(text).parts, count(downgrade(text)).parts) == (3, 1)
    assert downgrade("“a” – b… «c»\u00a0d") == '"a" - b... "c" d'


def test_what_has_no_twin_stays_and_accents_go_only_where_that_is_asked_for():
    assert downgrade("ação 😀 é") == "ação 😀 é"
    assert plain("ação 😀 é œuvre Łódź") == "acao 😀 é oeuvre Lodz"
    assert in_gsm("é à ñ Ç € [ü]")
    assert not in_gsm("ç")
