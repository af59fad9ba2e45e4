"""A webhook whose secrets' key is gone: each try says so and follows the usual road, until there is a new secret."""

from __future__ import annotations

from dataclasses import replace

from tests.conftest import Api
from tests.fakes.clock import FakeClock
from tests.hooks import ALL_DUE, RESTED, HookWorld
from tests.integration.test_http_webhooks import PATH, added, owner, world
from tests.integration.test_unreadable_secrets import lose, stored
from waypost.webhooks.domain import Switch

__all__ = ["owner", "world"]  # the fixtures


async def test_what_cannot_be_signed_is_a_failed_try_that_says_why_and_comes_again(world: HookWorld):
    lost, other = await world.subscribe("lost"), await world.subscribe("other")
    await lose(world.services, "webhooks", lost.id, "secrets")
    await world.happen()
    await world.send()
    assert [each.text for each in world.accepted] != []
    rows = {row["webhook_id"]: row for row in await world.rows()}
    assert rows[other.id]["state"] == "sent"
    row = rows[lost.id]
    assert (row["state"], row["reason"], row["attempt"]) == ("pending", "secret_unreadable", 1)
    assert row["due_at"] > row["updated_at"]
    (attempt,) = await world.query("SELECT * FROM webhook_attempts WHERE delivery_id = $1", row["id"])
    assert (attempt["outcome"], attempt["reason"], attempt["status"]) == ("not_taken", "secret_unreadable", None)
    assert len(world.accepted) == 1
    assert (await world.webhook(lost)).health.failures == 1


async def test_after_five_days_it_is_switched_off_as_others_are(world: HookWorld):
    lost = await world.subscribe()
    await lose(world.services, "webhooks", lost.id, "secrets")
    clock = FakeClock(world.services.clock.now())
    sender = replace(world.sender, clock=clock)
    await world.happen(number=2)
    for each, days in zip([row["id"] for row in await world.rows()], (0, 5.1), strict=True):
        await clock.advance(days * 86_400)
        assert await sender.attempt(world.org.org_id, lost.id, each)
    found = await world.webhook(lost)
    assert (found.state, found.off_reason) == (Switch.OFF, "failing")
    (alert,) = await world.query("SELECT * FROM alerts WHERE kind = 'webhook_off'")
    assert alert["subject_id"] == lost.id


async def test_a_new_secret_heals_it_and_what_waited_arrives_signed(owner: Api, world: HookWorld):
    one = f"{PATH}/{(await added(owner, world))['id']}"
    sealed = await lose(world.services, "webhooks", one.rpartition("/")[2], "secrets")
    await world.happen()
    await world.send()
    (shown,) = (await owner("GET", PATH)).json["data"]
    assert (shown["secrets"], shown["problem"]) == ([], "secret-unreadable")
    named = await owner("PATCH", one, {"name": "The shop"})
    assert (named.status, named.json["problem"]) == (200, "secret-unreadable")
    assert await stored(world.services, "webhooks", shown["id"], "secrets") == sealed  # the key may come back
    rotated = await owner("POST", f"{one}/rotate-secret")
    assert (rotated.status, len(rotated.json["secrets"])) == (200, 1)
    assert "problem" not in rotated.json
    world.face.secrets["shop"] = rotated.json["secret"]
    await world.execute(ALL_DUE)
    await world.execute(RESTED)
    await world.send()
    assert (len(world.accepted), world.face.bad_signatures) == (1, 0)
    assert [row["state"] for row in await world.rows()] == ["sent"]
