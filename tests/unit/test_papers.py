"""Papers: what they say, that their sums agree, and that no text of theirs is ever markup."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import msgspec
import pytest

from tests.laybys import OPENED, START, a_layby, a_payment
from tests.papers import (
    PAPERS,
    PARTIES,
    SELLING,
    ZONE,
    a_layby_with_a_past,
    a_receipt,
    a_statement,
    an_agreement,
    an_invoice,
    rows,
)
from tests.waiting import until
from waypost.identity.letterhead import letterhead
from waypost.invoices.domain import Kind as InvoiceKind
from waypost.invoices.domain import Status as InvoiceStatus
from waypost.invoices.paper_words import LANGUAGES as INVOICE_LANGUAGES
from waypost.laybys.documents.movements import Booked, LineKind, account_of, expected_balance
from waypost.laybys.documents.statement import Statement, csv_of, paper_of
from waypost.laybys.documents.words import LANGUAGES
from waypost.laybys.domain import CancelledBy, Item, Rhythm, Status
from waypost.laybys.jurisdictions import JURISDICTIONS
from waypost.laybys.rules import TRADES, RefundPolicy
from waypost.payments.domain import Kind, Method
from waypost.payments.receipt_words import LANGUAGES as RECEIPT_LANGUAGES
from waypost.platform.papers.model import Paper, Table, Text
from waypost.platform.papers.page import PLAIN_COLOUR, page_of
from waypost.platform.papers.pen import pen_for
from waypost.platform.papers.press import Press, PressBusy, breakable, pdf_of

EVIL = '<script>alert("1")</script> #import "x": * $x$ *b* `r` @l \\ {amount} </style>'
BOTH = [(name, language) for name in PAPERS for language in ("en", "fr")]


def plain(paper: Paper) -> str:
    return str(msgspec.to_builtins(paper)).replace("\\xa0", " ").replace("\u202f", " ").replace("\\u202f", " ")


class Words(HTMLParser):
    """What a page shows, and what it asks for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shown, self.tags, self.asked = "", [], []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asked += [value for name, value in attrs if name in {"src", "href", "action", "style"} or name[:2] == "on"]

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.mark.parametrize(
    "languages", [LANGUAGES, RECEIPT_LANGUAGES, INVOICE_LANGUAGES], ids=["laybys", "receipts", "invoices"]
)
def test_every_language_has_the_same_words_with_the_same_places(languages: dict[str, dict[str, str]]):
    english = languages["en"]
    for words in languages.values():
        assert words.keys() == english.keys()
        for name, text in words.items():
            assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", english[name])), name


@pytest.mark.parametrize(("name", "language"), BOTH)
def test_a_paper_is_a_page_that_loads_nothing_and_a_pdf(name: str, language: str):
    paper = PAPERS[name](language)
    page = page_of(paper)
    words = Words(page.html)
    assert words.asked == []
    assert not {"script", "link", "img", "iframe", "form", "base"} & set(words.tags)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert f'<html lang="{language}">' in page.html
    assert pdf_of(paper, OPENED).startswith(b"%PDF-1.")
    assert "{" not in plain(paper).replace("{page}", "").replace("{pages}", "").translate(dict.fromkeys(b"{}:'", None))


@pytest.mark.parametrize("name", PAPERS)
def test_the_same_paper_at_the_same_time_is_the_same_pdf(name: str):
    assert pdf_of(PAPERS[name]("en"), OPENED) == pdf_of(PAPERS[name]("en"), OPENED)


def test_no_text_is_markup_in_the_page():
    evil = Item(1, "EV-1", EVIL, 1, 5)
    page = page_of(an_agreement(items=[evil], customer_name=EVIL))
    words = Words(page.html)
    assert "script" not in words.tags
    assert words.shown.count(EVIL) == 3  # the customer, the item, the signature
    assert words.tags.count("style") == 1


