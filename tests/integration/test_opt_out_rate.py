"""Staff hear of it when unusually many of those who were told opt out within a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from tests.consent_world import Shop
from tests.factories import Org, organisation
from waypost.identity.domain import Telling
from waypost.kernel.clock import Clock
from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent import asking
from waypost.notifications.opting_out import is_too_many
from waypost.platform.database import SYSTEM
from waypost.wiring import Services
from waypost_workers.schedule import timetable

SWITCHED_OFF = """
INSERT INTO preferences (org_id, customer_id, kind, channel, wanted, source, changed_at)
VALUES ($1, $2, $3, 'email', false, $4, now())
"""


@pytest.fixture
async def shop(org: Org) -> Shop:
    await org.services.organisations.change(org.owner, name=None, time_zone=None, telling={"opt_outs_least": 3})
    return await Shop.of(org)


def number(n: int) -> str:
    return f"+2637712{n:05}"


async def told(shop: Shop, count: int) -> None:
    for n in range(count):
        await shop.delivery(to=number(n))


async def stop(shop: Shop, count: int, reason: str = "stop", clock: Clock | None = None) -> None:
    async with shop.org.services.database.transaction(SYSTEM) as conn:
        for n in range(count):
            await asking.suppress(
                conn, shop.org.org_id, channel=ChannelName.SMS, address=number(n), sender="", reason=reason,
                source="inbound", clock=clock or shop.org.services.clock,
            )  # fmt: skip


async def look(shop: Shop) -> list[Mapping[str, object]]:
    await shop.org.services.telling.opt_outs.look()
    rows = await shop.rows("SELECT org_id, key, facts::text FROM alerts WHERE kind = 'opt_out_rate'")
    return [dict(row) for row in rows]


async def test_staff_are_told_once_a_day_and_at_once_however_often_it_is_looked_at(shop: Shop):
    await told(shop, 20)
    await stop(shop, 3)
    for _ in range(3):
        (alert,) = await look(shop)
    assert alert["org_id"] == shop.org.org_id
    assert alert["facts"] == '{"told": "20", "optedOut": "3"}'
    assert len(await shop.rows("SELECT FROM outbox WHERE kind = 'alert_raised'")) == 1


@pytest.mark.parametrize("reason", ["hard_bounce", "bad_address", "staff"])
async def test_an_address_that_does_not_work_is_nobody_who_opted_out(shop: Shop, reason: str):
    await told(shop, 3)
    await stop(shop, 3, reason)
    assert await look(shop) == []


async def test_complaints_and_the_link_in_an_e_mail_count_by_the_person(shop: Shop):
    await told(shop, 20)
    await stop(shop, 1, "complaint")
    for source in ("one_click", "unsubscribe_page", "staff"):
        customer = await shop.customer()
        for kind in ("payment_reminder", "payment_overdue"):
            await shop.rows(SWITCHED_OFF, shop.org.org_id, customer, kind, source)
    (alert,) = await look(shop)
    assert '"optedOut": "3"' in str(alert["facts"])


async def test_what_was_said_earlier_and_what_was_said_to_another_does_not_count(shop: Shop, services: Services):
    class Yesterday:
        def now(self) -> object:
            return services.clock.now() - timedelta(hours=25)

    other = await Shop.of(await organisation(services, "Other"))
    await told(shop, 3)
    await stop(shop, 3, clock=Yesterday())  # type: ignore[arg-type]
    await stop(other, 3)
    assert await look(shop) == []


async def test_it_is_looked_at_by_the_clock(services: Services):
    assert "watch-opt-outs" in {timed.name for timed in timetable(services)}


@pytest.mark.parametrize(
    ("opted_out", "of", "alerted"), [(9, 10, False), (10, 10, True), (10, 499, True), (10, 500, False), (11, 500, True)]
)
def test_it_takes_more_than_the_share_and_not_just_a_few(opted_out: int, of: int, alerted: bool):
    assert is_too_many(Telling(), opted_out, of) is alerted
