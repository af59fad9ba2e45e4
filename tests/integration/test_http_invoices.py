"""Invoices over HTTP: from a draft to its credit note, lists, who may, and what both sides are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.fakes.clock import FakeClock
from tests.freight import Business, business
from tests.waiting import listening
from waypost.invoices import account
from waypost.invoices.account import Ground
from waypost.invoices.domain import Invoice
from waypost.kernel.principal import Role
from waypost.wiring import Services

INVOICES = "/api/v1/invoices"
LINE = {"description": "Harare - Bulawayo", "quantity": "2.5", "unitPriceMinor": 999, "taxBp": 1500}
NOBODY = "01980000-0000-7000-8000-000000000000"


@pytest.fixture
async def trade(services: Services, org: Org) -> Business:
    return await business(services, org)


@pytest.fixture
async def carrier(api: Api, trade: Business) -> Api:
    return api.as_(await trade.carrier.token())


@pytest.fixture
async def shop(api: Api, trade: Business) -> Api:
    return api.as_(await trade.shop.token())


def draft(trade: Business, **of: Any) -> dict[str, Any]:
    return {"counterpartyOrgId": str(trade.shop.org_id), "currency": "USD", "lines": [LINE]} | of


async def test_from_a_draft_to_a_credit_note(trade: Business, carrier: Api, shop: Api):
    trip = str(await trade.trip())
    made = await carrier("POST", INVOICES, draft(trade, lines=[LINE | {"tripId": trip}], termsDays=14, note="November"))
    assert (made.status, made.json["status"], made.json["version"]) == (201, "draft", 1)
    assert [made.json[name] for name in ("netMinor", "taxMinor", "totalMinor", "paidMinor", "openMinor")] == [
        2498, 375, 2873, 0, 0,
    ]  # fmt: skip
    assert made.json["lines"] == [
        {"description": "Harare - Bulawayo", "quantity": "2.5", "unitPriceMinor": 999, "taxBp": 1500, "netMinor": 2498,
         "tripId": trip},
    ]  # fmt: skip
    assert made.json["taxes"] == [{"taxBp": 1500, "netMinor": 2498, "taxMinor": 375}]
    assert "number" not in made.json
    assert made.json["counterpartyName"] == "Bulawayo Bazaar"
    path = f"{INVOICES}/{made.json['id']}"
    assert (await shop("GET", path)).status == 404
    issued = await carrier("POST", f"{path}/issue")
    assert (issued.status, issued.json["status"], issued.json["overdue"]) == (200, "issued", False)
    year = issued.json["issueDate"][:4]
    assert issued.json["number"] == f"INV-{year}-000001"
    assert issued.json["openMinor"] == 2873
    sent = await carrier("POST", f"{path}/send")
    assert sent.json["sentAt"] == sent.json["updatedAt"]
    seen = await shop("GET", path)
    assert (seen.status, seen.json["orgName"], seen.json["note"]) == (200, "Harare Haulage", "November")
    for move, method in (("", "PATCH"), ("", "DELETE"), ("/issue", "POST"), ("/send", "POST"), ("/void", "POST")):
        answer = await shop(method, path + move, {} if method == "PATCH" else None)
        assert answer.status == (200 if method == "PATCH" else 403), f"{method} {move}"  # an empty change is none
    assert (await shop("PATCH", path, {"note": "x"})).status == 403
    voided = await carrier("POST", f"{path}/void", {"reason": "wrong price"})
    assert (voided.status, voided.json["status"], voided.json["openMinor"]) == (200, "voided", 0)
    note = await shop("GET", f"{INVOICES}/{voided.json['creditNoteId']}")
    assert (note.json["kind"], note.json["number"]) == ("credit_note", f"CRN-{year}-000001")
    assert (note.json["ofInvoiceId"], note.json["note"]) == (made.json["id"], "wrong price")
    again = await carrier("POST", f"{path}/void")
    assert (again.status, again.json["code"], again.json["invoiceStatus"]) == (409, "invoice-status", "voided")
    audit = (await carrier("GET", f"/api/v1/audit?subjectId={made.json['id']}")).json["data"]
    assert [each["action"] for each in audit] == ["invoice.voided", "invoice.sent", "invoice.issued", "invoice.created"]
    assert audit[0]["why"] == "wrong price"


async def test_a_draft_is_changed_and_thrown_away_and_nothing_else_is(trade: Business, carrier: Api):
    made = await carrier("POST", INVOICES, draft(trade, note="x"))
    path, etag = f"{INVOICES}/{made.json['id']}", made.headers["ETag"]
    changed = await carrier("PATCH", path, {"termsDays": 7, "note": None}, headers={"If-Match": etag})
    assert (changed.status, changed.json["termsDays"], changed.json["version"]) == (200, 7, 2)
    assert "note" not in changed.json
    assert changed.json["lines"] == made.json["lines"]
    stale = await carrier("PATCH", path, {"termsDays": 8}, headers={"If-Match": etag})
    assert (stale.status, stale.json["code"]) == (412, "stale")
    assert (await carrier("POST", f"{path}/issue", headers={"If-Match": etag})).status == 412
    emptied = await carrier("PATCH", path, {"lines": [], "currency": "ZAR"})
    assert (emptied.json["lines"], emptied.json["totalMinor"], emptied.json["currency"]) == ([], 0, "ZAR")
    empty = await carrier("POST", f"{path}/issue")
    assert (empty.status, empty.json["code"]) == (409, "invoice-empty")
    await carrier("PATCH", path, {"lines": [LINE]})
    assert (await carrier("POST", f"{path}/issue", headers={"If-Match": "*"})).status == 200
    for method, body in (("PATCH", {"note": "x"}), ("DELETE", None)):
        refused = await carrier(method, path, body)
        assert (refused.status, refused.json["invoiceStatus"]) == (409, "issued")
    other = await carrier("POST", INVOICES, draft(trade))
    gone = await carrier("DELETE", f"{INVOICES}/{other.json['id']}")
    assert (gone.status, gone.json) == (204, b"")
    assert (await carrier("GET", f"{INVOICES}/{other.json['id']}")).status == 404


BAD = [
    ({"counterpartyOrgId": NOBODY}, 404, "organisation-not-found"),
    ({"currency": "XXX"}, 422, "currency"),
    ({"currency": "usd"}, 422, "currency"),
    ({"termsDays": -1}, 422, "termsDays"),
    ({"termsDays": 366}, 422, "termsDays"),
    ({"termsDays": 1.5}, 422, "termsDays"),
    ({"note": "a\x00b"}, 422, "note"),
    ({"status": "paid"}, 422, "status"),
    ({"lines": [LINE | {"unitPriceMinor": 9.99}]}, 422, "lines[0].unitPriceMinor"),
    ({"lines": [LINE | {"unitPriceMinor": "999"}]}, 422, "lines[0].unitPriceMinor"),
    ({"lines": [LINE | {"unitPriceMinor": 10**14}]}, 422, "lines[0].unitPriceMinor"),
    ({"lines": [LINE | {"quantity": 2.5}]}, 422, "lines[0].quantity"),
    ({"lines": [LINE | {"quantity": "2.5555"}]}, 422, "lines[0].quantity"),
    ({"lines": [LINE, LINE | {"quantity": "0"}]}, 422, "lines[1].quantity"),
    ({"lines": [LINE | {"taxBp": 10_001}]}, 422, "lines[0].taxBp"),
    ({"lines": [LINE | {"description": " "}]}, 422, "lines[0].description"),
    ({"lines": [LINE | {"tripId": NOBODY}]}, 404, "trip-not-found"),
    ({"lines": [LINE | {"unitPriceMinor": -1}]}, 422, "lines"),
    ({"lines": [LINE] * 201}, 422, "lines"),
    ({"lines": [LINE | {"quantity": "9999999", "unitPriceMinor": 10**13}]}, 422, "lines[0]"),
]


async def test_a_bad_draft_is_not_made_and_what_is_wrong_is_named(trade: Business, carrier: Api):
    for of, status, what in BAD:
        answer = await carrier("POST", INVOICES, draft(trade, **of))
        named = [answer.json["code"], *(each["field"] for each in answer.json.get("errors", ()))]
        assert (answer.status, what in named) == (status, True), f"{of}: {answer}"
    assert (await carrier("GET", INVOICES)).json["data"] == []


async def test_nobody_invoices_themselves(trade: Business, carrier: Api):
    answer = await carrier("POST", INVOICES, draft(trade, counterpartyOrgId=str(trade.carrier.org_id)))
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "counterpartyOrgId")


async def test_a_trip_stands_on_one_invoice(trade: Business, carrier: Api):
    trip = str(await trade.trip())
    body = draft(trade, lines=[LINE | {"tripId": trip}])
    assert (await carrier("POST", INVOICES, body)).status == 201
    again = await carrier("POST", INVOICES, body)
    assert (again.status, again.json["code"], again.json["tripId"]) == (409, "trip-billed", trip)


async def test_a_draft_that_is_sent_twice_is_made_once(trade: Business, carrier: Api):
    key = {"headers": {"Idempotency-Key": "once"}}
    answers = [await carrier("POST", INVOICES, draft(trade), **key) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert len((await carrier("GET", INVOICES)).json["data"]) == 1


# -- lists --


async def everything(call: Api, query: str) -> list[dict[str, Any]]:
    """All pages of two."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await call("GET", f"{INVOICES}?limit=2&{query}{cursor}")).json
        found += page["data"]
        if not page["hasMore"]:
            return found
        cursor = f"&cursor={page['nextCursor']}"


