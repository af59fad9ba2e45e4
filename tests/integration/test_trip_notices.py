"""A trip's customer is told what becomes of it, and nothing that is not true any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.notices import World, telling
from waypost.trips.domain import Move

START = datetime(2026, 12, 24, 12, 5, tzinfo=UTC)


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


async def everything(world: World) -> None:
    await world.relay.expand()
    for row in await world.rows():
        await world.attempt(row["id"])


def subjects(world: World) -> list[str]:
    return [str(mail.message["Subject"]) for mail in world.mail.accepted]


async def kinds(world: World) -> list[str]:
    return [row["kind"] for row in await world.query("SELECT kind FROM outbox ORDER BY id")]


async def test_a_planned_trip_is_announced_with_its_time_on_the_shops_clock(world: World):
    await world.query("""UPDATE organisations SET settings = settings || '{"timeZone": "Africa/Harare"}'""")
    await world.trip(await world.customer(), move=None, planned_start_at=START)
    await everything(world)
    (mail,) = world.mail.accepted
    text = mail.message.get_body(("plain",))
    assert text is not None
    assert "24 December 2026" in text.get_content()
    assert "14:05" in text.get_content()


async def test_a_trip_without_a_time_is_not_announced_and_one_put_off_is_told_once_for_each_new_time(world: World):
    customer = await world.customer()
    await world.trip(customer, move=None)
    trip = await world.trip(customer, move=None, planned_start_at=START)
    later = START + timedelta(hours=3)
    for at in (later, later, START + timedelta(hours=1), later):
        await world.services.trips.change(world.org.owner, trip.id, {"planned_start_at": at})
    assert await kinds(world) == ["trip_scheduled", "trip_delayed"]


async def test_what_was_said_of_a_time_is_not_sent_when_the_time_is_another(world: World):
    trip = await world.trip(await world.customer(), move=None, planned_start_at=START)
    await world.relay.expand()
    await world.services.trips.change(world.org.owner, trip.id, {"planned_start_at": START + timedelta(days=1)})
    await everything(world)
    assert [(row["state"], row["reason"]) for row in await world.rows()] == [
        ("cancelled", "trip_moved"),
        ("sent", None),
    ]


async def test_a_cancelled_trip_is_told_and_what_was_waiting_to_be_said_of_it_is_not(world: World):
    planned = await world.trip(await world.customer(), move=None, planned_start_at=START)
    await everything(world)
    await world.services.trips.move(world.org.owner, planned.id, Move.START)
    await world.services.trips.move(world.org.owner, planned.id, Move.CANCEL)
    await everything(world)
    assert [(row["state"], row["reason"]) for row in await world.rows()] == [
        ("sent", None),
        ("cancelled", "trip_cancelled"),
        ("sent", None),
    ]
    assert len(subjects(world)) == 2


async def test_that_a_trip_will_not_come_is_not_said_to_who_never_heard_of_it(world: World):
    trip = await world.trip(await world.customer())
    await world.services.trips.move(world.org.owner, trip.id, Move.CANCEL)
    await everything(world)
    assert [(row["state"], row["reason"]) for row in await world.rows()] == [
        ("cancelled", "trip_cancelled"),
        ("cancelled", "nothing_said"),
    ]
    assert subjects(world) == []


async def test_a_trip_without_a_customer_is_an_event_for_subscribers_and_no_notification(world: World):
    await world.trip(None)
    await everything(world)
    assert await kinds(world) == ["trip_started"]
    assert await world.query("SELECT 1 FROM outbox WHERE processed_at IS NULL") == []
    assert await world.query("SELECT 1 FROM notifications") == []