def test_no_text_is_markup_in_the_pdf():
    text = 'x #panic("read as markup") #import "@preview/a:1.0.0": * #read("/etc/passwd") $ ] } ` */ //'
    evil = Item(1, "#[", text, 1, 5)
    assert pdf_of(an_agreement(items=[evil], customer_name=text), OPENED).startswith(b"%PDF")


def test_a_colour_that_is_none_is_not_used():
    paper = an_agreement()
    for colour in ("red}</style><script>", "#12345", "url(https://x)", ""):
        other = msgspec.structs.replace(paper, shop=msgspec.structs.replace(paper.shop, colour=colour))
        assert f"--brand: {PLAIN_COLOUR};" in page_of(other).html
        assert pdf_of(other, OPENED).startswith(b"%PDF")


def test_an_overlong_word_gets_places_where_it_may_end():
    assert breakable({"a": ["x" * 30, "short words stay"]}) == {
        "a": ["\u200b".join(["x" * 8] * 3 + ["x" * 6]), "short words stay"]
    }


@pytest.mark.parametrize("place", sorted(JURISDICTIONS))
@pytest.mark.parametrize("trade", TRADES)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_agreement_can_be_written_for_every_trade_and_place(place: str, trade: str, language: str):
    said = plain(an_agreement(language, a_layby(place=place, trade=trade)))
    assert "Chipo Dube" in said
    assert "7K3MQ96" in said


@pytest.mark.parametrize("policy", list(RefundPolicy))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_agreement_says_what_is_kept_under_every_policy(policy: RefundPolicy, language: str):
    layby = a_layby()
    for fee_bp, cost in ((1_000, None), (0, 700), (0, None)):
        rules = msgspec.structs.replace(
            layby.terms.rules, refund_policy=policy, cancellation_fee_bp=fee_bp, stated_cost_minor=cost,
            stated_cost_text="restocking" if cost else None,
        )  # fmt: skip
        terms = msgspec.structs.replace(layby.terms, rules=rules)
        (cancelling,) = [
            block
            for block in an_agreement(language, replace(layby, terms=terms)).blocks
            if isinstance(block, Text) and block.title == LANGUAGES[language]["cancelling"]
        ]
        assert len(cancelling.paragraphs) == 3


def test_an_agreement_says_all_that_was_agreed():
    said = plain(an_agreement())
    wanted = [
        "Blue dress", "DR-1", "350.00", "700.00", "1,000.00", "Administration fee", "1,010.00", "-250.00", "760.00",
        "6 December 2026", "3 January 2027", "KES 5.00", "never keep more than 1% of the price of the goods",
        "South Africa (Consumer Protection Act 68 of 2008", "told of the terms above before agreeing, on 22 November",
        "within 14 days", "12 Moi Avenue, Nairobi", "For Jacaranda Stores", "P051234567X",
    ]  # fmt: skip
    assert [each for each in wanted if each not in said] == []


def test_an_agreement_stays_as_it_was_made_whatever_happened_since():
    layby = a_layby()
    moved = [
        replace(each, due_date=each.due_date + timedelta(days=30), late_fee_minor=500) for each in layby.instalments
    ]
    later = replace(layby, instalments=moved, final_date=START + timedelta(days=90), paid_minor=80_000,
                    late_fees_minor=1_500, status=Status.ON_HOLD)  # fmt: skip
    assert an_agreement(layby=later) == an_agreement(layby=layby)


def test_the_sums_of_an_agreement_agree():
    paper = an_agreement()
    goods_, schedule = (block for block in paper.blocks if isinstance(block, Table))
    assert goods_.sums[-1].value == schedule.sums[-1].value == "760.00"


def test_a_layby_paid_in_full_at_the_start_has_no_schedule():
    layby = a_layby(deposit_minor=100_000, paid_minor=100_000, instalments=[], rhythm=Rhythm.WEEKLY)
    assert len([block for block in an_agreement(layby=layby).blocks if isinstance(block, Table)]) == 1