@pytest.fixture
async def shelf(services: Services, trade: Business) -> dict[str, Invoice]:
    """Invoices in every state: some of forty days ago."""
    money = services.money
    then = FakeClock(services.clock.now() - timedelta(days=40))
    old = replace(money.issuing, invoices=replace(money.invoices, clock=then))
    other = await business(services, trade.carrier)
    found = {"draft": await trade.draft(), "issued": await trade.issued(), "elsewhere": await other.issued()}
    for name, terms in (("old", 30), ("older", 10), ("just", 39), ("paid", 10), ("part", 20)):
        made = await trade.draft(1_000, terms_days=terms)
        found[name] = await old.issue(trade.carrier.owner, made.id)
    late = await other.draft(1_000, terms_days=1)
    found["elsewhere-late"] = await old.issue(trade.carrier.owner, late.id)
    await services.money.issuing.void(trade.carrier.owner, (await trade.issued()).id)
    for name, minor in (("paid", 1_000), ("part", 1)):
        async with services.database.transaction(trade.carrier.org_id) as conn:
            locked = await account.lock(conn, trade.carrier.org_id, found[name].id)
            await account.pay(Ground(services.clock, services.realtime), conn, locked, minor)
    return found


LISTS = [
    ("", {"draft", "issued", "elsewhere", "old", "older", "just", "paid", "part", "elsewhere-late", "?"}),
    ("status=draft", {"draft"}),
    ("status=issued", {"issued", "elsewhere", "old", "older", "just", "elsewhere-late", "?"}),
    ("status=paid", {"paid"}),
    ("status=voided", {"?"}),
    ("counterpartyOrgId={shop}&status=issued", {"issued", "old", "older", "just", "?"}),
    ("counterpartyOrgId={nobody}", set()),
    ("direction=received", set()),
]


