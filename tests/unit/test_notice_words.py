"""Every kind of notice in every language: complete, exact, and never with a fact missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import jinja2
import pytest

from tests.laybys import OPENED, START, a_layby, a_payment, an_order, goods
from waypost.laybys import cancellation
from waypost.laybys import notices as layby_notices
from waypost.laybys.domain import CancelledBy, Status
from waypost.laybys.notices import Step
from waypost.notifications import alert_domain
from waypost.notifications.addresses import Contact, facts_of
from waypost.notifications.domain import Promise
from waypost.notifications.kinds import EVENTS, KINDS
from waypost.notifications.render import FILTERS, TEMPLATES, VERSION, Form, renderer
from waypost.notifications.words import checks
from waypost.notifications.words.gsm import in_gsm
from waypost.notifications.words.previews import asked_for, parts_for
from waypost.notifications.words.samples import MAY_LACK, SHARED, Sample, fields, sample, variants
from waypost.notifications.words.segments import Encoding, count
from waypost.payments import notices as payment_notices
from waypost.payments.domain import Method
from waypost.payments.notices import REASONS
from waypost.platform.printing import print_for

LANGUAGES = ("en", "es", "fr", "pt")
SHOP = facts_of(
    Contact("Chipo Dube", "Jacaranda Stores", shop_phone="+254 700 000 001", shop_address="12 Moi Avenue, Nairobi")
)
BARE = facts_of(Contact("Chipo Dube", "Jacaranda Stores"))
TODAY = date(2026, 12, 3)
RENDER = renderer()
LONGEST_PARTS = 4  # with the longest of everything at once


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
    assert text.template.startswith(f"{language}/{promise.kind}.txt@")
    assert text.subject.startswith("Jacaranda Stores")
    assert "Chipo Dube" in text.body
    assert text.body.endswith("12 Moi Avenue, Nairobi")
    assert_reads_well(text.subject, text.body)
    assert "<html" in text.html
    assert_reads_well(RENDER.render(promise.kind, language, {**promise.notice.facts, **SHOP}, Form.SMS).body)


def assert_reads_well(*texts: str) -> None:
    for text in texts:
        assert text
        assert "\n\n\n" not in text
        assert not re.search(
            r"Minor|(?<!/)\b[a-z]+_[a-z]|\{|\}|None|  | [.,]|[.,]{2}", text.replace("some_new_kind", "")
        )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_example_of_every_kind_reads_well_in_every_form_and_language(kind: str, language: str):
    for _, facts in variants(kind):
        for form in Form:
            text = RENDER.render(kind, language, facts, form)
            assert text.template.startswith(f"{language}/")
            assert_reads_well(*([text.body] if form is Form.SMS else [text.subject, text.body]))


def test_every_kind_has_words_in_every_language_and_a_builder_that_is_tested():
    assert {(kind, form): set(languages) for (kind, form), languages in RENDER.there.items()} == {
        (kind, form): set(LANGUAGES) for kind in KINDS for form in (Form.EMAIL, Form.SMS)
    }
    ours = ("trip_", "invoice_", "alert_", "export_", "provider_", "help_")
    assert {promise.kind for promise in PROMISES.values()} == {kind for kind in KINDS if not kind.startswith(ours)}
    assert not EVENTS & KINDS.keys()


@pytest.mark.parametrize("kind", sorted({promise.kind for promise in PROMISES.values()}))
def test_the_examples_hold_the_very_facts_that_the_builders_write(kind: str):
    (said,) = {frozenset(promise.notice.facts) for promise in PROMISES.values() if promise.kind == kind}
    assert said | SHARED.keys() == fields(kind).keys()
    assert sample(kind, Sample.BARE).keys() <= fields(kind).keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_template_asks_for_a_fact_that_its_kind_has_not(kind: str, language: str):
    for form in (Form.EMAIL, Form.SMS):
        name = f"{language}/{kind}.txt" if form is Form.EMAIL else f"{language}/{kind}.sms.txt"
        assert asked_for(RENDER.plain, TEMPLATES, name) <= fields(kind).keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_our_own_templates_are_such_as_an_organisation_may_begin_with(kind: str, language: str):
    for form in Form:
        subject, body = RENDER.source(kind, language, form)
        assert not [
            fault
            for part, text in (("subject", subject), ("body", body))
            for fault in checks.faults(RENDER.plain, kind, part, text, parts_for(RENDER, kind))
        ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_sms_has_two_parts_at_most_and_begins_with_who_tells(kind: str, language: str):
    for name, facts in variants(kind):
        text = RENDER.render(kind, language, facts, Form.SMS)
        segments = count(text.body)
        teller = facts.get("issuer") or facts["business"]
        assert text.body.startswith(teller)
        assert "\n" not in text.body
        if name == Sample.LONGEST:
            assert segments.parts <= LONGEST_PARTS
        else:
            assert segments.parts <= 2, (name, text.body)
        if language == "en":
            assert segments.encoding is Encoding.GSM7, text.body


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PROMISES)
def test_an_sms_about_a_real_notice_has_two_parts_at_most(name: str, language: str):
    promise = PROMISES[name]
    text = RENDER.render(promise.kind, language, {**promise.notice.facts, **SHOP}, Form.SMS)
    assert count(text.body).parts <= 2, text.body


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_push_has_the_subject_of_the_e_mail_and_the_words_of_the_sms_without_the_name_twice(language: str):
    facts = sample("payment_received", Sample.ORDINARY)
    push = RENDER.render("payment_received", language, facts, Form.PUSH)
    assert push.subject == RENDER.render("payment_received", language, facts).subject
    assert push.subject.startswith("Jacaranda Stores")
    assert not push.body.startswith("Jacaranda Stores")
    assert push.body[0].isupper()
    assert push.body[-20:] == RENDER.render("payment_received", language, facts, Form.SMS).body[-20:]
    assert (push.html, push.template) == ("", f"{language}/payment_received.sms.txt@{VERSION}")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_notice_of_an_older_version_lacks_is_empty(kind: str):
    facts = {name: value for name, value in fields(kind).items() if name not in MAY_LACK}
    for form in Form:
        RENDER.render(kind, "en", facts, form)


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


def test_filters_are_those_that_an_organisation_may_use():
    assert sorted(FILTERS) == ["date", "day", "money", "percent", "plural", "rows"]
    assert FILTERS.keys() <= checks.FILTERS


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_alert_has_a_sentence_of_its_own(language: str):
    known = {value for name, value in vars(alert_domain).items() if name.isupper() and isinstance(value, str)}
    assert len(known) > 10
    part = RENDER.plain.get_template(f"{language}/_alert.txt")
    said = {kind: part.render(alert=kind) for kind in known}
    assert len(set(said.values())) == len(known)
    assert not [kind for kind, text in said.items() if kind in text]
    assert "some_new_kind" in part.render(alert="some_new_kind")


def test_a_language_with_more_than_two_plurals_has_them_all():
    words = '{{ n | plural("dzień", "dnia", few="dni", many="dni ") }}'
    said = [RENDER.plain.from_string(words).render(n=n, _print=print_for("pl", "pl")) for n in ("1", "3", "5", "22")]
    assert said == ["dzień", "dni", "dni ", "dni"]


def test_spanish_and_portuguese_have_their_own_money_and_dates():
    facts = sample("payment_reminder", Sample.ORDINARY)
    said = {tag: RENDER.render("payment_reminder", tag, facts, Form.SMS).body for tag in ("es", "pt-MZ", "en", "en-ZA")}
    assert "250,00 KES" in said["es"]
    assert "6/12/2026" in said["es"]
    assert "06/12/2026" in said["pt-MZ"]
    assert "KES 250.00 for layby 7K3MQ96 (payment 1 of 3) is due on 6 Dec 2026." in said["en"]
    assert "KES 250,00" in said["en-ZA"]


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


def test_one_curly_quote_in_a_name_does_not_make_an_sms_of_three_parts():
    name = "Chipo\u2019s Corner"
    facts = {**PROMISES["received"].notice.facts, **SHOP, "business": name}
    sms = RENDER.render("payment_received", "en", facts, Form.SMS)
    assert sms.body.startswith("Chipo's Corner")
    assert in_gsm(sms.body)
    push = RENDER.render("payment_received", "en", facts, Form.PUSH)
    assert "Corner" not in push.body
    assert name in push.subject
