"""Agreement, statement and receipt over HTTP: who gets them, in what form, and that they agree with the books."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Answer, Api
from tests.factories import Org, organisation
from tests.tills import Shop
from waypost.kernel.principal import Role
from waypost.laybys.domain import CancelledBy, Layby
from waypost.wiring import Services

SELLING: dict[str, Any] = {
    "shop_name": "Jacaranda <b>Stores</b>",
    "shop_address": "12 Moi Avenue\nNairobi",
    "shop_phone": "+254700000001",
    "colour": "#6a3d9a",
}
HELD = """
SELECT coalesce(-sum(p.amount_minor), 0)::bigint FROM postings p
  JOIN accounts a ON a.org_id = p.org_id AND a.id = p.account_id
 WHERE p.org_id = $1 AND a.code = ANY($2)
"""


@pytest.fixture
async def shop(org: Org) -> Shop:
    shop = await Shop.of(org)
    await org.services.organisations.change(org.owner, name=None, time_zone=None, selling=SELLING)
    return shop


@pytest.fixture
async def owner(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


async def busy(shop: Shop) -> Layby:
    """A layby of which money was paid, taken back, and paid again with something over."""
    layby = await shop.layby()
    await shop.pay(layby, 20_00, "NLJ7RT61SV")
    await shop.reverse("NLJ7RT61SV", "NLJ7REV001")
    await shop.pay(layby, 15_50, "NLJ7RT7777")
    return await shop.read(layby.id)


async def booked(shop: Shop, *codes: str) -> int:
    """What the books say that we owe on these accounts."""
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        return int(await conn.fetchval(HELD, shop.org.org_id, list(codes)))


def text_of(answer: Answer) -> str:
    return str(answer.json.decode())


async def statement(owner: Api, layby: Layby) -> dict[str, Any]:
    answer = await owner("GET", f"/api/v1/laybys/{layby.id}/statement")
    assert answer.status == 200
    return dict(answer.json)


async def test_a_statement_equals_the_layby_and_the_books_to_the_minor_unit(shop: Shop, owner: Api):
    layby = await busy(shop)
    said = await statement(owner, layby)
    assert (said["chargedMinor"], said["paidMinor"], said["balanceMinor"]) == (100_00, 45_50, 54_50)
    assert said["balanceMinor"] == layby.balance_minor == said["lines"][-1]["balanceMinor"]
    assert said["paidMinor"] == await booked(shop, "deposits-held")
    assert [(line["kind"], line.get("paidMinor", 0)) for line in said["lines"]] == [
        ("goods", 0),
        ("payment", 30_00),
        ("payment", 20_00),
        ("reversal", -20_00),
        ("payment", 15_50),
    ]


async def test_what_was_too_much_stands_in_the_statement_as_credit_of_the_books(shop: Shop, owner: Api):
    layby = await shop.layby()
    await shop.pay(layby, 80_00)
    said = await statement(owner, layby)
    assert (said["balanceMinor"], said["creditMinor"], said["status"]) == (0, 10_00, "completed")
    assert said["creditMinor"] == await booked(shop, "customer-credit")
    assert said["lines"][-1]["creditMinor"] == 10_00


@pytest.mark.parametrize("by", list(CancelledBy))
async def test_the_statement_of_a_cancelled_layby_is_what_the_books_owe_the_customer(
    shop: Shop, owner: Api, by: CancelledBy
):
    layby = await busy(shop)
    layby = await shop.cancel(layby.id, by)
    said = await statement(owner, layby)
    assert said["balanceMinor"] == -layby.refund_due_minor == -await booked(shop, "refunds-payable")
    assert said["chargedMinor"] == layby.cancellation_fee_minor == await booked(shop, "fee-income")


async def test_a_statement_comes_as_json_csv_page_and_pdf(shop: Shop, owner: Api):
    layby = await busy(shop)
    path = f"/api/v1/laybys/{layby.id}/statement"
    types = {}
    for name in ("json", "csv", "html", "pdf"):
        answer = await owner("GET", f"{path}?format={name}")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        types[name] = answer.headers["Content-Type"]
    assert types == {
        "json": "application/json",
        "csv": "text/csv; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "pdf": "application/pdf",
    }


async def test_the_csv_has_the_lines_of_the_json(shop: Shop, owner: Api):
    layby = await busy(shop)
    said = await statement(owner, layby)
    answer = await owner("GET", f"/api/v1/laybys/{layby.id}/statement?format=csv")
    rows = list(csv.DictReader(io.StringIO(text_of(answer), newline="")))
    assert [(row["kind"], row["balance"]) for row in rows] == [
        (line["kind"], f"{line['balanceMinor'] // 100}.{line['balanceMinor'] % 100:02}") for line in said["lines"]
    ]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="statement-{layby.reference}.csv"'


@pytest.mark.parametrize("paper", ["agreement", "statement", "receipt"])
@pytest.mark.parametrize(("lang", "language"), [("en", "en"), ("fr", "fr"), ("fr-CD", "fr"), ("sn", "en")])
async def test_papers_come_in_the_language_that_is_asked_for(
    shop: Shop, owner: Api, paper: str, lang: str, language: str
):
    layby = await shop.layby()
    answer = await owner("GET", f"{await path_of(shop, layby, paper)}?format=html&lang={lang}")
    assert answer.headers["Content-Language"] == language
    assert f'<html lang="{language}">' in text_of(answer)
    pdf = await owner("GET", f"{await path_of(shop, layby, paper)}?format=pdf&lang={lang}")
    assert pdf.json.startswith(b"%PDF-")
    assert re.fullmatch(rf'inline; filename="{paper}-[A-Za-z0-9-]+\.pdf"', pdf.headers["Content-Disposition"])


async def path_of(shop: Shop, layby: Layby, paper: str) -> str:
    if paper != "receipt":
        return f"/api/v1/laybys/{layby.id}/{paper}"
    (deposit,) = await shop.rows(layby_id=layby.id)
    return f"/api/v1/payments/{deposit.id}/receipt"


async def test_papers_come_in_the_customers_language_unless_another_is_asked_for(shop: Shop, owner: Api):
    customer = await shop.services.directory.customers.add(shop.owner, {"name": "Awa", "locale": "fr-CD"})
    layby = await shop.layby(customer=customer.id)
    for paper, words in (("agreement", "Contrat de mise de côté"), ("receipt", "Reçu")):
        assert words in text_of(await owner("GET", await path_of(shop, layby, paper)))


@pytest.mark.parametrize("paper", ["agreement", "statement", "receipt"])
async def test_a_page_loads_nothing_and_its_policy_allows_its_own_style_alone(shop: Shop, owner: Api, paper: str):
    customer = await shop.services.directory.add_customer(shop.owner, name="<script>alert(1)</script> #import")
    layby = await shop.layby(customer=customer)
    answer = await owner("GET", f"{await path_of(shop, layby, paper)}?format=html")
    html, policy = text_of(answer), answer.headers["Content-Security-Policy"]
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; #import" in html
    assert "Jacaranda &lt;b&gt;Stores&lt;/b&gt;" in html
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"https?://|url\(|src=|@import", html)
    assert "--brand: #6a3d9a;" in style


async def test_a_receipt_says_how_things_stood_right_after_it_whatever_came_later(shop: Shop, owner: Api):
    layby = await busy(shop)
    rows = {row.receipt: row for row in await shop.rows(layby_id=layby.id)}
    said = {
        receipt: text_of(await owner("GET", f"/api/v1/payments/{row.id}/receipt")).replace("\u00a0", " ")
        for receipt, row in rows.items()
    }
    deposit = next(receipt for receipt in said if not receipt.startswith("NLJ"))
    assert "<dt>Left to pay after this</dt><dd>KES 70.00</dd>" in said[deposit]
    assert "<dt>Left to pay after this</dt><dd>KES 50.00</dd>" in said["NLJ7RT61SV"]
    assert "Payment taken back" in said["NLJ7REV001"]
    assert "<dt>Left to pay after this</dt><dd>KES 70.00</dd>" in said["NLJ7REV001"]
    assert "<dt>Left to pay after this</dt><dd>KES 54.50</dd>" in said["NLJ7RT7777"]


async def test_there_is_a_receipt_of_money_that_nobody_knows_the_layby_of(shop: Shop, owner: Api):
    payment = await shop.pay("NO-SUCH", 12_00)
    answer = await owner("GET", f"/api/v1/payments/{payment.id}/receipt")
    assert answer.status == 200
    assert "Kept until we know what it is for" in text_of(answer)


@pytest.mark.parametrize("paper", ["agreement", "statement"])
async def test_what_is_anothers_does_not_exist(shop: Shop, api: Api, services: Services, paper: str):
    layby = await shop.layby()
    other = api.as_(await (await organisation(services, "Another")).token())
    answer = await other("GET", f"/api/v1/laybys/{layby.id}/{paper}?format=pdf")
    assert (answer.status, answer.json["type"]) == (404, "/problems/layby-not-found")
    receipt = await other("GET", await path_of(shop, layby, "receipt"))
    assert (receipt.status, receipt.json["type"]) == (404, "/problems/payment-not-found")


async def test_an_unknown_payment_has_no_receipt(owner: Api):
    assert (await owner("GET", f"/api/v1/payments/{UUID(int=1)}/receipt")).status == 404


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 200), (Role.ACCOUNTANT, 200), (Role.DRIVER, 403)])
async def test_papers_are_for_the_staff(shop: Shop, api: Api, role: Role, status: int):
    layby = await shop.layby()
    _, phone = await shop.org.person(role)
    person = api.as_(await shop.org.token(phone))
    for paper in ("agreement", "statement", "receipt"):
        assert (await person("GET", await path_of(shop, layby, paper))).status == status


@pytest.mark.parametrize("query", ["format=doc", "lang=", "lang=../../etc", "lang=en&lang=fr", "colour=red"])
async def test_a_query_that_means_nothing_is_refused_by_name(shop: Shop, owner: Api, query: str):
    layby = await shop.layby()
    answer = await owner("GET", f"/api/v1/laybys/{layby.id}/agreement?{query}")
    assert answer.status == 400
