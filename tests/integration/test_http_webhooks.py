"""Webhooks over HTTP: for owners, each organisation its own; secrets shown once; the log, tests and replays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestServer

from tests.conftest import Api, described
from tests.factories import organisation
from tests.fakes.plays import Play
from tests.hooks import HookWorld, hook_world
from waypost.app import build_app
from waypost.webhooks.catalogue import ALL

PATH = "/api/v1/webhooks"
Serve = Callable[..., Awaitable[TestServer]]


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[HookWorld]:
    async with hook_world(environment) as opened:
        yield opened


@pytest.fixture
async def owner(world: HookWorld, aiohttp_server: Serve) -> Api:
    api = Api(await aiohttp_server(build_app(world.services)), described(world.services))
    return api.as_(await world.org.token())


async def added(owner: Api, world: HookWorld, name: str = "shop", **more: Any) -> dict[str, Any]:
    body = {"name": name, "url": f"{world.fake.url}/webhook/{name}", "events": ["*"], **more}
    answer = await owner("POST", PATH, body)
    assert answer.status == 201, answer.json
    world.face.secrets[name] = answer.json["secret"]
    return dict(answer.json)


async def test_the_secret_is_in_the_answer_that_makes_it_and_in_no_later_one(owner: Api, world: HookWorld):
    first = await added(owner, world)
    assert first["secret"].startswith("whsec_")
    seen = (await owner("GET", f"{PATH}/{first['id']}")).json
    assert "secret" not in seen
    assert [each["endsWith"] for each in seen["secrets"]] == [first["secret"][-4:]]
    second = (await owner("POST", f"{PATH}/{first['id']}/rotate-secret")).json
    assert second["secret"] != first["secret"]
    assert [("until" in each) for each in second["secrets"]] == [False, True]
    sealed = (await world.query("SELECT secrets FROM webhooks"))[0]["secrets"]
    assert second["secret"] not in sealed
    assert "whsec_" not in sealed


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://8.8.8.8/"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "https://user:word@example.com/"}, "url"),
        ({"events": ["payment.recieved"]}, "events[0]"),
        ({"events": ["webhook.test"]}, "events[0]"),
        ({"events": []}, "events"),
    ],
    ids=["in-the-clear", "metadata", "password", "unknown-event", "test-event", "no-event"],
)
async def test_what_cannot_be_is_refused_by_name(owner: Api, world: HookWorld, change: dict[str, Any], field: str):
    body = {"url": "https://example.com/hooks", "events": ["*"], **change}
    answer = await owner("POST", PATH, body)
    assert answer.status == 422
    assert [each["field"] for each in answer.json["errors"]] == [field]
    hook = await added(owner, world)
    assert (await owner("PATCH", f"{PATH}/{hook['id']}", change)).status == 422


async def test_an_unknown_event_is_answered_with_those_that_are_like_it(owner: Api):
    answer = await owner("POST", PATH, {"url": "https://example.com/", "events": ["payment.recieved"]})
    assert "payment.received" in answer.json["detail"]


async def test_a_change_needs_the_version_that_was_seen_where_it_names_one(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    path = f"{PATH}/{hook['id']}"
    tag = (await owner("GET", path)).headers["ETag"]
    changed = await owner("PATCH", path, {"events": ["trip.started", "trip.started"]}, headers={"If-Match": tag})
    assert (changed.status, changed.json["events"]) == (200, ["trip.started"])
    assert (await owner("PATCH", path, {"name": "other"}, headers={"If-Match": tag})).status == 412


async def test_another_organisations_webhook_is_as_if_there_were_none(owner: Api, world: HookWorld):
    other = await organisation(world.services, "Kwekwe Kitchens")
    stranger = owner.as_(await other.token())
    hook = await added(owner, world)
    delivery = (await owner("POST", f"{PATH}/{hook['id']}/test")).json["id"]
    theirs = (await stranger("POST", PATH, {"url": "https://example.com/", "events": ["*"]})).json["id"]
    unknown = str(UUID(int=7))
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/rotate-secret", None),
        ("POST", "/test", None),
        ("POST", "/replay", {"deliveryId": delivery}),
        ("GET", "/deliveries", None),
        ("GET", f"/deliveries/{delivery}", None),
    ):
        found = await stranger(method, f"{PATH}/{hook['id']}{path}", body)
        absent = await stranger(method, f"{PATH}/{unknown}{path}", body)
        assert (found.status, found.json["code"]) == (404, "webhook-not-found")
        assert {**found.json, "requestId": ""} == {**absent.json, "requestId": ""}
    assert (await stranger("GET", f"{PATH}/{theirs}/deliveries/{delivery}")).json[
        "code"
    ] == "webhook-delivery-not-found"
    assert (await stranger("POST", f"{PATH}/{theirs}/replay", {"deliveryId": delivery})).status == 404


async def test_a_test_event_by_one_click_arrives_signed_and_its_log_shows_how(owner: Api, world: HookWorld):
    hook = await added(owner, world, events=["trip.started"])
    sent = await owner("POST", f"{PATH}/{hook['id']}/test", {"type": "payment.received"})
    assert (sent.status, sent.json["state"]) == (202, "pending")
    await world.send()
    (taken,) = world.accepted
    assert world.face.bad_signatures == 0
    seen = (await owner("GET", f"{PATH}/{hook['id']}/deliveries/{sent.json['id']}")).json
    assert (seen["state"], seen["status"], seen["attempts"]) == ("sent", 200, 1)
    assert seen["body"] == taken.text
    assert '"test":true' in seen["body"]
    assert seen["eventId"] == taken.reference
    (attempt,) = seen["tries"]
    assert (attempt["outcome"], attempt["status"], attempt["answer"]) == ("taken", 200, "thank you")
    assert (await owner("POST", f"{PATH}/{hook['id']}/test", {"type": "no.such"})).status == 422


async def test_the_log_is_newest_first_and_is_found_by_state_type_and_time(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    await world.happen("payment_received", 2)
    await world.send_all()
    world.fake.play(Play("error"))
    await world.happen("layby_completed")
    await world.send()
    path = f"{PATH}/{hook['id']}/deliveries"
    rows = (await owner("GET", path)).json["data"]
    assert [row["type"] for row in rows] == ["layby.completed", "payment.received", "payment.received"]
    assert [row["state"] for row in rows] == ["pending", "sent", "sent"]
    assert (rows[0]["reason"], rows[0]["status"], "dueAt" in rows[0]) == ("http_500", 500, True)
    assert len((await owner("GET", path, params={"state": "sent"})).json["data"]) == 2
    assert len((await owner("GET", path, params={"type": "layby.completed"})).json["data"]) == 1
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert (await owner("GET", path, params={"since": later})).json["data"] == []
    assert len((await owner("GET", path, params={"until": later, "limit": "2"})).json["data"]) == 2
    assert (await owner("GET", path, params={"since": "0001-01-01T00:00:00+10:00"})).status == 400


async def test_one_delivery_is_sent_once_more_under_the_same_id(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    await world.happen()
    await world.send_all()
    (row,) = await world.rows()
    replayed = await owner("POST", f"{PATH}/{hook['id']}/replay", {"deliveryId": str(row["id"])})
    assert (replayed.status, replayed.json) == (202, {"count": 1, "more": False})
    again = await owner("POST", f"{PATH}/{hook['id']}/replay", {"deliveryId": str(row["id"])})
    assert (again.status, again.json["code"]) == (409, "webhook-delivery-under-way")
    await world.send_all()
    assert [each.reference for each in world.accepted] == [str(row["event_id"])] * 2


async def test_since_a_moment_what_was_not_taken_and_what_was_missed_is_sent(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    path = f"{PATH}/{hook['id']}"
    since = datetime.now(UTC) - timedelta(minutes=1)
    await world.happen(number=2)
    await world.send_all()
    world.fake.play(Play("refuse", code="410"))
    await world.happen(number=2)
    await world.send()  # gone: one failed, the other cancelled
    await world.happen(number=3)  # while it is off
    off = await owner("POST", f"{path}/replay", {"since": since.isoformat()})
    assert (off.status, off.json["code"]) == (409, "webhook-off")
    on = await owner("PATCH", path, {"state": "on"})
    assert (on.json["state"], "offReason" in on.json, "failingSince" in on.json) == ("on", False, False)
    assert (await owner("POST", f"{path}/replay", {"since": since.isoformat()})).json == {"count": 5, "more": False}
    assert (await owner("POST", f"{path}/replay", {"since": since.isoformat()})).json == {"count": 0, "more": False}
    await world.send_all()
    references = [each.reference for each in world.accepted]
    assert len(references) == len(set(references)) == 7
    assert (await owner("POST", f"{path}/replay", {"since": since.isoformat(), "taken": True})).json["count"] == 7


async def test_a_replay_of_many_is_bounded_and_says_that_there_is_more(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    path, since = f"{PATH}/{hook['id']}", datetime.now(UTC) - timedelta(minutes=1)
    await owner("PATCH", path, {"state": "off"})
    await world.happen(number=1003)
    await owner("PATCH", path, {"state": "on"})
    assert (await owner("POST", f"{path}/replay", {"since": since.isoformat()})).json == {"count": 1000, "more": True}
    assert (await owner("POST", f"{path}/replay", {"since": since.isoformat()})).json == {"count": 3, "more": False}


@pytest.mark.parametrize(
    "body", [{}, {"since": "2026-11-22T00:00:00Z", "deliveryId": str(UUID(int=1))}], ids=["neither", "both"]
)
async def test_a_replay_is_of_one_or_of_a_span(owner: Api, world: HookWorld, body: dict[str, Any]):
    hook = await added(owner, world)
    assert (await owner("POST", f"{PATH}/{hook['id']}/replay", body)).status == 422


async def test_one_that_is_switched_off_by_hand_hears_nothing_and_no_alert_is_raised(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    await world.happen()
    off = await owner("PATCH", f"{PATH}/{hook['id']}", {"state": "off"})
    assert (off.json["state"], off.json["offReason"]) == ("off", "by_hand")
    await world.happen()
    await world.send_all()
    assert world.accepted == []
    assert [row["state"] for row in await world.rows()] == ["cancelled"]
    assert await world.query("SELECT * FROM alerts") == []
    assert (await owner("POST", f"{PATH}/{hook['id']}/test")).status == 409


async def test_switched_on_again_its_alert_is_over(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    world.fake.play(Play("refuse", code="410"))
    await world.happen()
    await world.send()
    assert len((await owner("GET", "/api/v1/alerts")).json["data"]) == 1
    await owner("PATCH", f"{PATH}/{hook['id']}", {"state": "on"})
    assert (await owner("GET", "/api/v1/alerts")).json["data"] == []


async def test_an_archived_one_is_sent_nothing_keeps_its_log_and_cannot_be_changed(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    await world.happen()
    path = f"{PATH}/{hook['id']}"
    assert [(await owner("DELETE", path)).status for _ in range(2)] == [204, 204]
    await world.happen()
    await world.send_all()
    assert world.accepted == []
    assert (await owner("PATCH", path, {"name": "x"})).json["code"] == "webhook-archived"
    assert (await owner("POST", f"{path}/rotate-secret")).status == 409
    assert len((await owner("GET", f"{path}/deliveries")).json["data"]) == 1
    assert (await owner("GET", PATH)).json["data"] == []
    assert len((await owner("GET", PATH, params={"archived": "true"})).json["data"]) == 1


async def test_an_organisation_has_a_bounded_number_of_webhooks(owner: Api):
    body = {"url": "https://example.com/hooks", "events": ["*"]}
    statuses = [(await owner("POST", PATH, body)).status for _ in range(21)]
    assert statuses == [201] * 20 + [409]


async def test_the_types_of_events_are_listed_with_an_example_each(owner: Api):
    types = (await owner("GET", f"{PATH}/event-types")).json["data"]
    assert [each["type"] for each in types] == [each.name for each in ALL]
    assert all(each["example"]["type"] == each["type"] for each in types)
    assert all(each["example"]["data"]["test"] for each in types)


async def test_every_deed_is_in_the_audit_log(owner: Api, world: HookWorld):
    hook = await added(owner, world)
    path = f"{PATH}/{hook['id']}"
    await owner("POST", f"{path}/rotate-secret")
    await owner("POST", f"{path}/test")
    await owner("POST", f"{path}/replay", {"since": "2026-01-01T00:00:00Z"})
    await owner("PATCH", path, {"name": "other"})
    await owner("DELETE", path)
    entries = (await owner("GET", "/api/v1/audit", params={"subjectId": hook["id"]})).json["data"]
    assert [entry["action"] for entry in reversed(entries)] == [
        f"webhook.{what}" for what in ("added", "secret-rotated", "tested", "replayed", "changed", "archived")
    ]
    assert "whsec_" not in str(entries)