async def test_a_list_is_filtered_and_paged_without_gaps_newest_first(
    trade: Business, carrier: Api, shelf: dict[str, Invoice]
):
    known = {str(each.id): name for name, each in shelf.items()}
    for query, names in LISTS:
        found = await everything(carrier, query.format(shop=trade.shop.org_id, nobody=NOBODY))
        ids = [each["id"] for each in found]
        assert ids == sorted(set(ids), reverse=True), query
        assert {known.get(each, "?") for each in ids} == names, query


OVERDUE = [
    ("carrier", "overdue=true", ["elsewhere-late", "older", "part", "old", "just"]),
    ("carrier", "overdue=true&counterpartyOrgId={shop}", ["older", "part", "old", "just"]),
    ("carrier", "overdue=true&status=part_paid", ["part"]),
    ("carrier", "overdue=true&status=issued&counterpartyOrgId={shop}", ["older", "old", "just"]),
    ("shop", "overdue=true&direction=received", ["older", "part", "old", "just"]),
    ("shop", "overdue=true&direction=received&counterpartyOrgId={carrier}&status=part_paid", ["part"]),
    ("shop", "overdue=true", []),
]


async def test_those_overdue_are_listed_the_longest_overdue_first(
    trade: Business, carrier: Api, shop: Api, shelf: dict[str, Invoice]
):
    known = {str(each.id): name for name, each in shelf.items()}
    callers = {"carrier": carrier, "shop": shop}
    for who, query, names in OVERDUE:
        found = await everything(callers[who], query.format(shop=trade.shop.org_id, carrier=trade.carrier.org_id))
        assert [known[each["id"]] for each in found] == names, f"{who}: {query}"
        assert all(each["overdue"] for each in found)


