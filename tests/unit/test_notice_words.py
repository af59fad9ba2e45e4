"""Every kind of notice in every language: complete, exact, and never with a fact missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import jinja2
import jinja2.meta
import pytest

from tests.laybys import OPENED, START, a_layby, a_payment, an_order, goods
from waypost.laybys import cancellation
from waypost.laybys import notices as layby_notices
from waypost.laybys.domain import CancelledBy, Status
from waypost.laybys.notices import Step
from waypost.notifications.addresses import Contact, facts_of
from waypost.notifications.domain import Promise
from waypost.notifications.kinds import EVENTS, KINDS
from waypost.notifications.render import FILTERS, TEMPLATES, renderer
from waypost.payments import notices as payment_notices
from waypost.payments.domain import Method
from waypost.payments.notices import REASONS

LANGUAGES = ("en", "fr")
SHOP = facts_of(
    Contact("Chipo Dube", "Jacaranda Stores", shop_phone="+254 700 000 001", shop_address="12 Moi Avenue, Nairobi")
)
BARE = facts_of(Contact("Chipo Dube", "Jacaranda Stores"))
TODAY = date(2026, 12, 3)
RENDER = renderer()


def step(name: str = "before_3") -> Step:
    return Step(name, OPENED + timedelta(days=2))


def cancelled(by: CancelledBy, place: str = "KE", exemption: str | None = None) -> Promise:
    layby = a_layby(place=place)
    working = cancellation.work_out(layby, by, TODAY, exemption)
    return layby_notices.cancelled(replace(layby, status=Status.CANCELLED, cancelled_by=by), working)


def promises() -> Iterator[tuple[str, Promise]]:
    """Each builder, in each of its forms."""
    layby, payment = a_layby(), a_payment()
    first = layby.instalments[0]
    for place in ("KE", "ZA", "AU", "NONE"):
        yield f"created-{place}", layby_notices.created(a_layby(place=place), goods(), "R-1")
    paid_off = a_layby(paid_minor=100_000, status=Status.COMPLETED, collect_by=START + timedelta(days=14))
    yield "created-paid-off", layby_notices.created(paid_off, goods(), "R-1")
    yield "completed", layby_notices.completed(paid_off, an_order())
    yield "collection", layby_notices.collection_reminder(paid_off, "L-000017", step("collect_7"))
    yield "on-hold", layby_notices.on_hold(replace(layby, status=Status.ON_HOLD))
    yield "reactivated", layby_notices.reactivated(layby)
    yield "extended", layby_notices.extended(layby)
    yield "reinstated", layby_notices.reinstated(layby)
    for days, part in ((3, 0), (1, 0), (0, 0), (3, 10_000)):
        asked = a_layby(paid_minor=25_000 + part)
        at = first.due_date - timedelta(days=days)
        yield f"reminder-{days}-{part}", layby_notices.reminder(asked, first, at, step())
    for fee in (0, 500):
        late = replace(first, late_fee_minor=fee)
        yield (
            f"overdue-{fee}",
            layby_notices.overdue(layby, late, first.due_date + timedelta(days=7), step("overdue_7")),
        )
    yield "late-fee", layby_notices.late_fee(layby, replace(first, late_fee_minor=500))
    yield "final", layby_notices.completion_reminder(layby, step("final_7"))
    for missed, until in ((1, START), (2, START), (2, None), (0, START)):
        stopped = replace(layby, status=Status.DEFAULTED, reinstate_until=until)
        yield f"defaulted-{missed}-{until}", layby_notices.defaulted(stopped, missed)
    for by in CancelledBy:
        yield f"cancelled-{by}", cancelled(by)
    yield "cancelled-ZA", cancelled(CancelledBy.CUSTOMER, "ZA")
    yield "cancelled-ZA-death", cancelled(CancelledBy.CUSTOMER, "ZA", "death")
    yield "cancelled-AU", cancelled(CancelledBy.CUSTOMER, "AU")
    yield "received", payment_notices.received(layby, payment)
    over = a_payment(30_000, applied_minor=25_000, credit_minor=5_000)
    yield "received-over", payment_notices.received(paid_off, over)
    for status in Status:
        kept = a_payment(applied_minor=0, credit_minor=25_000)
        yield f"credit-{status}", payment_notices.kept_as_credit(replace(layby, status=status), kept)
    for reason in REASONS:
        yield f"failed-{reason}", payment_notices.failed(layby, UUID(int=8), 25_000, reason)
    for method in Method:
        back = a_payment(-5_000, method=method)
        yield f"refund-{method}", payment_notices.refund_issued(layby, back)
    yield "refund-of-credit", payment_notices.refund_issued(None, a_payment(-5_000, layby_id=None))
    yield "reversed", payment_notices.reversed_(layby, a_payment(-25_000), "NLJ7RT61SV")
    yield "reversed-credit", payment_notices.reversed_(None, a_payment(-25_000, layby_id=None), "NLJ7RT61SV")


PROMISES = dict(promises())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PROMISES)
def test_every_notice_has_words_in_every_language(name: str, language: str):
    promise = PROMISES[name]
    text = RENDER.render(promise.kind, language, {**promise.notice.facts, **SHOP})
    assert text.template.startswith(f"{promise.kind}/{language}.txt@")
    assert text.subject.startswith("Jacaranda Stores")
    assert "Chipo Dube" in text.body
    assert text.body.endswith("12 Moi Avenue, Nairobi")
    assert "\n\n\n" not in text.body
    assert text.body.count("\n\n") == text.html.count("<p>") - 1
    assert not re.search(r"Minor|[a-z]_[a-z]|\{|\}|None|  ", text.subject + text.body)


def test_every_kind_has_words_in_every_language_and_a_builder_that_is_tested():
    assert {f"{kind}/{language}" for kind in KINDS for language in RENDER.languages(kind)} == {
        f"{kind}/{language}" for kind in KINDS for language in LANGUAGES
    }
    assert {promise.kind for promise in PROMISES.values()} == {k for k in KINDS if not k.startswith("trip_")}
    assert not EVENTS & KINDS.keys()


def facts_asked_for(name: str) -> set[str]:
    """What every path through a template may ask for."""
    environment = RENDER.plain
    tree = environment.parse((TEMPLATES / name).read_text())
    asked = set(jinja2.meta.find_undeclared_variables(tree))
    included = [ref for ref in jinja2.meta.find_referenced_templates(tree) if ref]
    return asked.union(*(facts_asked_for(ref) for ref in included)) - {"language"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PROMISES)
def test_every_fact_that_a_template_may_ask_for_is_there(name: str, language: str):
    promise = PROMISES[name]
    known = {**promise.notice.facts, **SHOP}.keys()
    assert facts_asked_for(f"{promise.kind}/{language}.txt") <= known


@pytest.mark.parametrize("kind", sorted({promise.kind for promise in PROMISES.values()}))
@pytest.mark.parametrize("absent", ["name", "reference"])
def test_a_missing_fact_is_an_error_and_not_an_empty_place(kind: str, absent: str):
    promise = next(promise for promise in PROMISES.values() if promise.kind == kind)
    facts = {**promise.notice.facts, **SHOP}
    del facts[absent]
    with pytest.raises(jinja2.TemplateError):
        RENDER.render(kind, "en", facts)


@pytest.mark.parametrize("value", ["", "12.5", "KES"])
def test_a_fact_that_a_filter_cannot_use_is_an_error_of_that_notice(value: str):
    facts = {**PROMISES["received"].notice.facts, **SHOP, "amountMinor": value}
    with pytest.raises(jinja2.TemplateError):
        RENDER.render("payment_received", "en", facts)


def words(name: str, language: str = "en") -> str:
    text = RENDER.render(PROMISES[name].kind, language, {**PROMISES[name].notice.facts, **SHOP})
    return f"{text.subject}\n{text.body}".replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("created-KE", ["2 × Blue dress", "KES 700.00", "KES 1,000.00", "KES 250.00 (receipt R-1)", "7K3MQ96",
                        "6 December 2026: KES 250.00", "3 January 2027", "We keep 10% of what you have paid"]),
        ("created-ZA", ["never keep more than 1% of the price of the goods, KES 10.00", "hospital"]),
        ("received", ["KES 250.00", "NLJ7RT61SV", "Left to pay: KES 750.00", "KES 250.00 by 6 December 2026"]),
        ("received-over", ["Nothing is left to pay", "KES 50.00 was more than you owed"]),
        ("reminder-3-0", ["on 6 December 2026", "in 3 days", "KES 250.00"]),
        ("reminder-1-0", ["is due tomorrow"]),
        ("reminder-0-0", ["is due today"]),
        ("reminder-3-10000", ["Of payment 1 of 3", "KES 150.00 is still open"]),
        ("overdue-500", ["7 days ago", "late fee of KES 5.00", "+254 700 000 001"]),
        ("late-fee", ["late fee of KES 5.00", "Left to pay in all: KES 750.00"]),
        ("final", ["3 January 2027", "KES 750.00"]),
        ("completed", ["L-000017", "6 December 2026", "12 Moi Avenue, Nairobi", "identity document"]),
        ("defaulted-1-2026-11-22", ["1 payment was missed", "by 22 November 2026"]),
        ("defaulted-2-2026-11-22", ["2 payments were missed"]),
        ("cancelled-customer", ["pay back KES 225.00", "10% of what you had paid: KES 25.00", "Fee: KES 25.00"]),
        ("cancelled-ZA", ["no more than 1% of the price of the goods (KES 1,000.00): KES 10.00"]),
        ("cancelled-goods_gone", ["pay back KES 250.00", "cannot supply the goods"]),
        ("refund-mobile", ["KES 50.00", "by mobile money", "NLJ7RT61SV"]),
        ("reversed", ["KES 250.00", "NLJ7RT61SV", "Left to pay: KES 750.00"]),
        ("credit-cancelled", ["is cancelled", "We hold it for you as credit", "will call you"]),
        ("failed-no_funds", ["not enough money"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_notice_says_what_it_must(name: str, said: list[str]):
    text = words(name)
    assert [part for part in said if part not in text] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("created-KE", ["2 × Blue dress : 700,00 KES", "1 000,00 KES", "6 décembre 2026", "Nous gardons 10 %"]),
        ("reminder-3-0", ["dans 3 jours", "250,00 KES"]),
        ("defaulted-1-2026-11-22", ["1 paiement a manqué"]),
        ("defaulted-2-2026-11-22", ["2 paiements ont manqué"]),
        ("cancelled-customer", ["Nous vous remboursons 225,00 KES"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_french_has_its_own_money_dates_and_plurals(name: str, said: list[str]):
    text = words(name, "fr")
    assert [part for part in said if part not in text] == []


@pytest.mark.parametrize(
    ("locale", "template"),
    [("fr-CD", "fr"), ("FR_cd", "fr"), ("sn-ZW", "en"), ("", "en"), ("!", "en"), ("en-US", "en")],
)
def test_a_customer_is_told_in_the_nearest_language_that_there_are_words_in(locale: str, template: str):
    facts = {**PROMISES["received"].notice.facts, **SHOP}
    assert RENDER.render("payment_received", locale, facts).template.startswith(f"{template}/payment_received.txt")


def test_a_name_can_neither_begin_a_line_nor_be_a_template_or_markup():
    evil = "{{ 7 * 7 }}\r\nKES 0.00 is owed <script>alert(1)</script>"
    text = RENDER.render("layby_on_hold", "en", {**PROMISES["on-hold"].notice.facts, **SHOP, "name": evil})
    (greeting,) = [line for line in text.body.splitlines() if "7 * 7" in line]
    assert greeting == "Hello {{ 7 * 7 }} KES 0.00 is owed <script>alert(1)</script>,"
    assert "<script>" not in text.html
    assert "&lt;script&gt;" in text.html


def test_a_shop_without_telephone_and_address_signs_with_its_name():
    text = RENDER.render("layby_on_hold", "en", {**PROMISES["on-hold"].notice.facts, **BARE})
    assert text.body.endswith("\n\nJacaranda Stores")


def test_filters_are_the_five_that_templates_know():
    assert sorted(FILTERS) == ["day", "money", "percent", "plural", "rows"]


def test_an_address_of_several_lines_is_said_in_one_and_goods_are_fetched_where_they_are():
    contact = Contact("Chipo", "Jacaranda", shop_address="12 Moi Avenue\n\n Nairobi ", collection_place="Depot 4")
    assert facts_of(contact) == {
        "name": "Chipo",
        "business": "Jacaranda",
        "shopPhone": "",
        "shopAddress": "12 Moi Avenue, Nairobi",
        "collectAt": "Depot 4",
    }
    assert set(facts_of(None).values()) == {""}
    assert facts_of(None).keys() == facts_of(contact).keys()
