"""What staff see of notifications over HTTP, what they do about stuck ones, and the developer's page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from tests.conftest import Api
from tests.factories import organisation
from tests.fakes.mail import Fault
from tests.notices import ALL_DUE, Serve, World, served, shown, telling
from tests.waiting import listening
from waypost.kernel.principal import Role
from waypost.trips.domain import Move


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment, WAYPOST_CONSOLE_CHANNEL="true") as opened:
        yield opened


@pytest.fixture
async def staff(world: World, aiohttp_server: Serve) -> Api:
    """The owner, signed in."""
    return (await served(world, aiohttp_server)).as_(await world.org.token())


async def one_by_mail(world: World, *faults: Fault) -> UUID:
    """A notice tried once by e-mail, which met these faults; its delivery."""
    world.mail.faults.extend(faults)
    await world.trip(await world.customer("Chipo Dube", email="chipo@example.com"))
    await world.relay.expand()
    (row,) = await world.query("SELECT id FROM deliveries WHERE channel = 'email' AND state = 'pending'")
    await world.attempt(row["id"])
    return UUID(str(row["id"]))


async def test_a_list_shows_what_was_told_and_how_it_went(world: World, staff: Api):
    trip = await world.trip(await world.customer(email="chipo@example.com", phone="+263771000999"))
    await world.relay.expand()
    answer = await staff("GET", "/api/v1/notifications")
    assert answer.status == 200
    (told,) = answer.json["data"]
    assert (told["kind"], told["tripId"], told["recipient"]) == ("trip_started", str(trip.id), "Chipo Dube")
    assert {(d["channel"], d["address"], d["state"]) for d in told["deliveries"]} == {
        ("console", "+263771000999", "pending"),
        ("email", "chipo@example.com", "pending"),
    }


async def test_a_list_is_filtered_by_state_kind_and_trip(world: World, staff: Api):
    delivery = await one_by_mail(world, Fault.NEVER)
    other = await world.trip(await world.customer())
    await world.services.trips.move(world.org.owner, other.id, Move.COMPLETE)
    await world.relay.expand()

    async def kinds(query: str) -> list[str]:
        answer = await staff("GET", f"/api/v1/notifications?{query}")
        assert answer.status == 200, answer.json
        return [row["kind"] for row in answer.json["data"]]

    assert await kinds("state=failed") == ["trip_started"]
    assert await kinds("state=dead") == []
    assert await kinds("kind=trip_completed") == ["trip_completed"]
    assert await kinds(f"tripId={other.id}") == ["trip_completed", "trip_started"]
    assert (await staff("GET", "/api/v1/notifications?state=lost")).status == 400
    assert (await world.row(delivery))["state"] == "failed"


async def test_a_list_goes_on_where_its_page_ended(world: World, staff: Api):
    for _ in range(5):
        await world.trip(await world.customer())
    await world.relay.expand()
    seen, query = [], ""
    while True:
        page = (await staff("GET", f"/api/v1/notifications?limit=2{query}")).json
        seen += [row["id"] for row in page["data"]]
        if not page["hasMore"]:
            break
        query = f"&cursor={page['nextCursor']}"
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


async def test_one_notification_has_its_words_and_every_try(world: World, staff: Api):
    delivery = await one_by_mail(world, Fault.NOT_NOW)
    await world.query(ALL_DUE)
    await world.attempt(delivery)
    row = await world.row(delivery)
    answer = await staff("GET", f"/api/v1/notifications/{row['notification_id']}")
    assert answer.status == 200
    by_mail = next(d for d in answer.json["deliveries"] if d["channel"] == "email")
    assert (by_mail["state"], by_mail["attempt"]) == ("sent", 2)
    assert by_mail["subject"] == "Harare Haulage: your delivery is on its way"
    assert "Hello Chipo Dube" in by_mail["body"]
    assert [(a["outcome"], a["status"]) for a in by_mail["attempts"]] == [("not_sent", 451), ("accepted", 250)]


async def test_a_trips_notices_are_listed_beside_it_and_an_unknown_trip_has_none(world: World, staff: Api):
    trip = await world.trip(await world.customer())
    await world.trip(await world.customer())
    await world.relay.expand()
    answer = await staff("GET", f"/api/v1/trips/{trip.id}/notifications")
    assert [row["tripId"] for row in answer.json["data"]] == [str(trip.id)]
    missing = await staff("GET", f"/api/v1/trips/{uuid4()}/notifications")
    assert (missing.status, missing.json["code"]) == (404, "trip-not-found")


async def test_another_organisation_sees_nothing_of_it_not_even_of_a_trip_it_receives(world: World, staff: Api):
    other = await organisation(world.services, "Msasa Hardware")
    trip = await world.trip(await world.customer(), destination_org_id=other.org_id)
    await world.relay.expand()
    (row,) = await world.query("SELECT id, notification_id FROM deliveries WHERE channel = 'email'")
    stranger = staff.as_(await other.token())
    assert (await stranger("GET", "/api/v1/notifications")).json["data"] == []
    assert (await stranger("GET", f"/api/v1/trips/{trip.id}/notifications")).json["data"] == []
    one = await stranger("GET", f"/api/v1/notifications/{row['notification_id']}")
    assert (one.status, one.json["code"]) == (404, "notification-not-found")
    replay = await stranger("POST", f"/api/v1/deliveries/{row['id']}/replay", {"why": "curious"})
    assert (replay.status, replay.json["code"]) == (404, "delivery-not-found")


async def test_a_refused_delivery_is_replayed_by_a_person_with_a_new_budget_and_it_is_audited(world: World, staff: Api):
    delivery = await one_by_mail(world, Fault.NEVER)
    answer = await staff("POST", f"/api/v1/deliveries/{delivery}/replay", {"why": "they want it now"})
    assert (answer.status, answer.json["state"], answer.json["attempt"]) == (200, "pending", 1)
    assert (await world.row(delivery))["budget"] == 9
    await world.attempt(delivery)
    assert (await world.row(delivery))["state"] == "sent"
    (entry,) = await world.query("SELECT * FROM audit_log WHERE subject_id = $1", delivery)
    assert (entry["action"], entry["why"]) == ("delivery.replayed", "they want it now")
    again = await staff("POST", f"/api/v1/deliveries/{delivery}/replay", {"why": "once more"})
    assert (again.status, again.json["code"], again.json["deliveryState"]) == (409, "delivery-state", "sent")


@pytest.mark.parametrize(("action", "state"), [("send_again", "pending"), ("let_be", "failed")])
async def test_a_delivery_in_doubt_is_decided_by_a_person(world: World, staff: Api, action: str, state: str):
    delivery = await one_by_mail(world, Fault.ACCEPT_THEN_DROP)
    assert (await world.row(delivery))["state"] == "in_doubt"
    answer = await staff("POST", f"/api/v1/deliveries/{delivery}/resolve", {"action": action, "why": "asked her"})
    assert (answer.status, answer.json["state"]) == (200, state)
    (entry,) = await world.query("SELECT * FROM audit_log WHERE subject_id = $1", delivery)
    assert entry["why"] == "asked her"
    await world.attempt(delivery)
    assert len(set(world.mail.references)) == 1
    assert len(world.mail.accepted) == (2 if action == "send_again" else 1)


@pytest.mark.parametrize(
    "body", [{}, {"why": " "}, {"why": "x" * 501}, {"action": "send_again", "why": "x", "by": "me"}]
)
async def test_a_decision_without_a_reason_or_with_a_strange_word_is_refused(world: World, staff: Api, body: object):
    delivery = await one_by_mail(world, Fault.ACCEPT_THEN_DROP)
    answer = await staff("POST", f"/api/v1/deliveries/{delivery}/resolve", body)
    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert (await world.row(delivery))["state"] == "in_doubt"


async def test_viewers_see_and_change_nothing_and_drivers_do_not_even_see(world: World, staff: Api):
    delivery = await one_by_mail(world, Fault.NO_SUCH_BOX)
    for role, status in ((Role.VIEWER, 200), (Role.ACCOUNTANT, 200), (Role.DRIVER, 403)):
        _, phone = await world.org.person(role)
        person = staff.as_(await world.org.token(phone))
        assert (await person("GET", "/api/v1/notifications")).status == status
        assert (await person("POST", f"/api/v1/deliveries/{delivery}/replay", {"why": "x"})).status == 403


async def test_staff_hear_of_a_delivery_that_moves(world: World, staff: Api):
    async with listening(staff.url, staff.token) as listener:
        delivery = await one_by_mail(world, Fault.NO_SUCH_BOX)
        heard = await listener.next("notification:changed", lambda body: body["state"] == "failed")
    assert heard["deliveryId"] == str(delivery)
    assert (heard["channel"], heard["reason"]) == ("email", "smtp_recipient")
    assert not {"address", "body", "subject"} & heard.keys()


# -- the developer's page --


async def test_the_outbox_page_shows_customers_notices_newest_first(world: World, staff: Api):
    page = staff.as_(None)
    assert b"No notices yet" in (await page("GET", "/dev/outbox")).json
    await shown(world, "Chipo Dube")
    await shown(world, "Rudo Ncube")
    answer = await page("GET", "/dev/outbox")
    text = answer.json.decode()
    assert answer.status == 200
    assert re.findall(r"SMS to ([A-Za-z ]+?) <", text) == ["Rudo Ncube", "Chipo Dube"]
    assert "Harare Haulage: your delivery T-" in text
    assert "+263771000999" in text


async def test_the_outbox_page_is_escaped_and_may_load_nothing_from_elsewhere(world: World, staff: Api):
    await shown(world, "<script>alert(1)</script>")
    answer = await staff.as_(None)("GET", "/dev/outbox")
    assert b"<script" not in answer.json
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in answer.json
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(rb'(src|href)="(?!/[a-z]|data:,")', answer.json)
    style = await staff.as_(None)("GET", "/dev/outbox.css")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "203.0.113.7"}, {"Forwarded": "for=203.0.113.7"}, {"Host": "evil.example"}]
)
async def test_the_outbox_page_is_for_this_machine_only(world: World, staff: Api, headers: dict[str, str]):
    await shown(world)
    answer = await staff.as_(None)("GET", "/dev/outbox", headers=headers)
    assert answer.status == 404
    assert b"Chipo" not in str(answer.json).encode()


async def test_without_the_console_channel_there_is_no_outbox_page(environment: dict[str, str], aiohttp_server: Serve):
    async with telling(environment) as world:
        api = await served(world, aiohttp_server)
        assert (await api("GET", "/dev/outbox")).status == 404


async def test_with_both_channels_each_has_its_own_delivery(world: World):
    assert {"console", "email"} <= set(world.deliveries.channels)
    await shown(world)
    assert {row["channel"]: row["state"] for row in await world.rows()} == {"console": "sent", "email": "pending"}
