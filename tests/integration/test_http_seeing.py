"""What staff find among notices and deliveries, what they send once more, and what they may not see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from tests.conftest import Api
from tests.consent_world import Shop
from tests.factories import Org, organisation
from waypost.kernel.principal import Role
from waypost.notifications import kinds
from waypost.notifications.addresses import ChannelName
from waypost.notifications.kinds import PAYMENT_REMINDER, TRIP_STARTED
from waypost.notifications.states import State
from waypost.platform.database import SYSTEM
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.wiring import Services
from waypost.wiring_work import relay_over

ABOUT = "UPDATE notifications SET subject_kind = $2, subject_id = $3, kind = $4, customer_id = $5 WHERE id = $1"
WHY = {"why": "the gateway was down"}


@dataclass(frozen=True, slots=True)
class Seeing:
    """A shop with notices in any state, and its owner at the API."""

    shop: Shop
    api: Api

    async def told(self, state: State, kind: str = TRIP_STARTED, **of: Any) -> tuple[UUID, UUID]:
        """A delivery in that state: its notification's id and its own."""
        delivery_id = await self.shop.delivery(state=state, kind=kind, **of)
        (row,) = await self.query("SELECT notification_id FROM deliveries WHERE id = $1", delivery_id)
        return row["notification_id"], delivery_id

    async def query(self, statement: str, *arguments: object) -> list[Any]:
        async with self.shop.org.services.database.transaction(SYSTEM) as conn:
            return list(await conn.fetch(statement, *arguments))

    async def listed(self, path: str) -> list[str]:
        answer = await self.api("GET", f"/api/v1/{path}")
        assert answer.status == 200, answer.json
        return [row["id"] for row in answer.json["data"]]


@pytest.fixture
async def seeing(org: Org, api: Api) -> Seeing:
    return Seeing(await Shop.of(org), api.as_(await org.token()))


async def test_notices_are_found_by_what_they_are_about_and_by_what_became_of_them(seeing: Seeing):
    customer, trip = await seeing.shop.org.services.directory.add_customer(seeing.shop.org.owner, name="C"), uuid4()
    first, one = await seeing.told(State.FAILED)
    second, _ = await seeing.told(State.SENT, PAYMENT_REMINDER, channel=ChannelName.EMAIL, to="c@example.com")
    await seeing.query("UPDATE deliveries SET reason = 'twilio_bad_number' WHERE id = $1", one)
    await seeing.query(ABOUT, first, "trip", trip, TRIP_STARTED, customer)
    found: dict[str, list[UUID]] = {
        "state=failed": [first],
        "reason=twilio_bad_number": [first],
        "channel=email": [second],
        "state=sent&channel=sms": [],
        f"kind={PAYMENT_REMINDER}": [second],
        f"tripId={trip}": [first],
        f"tripId={trip}&customerId={customer}": [first],
        f"tripId={trip}&customerId={uuid4()}": [],
        f"customerId={customer}": [first],
        f"laybyId={uuid4()}": [],
        f"invoiceId={uuid4()}": [],
        f"paymentId={uuid4()}": [],
        "": [second, first],
    }
    for query, ids in found.items():
        assert await seeing.listed(f"notifications?{query}") == [str(each) for each in ids], query


async def test_a_span_of_time_is_from_up_to_but_not_with(seeing: Seeing):
    notice, _ = await seeing.told(State.SENT)
    (row,) = await seeing.query("SELECT created_at FROM notifications WHERE id = $1", notice)
    at = row["created_at"]
    exact, after = quote(at.isoformat()), quote((at + timedelta(seconds=1)).isoformat())
    for path in ("notifications", "deliveries"):
        assert len(await seeing.listed(f"{path}?until={after}&since={exact}")) == 1
        assert await seeing.listed(f"{path}?until={exact}") == []
        assert await seeing.listed(f"{path}?since={after}") == []
        assert (await seeing.api("GET", f"/api/v1/{path}?since=yesterday")).status == 400
        assert (await seeing.api("GET", f"/api/v1/{path}?since=2026-11-22T10:00:00")).status == 400