def test_a_statement_has_every_movement_with_what_was_owed_after_it():
    layby = a_layby_with_a_past()
    account = account_of(layby, rows())
    assert [(line.kind, line.charged_minor, line.paid_minor, line.balance_minor) for line in account.lines] == [
        (LineKind.GOODS, 100_000, 0, 100_000),
        (LineKind.ADMIN_FEE, 1_000, 0, 101_000),
        (LineKind.PAYMENT, 0, 25_000, 76_000),
        (LineKind.PAYMENT, 0, 20_000, 56_000),
        (LineKind.PAYMENT, 0, 10_000, 46_000),
        (LineKind.LATE_FEE, 500, 0, 46_500),
        (LineKind.REVERSAL, 0, -20_000, 66_500),
        (LineKind.CREDIT, 0, 5_000, 61_500),
        (LineKind.PAYMENT, 0, 15_000, 46_500),
    ]
    assert account.balance_minor == expected_balance(layby) == layby.balance_minor


@pytest.mark.parametrize(("handed_over", "refunded"), [(0, 0), (0, 22_500), (10_000, 0)])
def test_the_statement_of_a_cancelled_layby_ends_with_what_is_to_be_paid_back(handed_over: int, refunded: int):
    fee, at = 2_500, OPENED + timedelta(days=3)
    due = 25_000 - fee - handed_over - refunded
    layby = a_layby(
        status=Status.CANCELLED, cancelled_at=at, cancelled_by=CancelledBy.CUSTOMER, cancellation_fee_minor=fee,
        refund_due_minor=due, cancellation={"handedOverMinor": handed_over}, late_fees_minor=500,
        paid_minor=25_000 - refunded,
        instalments=[replace(a_layby().instalments[0], late_fee_minor=500, late_fee_at=OPENED + timedelta(days=1))],
    )  # fmt: skip
    booked = [Booked("payment", "cash", "R-1", 25_000, 0, OPENED, OPENED)]
    if refunded:
        later = at + timedelta(days=1)
        booked.append(Booked("refund", "cash", "R-2", -refunded, 0, later, later))
    account = account_of(layby, booked)
    assert account.balance_minor == expected_balance(layby) == -due
    assert account.charged_minor == fee + handed_over


def test_a_statement_as_csv_has_the_same_lines_in_plain_decimals():
    layby = a_layby_with_a_past()
    text = "".join(csv_of(Statement(layby, account_of(layby, rows()), 0, OPENED)))
    lines = text.split("\r\n")
    assert lines[0] == "at,kind,receipt,method,currency,charged,paid,credit,balance"
    assert lines[3] == "2026-11-22T09:05:00.000Z,payment,R-000001,cash,KES,0.00,250.00,0.00,760.00"
    assert lines[7] == "2026-12-10T09:05:00.000Z,reversal,NLJ7REV001,mobile,KES,0.00,-200.00,0.00,665.00"
    assert len(lines) == 11
    assert lines[-1] == ""


def test_a_receipt_of_a_spreadsheet_formula_is_harmless_in_csv():
    row = Booked("payment", "other", '=HYPERLINK("x")', 25_000, 0, OPENED, OPENED)
    text = "".join(csv_of(Statement(a_layby(), account_of(a_layby(), [row]), 0, OPENED)))
    assert '"\'=HYPERLINK(""x"")"' in text


def test_a_printed_statement_says_balance_credit_and_what_is_open():
    said = plain(a_statement())
    wanted = ["KES 465.00", "1,015.00", "550.00", "KES 25.00", "Late fee for payment 1", "(50.00 of it kept as credit)",
              "20 December 2026", "Payment taken back, reference NLJ7REV001", "mobile money"]  # fmt: skip
    assert [each for each in wanted if each not in said] == []


