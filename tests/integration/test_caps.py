"""A cap on a day's SMS that is raised lets go at once of what it held, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.consent_world import Shop
from tests.factories import Org, organisation
from tests.unit.test_choosing import due
from waypost.identity.domain import Telling
from waypost.notifications.caps import SEEN_S, SPREAD, is_raised
from waypost.notifications.kinds import KINDS, PAYMENT_REMINDER
from waypost.notifications.spend import CAP, Spending, day_of
from waypost.notifications.states import State
from waypost.notifications.storage_spend import add
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

HOLD = """
UPDATE deliveries SET queue = 'bulk', reason = $2, due_at = now() + interval '1 day', poked_at = now() WHERE id = $1
"""


@pytest.fixture
async def shop(org: Org) -> Shop:
    await change(org, sms_parts_a_day=100, sms_spend_a_day="50.00")
    return await Shop.of(org)


async def change(org: Org, **telling: object) -> None:
    await org.services.organisations.change(org.owner, name=None, time_zone=None, telling=telling)


async def held(shop: Shop, reason: str = CAP) -> object:
    delivery = await shop.delivery(state=State.PENDING)
    await shop.rows(HOLD, delivery, reason)
    return delivery


async def is_due(shop: Shop, delivery: object) -> bool:
    """When every worker has the new settings, and then soon."""
    at = shop.org.services.clock.now() + timedelta(seconds=SEEN_S) + SPREAD
    (row,) = await shop.rows(
        "SELECT due_at <= $2 AND poked_at IS NULL AS due FROM deliveries WHERE id = $1", delivery, at
    )
    return bool(row["due"])


@pytest.mark.parametrize(
    "telling",
    [{"sms_parts_a_day": 200}, {"sms_parts_a_day": None}, {"sms_spend_a_day": "50.01"}, {"sms_spend_a_day": None}],
    ids=str,
)
async def test_what_a_cap_held_has_its_turn_as_soon_as_it_is_raised(shop: Shop, telling: dict[str, object]):
    delivery = await held(shop)
    assert not await is_due(shop, delivery)
    await change(shop.org, **telling)
    assert await is_due(shop, delivery)


@pytest.mark.parametrize("telling", [{"sms_parts_a_day": 50}, {"digest_minutes": 5}], ids=str)
async def test_a_lowered_cap_and_another_setting_wake_nothing(shop: Shop, telling: dict[str, object]):
    delivery = await held(shop)
    await change(shop.org, **telling)
    assert not await is_due(shop, delivery)


async def test_what_waits_for_something_else_and_what_is_anothers_goes_on_waiting(shop: Shop, services: Services):
    other = await Shop.of(await organisation(services, "Other"))
    quiet, foreign = await held(shop, "held_quiet_hours"), await held(other)
    await change(shop.org, sms_parts_a_day=None)
    assert not await is_due(shop, quiet)
    assert not await is_due(other, foreign)


async def test_who_still_has_the_old_settings_holds_nothing_by_a_cap_that_was_raised(shop: Shop, services: Services):
    """What it held now would wait for tomorrow: the raise has let go of all that was held before it."""
    old = await services.rules.of(shop.org.org_id)
    spending = Spending(services.clock, services.realtime, lambda: 0.5)
    asked = replace(due(), org_id=shop.org.org_id), KINDS[PAYMENT_REMINDER], old
    async with services.database.transaction(SYSTEM) as conn:
        await add(
            conn, shop.org.org_id, day_of(old, services.clock.now()), "sms", shop.account.id, slot=0, segments=150,
            cost=Decimal(0), currency="",
        )  # fmt: skip
        assert await spending.held(conn, *asked) is not None
    await change(shop.org, sms_parts_a_day=200)
    async with services.database.transaction(SYSTEM) as conn:
        assert await spending.held(conn, *asked) is None


@pytest.mark.parametrize(
    ("before", "after", "raised"),
    [
        (Telling(), Telling(sms_parts_a_day=1), False),
        (Telling(sms_parts_a_day=0), Telling(sms_parts_a_day=1), True),
        (Telling(sms_spend_a_day="9"), Telling(sms_spend_a_day="10"), True),
        (Telling(sms_spend_a_day="10.00"), Telling(sms_spend_a_day="10"), False),
        (Telling(sms_parts_a_day=5, sms_spend_a_day="9"), Telling(sms_parts_a_day=4), True),
    ],
)
def test_raised_is_what_allows_more_by_either_cap(before: Telling, after: Telling, raised: bool):
    assert is_raised(before, after) is raised