async def test_dead_letters_and_what_went_to_an_address(seeing: Seeing):
    _, dead = await seeing.told(State.DEAD)
    _, sent = await seeing.told(State.SENT, to="+263771111111")
    await seeing.query("UPDATE deliveries SET reason = 'http_503', provider_id = $2 WHERE id = $1", dead,
                       seeing.shop.account.id)  # fmt: skip
    assert await seeing.listed("deliveries?state=dead") == [str(dead)]
    assert await seeing.listed(f"deliveries?channel=sms&address={quote('+263771111111')}") == [str(sent)]
    assert await seeing.listed("deliveries?reason=http_503&channel=sms") == [str(dead)]
    assert await seeing.listed("deliveries?channel=push") == []
    (row,) = (await seeing.api("GET", "/api/v1/deliveries?state=dead")).json["data"]
    assert (row["why"], row["kind"]) == ("The SMS gateway answered HTTP 503.", TRIP_STARTED)
    answer = await seeing.api("GET", f"/api/v1/deliveries?address={quote('+263771111111')}")
    assert (answer.status, answer.json["code"]) == (422, "invalid")


async def test_many_are_replayed_the_oldest_first_and_each_is_audited(seeing: Seeing):
    dead = [(await seeing.told(State.DEAD))[1] for _ in range(5)]
    _, failed = await seeing.told(State.FAILED)
    answer = await seeing.api("POST", "/api/v1/deliveries/replay", {"state": "dead", "limit": 3, **WHY})
    assert (answer.status, answer.json) == (200, {"replayed": 3, "more": True})
    rows = await seeing.query("SELECT id FROM deliveries WHERE state = 'pending' ORDER BY id")
    assert [row["id"] for row in rows] == dead[:3]
    audited = await seeing.query("SELECT subject_id, why FROM audit_log WHERE action = 'delivery.replayed'")
    assert {row["subject_id"] for row in audited} == set(dead[:3])
    assert {row["why"] for row in audited} == {WHY["why"]}
    answer = await seeing.api("POST", "/api/v1/deliveries/replay", {"state": "dead", **WHY})
    assert answer.json == {"replayed": 2, "more": False}
    assert (await seeing.query("SELECT state FROM deliveries WHERE id = $1", failed))[0]["state"] == "failed"


@pytest.mark.parametrize(
    "body",
    [{"state": "dead"}, {"state": "sent", **WHY}, {"state": "dead", "limit": 501, **WHY}, {"state": "dead", "limit": 0,
     **WHY}, {"state": "dead", "since": "2026-11-22T10:00:00", **WHY}],
    ids=["no why", "not stuck", "too many", "none", "a time without a zone"],
)  # fmt: skip
async def test_a_replay_without_bounds_or_a_reason_is_refused(seeing: Seeing, body: dict[str, Any]):
    assert (await seeing.api("POST", "/api/v1/deliveries/replay", body)).status == 422


async def test_a_resend_is_a_new_notification_and_no_second_event(org: Org, services: Services, api: Api):
    customer = await services.directory.add_customer(org.owner, name="Chipo", email="chipo@example.com")
    driver = await services.directory.add_driver(org.owner, name="D")
    owner = api.as_(await org.token())
    await services.telling.webhooks.add(org.owner, name="w", url="https://shop.example/h", events=["*"])
    trip = await services.trips.create(org.owner, NewTrip(driver_id=driver.id, customer_id=customer))
    await services.trips.move(org.owner, trip.id, Move.START)
    relay = relay_over(services)
    await relay.expand()
    path = f"/api/v1/trips/{trip.id}/notifications"
    (told,) = [row for row in (await owner("GET", path)).json["data"] if row["kind"] == TRIP_STARTED]
    answer = await owner("POST", f"/api/v1/notifications/{told['id']}/resend", {"why": "she has a new number"})
    assert (answer.status, answer.json) == (202, {"resentFrom": told["id"]})
    await relay.expand()
    again = [row for row in (await owner("GET", path)).json["data"] if row.get("resentFrom") == told["id"]]
    assert len(again) == 1
    assert again[0]["id"] != told["id"]
    assert again[0]["deliveries"]
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT count(*) FROM webhook_events WHERE type = 'trip.started'") == 1
        assert await conn.fetchval("SELECT why FROM audit_log WHERE action = 'notification.resent'") == (
            "she has a new number"
        )


async def test_what_named_nobody_is_not_resent_to_all_staff(seeing: Seeing):
    org = seeing.shop.org
    trial = await org.services.telling.provider_trials.send(org.owner, seeing.shop.account.id, "+263771111111")
    house, _ = await seeing.told(State.DEAD, kinds.ALERT_RAISED, channel=ChannelName.OTHER)
    for notice in (trial.notification_id, house):
        answer = await seeing.api("POST", f"/api/v1/notifications/{notice}/resend", WHY)
        assert (answer.status, answer.json["code"]) == (409, "named-nobody")
    assert await seeing.query("SELECT FROM outbox WHERE key LIKE 'resent:%'") == []
    assert await seeing.query("SELECT FROM audit_log WHERE action = 'notification.resent'") == []
    hers, _ = await seeing.told(State.DEAD, kinds.ALERT_RAISED, user_id=org.owner.user_id)
    assert (await seeing.api("POST", f"/api/v1/notifications/{hers}/resend", WHY)).status == 202


