"""Messages over the organisation's own providers, from the notice to the provider's disk; and those in doubt, which
Twilio is asked about.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.faces import africastalking as talking
from tests.fakes.faces import twilio
from tests.fakes.plays import Play
from tests.fakes.provider import FakeProvider, fake_provider
from tests.notices import World, telling
from waypost.notifications.lookups import LookUpDues, LookUps
from waypost.notifications.provider_trials import Trial
from waypost.notifications.providers.accounts import AfricasTalkingConfig, TwilioConfig
from waypost.notifications.providers_register import New
from waypost.platform.database import SYSTEM
from waypost.platform.guarded import Guard
from waypost.wiring_work import lookups_over
from waypost_workers.channels.gateways import gateways
from waypost_workers.channels.sms import MessageLists

LOOPBACK = "127.0.0.0/8"
PHONE = "+263771234567"
LATE = timedelta(minutes=11)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as running:
        yield running


@pytest.fixture
async def world(environment: Mapping[str, str]) -> AsyncIterator[World]:
    async with telling(environment, WAYPOST_WEBHOOK_ALLOWED_NETWORKS=LOOPBACK) as there:
        yield there


async def by_twilio(world: World, fake: FakeProvider, **more: Any) -> UUID:
    config = TwilioConfig(twilio.SID, twilio.TOKEN, base_url=fake.url)
    added, _ = await world.services.telling.providers.add(world.org.owner, New("Twilio", config, twilio.SENDER, **more))
    return added.account.id


async def by_talking(world: World, fake: FakeProvider, **more: Any) -> UUID:
    config = AfricasTalkingConfig(talking.USERNAME, talking.API_KEY, fake.url)
    added, _ = await world.services.telling.providers.add(world.org.owner, New("AT", config, talking.SENDER, **more))
    return added.account.id


async def told(world: World) -> UUID:
    """Start a trip whose customer has a phone alone, and let the relay see it; the SMS's id."""
    await world.trip(await world.customer(email=None, phone=PHONE))
    await world.relay.expand()
    rows = await world.query("SELECT id FROM deliveries WHERE channel = 'sms' ORDER BY id DESC LIMIT 1")
    return UUID(str(rows[0]["id"]))


@asynccontextmanager
async def looking_up(world: World, after: timedelta = timedelta()) -> AsyncIterator[LookUps]:
    """``after``: so much later."""
    services = world.services
    clock = FakeClock(datetime.now(UTC) + after)
    async with gateways(Guard.of(LOOPBACK), services.clock, 5.0) as reached:
        yield replace(lookups_over(services, MessageLists(reached).to), clock=clock)


async def test_a_notice_goes_out_by_the_organisations_provider_with_its_sender_parts_and_reference(
    world: World, fake: FakeProvider
):
    provider = await by_twilio(world, fake)
    delivery_id = await told(world)
    await world.attempt(delivery_id)
    row = await world.row(delivery_id)
    (taken,) = fake.accepted
    assert (row["state"], row["channel"], row["provider_id"]) == ("sent", "sms", provider)
    assert (row["provider_ref"], row["sender"], row["segments"]) == (taken.id, twilio.SENDER, 1)
    assert (taken.reference, taken.to) == (str(delivery_id), PHONE)


async def test_an_sms_that_may_have_been_taken_is_not_sent_again_and_twilio_tells_that_it_was(
    world: World, fake: FakeProvider
):
    await by_twilio(world, fake)
    delivery_id = await told(world)
    fake.play(Play("drop"))
    await world.attempt(delivery_id)
    assert (await world.row(delivery_id))["state"] == "in_doubt"
    async with looking_up(world) as lookups:
        await lookups.look_up(world.org.org_id, delivery_id)
        await lookups.look_up(world.org.org_id, delivery_id)
    row = await world.row(delivery_id)
    (taken,) = fake.accepted
    assert (row["state"], row["provider_ref"]) == ("sent", taken.id)