async def test_the_other_side_lists_what_it_got_and_no_draft(trade: Business, shop: Api, shelf: dict[str, Invoice]):
    got = await everything(shop, "direction=received")
    assert {str(shelf[name].id) for name in ("issued", "old", "older", "just", "paid", "part")} <= {
        e["id"] for e in got
    }
    assert {each["counterpartyOrgId"] for each in got} == {str(trade.shop.org_id)}
    assert "draft" not in {each["status"] for each in got}
    assert len(got) == 8, "with the voided one and its credit note"
    assert await everything(shop, f"direction=received&counterpartyOrgId={trade.carrier.org_id}") == got
    assert [each["status"] for each in await everything(shop, "direction=received&status=paid")] == ["paid"]
    assert await everything(shop, "status=issued") == []
    few = (await shop("GET", f"{INVOICES}?direction=received&fields=number,openMinor&limit=1")).json["data"]
    assert [set(each) for each in few] == [{"number", "openMinor"}]


async def test_a_strange_question_is_refused(carrier: Api):
    odd = ("status=lost", "overdue=maybe", "direction=up", "cursor=x", "counterpartyOrgId=1", "fields=lines")
    for query in (*odd, "overdue=true&status=paid", "overdue=true&status=draft"):
        assert (await carrier("GET", f"{INVOICES}?{query}")).status == 400, query


async def test_a_cursor_of_another_order_is_refused(carrier: Api, shelf: dict[str, Invoice]):
    cursor = (await carrier("GET", f"{INVOICES}?limit=1")).json["nextCursor"]
    answer = await carrier("GET", f"{INVOICES}?overdue=true&cursor={cursor}")
    assert (answer.status, answer.json["code"]) == (400, "bad-cursor")


# -- who, and who hears --


@pytest.mark.parametrize("role", Role, ids=str)
async def test_staff_read_invoices_and_who_keeps_the_books_writes_them(
    trade: Business, api: Api, carrier: Api, role: Role
):
    _, phone = await trade.carrier.person(role)
    call = api.as_(await trade.carrier.token(phone))
    made = await carrier("POST", INVOICES, draft(trade))
    path = f"{INVOICES}/{made.json['id']}"
    assert (await call("GET", path)).status == (403 if role is Role.DRIVER else 200)
    assert (await call("GET", INVOICES)).status == (403 if role is Role.DRIVER else 200)
    writes = role in {Role.OWNER, Role.ACCOUNTANT}
    assert (await call("POST", INVOICES, draft(trade))).status == (201 if writes else 403)
    assert (await call("POST", f"{path}/issue")).status == (200 if writes else 403)


async def test_both_sides_hear_of_an_issued_invoice_and_one_of_a_draft(trade: Business, carrier: Api, shop: Api):
    async with listening(carrier.url, carrier.token) as here, listening(shop.url, shop.token) as there:
        made = (await carrier("POST", INVOICES, draft(trade))).json
        other = (await carrier("POST", INVOICES, draft(trade))).json
        await carrier("DELETE", f"{INVOICES}/{other['id']}")
        await carrier("POST", f"{INVOICES}/{made['id']}/issue")
        heard = [await each.next("invoice:changed", lambda body: body["status"] == "issued") for each in (here, there)]
        assert heard[0]["eventId"] == heard[1]["eventId"]
        assert heard[0]["invoiceId"] == made["id"]
        assert (heard[0]["totalMinor"], heard[0]["currency"], heard[0]["version"]) == (2873, "USD", 2)
        await here.next("invoice:changed", lambda body: body.get("deleted") and body["invoiceId"] == other["id"])
        assert {each["status"] for each in there.all("invoice:changed")} == {"issued"}


async def test_an_unknown_invoice_is_404(carrier: Api):
    for method, move in (("GET", ""), ("DELETE", ""), ("POST", "/issue"), ("POST", "/send"), ("POST", "/void")):
        answer = await carrier(method, f"{INVOICES}/{uuid4()}{move}")
        assert (answer.status, answer.json["code"]) == (404, "invoice-not-found")
