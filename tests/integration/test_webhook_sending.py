"""Events to subscribers, over a real database and real HTTP: signed, tried again, each once a webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.factories import organisation
from tests.fakes.clock import FakeClock
from tests.fakes.plays import Play
from tests.hooks import ALL_DUE, LEASE_OUT, RESTED, HookWorld, hook_world
from tests.waiting import until
from waypost.platform.database import SYSTEM
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.webhooks.domain import Switch
from waypost.webhooks.rules import AT_ONCE, BREAK_AT
from waypost.webhooks.upkeep import WebhookUpkeep
from waypost.wiring_work import relay_over


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[HookWorld]:
    async with hook_world(environment) as opened:
        yield opened


async def states(world: HookWorld) -> list[str]:
    return [row["state"] for row in await world.rows()]


async def _are(world: HookWorld, wanted: list[str]) -> bool:
    return await states(world) == wanted


async def test_an_event_arrives_signed_and_says_what_happened(world: HookWorld):
    await world.subscribe()
    await world.happen(balanceMinor="0", currency="KES")
    await world.send()
    (taken,) = world.accepted
    body = json.loads(taken.text)
    assert body["id"] == taken.reference
    assert (body["type"], body["version"]) == ("layby.completed", 1)
    assert body["data"]["balanceMinor"] == 0
    assert world.face.bad_signatures == 0
    assert await states(world) == ["sent"]
    (attempt,) = await world.query("SELECT * FROM webhook_attempts")
    assert (attempt["outcome"], attempt["status"], attempt["answer"]) == ("taken", 200, "thank you")


async def test_sequences_grow_and_each_event_has_one(world: HookWorld):
    await world.subscribe()
    await world.happen(number=5)
    await world.happen(number=5)
    await world.send_all()
    sequences = sorted(json.loads(each.text)["sequence"] for each in world.accepted)
    assert len(set(sequences)) == 10


async def test_a_webhook_hears_of_the_types_that_it_wants(world: HookWorld):
    await world.subscribe("some", events=["payment.received", "stock.sold"])
    await world.subscribe("all")
    await world.happen("payment_received")
    await world.happen("payment_received_credit")
    await world.happen("layby_completed")
    await world.happen("alert_raised")
    await world.send_all()
    assert sorted(each.to for each in world.accepted) == ["all", "all", "all", "some", "some"]


async def test_a_row_that_is_kept_twice_is_one_event(world: HookWorld):
    await world.subscribe()
    row = world.row()
    await world.take([row, row])
    await world.take([row])
    await world.send_all()
    assert len(world.accepted) == 1


async def test_where_nobody_listens_no_event_is_kept(world: HookWorld):
    await world.happen(number=3)
    await world.subscribe(events=["stock.sold"])
    await world.happen(number=3)
    assert await world.query("SELECT * FROM webhook_events") == []


async def test_a_row_that_cannot_be_read_holds_up_no_other(world: HookWorld):
    await world.subscribe()
    broken = [
        replace(world.row(), payload=payload) for payload in ("{}", '{"subject_id": 1}', '{"laybyId": "x"}', "[]")
    ]
    await world.take([*broken, world.row()])
    await world.send_all()
    assert len(world.accepted) == 1


async def test_rows_of_many_organisations_are_kept_at_once_each_for_its_own(world: HookWorld):
    other = await organisation(world.services, "Kwekwe Kitchens")
    await world.subscribe()
    theirs = world.row(org_id=other.org_id)
    await world.take([world.row(), theirs])
    await world.send_all()
    assert [each.to for each in world.accepted] == ["shop"]
    assert [row["org_id"] for row in await world.query("SELECT org_id FROM webhook_events")] == [world.org.org_id]


@pytest.mark.parametrize(
    ("play", "reason", "status"),
    [
        (Play("unavailable"), "http_503", 503),
        (Play("refuse", code="404"), "http_404", 404),
        (Play("error"), "http_500", 500),
        (Play("cut"), "cut_off", None),
        (Play("drop"), "cut_off", None),
    ],
    ids=["503", "404", "500", "cut", "dropped-once-taken"],
)
async def test_what_is_not_taken_is_sent_again_with_the_same_id_and_body(
    world: HookWorld, play: Play, reason: str, status: int | None
):
    await world.subscribe()
    world.fake.play(play)
    await world.happen()
    await world.send()
    (row,) = await world.rows()
    assert (row["state"], row["reason"], row["attempt"]) == ("pending", reason, 1)
    assert timedelta(seconds=3.9) < row["due_at"] - row["updated_at"] < timedelta(seconds=6.1)
    await world.send_all()
    assert await states(world) == ["sent"]
    assert len({headers["webhook-id"] for headers in world.face.headers}) == 1
    assert len({each.text for each in world.accepted}) == 1
    attempts = await world.query("SELECT * FROM webhook_attempts ORDER BY attempt")
    assert [(each["outcome"], each["status"]) for each in attempts] == [("not_taken", status), ("taken", 200)]


async def test_a_retry_after_is_kept(world: HookWorld):
    await world.subscribe()
    world.fake.play(Play("limit", retry_after_s=120))
    await world.happen()
    await world.send()
    (row,) = await world.rows()
    assert timedelta(seconds=119) < row["due_at"] - row["updated_at"] <= timedelta(seconds=120)
    (webhook,) = await world.query("SELECT * FROM webhooks")
    assert webhook["slow_until"] >= row["updated_at"] + timedelta(seconds=119)
    await world.execute(ALL_DUE)
    assert await world.send() == 0, "it asked to be left alone"
    await world.execute(RESTED)
    assert await world.send() == 1


async def test_eight_tries_in_vain_and_it_waits_for_a_person(world: HookWorld):
    await world.subscribe()
    world.fake.play(*[Play("error")] * 8)
    await world.happen()
    await world.send_all()
    (row,) = await world.rows()
    assert (row["state"], row["reason"], row["attempt"]) == ("dead", "http_500", 8)


async def test_a_redirect_is_not_followed(world: HookWorld):
    await world.subscribe(url=f"{world.fake.url}/moved/webhook/shop")
    await world.happen()
    await world.send()
    (row,) = await world.rows()
    assert (row["state"], row["reason"]) == ("pending", "redirected")
    assert world.face.headers == []


async def test_the_same_delivery_given_to_ten_workers_is_sent_once(world: HookWorld):
    webhook = await world.subscribe()
    await world.happen()
    (row,) = await world.rows()
    turns = [world.sender.turn(world.org.org_id, webhook.id, row["id"]) for _ in range(10)]
    assert sorted(await asyncio.gather(*turns)) == [0] * 9 + [1]
    assert len(world.accepted) == 1


async def test_a_turn_goes_on_with_what_else_is_due_for_its_webhook(world: HookWorld):
    webhook = await world.subscribe()
    await world.happen(number=20)
    first = (await world.rows())[0]["id"]
    assert await world.sender.turn(world.org.org_id, webhook.id, first) == 20
    assert {each.reference for each in world.accepted} == {str(row["event_id"]) for row in await world.rows()}


async def test_no_more_than_a_few_of_one_webhook_are_ever_under_way(world: HookWorld):
    webhook = await world.subscribe()
    await world.happen(number=20)
    ids = [row["id"] for row in await world.rows()]
    world.fake.play(*[Play("accept", after_s=0.3)] * 20)
    turns = [asyncio.create_task(world.sender.turn(world.org.org_id, webhook.id, each)) for each in ids]
    most = 0
    while not all(turn.done() for turn in turns):
        most = max(most, (await states(world)).count("sending"))
        await asyncio.sleep(0.02)
    assert 1 < most <= AT_ONCE
    assert await states(world) == ["sent"] * 20


async def test_the_relay_gives_out_each_webhooks_share_and_gives_nothing_twice(world: HookWorld):
    await world.subscribe("one")
    await world.subscribe("two")
    await world.happen(number=30)
    async with world.services.database.transaction(SYSTEM) as conn:
        wakes = await world.dues.due(conn, 1000)
        again = await world.dues.due(conn, 1000)
        await world.dues.untold(conn, wakes)
        back = await world.dues.due(conn, 1000)
    assert len({(wake.webhook_id, wake.id) for wake in wakes}) == 2 * AT_ONCE
    assert again == []
    assert {wake.id for wake in back} == {wake.id for wake in wakes}


async def test_one_that_fails_is_tried_one_at_a_time_after_rests_that_cost_no_attempt(world: HookWorld):
    webhook = await world.subscribe()
    world.fake.play(*[Play("error")] * BREAK_AT)
    await world.happen(number=10)
    await world.send()
    found = await world.webhook(webhook)
    assert found.health.failures == BREAK_AT
    assert found.health.failing_since is not None
    assert sum(row["attempt"] for row in await world.rows()) == BREAK_AT
    assert await world.send() == 0, "it rests"
    await world.execute(RESTED)
    async with world.services.database.transaction(SYSTEM) as conn:
        wakes = await world.dues.due(conn, 1000)
    assert len(wakes) == 1
    await world.sender.turn(wakes[0].org_id, wakes[0].webhook_id, wakes[0].id)
    assert (await world.webhook(webhook)).health.failing_since is None
    await world.send_all()
    assert await states(world) == ["sent"] * 10


async def test_410_switches_it_off_cancels_what_waits_and_tells_the_staff_once(world: HookWorld):
    webhook = await world.subscribe()
    world.fake.play(Play("refuse", code="410"))
    await world.happen(number=3)
    await world.send()
    found = await world.webhook(webhook)
    assert (found.state, found.off_reason) == (Switch.OFF, "gone")
    assert sorted(await states(world)) == ["cancelled", "cancelled", "failed"]
    (alert,) = await world.query("SELECT * FROM alerts WHERE kind = 'webhook_off'")
    assert alert["subject_id"] == webhook.id
    await world.happen()
    assert len(await world.rows()) == 3, "what is off gets nothing"
    assert len(await world.query("SELECT * FROM webhook_events")) == 4, "and may be replayed"


async def test_after_five_days_in_which_nothing_was_taken_it_is_switched_off(world: HookWorld):
    webhook = await world.subscribe()
    clock = FakeClock(world.services.clock.now())
    sender = replace(world.sender, clock=clock)
    world.fake.play(*[Play("error")] * 3)
    await world.happen(number=3)
    ids = [row["id"] for row in await world.rows()]
    for each, days in zip(ids, (0, 4.9, 0.2), strict=True):
        await clock.advance(days * 86_400)
        assert await sender.attempt(world.org.org_id, webhook.id, each)
    found = await world.webhook(webhook)
    assert (found.state, found.off_reason) == (Switch.OFF, "failing")
    assert len(await world.query("SELECT * FROM alerts WHERE kind = 'webhook_off'")) == 1


async def test_one_that_took_something_within_five_days_stays_on(world: HookWorld):
    webhook = await world.subscribe()
    clock = FakeClock(world.services.clock.now())
    sender = replace(world.sender, clock=clock)
    world.fake.play(Play("error"), Play("accept"), Play("error"))
    await world.happen(number=3)
    ids = [row["id"] for row in await world.rows()]
    for each, days in zip(ids, (0, 4.9, 0.2), strict=True):
        await clock.advance(days * 86_400)
        assert await sender.attempt(world.org.org_id, webhook.id, each)
    assert (await world.webhook(webhook)).state is Switch.ON


async def test_a_worker_that_dies_on_the_way_is_made_good_after_its_lease_with_the_same_id(world: HookWorld):
    class Killed(Exception):
        pass

    def kill(point: str) -> None:
        if point == "after_post":
            raise Killed

    webhook = await world.subscribe()
    await world.happen()
    (row,) = await world.rows()
    with pytest.raises(Killed):
        await replace(world.sender, checkpoint=kill).attempt(world.org.org_id, webhook.id, row["id"])
    assert await states(world) == ["sending"]
    assert await world.send() == 0, "its lease holds"
    await world.execute(LEASE_OUT)
    await world.send()
    assert (await world.rows())[0]["reason"] == "lease_out"
    await world.send_all()
    assert await states(world) == ["sent"]
    assert [each.reference for each in world.accepted] == [str(row["event_id"])] * 2, "the receiver drops the second"


async def test_an_answer_that_comes_after_the_lease_counts_unless_another_try_has_begun(world: HookWorld):
    webhook = await world.subscribe()
    world.fake.play(Play("accept", after_s=0.5))
    await world.happen()
    (row,) = await world.rows()
    trying = asyncio.create_task(world.sender.attempt(world.org.org_id, webhook.id, row["id"]))
    await until(lambda: _are(world, ["sending"]))
    await world.execute(LEASE_OUT)
    await world.send()
    assert await states(world) == ["pending"]
    assert await trying
    assert await states(world) == ["sent"]


async def test_during_a_rotation_the_old_and_the_new_secret_both_fit(world: HookWorld):
    webhook = await world.subscribe()
    changed = await world.services.telling.webhooks.rotate(world.org.owner, webhook.id)
    assert [each.until is None for each in changed.secrets] == [True, False]
    await world.happen()
    await world.send_all()
    world.face.secrets["shop"] = changed.secrets[0].secret
    await world.happen()
    await world.send_all()
    assert (len(world.accepted), world.face.bad_signatures) == (2, 0)
    assert all(len(headers["webhook-signature"].split(" ")) == 2 for headers in world.face.headers)


async def test_only_a_kilobyte_of_an_answer_is_kept(world: HookWorld):
    await world.subscribe()
    world.fake.play(Play("refuse", code="500"))
    await world.happen()
    await world.send()
    (attempt,) = await world.query("SELECT * FROM webhook_attempts")
    assert attempt["answer"] == "no"


async def test_what_was_settled_long_ago_is_forgotten_and_what_waits_is_not(world: HookWorld):
    await world.subscribe()
    await world.happen(number=3)
    await world.send_all()
    world.fake.play(Play("error"))
    await world.happen()
    await world.send()
    await world.execute("UPDATE webhook_events SET created_at = created_at - interval '40 days'")
    await world.execute("UPDATE webhook_deliveries SET updated_at = updated_at - interval '40 days'")
    upkeep = WebhookUpkeep(world.services.database, world.services.clock)
    assert await upkeep.forget(timedelta(days=30)) == 3
    assert await states(world) == ["pending"]
    assert len(await world.query("SELECT * FROM webhook_attempts")) == 1


async def test_the_relay_makes_events_of_what_happens(world: HookWorld):
    await world.subscribe()
    directory, trips, owner = world.services.directory, world.services.trips, world.org.owner
    driver = await directory.add_driver(owner, name="Rudo")
    customer = await directory.add_customer(owner, name="Chipo", email="chipo@example.com")
    trip = await trips.create(owner, NewTrip(driver_id=driver.id, customer_id=customer, reference="JD-0042"))
    for move in (Move.START, Move.COMPLETE):
        await trips.move(owner, trip.id, move)
    await relay_over(world.services).expand()
    await world.send_all()
    bodies = [json.loads(each.text) for each in world.accepted]
    assert {"trip.started", "trip.completed"} <= {body["type"] for body in bodies}
    assert {body["data"]["tripId"] for body in bodies} == {str(trip.id)}
    assert {body["data"]["reference"] for body in bodies} == {"JD-0042"}