async def test_an_sms_that_twilio_never_took_is_sent_again_but_only_after_long_enough(world: World, fake: FakeProvider):
    await by_twilio(world, fake)
    delivery_id = await told(world)
    fake.play(Play("cut"))
    await world.attempt(delivery_id)
    async with looking_up(world) as lookups:
        await lookups.look_up(world.org.org_id, delivery_id)
    assert (await world.row(delivery_id))["state"] == "in_doubt"
    async with looking_up(world, after=LATE) as lookups:
        await lookups.look_up(world.org.org_id, delivery_id)
    assert (await world.row(delivery_id))["state"] == "pending"
    await world.query("UPDATE deliveries SET due_at = now() - interval '1 minute'")
    await world.attempt(delivery_id)
    assert (await world.row(delivery_id))["state"] == "sent"
    assert fake.references == [str(delivery_id)]


async def test_two_in_doubt_that_say_the_same_never_take_the_same_message(world: World, fake: FakeProvider):
    await by_twilio(world, fake)
    same = [await told(world) for _ in range(2)]
    await world.query("UPDATE deliveries SET template = 't', subject = '', body = 'Hello', html = ''")
    fake.play(Play("drop"), Play("cut"))
    for delivery_id in same:
        await world.attempt(delivery_id)
    async with looking_up(world, after=LATE) as lookups:
        for delivery_id in same:
            await lookups.look_up(world.org.org_id, delivery_id)
    rows = [await world.row(delivery_id) for delivery_id in same]
    assert [row["state"] for row in rows] == ["sent", "pending"]


async def test_nothing_is_concluded_while_twilio_cannot_be_asked(world: World, fake: FakeProvider):
    await by_twilio(world, fake)
    delivery_id = await told(world)
    fake.play(Play("cut"))
    await world.attempt(delivery_id)
    async with gateways(Guard.of(""), world.services.clock, 5.0) as closed, looking_up(world, LATE) as lookups:
        nobody = replace(lookups, list_messages=MessageLists(closed).to)
        await nobody.look_up(world.org.org_id, delivery_id)
    assert (await world.row(delivery_id))["state"] == "in_doubt"


async def test_the_relay_gives_out_look_ups_ever_more_seldom_and_of_twilio_alone(world: World, fake: FakeProvider):
    await by_twilio(world, fake)
    delivery_id = await told(world)
    fake.play(Play("cut"))
    await world.attempt(delivery_id)
    dues = LookUpDues(world.services.clock)

    async def due() -> list[UUID]:
        async with world.services.database.transaction(SYSTEM) as conn:
            return [wake.id for wake in await dues.due(conn, 10)]

    assert (await due(), await due()) == ([delivery_id], [])
    poked = "UPDATE deliveries SET poked_at = now() - interval '31 seconds'"
    await world.query(poked)
    assert await due() == [delivery_id]
    await world.query(poked + ", updated_at = now() - interval '10 minutes'")
    assert await due() == []
    await world.query("UPDATE deliveries SET poked_at = NULL, provider = 'africastalking'")
    assert await due() == []


async def test_a_provider_that_is_out_is_passed_over_and_the_other_takes_the_message(world: World, fake: FakeProvider):
    await by_twilio(world, fake)
    await by_talking(world, fake, weight=0)
    delivery_id = await told(world)
    fake.play(Play("refuse", face="twilio", code="20003"))
    for _ in range(2):
        await world.query("UPDATE deliveries SET due_at = now() - interval '1 minute' WHERE state = 'pending'")
        await world.attempt(delivery_id)
    row = await world.row(delivery_id)
    assert (row["state"], row["provider"]) == ("sent", "africastalking")
    assert [each.face for each in fake.accepted] == ["africastalking"]
    alerts = await world.query("SELECT kind FROM alerts")
    assert "failover" in {alert["kind"] for alert in alerts}


async def test_a_test_message_goes_by_the_provider_that_is_tested_alone(world: World, fake: FakeProvider):
    await by_twilio(world, fake)
    tested = await by_talking(world, fake, weight=0)
    trials = world.services.telling.provider_trials
    trial: Trial = await trials.send(world.org.owner, tested, PHONE)
    assert await trials.outcome(world.org.owner, trial) == ("pending", None)
    await world.attempt(trial.delivery_id)
    assert (await trials.outcome(world.org.owner, trial))[0] == "sent"
    (taken,) = fake.accepted
    assert taken.face == "africastalking"
    assert "AT" in taken.text
