"""Laybys over HTTP: their forms, filters, versions and refusals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.laid_by import customer, layby, pay
from waypost.kernel.paging import encode_cursor
from waypost.kernel.principal import Role
from waypost.wiring import Services

GOODS = [
    {"product": "BIKE-1", "name": "A bicycle", "quantity": 1, "unitPriceMinor": 8000},
    {"product": "LAMP-2", "name": "A lamp", "quantity": 2, "unitPriceMinor": 1000},
]
PATH = "/api/v1/laybys"


@pytest.fixture
async def call(api: Api, org: Org) -> Api:
    return api.as_(await org.token())


async def test_a_layby_whole(call: Api, org: Org):
    made = (await layby(org)).layby
    await pay(org, made.id, 35_00)
    answer = await call("GET", f"{PATH}/{made.id}")
    whole = answer.json
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert (whole["payableMinor"], whole["paidMinor"], whole["balanceMinor"]) == (10000, 7500, 2500)
    assert [(i["state"], i["coveredMinor"], i["openMinor"]) for i in whole["instalments"]] == [
        ("covered", 3000, 0),
        ("open", 500, 2500),
    ]
    assert whole["nextDue"] == {"n": 2, "dueDate": str(made.final_date), "openMinor": 2500}
    assert whole["items"][0] == {**GOODS[0], "n": 1, "totalMinor": 8000, "handedOver": 0}
    assert (whole["terms"]["lateFeeMinor"], whole["terms"]["jurisdiction"]) == (500, "No particular law")
    assert "order" not in whole
    unchanged = await call("GET", f"{PATH}/{made.id}", headers={"If-None-Match": answer.headers["ETag"]})
    assert unchanged.status == 304


async def test_the_law_of_a_layby_is_the_organisations_and_nobody_chooses_it(call: Api, org: Org):
    await call("PATCH", "/api/v1/org", {"selling": {"jurisdiction": "AU"}})
    teller = (await org.person(Role.DISPATCHER))[1]
    deal = {"items": GOODS, "instalments": 2, "trade": "clothing", "currency": "USD"}
    deposit = {"amountMinor": 40_00, "method": "cash"}
    opening = {**deal, "customerId": str(await customer(org)), "deposit": deposit, "toldBefore": True}
    for path, body in ((PATH, opening), (f"{PATH}/plan", deal)):
        for asker in (call, call.as_(await org.token(teller))):
            refused = await asker("POST", path, {**body, "jurisdiction": "NONE"})
            assert (refused.status, refused.json["code"]) == (422, "invalid"), refused.json
            assert "jurisdiction" in refused.json["detail"]
    made = (await layby(org)).layby
    assert (made.jurisdiction, made.terms.jurisdiction.code, made.terms.rules.cancellation_fee_bp) == ("AU", "AU", 0)


async def test_a_staff_edit_takes_the_version_that_it_has_seen(call: Api, org: Org):
    made = (await layby(org)).layby
    seen = (await call("GET", f"{PATH}/{made.id}")).headers["ETag"]
    first = await call("PATCH", f"{PATH}/{made.id}", {"note": "by the window"}, headers={"If-Match": seen})
    assert (first.status, first.json["note"]) == (200, "by the window")
    for move, body in (("hold", {}), ("cancel", {"by": "customer", "reason": "no"})):
        answer = await call("POST", f"{PATH}/{made.id}/{move}", body, headers={"If-Match": seen})
        assert (answer.status, answer.json["code"]) == (412, "stale")
    nothing = await call("PATCH", f"{PATH}/{made.id}", {})
    assert nothing.json["version"] == first.json["version"]
    emptied = await call("PATCH", f"{PATH}/{made.id}", {"note": None}, headers={"If-Match": first.headers["ETag"]})
    assert "note" not in emptied.json


async def test_a_list_is_filtered_searched_paged_and_cut_to_fields(call: Api, org: Org, services: Services):
    rudo = await customer(org, "Rudo Moyo")
    first = (await layby(org, customer_id=rudo)).layby
    second = (await layby(org)).layby
    await services.money.changes.hold(org.owner, second.id, None)

    async def found(query: str) -> list[str]:
        answer = await call("GET", f"{PATH}?{query}")
        assert answer.status == 200, answer
        return [row["reference"] for row in answer.json["data"]]

    assert await found("") == [second.reference, first.reference]
    assert await found("status=on_hold") == [second.reference]
    assert await found(f"customerId={rudo}") == [first.reference]
    assert await found("product=LAMP-2&status=active") == [first.reference]
    assert await found("q=rudo") == [first.reference]
    assert await found(f"q={first.reference.lower()}") == [first.reference]
    assert await found("overdue=true") == []
    assert await found(f"dueFrom={date.today()}&dueTo={date.today() + timedelta(days=40)}") == [first.reference]  # noqa: DTZ011
    page = (await call("GET", f"{PATH}?limit=1&fields=reference,balanceMinor")).json
    assert page["data"] == [{"reference": second.reference, "balanceMinor": 6000}]
    assert await found(f"limit=1&cursor={page['nextCursor']}") == [first.reference]


BAD_QUERIES = (
    "status=lost", "customerId=x", "dueFrom=tomorrow", "q=a", "fields=nothing", "cursor=AAAA", "overdue=perhaps", "n=1",
    "status=on_hold&dueFrom=2026-01-01", "status=defaulted&dueTo=2026-01-01", "status=cancelled&overdue=true",
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("stock", ["a\0b"]),
        ("stock", "LAMP-2"),
        ("sweeps", [datetime(2020, 1, 1, tzinfo=UTC), "x\0"]),
        ("sweeps", [datetime(2020, 1, 1), "reminders"]),  # noqa: DTZ001 - of no zone
        ("sweeps", ["0001-01-01T00:00:00+14:00", "reminders"]),
    ],
    ids=["NUL", "not its form", "NUL of a run", "no zone", "before all time"],
)
async def test_a_cursor_of_somebodys_own_making_is_refused(call: Api, path: str, key: object):
    answer = await call("GET", f"{PATH}/{path}?cursor={encode_cursor(key)}")
    assert (answer.status, answer.json["code"]) == (400, "bad-cursor")


async def test_a_bad_query_is_refused(call: Api):
    for query in BAD_QUERIES:
        assert (await call("GET", f"{PATH}?{query}")).status == 400, query


async def test_a_plan_is_worked_out_and_not_stored(call: Api):
    body: dict[str, Any] = {"items": GOODS, "currency": "KES", "trade": "clothing", "instalments": 3}
    plan = (await call("POST", f"{PATH}/plan", body)).json
    assert (plan["payableMinor"], plan["depositMinor"], plan["leastDepositMinor"]) == (10000, 2000, 2000)
    assert [i["amountMinor"] for i in plan["instalments"]] == [2666, 2666, 2668]
    assert (await call("GET", PATH)).json["data"] == []


BAD_PLANS: list[tuple[dict[str, Any], str]] = [
    ({"items": []}, "items"),
    ({"items": [GOODS[0] | {"quantity": 0}]}, "items[0].quantity"),
    ({"items": [GOODS[0] | {"quantity": 1.5}]}, "items[0].quantity"),
    ({"items": [GOODS[0] | {"unitPriceMinor": -1}]}, "items[0].unitPriceMinor"),
    ({"items": [GOODS[0] | {"product": "a\x00b"}]}, "items[0].product"),
    ({"currency": "XYZ"}, "currency"),
    ({"trade": "boats"}, "trade"),
    ({"rhythm": "daily"}, "rhythm"),
    ({"dates": ["2027-02-30"]}, "dates[0]"),
    ({"startDate": "2001-01-01"}, "startDate"),
    ({"depositMinor": 1}, "depositMinor"),
    ({"depositMinor": 10.5}, "depositMinor"),
    ({"interest": 3}, "interest"),
]


async def test_a_bad_plan_names_its_field(call: Api):
    for change, field in BAD_PLANS:
        body = {"items": GOODS, "currency": "USD", "instalments": 2} | change
        answer = await call("POST", f"{PATH}/plan", body)
        assert answer.status == 422, (change, answer)
        assert [error["field"] for error in answer.json["errors"]] == [field], change


async def test_a_move_with_a_key_is_made_once(call: Api, org: Org):
    made = (await layby(org)).layby
    body = {"by": "customer", "reason": "changed their mind"}
    answers = [
        await call("POST", f"{PATH}/{made.id}/cancel", body, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    assert answers[0].json["cancellation"]["refundMinor"] == 3600


async def test_what_happened_comes_newest_first(call: Api, org: Org):
    made = (await layby(org)).layby
    await call("POST", f"{PATH}/{made.id}/hold", {"reason": "in hospital"})
    events = (await call("GET", f"{PATH}/{made.id}/events")).json["data"]
    assert [(event["kind"], event.get("actorName")) for event in events] == [
        ("on_hold", "Owner"),
        ("paid", "Owner"),
        ("created", "Owner"),
    ]
    assert events[0]["data"] == {"reason": "in hospital"}


async def test_the_stock_report(call: Api, org: Org):
    await layby(org)
    rows = (await call("GET", f"{PATH}/stock?product=LAMP-2")).json["data"]
    assert rows == [
        {"product": "LAMP-2", "reserved": 2, "released": 0, "sold": 0, "out": 2, "held": 2, "difference": 0}
    ]
    assert (await call("GET", f"{PATH}/stock?differing=true")).json["data"] == []


async def test_what_is_anothers_does_not_exist(api: Api, org: Org, services: Services):
    made = (await layby(org)).layby
    other = api.as_(await (await organisation(services, "Bulawayo Bulk")).token())
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/events", None),
        ("PATCH", "", {"note": "x"}),
        ("POST", "/hold", {}),
        ("POST", "/cancel", {"by": "shop", "reason": "x"}),
        ("POST", "/cancel/preview", {"by": "shop"}),
        ("POST", "/trip", {}),
    ):
        answer = await other(method, f"{PATH}/{made.id}{path}", body)
        assert (answer.status, answer.json["code"]) == (404, "layby-not-found"), path
