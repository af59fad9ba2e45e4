"""When a way could not tell: another carries the notice, or staff hear that nobody was reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from tests.integration.test_relay_rows import about, own_way, promise
from tests.notices import World, telling
from tests.servers import Servers
from waypost.wiring_work import relay_over

PHONE, MAIL = "+263771000200", "chipo@example.com"
ENDED = "UPDATE deliveries SET state = $2, reason = $3, updated_at = now() WHERE channel = $1"


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        await own_way(opened, "sms", "twilio")
        yield opened


async def told(world: World, kind: str = "payment_failed", phone: str | None = PHONE, email: str | None = MAIL) -> UUID:
    """A notice that goes by SMS, and by e-mail instead."""
    customer = await world.customer(phone=phone, email=email)
    await promise(world, kind, about(world, customer))
    await world.relay.expand()
    return customer


async def end(world: World, state: str, reason: str | None = None, channel: str = "sms") -> None:
    await world.query(ENDED, channel, state, reason)


async def ways(world: World) -> dict[str, Mapping[str, Any]]:
    return {row["channel"]: row for row in await world.rows()}


async def alerts(world: World) -> list[tuple[str, UUID]]:
    return [(row["kind"], row["subject_id"]) for row in await world.query("SELECT * FROM alerts ORDER BY id")]


@pytest.mark.parametrize("state", ["undelivered", "failed", "dead"])
async def test_what_an_sms_could_not_tell_an_email_does_and_once(world: World, state: str):
    await told(world)
    await world.relay.following.round()
    assert set(await ways(world)) == {"sms"}
    await end(world, state, "30003")
    for _ in range(2):
        await world.relay.following.round()
    found = await ways(world)
    assert set(found) == {"sms", "email"}
    assert (found["email"]["state"], found["email"]["instead_of"]) == ("pending", found["sms"]["id"])
    assert await alerts(world) == []


async def test_ten_relays_at_once_make_one_stand_in(world: World):
    await told(world)
    await end(world, "undelivered")
    await asyncio.gather(*(relay_over(world.services).following.round() for _ in range(10)))
    assert len(await world.rows()) == 2


async def test_an_sms_in_doubt_waits_for_its_receipt_before_another_way_carries_it(world: World):
    await told(world)
    await end(world, "in_doubt", "timeout")
    await world.relay.following.round()
    assert set(await ways(world)) == {"sms"}
    assert await world.relay.following.round() == 0  # it is not looked at all the time
    await world.query("UPDATE deliveries SET updated_at = now() - interval '16 minutes', follow_at = now()")
    await world.relay.following.round()
    assert set(await ways(world)) == {"sms", "email"}
    assert [kind for kind, _ in await alerts(world)] == ["delivery_in_doubt"]


async def test_what_is_repeated_by_itself_is_not_followed_meanwhile(world: World):
    await told(world)
    await world.query(
        "UPDATE deliveries SET state = 'in_doubt', repeatable = true, updated_at = now() - interval '1 day'"
    )
    await world.relay.following.round()
    assert set(await ways(world)) == {"sms"}
    assert await alerts(world) == []


@pytest.mark.parametrize("state", ["sent", "delivered", "pending", "cancelled", "expired"])
async def test_where_another_way_has_told_or_still_may_nothing_is_done(world: World, state: str):
    await told(world, "layby_cancelled")
    assert set(await ways(world)) == {"sms", "email"}
    await end(world, "undelivered")
    await end(world, state, channel="email")
    await world.relay.following.round()
    assert len(await world.rows()) == 2
    assert await alerts(world) == []


@pytest.mark.parametrize("reason", ["preference_off", "let_be"])
async def test_who_did_not_want_it_is_told_by_no_other_way(world: World, reason: str):
    await told(world)
    await end(world, "suppressed" if reason == "preference_off" else "failed", reason)
    await world.relay.following.round()
    assert set(await ways(world)) == {"sms"}
    assert await alerts(world) == []


async def test_a_notice_whose_time_is_over_is_carried_no_further(world: World):
    await told(world)
    await end(world, "undelivered")
    await world.query("UPDATE notifications SET valid_until = now() - interval '1 second'")
    await world.relay.following.round()
    assert set(await ways(world)) == {"sms"}


async def test_staff_hear_once_a_day_of_a_customer_whom_nothing_reaches(world: World):
    customer = await told(world)
    await end(world, "undelivered")
    await world.relay.following.round()
    await end(world, "failed", "smtp_recipient", channel="email")
    await world.relay.following.round()
    assert await alerts(world) == [("customer_unreachable", customer)]
    await promise(world, "payment_failed", about(world, customer), key="another")
    await world.relay.expand()
    await end(world, "undelivered")
    await end(world, "undelivered", channel="email")
    await world.relay.following.round()
    assert len(await alerts(world)) == 1


async def test_one_that_cannot_be_seen_to_is_put_off_and_holds_up_no_other(world: World, servers: Servers):
    for name, mail in (("Chipo", "a@example.com"), ("Rudo", "spoilt@example.com"), ("Tatenda", "c@example.com")):
        customer = await world.customer(name, phone=PHONE, email=mail)
        await promise(world, "payment_failed", about(world, customer), key=name)
    await world.relay.expand()
    await end(world, "undelivered")
    async with as_superuser(world, servers) as superuser:
        await superuser.execute("ALTER TABLE deliveries ADD CONSTRAINT whole CHECK (address <> 'spoilt@example.com')")
    assert await world.relay.following.round() == 3
    assert await mailed(world) == ["a@example.com", "c@example.com"]
    assert await world.relay.following.round() == 0  # it waits
    async with as_superuser(world, servers) as superuser:
        await superuser.execute("ALTER TABLE deliveries DROP CONSTRAINT whole")
    await world.query("UPDATE deliveries SET follow_at = now() WHERE follow_at < 'infinity' AND follow_at > now()")
    assert await world.relay.following.round() == 1
    assert await mailed(world) == ["a@example.com", "c@example.com", "spoilt@example.com"]


async def mailed(world: World) -> list[str]:
    return sorted(row["address"] for row in await world.rows() if row["channel"] == "email")


@asynccontextmanager
async def as_superuser(world: World, servers: Servers) -> AsyncIterator[Any]:
    (name,) = await world.query("SELECT current_database() AS name")
    superuser = await servers.stack.postgres.connect(name["name"])
    try:
        yield superuser
    finally:
        await superuser.close()


async def test_staff_hear_of_a_customer_without_any_address(world: World):
    customer = await told(world, "layby_cancelled", phone=None, email=None)
    found = await ways(world)
    assert {row["reason"] for row in found.values()} == {"no_address"}
    await world.relay.following.round()
    assert await alerts(world) == [("customer_unreachable", customer)]


async def test_a_customer_who_is_reached_by_one_of_two_ways_is_no_alert(world: World):
    await told(world, "layby_cancelled", phone=None)
    await world.relay.following.round()
    assert {channel: row["state"] for channel, row in (await ways(world)).items()} == {
        "sms": "suppressed",
        "email": "pending",
    }
    assert await alerts(world) == []


async def test_an_email_that_may_not_be_sent_is_carried_by_sms_from_the_first(world: World):
    await told(world, "layby_on_hold", email=None)
    found = await ways(world)
    assert (found["email"]["state"], found["sms"]["state"]) == ("suppressed", "pending")
    assert found["sms"]["instead_of"] == found["email"]["id"]
    await world.relay.following.round()
    assert len(await world.rows()) == 2


async def test_a_doubt_that_stays_is_told_to_staff_even_where_the_channel_may_repeat(world: World):
    """Its repeat was refused, so nobody repeats it any more."""
    await told(world)
    await world.query(
        "UPDATE deliveries SET state = 'in_doubt', reason = 'http_refused', repeatable = true,"
        " due_at = '9999-01-01T00:00Z', updated_at = now() - interval '1 day'"
    )
    await world.relay.following.round()
    assert [kind for kind, _ in await alerts(world)] == ["delivery_in_doubt"]
    assert set(await ways(world)) == {"sms", "email"}
