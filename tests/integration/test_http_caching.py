"""What caches may keep: each route's header, ETags and 304, compression."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Api
from tests.factories import Org, things
from waypost.app import route_table
from waypost.platform.routes import Cache
from waypost.wiring import Services

KEPT = "private, no-cache"
LIVE = "no-store"
# Every GET of the API, and what a cache may do with its answer. A new route has to take its place here.
HEADERS = {
    "/api/asyncapi.json": "no-cache",
    "/api/openapi.json": "no-cache",
    "/api/v1/accounts": KEPT,
    "/api/v1/accounts/{account_id}/entries": KEPT,
    "/api/v1/alerts": LIVE,
    "/api/v1/audit": KEPT,
    "/api/v1/callbacks": LIVE,
    "/api/v1/callbacks/messages/{token}/inbound": LIVE,
    "/api/v1/callbacks/messages/{token}/status": LIVE,
    "/api/v1/callbacks/{callback_id}": LIVE,
    "/api/v1/customers": KEPT,
    "/api/v1/customers/{customer_id}": KEPT,
    "/api/v1/customers/{customer_id}/credit": LIVE,
    "/api/v1/customers/{customer_id}/preferences": LIVE,
    "/api/v1/devices": KEPT,
    "/api/v1/devices/{device_id}": KEPT,
    "/api/v1/devices/{device_id}/quality": LIVE,
    "/api/v1/devices/{device_id}/rejections": LIVE,
    "/api/v1/drivers": KEPT,
    "/api/v1/drivers/{driver_id}": KEPT,
    "/api/v1/inbound-messages": LIVE,
    "/api/v1/inbox": LIVE,
    "/api/v1/inbox/unread": LIVE,
    "/api/v1/ingest/osmand": LIVE,
    "/api/v1/ingest/osmand/{device_token}": LIVE,
    "/api/v1/ingest/overland": LIVE,
    "/api/v1/ingest/overland/{device_token}": LIVE,
    "/api/v1/ingest/owntracks": LIVE,
    "/api/v1/ingest/owntracks/{device_token}": LIVE,
    "/api/v1/ingest/transistor": LIVE,
    "/api/v1/ingest/transistor/{device_token}": LIVE,
    "/api/v1/invitations": KEPT,
    "/api/v1/invoices": KEPT,
    "/api/v1/invoices/{invoice_id}": KEPT,
    "/api/v1/invoices/{invoice_id}/paper": LIVE,
    "/api/v1/jobs": LIVE,
    "/api/v1/jobs/{job_id}": LIVE,
    "/api/v1/jobs/{job_id}/file": LIVE,
    "/api/v1/layby-rules": KEPT,
    "/api/v1/layby-rules/{trade}": KEPT,
    "/api/v1/laybys": KEPT,
    "/api/v1/laybys/analytics": LIVE,
    "/api/v1/laybys/stock": LIVE,
    "/api/v1/laybys/sweeps": LIVE,
    "/api/v1/laybys/{layby_id}": KEPT,
    "/api/v1/laybys/{layby_id}/agreement": LIVE,
    "/api/v1/laybys/{layby_id}/events": KEPT,
    "/api/v1/laybys/{layby_id}/statement": LIVE,
    "/api/v1/me": KEPT,
    "/api/v1/me/preferences": LIVE,
    "/api/v1/members": KEPT,
    "/api/v1/members/{user_id}": KEPT,
    "/api/v1/message-providers": LIVE,
    "/api/v1/message-providers/{message_provider_id}": LIVE,
    "/api/v1/message-receipts": LIVE,
    "/api/v1/laybys/{layby_id}/notifications": LIVE,
    "/api/v1/invoices/{invoice_id}/notifications": LIVE,
    "/api/v1/payments/{payment_id}/notifications": LIVE,
    "/api/v1/customers/{customer_id}/notifications": LIVE,
    "/api/v1/deliveries": LIVE,
    "/api/v1/notifications": LIVE,
    "/api/v1/notifications/figures": LIVE,
    "/api/v1/notifications/{notification_id}": LIVE,
    "/api/v1/org": KEPT,
    "/api/v1/organisation/preferences": LIVE,
    "/api/v1/payment-providers": KEPT,
    "/api/v1/payment-providers/{provider_id}": KEPT,
    "/api/v1/payments": LIVE,
    "/api/v1/payments/prompts": LIVE,
    "/api/v1/payments/prompts/{prompt_id}": LIVE,
    "/api/v1/payments/reconciliation": KEPT,
    "/api/v1/payments/refunds-due": LIVE,
    "/api/v1/payments/statements": LIVE,
    "/api/v1/payments/statements/{statement_id}": LIVE,
    "/api/v1/payments/statements/{statement_id}/lines": LIVE,
    "/api/v1/payments/{payment_id}": LIVE,
    "/api/v1/payments/{payment_id}/receipt": LIVE,
    "/api/v1/payments/{payment_id}/reversal": LIVE,
    "/api/v1/payments/{payment_id}/suggestions": LIVE,
    "/api/v1/push/key": LIVE,
    "/api/v1/push/subscriptions": LIVE,
    "/api/v1/suppressions": LIVE,
    "/api/v1/templates": KEPT,
    "/api/v1/templates/{kind}/{form}/{locale}": KEPT,
    "/api/v1/templates/{kind}/{form}/{locale}/versions": KEPT,
    "/api/v1/tracking/latest": LIVE,
    "/api/v1/tracking/quality": LIVE,
    "/api/v1/tracking/streets/{z}/{x}/{y}": KEPT,
    "/api/v1/tracking/trips/{trip_id}/latest": LIVE,
    "/api/v1/trips": KEPT,
    "/api/v1/trips/{trip_id}": KEPT,
    "/api/v1/trips/{trip_id}/events": KEPT,
    "/api/v1/trips/{trip_id}/locations": LIVE,
    "/api/v1/trips/{trip_id}/locations/summary": KEPT,
    "/api/v1/trips/{trip_id}/notifications": LIVE,
    "/api/v1/trips/{trip_id}/watchers": LIVE,
    "/api/v1/trucks": KEPT,
    "/api/v1/trucks/{truck_id}": KEPT,
    "/api/v1/webhooks": LIVE,
    "/api/v1/webhooks/event-types": KEPT,
    "/api/v1/webhooks/{webhook_id}": LIVE,
    "/api/v1/webhooks/{webhook_id}/deliveries": LIVE,
    "/api/v1/webhooks/{webhook_id}/deliveries/{webhook_delivery_id}": LIVE,
    "/livez": LIVE,
    "/metrics": LIVE,
    "/readyz": LIVE,
}
DESCRIPTIONS = {"/api/asyncapi.json", "/api/openapi.json"}  # of the routes, not among them


def test_every_get_has_its_header_in_the_list_above(services: Services):
    gets = {row.path: row.cache.value for row in route_table(services) if row.method == "GET"}
    assert gets == {path: header for path, header in HEADERS.items() if path not in DESCRIPTIONS}


async def test_every_get_answers_with_its_header_and_the_kept_ones_with_an_etag_and_304(
    api: Api, org: Org, services: Services
):
    ids = await things(org)
    owner = api.as_(await org.token())
    for path, header in HEADERS.items():
        answer = await owner("GET", re.sub(r"{(\w+)}", lambda part: str(ids[part[1]]), path))
        assert answer.headers["Cache-Control"] == (header if answer.status == 200 else LIVE), path
        if header == LIVE or answer.status != 200:
            continue
        etag = answer.headers["ETag"]
        again = await owner(
            "GET", re.sub(r"{(\w+)}", lambda part: str(ids[part[1]]), path), headers={"If-None-Match": etag}
        )
        assert (again.status, again.json, again.headers["ETag"]) == (304, b"", etag), path
        assert "Authorization" in answer.headers["Vary"], path


async def test_refusals_are_never_kept(api: Api, org: Org):
    for answer in (await api("GET", "/api/v1/trips"), await api("GET", "/nothing")):
        assert answer.headers["Cache-Control"] == Cache.NO_STORE.value


@pytest.mark.parametrize(("many", "packed"), [(1, None), (40, "gzip")])
async def test_what_may_be_kept_and_is_larger_than_1_kib_goes_out_compressed(
    api: Api, org: Org, many: int, packed: str | None
):
    owner = api.as_(await org.token())
    for number in range(many):
        await owner("POST", "/api/v1/trucks", {"name": f"Truck {number}"})
    plain = await owner("GET", "/api/v1/trucks", headers={"Accept-Encoding": "identity"})
    answer = await owner("GET", "/api/v1/trucks", headers={"Accept-Encoding": "gzip"})
    assert answer.json == plain.json
    assert answer.headers.get("Content-Encoding") == packed
    assert "Content-Encoding" not in plain.headers
    if packed:
        assert answer.headers["ETag"] != plain.headers["ETag"]  # two representations
    unwanted = await owner("GET", "/api/v1/trucks", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in unwanted.headers
    for etag in (answer.headers["ETag"], plain.headers["ETag"]):
        assert (await owner("GET", "/api/v1/trucks", headers={"If-None-Match": etag})).status == 304


async def test_live_answers_are_not_compressed(api: Api, org: Org):
    for _ in range(30):
        await org.phone()
    answer = await api.as_(await org.token())("GET", "/api/v1/notifications", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


async def test_only_the_fields_that_were_asked_for_and_no_unknown_one(api: Api, org: Org):
    owner = api.as_(await org.token())
    await owner("POST", "/api/v1/trucks", {"name": "T"})
    some = await owner("GET", "/api/v1/trucks?fields=name,id")
    assert [sorted(row) for row in some.json["data"]] == [["id", "name"]]
    for wrong in ("nmae", "name,", "name,secret", ""):
        answer = await owner("GET", f"/api/v1/trucks?fields={wrong}")
        assert (answer.status, answer.json["code"]) == (400, "bad-query"), wrong
