"""The edge of payments: opening with a deposit, the counter, refunds, credit, what nobody knows; who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.tills import Shop
from waypost.kernel.paging import encode_cursor
from waypost.kernel.principal import Role

PAYMENTS = "/api/v1/payments"
LAYBYS = "/api/v1/laybys"


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


def _layby(customer: UUID, **fields: Any) -> dict[str, Any]:
    return {
        "customerId": str(customer),
        "items": [{"product": "SKU-1", "name": "A bicycle", "quantity": 2, "unitPriceMinor": 50_00}],
        "instalments": 2,
        "toldBefore": True,
        "deposit": {"amountMinor": 30_00, "method": "cash"},
    } | fields


async def test_a_layby_is_opened_with_its_deposit_and_shown_whole(api: Api, shop: Shop):
    call = api.as_(await shop.org.token())
    made = await call("POST", LAYBYS, _layby(await shop.customer()))
    assert (made.status, made.json["paidMinor"], made.json["balanceMinor"]) == (201, 30_00, 70_00)
    assert made.headers["ETag"]
    rows = (await call("GET", f"{PAYMENTS}?laybyId={made.json['id']}")).json["data"]
    assert [(row["kind"], row["amountMinor"], row["method"]) for row in rows] == [("payment", 30_00, "cash")]
    await shop.check()


async def test_a_layby_that_comes_twice_with_one_key_is_opened_once(api: Api, shop: Shop):
    call, body = api.as_(await shop.org.token()), _layby(await shop.customer())
    answers = [await call("POST", LAYBYS, body, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
    assert {answer.json["id"] for answer in answers} == {answers[0].json["id"]}
    assert len(await shop.rows()) == 1
    await shop.check()


@pytest.mark.parametrize(
    ("fields", "status", "what"),
    [
        ({"deposit": {"amountMinor": 1, "method": "cash"}}, 422, "deposit"),
        ({"deposit": {"amountMinor": 30.5, "method": "cash"}}, 422, "deposit.amountMinor"),
        ({"deposit": {"amountMinor": 3000, "method": "internal"}}, 422, "deposit.method"),
        ({"deposit": {"amountMinor": -1, "method": "cash"}}, 422, "deposit.amountMinor"),
        ({"deposit": None}, 422, "deposit"),
        ({"items": []}, 422, "items"),
        ({"customerId": str(UUID(int=7))}, 404, "customer-not-found"),
        ({"currency": "XXX"}, 422, "currency"),
    ],
    ids=["deposit too small", "a float", "no such way", "negative", "no deposit", "no goods", "nobody", "no currency"],
)
async def test_a_bad_layby_leaves_nothing(api: Api, shop: Shop, fields: dict[str, Any], status: int, what: str):
    answer = await api.as_(await shop.org.token())("POST", LAYBYS, _layby(await shop.customer(), **fields))
    assert answer.status == status, answer.json
    names = (answer.json["code"], *(error["field"] for error in answer.json.get("errors", ())))
    assert any(name.startswith(what) for name in names), answer.json
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        for table in ("laybys", "payments", "journal_entries", "outbox", "stock_events"):
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_payment_is_taken_and_a_double_click_books_it_once(api: Api, shop: Shop):
    layby, call = await shop.layby(), api.as_(await shop.org.token())
    body = {"amountMinor": 25_00, "currency": "KES", "method": "card", "note": "slip 7"}
    path = f"{LAYBYS}/{layby.id}/payments"
    answers = await asyncio.gather(
        *(call("POST", path, body, headers={"Idempotency-Key": "click"}) for _ in range(2)), return_exceptions=False
    )
    assert {answer.status for answer in answers} <= {201, 409}
    again = await call("POST", path, body, headers={"Idempotency-Key": "click"})
    assert (again.status, again.json["balanceMinor"]) == (201, 45_00)
    assert (await shop.read(layby.id)).balance_minor == 45_00
    seen = (await call("GET", f"{PAYMENTS}/{again.json['id']}")).json
    assert (seen["refundableMinor"], len(seen["rows"])) == (25_00, 1)
    await shop.check()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amountMinor": 70_01}, 422, "amount-too-large"),
        ({"amountMinor": 0}, 422, "invalid"),
        ({"amountMinor": 10.0}, 422, "invalid"),
        ({"amountMinor": "1000"}, 422, "invalid"),
        ({"amountMinor": True}, 422, "invalid"),
        ({"currency": "USD"}, 422, "currency-mismatch"),
        ({"currency": "kes"}, 422, "invalid"),
        ({"method": "internal"}, 422, "invalid"),
        ({"receipt": ""}, 422, "invalid"),
        ({"receipt": "a\x00b"}, 422, "invalid"),
        ({"payer": "x"}, 422, "invalid"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
async def test_what_the_counter_cannot_take_is_refused(
    api: Api, shop: Shop, body: dict[str, Any], status: int, code: str
):
    layby = await shop.layby()
    path = f"{LAYBYS}/{layby.id}/payments"
    whole = {"amountMinor": 10_00, "currency": "KES", "method": "cash"} | body
    answer = await api.as_(await shop.org.token())("POST", path, whole)
    assert (answer.status, answer.json["code"]) == (status, code)
    if code in ("amount-too-large", "currency-mismatch"):
        assert answer.json["balanceMinor"] == 70_00
    assert len(await shop.rows()) == 1


async def test_a_payment_for_a_layby_that_takes_none_names_the_status_and_the_balance(api: Api, shop: Shop):
    layby = await shop.layby()
    await shop.hold(layby.id)
    body = {"amountMinor": 10_00, "currency": "KES", "method": "cash"}
    answer = await api.as_(await shop.org.token())("POST", f"{LAYBYS}/{layby.id}/payments", body)
    assert (answer.status, answer.json["laybyStatus"], answer.json["balanceMinor"]) == (409, "on_hold", 70_00)


async def test_a_refund_a_cancellations_refund_and_the_list_of_those_that_are_due(api: Api, shop: Shop):
    call = api.as_(await shop.org.token())
    layby = await shop.layby()
    paid = await shop.pay(layby, 20_00)
    body = {"amountMinor": 5_00, "method": "cash", "reason": "brought back", "reference": "till 2"}
    given = await call("POST", f"{PAYMENTS}/{paid.id}/refund", body)
    assert (given.status, given.json["amountMinor"], given.json["balanceMinor"]) == (201, 5_00, 55_00)
    much = await call("POST", f"{PAYMENTS}/{paid.id}/refund", body | {"amountMinor": 15_01})
    assert (much.status, much.json["code"], much.json["mostMinor"]) == (422, "amount-too-large", 15_00)
    none = await call("POST", f"{LAYBYS}/{layby.id}/refunds", {"method": "bank"})
    assert (none.status, none.json["code"]) == (409, "nothing-there")
    await shop.cancel(layby.id)
    due = (await call("GET", f"{PAYMENTS}/refunds-due")).json["data"]
    assert [(each["laybyId"], each["refundDueMinor"]) for each in due] == [(str(layby.id), 40_50)]
    out = await call("POST", f"{LAYBYS}/{layby.id}/refunds", {"method": "bank", "reference": "TRF 9"})
    assert (out.status, out.json["amountMinor"], out.json["refundDueMinor"]) == (201, 40_50, 0)
    assert {row["accountRef"] for row in out.json["rows"]} == {"TRF 9"}
    assert (await call("GET", f"{PAYMENTS}/refunds-due")).json["data"] == []
    await shop.check()


async def test_credit_is_shown_and_used(api: Api, shop: Shop):
    call = api.as_(await shop.org.token())
    layby = await shop.layby()
    await shop.hold(layby.id)
    await shop.pay(layby, 20_00)
    other = await shop.layby(customer=layby.customer_id)
    path = f"/api/v1/customers/{layby.customer_id}/credit"
    (sum_,) = (await call("GET", path)).json["credit"]
    assert (sum_["currency"], sum_["creditMinor"], len(sum_["payments"])) == ("KES", 20_00, 1)
    used = await call("POST", f"{LAYBYS}/{other.id}/credit", {"amountMinor": 5_00})
    assert (used.status, used.json["paidMinor"]) == (200, 35_00)
    assert (await call("POST", f"{LAYBYS}/{other.id}/credit")).json["paidMinor"] == 50_00
    assert (await call("GET", path)).json["credit"] == []
    assert (await call("POST", f"{LAYBYS}/{other.id}/credit")).json["code"] == "nothing-there"
    assert (await call("GET", f"/api/v1/customers/{UUID(int=7)}/credit")).json["code"] == "customer-not-found"
    await shop.check()


async def test_unknown_money_is_listed_suggested_and_assigned_once(api: Api, shop: Shop):
    call = api.as_(await shop.org.token())
    layby = await shop.layby()
    lost = await shop.pay("ZZZZZZZ", 35_00)
    waiting = (await call("GET", f"{PAYMENTS}?unsettled=true&fields=id,suspenseMinor")).json["data"]
    assert waiting == [{"id": str(lost.id), "suspenseMinor": 35_00}]
    (suggestion,) = (await call("GET", f"{PAYMENTS}/{lost.id}/suggestions")).json["data"]
    assert (suggestion["laybyId"], suggestion["reasons"]) == (str(layby.id), ["amount"])
    done = await call("POST", f"{PAYMENTS}/{lost.id}/assign", {"laybyId": str(layby.id)})
    assert (done.status, done.json["kind"], done.json["appliedMinor"]) == (200, "assignment", 35_00)
    again = await call("POST", f"{PAYMENTS}/{lost.id}/assign", {"laybyId": str(layby.id)})
    assert (again.status, again.json["code"]) == (409, "already-settled")
    await shop.check()


async def test_the_list_pages_filters_and_refuses_what_is_no_filter(api: Api, shop: Shop):
    call = api.as_(await shop.org.token())
    layby = await shop.layby()
    for n in range(7):
        await shop.pay(layby, 1_00, f"RKT{n}")
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await call("GET", f"{PAYMENTS}?laybyId={layby.id}&limit=3{cursor}")).json
        seen += [row["id"] for row in page["data"]]
        if not page["hasMore"]:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == len(set(seen)) == 8
    assert seen == sorted(seen, reverse=True)
    (one,) = (await call("GET", f"{PAYMENTS}?receipt=RKT3")).json["data"]
    assert (one["payerHint"], "payerMark" in one) == ("…149", False)
    from_, to = one["paidAt"], "2100-01-01T00:00:00Z"
    assert len((await call("GET", f"{PAYMENTS}?from={from_}&to={to}&provider=daraja")).json["data"]) >= 4
    for bad in (
        "disposition=lost",
        "from=yesterday",
        "from=1900-01-01T00:00:00Z",
        "unsettled=perhaps",
        "unsettled=true&disposition=applied",  # no payment is both
        "disposition=quarantined",  # no payment is, only callbacks are
        "laybyId=1",
        "receipt=",
        "who=me",
    ):
        assert (await call("GET", f"{PAYMENTS}?{bad}")).json["code"] == "bad-query", bad
    forged = encode_cursor(("0001-01-01T00:00:00+14:00", UUID(int=1)))
    assert (await call("GET", f"{PAYMENTS}?from={from_}&cursor={forged}")).json["code"] == "bad-cursor"
    assert (await call("GET", f"{PAYMENTS}/none")).json["code"] == "payment-not-found"


READS: tuple[Callable[[dict[str, str]], tuple[str, str, Any]], ...] = (
    lambda ids: ("GET", PAYMENTS, None),
    lambda ids: ("GET", f"{PAYMENTS}/{ids['payment']}", None),
    lambda ids: ("GET", f"{PAYMENTS}/refunds-due", None),
    lambda ids: ("GET", f"/api/v1/customers/{ids['customer']}/credit", None),
)


async def test_viewers_read_dispatchers_take_money_and_only_money_hands_give_it_back(api: Api, shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 20_00)
    ids = {"payment": str(paid.id), "customer": str(layby.customer_id)}
    take = ("POST", f"{LAYBYS}/{layby.id}/payments", {"amountMinor": 1_00, "currency": "KES", "method": "cash"})
    refund = ("POST", f"{PAYMENTS}/{paid.id}/refund", {"amountMinor": 1_00, "method": "cash", "reason": "r"})
    may = {
        Role.OWNER: (200, 201, 201),
        Role.ACCOUNTANT: (200, 201, 201),
        Role.DISPATCHER: (200, 201, 403),
        Role.VIEWER: (200, 403, 403),
        Role.DRIVER: (403, 403, 403),
    }
    for role, (read, taken, given) in may.items():
        call = api.as_(await shop.org.token((await shop.org.person(role))[1]))
        for asked in READS:
            assert (await call(*asked(ids))).status == read, (role, asked(ids))
        assert (await call(*take)).status == taken, role
        assert (await call(*refund)).status == given, role
    await shop.check()