async def test_figures_add_up(seeing: Seeing):
    states = [State.SENT, State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED, State.DEAD, State.IN_DOUBT,
              State.PENDING, State.SUPPRESSED]  # fmt: skip
    for state in states:
        await seeing.told(state)
    await seeing.query("UPDATE deliveries SET segments = 2, cost = 0.80, cost_currency = 'KES' WHERE state = 'sent'")
    answer = await seeing.api("GET", "/api/v1/notifications/figures")
    assert answer.status == 200
    rows = answer.json["data"]
    expected = {
        "deliveries": 9, "sent": 2, "delivered": 1, "undelivered": 1, "withheld": 1, "failed": 2, "inDoubt": 1,
        "waiting": 1, "segments": 4,
    }  # fmt: skip
    assert {name: sum(row[name] for row in rows) for name in expected} == expected
    assert [(row["cost"], row["currency"]) for row in rows if row["cost"] != "0"] == [("1.6", "KES")]


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-01-01T00:00:00Z&until=2026-11-01T00:00:00Z",
        "until=2020-01-01T00:00:00Z&since=2021-01-01T00:00:00Z",
    ],
    ids=["too long", "backwards"],
)
async def test_figures_are_of_a_quarter_at_most(seeing: Seeing, query: str):
    assert (await seeing.api("GET", f"/api/v1/notifications/figures?{query}")).status == 422


@pytest.mark.parametrize("room", ["trips", "laybys", "payments", "invoices", "customers"])
async def test_the_trail_of_what_is_anothers_is_not_there(seeing: Seeing, room: str):
    answer = await seeing.api("GET", f"/api/v1/{room}/{uuid4()}/notifications")
    assert answer.status == 404


async def test_a_customers_trail_shows_all_that_they_were_told(seeing: Seeing):
    org = seeing.shop.org
    customer = await org.services.directory.add_customer(org.owner, name="C")
    mine, _ = await seeing.told(State.SENT)
    await seeing.told(State.SENT)
    await seeing.query("UPDATE notifications SET customer_id = $2 WHERE id = $1", mine, customer)
    assert await seeing.listed(f"customers/{customer}/notifications") == [str(mine)]


async def test_another_organisation_sees_and_moves_nothing(seeing: Seeing, services: Services):
    notice, dead = await seeing.told(State.DEAD)
    other = await organisation(services, "Other")
    stranger = seeing.api.as_(await other.token())
    assert (await stranger("GET", "/api/v1/deliveries?state=dead")).json["data"] == []
    assert (await stranger("GET", f"/api/v1/notifications/{notice}")).status == 404
    assert (await stranger("POST", f"/api/v1/notifications/{notice}/resend", WHY)).status == 404
    assert (await stranger("POST", "/api/v1/deliveries/replay", {"state": "dead", **WHY})).json["replayed"] == 0
    (row,) = await seeing.query("SELECT state FROM deliveries WHERE id = $1", dead)
    assert row["state"] == "dead"


async def test_who_only_watches_sends_nothing_once_more(seeing: Seeing):
    notice, _ = await seeing.told(State.DEAD)
    _, phone = await seeing.shop.org.person(Role.VIEWER)
    viewer = seeing.api.as_(await seeing.shop.org.token(phone))
    assert (await viewer("GET", "/api/v1/deliveries")).status == 200
    assert (await viewer("POST", "/api/v1/deliveries/replay", {"state": "dead", **WHY})).status == 403
    assert (await viewer("POST", f"/api/v1/notifications/{notice}/resend", WHY)).status == 403


async def test_words_of_a_sensitive_kind_are_nobodys_business(seeing: Seeing, monkeypatch: pytest.MonkeyPatch):
    notice, delivery = await seeing.told(State.SENT)
    await seeing.query("UPDATE deliveries SET body = 'your code is 4711' WHERE id = $1", delivery)
    path = f"/api/v1/notifications/{notice}"
    assert (await seeing.api("GET", path)).json["deliveries"][0]["body"] == "your code is 4711"
    secret = {**kinds.KINDS, TRIP_STARTED: replace(kinds.KINDS[TRIP_STARTED], sensitive=True)}
    monkeypatch.setattr("waypost.notifications.storage_seen.KINDS", secret)
    assert "4711" not in str((await seeing.api("GET", path)).json)
