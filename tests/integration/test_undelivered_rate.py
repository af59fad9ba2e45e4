"""Staff hear of it when unusually many of a day's SMS did not arrive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.consent_world import Shop
from tests.factories import Org, organisation
from tests.fakes.clock import FakeClock
from waypost.identity.domain import Telling
from waypost.notifications.addresses import ChannelName
from waypost.notifications.not_arriving import is_too_many
from waypost.notifications.states import State
from waypost.wiring import Services
from waypost_workers.schedule import Work, timetable

LEAST = {"undelivered_least": 3, "undelivered_percent": 20.0}


@pytest.fixture
async def shop(org: Org) -> Shop:
    await org.services.organisations.change(org.owner, name=None, time_zone=None, telling=LEAST)
    return await Shop.of(org)


async def sent(shop: Shop, count: int, state: State, **more: Any) -> None:
    for n in range(count):
        await shop.delivery(to=f"+2637712{n:05}", state=state, **more)


async def look(shop: Shop) -> list[Mapping[str, Any]]:
    await Work(shop.org.services).watch_arrivals(shop.org.org_id, shop.org.services.clock.now())
    rows = await shop.rows("SELECT org_id, facts::text FROM alerts WHERE kind = 'undelivered_rate'")
    assert {row["org_id"] for row in rows} <= {shop.org.org_id}
    return [json.loads(row["facts"]) for row in rows]


async def test_staff_are_told_once_a_day_and_at_once_with_the_commonest_reason(shop: Shop):
    await sent(shop, 11, State.DELIVERED)
    await sent(shop, 3, State.UNDELIVERED)
    await shop.rows("UPDATE deliveries SET reason = 'twilio_filtered' WHERE state = 'undelivered'")
    assert (await look(shop)) == await look(shop) == [{"undelivered": "3", "sent": "14", "reason": "twilio_filtered"}]
    assert len(await shop.rows("SELECT FROM outbox WHERE kind = 'alert_raised'")) == 1


async def test_others_messages_mails_and_what_was_not_sent_do_not_count(shop: Shop, services: Services):
    other = await Shop.of(await organisation(services, "Other"))
    await sent(other, 3, State.UNDELIVERED)
    await sent(shop, 2, State.UNDELIVERED)
    await sent(shop, 5, State.UNDELIVERED, channel=ChannelName.EMAIL)
    await sent(shop, 5, State.SUPPRESSED)
    assert await look(shop) == []


async def test_what_was_made_earlier_does_not_count(shop: Shop):
    await sent(shop, 3, State.UNDELIVERED)
    watch = shop.org.services.telling.arrivals
    later = FakeClock(shop.org.services.clock.now() + timedelta(hours=25))
    assert not await replace(watch, clock=later).look(shop.org.org_id)
    assert await watch.look(shop.org.org_id)


async def test_it_is_looked_at_by_the_clock(services: Services):
    assert "watch-arrivals" in {timed.name for timed in timetable(services)}


@pytest.mark.parametrize(
    ("undelivered", "sent", "alerted"),
    [(9, 9, False), (10, 10, True), (10, 99, True), (10, 100, False), (11, 100, True), (0, 0, False)],
)
def test_it_takes_more_than_the_share_and_not_just_a_few(undelivered: int, sent: int, alerted: bool):
    assert is_too_many(Telling(), undelivered, sent) is alerted
