"""The books over HTTP."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.freight import business, entry, post
from waypost.kernel.principal import Role
from waypost.ledger.domain import Account, moved
from waypost.wiring import Services

ACCOUNTS = "/api/v1/accounts"


async def test_accounts_are_listed_with_their_balance_and_whose_they_are(services: Services, org: Org, api: Api):
    trade = await business(services, org)
    await trade.issued(10_000, tax_bp=1_500)
    await post(
        services, org.org_id, entry(moved(700, debit=Account.CASH, credit=Account.SALES), at=services.clock.now())
    )
    call = api.as_(await org.token())
    answer = await call("GET", ACCOUNTS)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    found = {each["code"]: each for each in answer.json["data"]}
    assert {code: each["balanceMinor"] for code, each in found.items()} == {
        "cash": 700, "sales": -700, "receivable": 11_500, "freight-income": -10_000, "tax-payable": -1_500,
    }  # fmt: skip
    assert [each["code"] for each in answer.json["data"]] == sorted(found)
    receivable = found["receivable"]
    assert (receivable["kind"], receivable["currency"]) == ("asset", "USD")
    assert (receivable["counterpartyOrgId"], receivable["counterpartyName"]) == (
        str(trade.shop.org_id),
        "Bulawayo Bazaar",
    )
    assert "counterpartyName" not in found["cash"]
    seen, page = [], (await call("GET", f"{ACCOUNTS}?limit=2")).json
    while True:
        seen += [each["code"] for each in page["data"]]
        if not page["hasMore"]:
            break
        page = (await call("GET", f"{ACCOUNTS}?limit=2&cursor={page['nextCursor']}")).json
    assert seen == sorted(found)
    assert (await call("GET", f"{ACCOUNTS}?fields=code,balanceMinor&limit=1")).json["data"] == [
        {"code": "cash", "balanceMinor": 700}
    ]


async def test_an_accounts_lines_say_what_was_booked_newest_first(services: Services, org: Org, api: Api):
    customer, now = uuid4(), services.clock.now()
    first = entry(moved(700, debit=Account.CASH, credit=Account.SALES), at=now, key="payment:1", customer_id=customer)
    second = entry(moved(200, debit=Account.SALES, credit=Account.CASH), at=now, key="refund:1", note="broken")
    await post(services, org.org_id, first)
    await post(services, org.org_id, second)
    call = api.as_(await org.token())
    (cash,) = [each["id"] for each in (await call("GET", ACCOUNTS)).json["data"] if each["code"] == "cash"]
    lines = (await call("GET", f"{ACCOUNTS}/{cash}/entries")).json["data"]
    told = [(each["key"], each["amountMinor"], each["balanceMinor"]) for each in lines]
    assert told == [("refund:1", -200, 500), ("payment:1", 700, 700)]
    assert (lines[0]["note"], lines[0]["kind"], lines[0]["sourceKind"]) == ("broken", "test", "test")
    assert (lines[0]["sourceId"], lines[1]["customerId"]) == (str(second.source_id), str(customer))
    theirs = (await call("GET", f"{ACCOUNTS}/{cash}/entries?customerId={customer}")).json["data"]
    assert theirs == lines[1:]
    future = (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (await call("GET", f"{ACCOUNTS}/{cash}/entries?since={future}")).json["data"] == []
    assert (await call("GET", f"{ACCOUNTS}/{cash}/entries?until={future}")).json["data"] == lines


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("customerId=x", 400, "bad-query"),
        ("since=yesterday", 400, "bad-query"),
        ("since=2026-11-22T10:00:00", 400, "bad-query"),
        ("since=1969-11-22T10:00:00Z", 422, "invalid"),
        ("until=9999-11-22T10:00:00Z", 422, "invalid"),
        ("cursor=nonsense", 400, "bad-cursor"),
        ("code=cash", 400, "bad-query"),
    ],
)
async def test_a_strange_question_is_refused_by_name(
    services: Services, org: Org, api: Api, query: str, status: int, code: str
):
    await post(services, org.org_id, entry(moved(1, debit=Account.CASH, credit=Account.SALES), at=services.clock.now()))
    call = api.as_(await org.token())
    account = (await call("GET", ACCOUNTS)).json["data"][0]["id"]
    answer = await call("GET", f"{ACCOUNTS}/{account}/entries?{query}")
    assert (answer.status, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("role", Role, ids=str)
async def test_owners_and_accountants_read_the_books_and_nobody_else(org: Org, api: Api, role: Role):
    _, phone = await org.person(role)
    call = api.as_(await org.token(phone))
    expected = 200 if role in {Role.OWNER, Role.ACCOUNTANT} else 403
    assert (await call("GET", ACCOUNTS)).status == expected
    unknown = await call("GET", f"{ACCOUNTS}/{uuid4()}/entries")
    assert unknown.status == (404 if expected == 200 else 403)