def test_a_receipt_says_what_was_paid_and_what_is_left_after_it():
    said = plain(a_receipt())
    wanted = ["NLJ7RT61SV", "22 November 2026, 12:00", "mobile money", "KES 300.00", "KES 250.00", "KES 50.00",
              "KES 500.00", "KES 250.00, by 20 December 2026", "7K3MQ96"]  # fmt: skip
    assert [each for each in wanted if each not in said] == []


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_there_is_a_receipt_for_every_kind_of_row_and_way_of_paying(kind: Kind, method: Method, language: str):
    amount = {Kind.REFUND: -5_000, Kind.REVERSAL: -5_000, Kind.CREDIT: 0, Kind.ASSIGNMENT: 0}.get(kind, 5_000)
    payment = a_payment(amount, kind=kind, method=method, applied_minor=5_000, credit_minor=-5_000,
                        suspense_minor=amount, balance_minor=0)  # fmt: skip
    paper = a_receipt(language, payment, a_layby(paid_minor=100_000))
    assert plain(paper).count("50") >= 1
    assert pdf_of(paper, OPENED).startswith(b"%PDF")


def test_values_are_put_into_words_as_they_are():
    pen = pen_for(LANGUAGES, "en", "KES", ZONE)
    assert pen.say("stated_cost", amount="{text}", text="{0.__class__} {amount}") == (
        "We keep what the cancellation costs us, {text} ({0.__class__} {amount}), and pay back the rest."
    )


def test_the_shop_is_named_by_its_organisation_where_it_has_no_other_name():
    bare = msgspec.structs.replace(SELLING, shop_name=None, shop_address=None, shop_phone=None, footer=None)
    shop = letterhead("Jacaranda Group", bare, pen_for(LANGUAGES, "en", "KES", ZONE).say)
    assert (shop.name, shop.footer) == ("Jacaranda Group", "")


async def test_a_few_are_printed_at_once_and_too_many_are_sent_away():
    go, inside = threading.Event(), []

    def slow(_paper: Paper, _at: object) -> bytes:
        inside.append(threading.get_ident())
        go.wait(20)
        return b"%PDF"

    press = Press(slow, asyncio.Semaphore(2), most=4)
    papers = [asyncio.create_task(press.pdf(a_receipt(), OPENED)) for _ in range(4)]
    await until(lambda: len(inside) == 2)
    with pytest.raises(PressBusy):
        await press.pdf(a_receipt(), OPENED)
    assert len(inside) == 2
    assert threading.get_ident() not in inside
    go.set()
    assert await asyncio.gather(*papers) == [b"%PDF"] * 4
    assert press.inside == 0


def test_a_long_statement_is_printed_in_pages():
    layby = a_layby(items_minor=10_000_000)
    many = [
        Booked("payment", "cash", f"R-{n:06}", 1_000, 0, OPENED + timedelta(hours=n), OPENED + timedelta(hours=n))
        for n in range(500)
    ]
    statement = Statement(layby, account_of(layby, many), 0, OPENED)
    pdf = pdf_of(paper_of(statement, PARTIES, SELLING, pen_for(LANGUAGES, "en", "KES", ZONE)), OPENED)
    assert pdf.startswith(b"%PDF")


def test_an_invoice_says_its_lines_its_tax_and_what_is_to_be_paid():
    said = plain(an_invoice())
    wanted = ["INV-2026-000042", "Moi Avenue Traders Ltd", "85,000.00", "2.5", "3,750.00", "16%", "-2,000.00",
              "88,100.00", "Tax 16% on 86,750.00", "13,880.00", "101,980.00", "-40,000.00", "KES 61,980.00",
              "22 December 2026", "partly paid"]  # fmt: skip
    assert [each for each in wanted if each not in said] == []


@pytest.mark.parametrize("kind", list(InvoiceKind))
@pytest.mark.parametrize("status", list(InvoiceStatus))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_there_is_a_paper_for_every_kind_and_status_of_an_invoice(
    kind: InvoiceKind, status: InvoiceStatus, language: str
):
    draft = status is InvoiceStatus.DRAFT
    paper = an_invoice(language, kind=kind, status=status, paid_minor=0, number=None if draft else "N-1", note=None)
    assert pdf_of(paper, OPENED).startswith(b"%PDF")
