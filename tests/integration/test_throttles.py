"""A message that one throttle holds is counted by none of them: the others' room is for those that go out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.integration.test_sending import NEVER_QUIET, Shop, held
from tests.integration.test_sending import shop as hasty
from tests.waiting import UNHURRIED_S
from waypost.notifications import kinds
from waypost.notifications.consent.tokens import Stop, Tokens

__all__ = ["hasty"]
OTHERS = [f"+26377100099{n}" for n in range(3)]


@pytest.fixture
def shop(hasty: Shop) -> Shop:
    """It waits for Redis as long as a busy machine takes."""
    hasty.world.services.limiter.answer_s = UNHURRIED_S
    return hasty


async def test_what_its_organisation_holds_is_not_counted_against_the_provider(shop: Shop):
    await shop.account("a", a_minute=2)
    await shop.set(quiet=NEVER_QUIET, a_minute=1)
    assert (await shop.tell())["state"] == "sent"
    waiting = await shop.due()
    for _ in range(2):
        assert held(await shop.tell()) == ("pending", "held_organisation_rate", 0)
    await shop.set(quiet=NEVER_QUIET, a_minute=100)
    assert held(await shop.again(waiting)) == ("sent", None, 1)
    assert held(await shop.tell()) == ("pending", "held_provider_rate", 0)


async def test_what_its_address_holds_is_counted_neither_against_the_organisation_nor_the_provider(shop: Shop):
    await shop.account("a", a_minute=3)
    await shop.set(quiet=NEVER_QUIET, a_minute=2, an_hour_to_one=1)
    assert (await shop.tell(kinds.PAYMENT_REMINDER))["state"] == "sent"
    for _ in range(3):
        assert held(await shop.tell(kinds.PAYMENT_REMINDER)) == ("pending", "held_address_rate", 0)
    assert (await shop.tell(kinds.PAYMENT_REMINDER, phone=OTHERS[0]))["state"] == "sent"
    assert held(await shop.tell(kinds.PAYMENT_REMINDER, phone=OTHERS[1])) == ("pending", "held_organisation_rate", 0)
    await shop.set(quiet=NEVER_QUIET, a_minute=100)
    assert (await shop.tell(phone=OTHERS[2]))["state"] == "sent"
    assert held(await shop.tell()) == ("pending", "held_provider_rate", 0)


class Unsigned(Tokens):
    """Cannot sign the link by which one stops."""

    def stop_url(self, stop: Stop) -> str:
        raise RuntimeError("no link")


async def test_what_could_not_be_claimed_after_all_is_counted_by_none(shop: Shop):
    await shop.set(quiet=NEVER_QUIET, a_minute=1, an_hour_to_one=1)
    delivery = await shop.due(kinds.PAYMENT_REMINDER, phone=None, email="chipo@example.com")
    works = shop.world.deliveries
    shop.world.deliveries = replace(works, tokens=Unsigned(works.tokens.public_url, works.tokens.cipher))
    with pytest.raises(RuntimeError, match="no link"):
        await shop.again(delivery)
    shop.world.deliveries = works
    assert held(await shop.again(delivery)) == ("sent", None, 1)
