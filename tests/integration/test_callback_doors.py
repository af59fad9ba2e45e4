"""Whose address a callback came to: remembered for some seconds, and no longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.factories import Org
from tests.fakes.clock import FakeClock
from tests.mobile import OK, Mobile, mobile, new_receipt, paybill
from tests.tills import Shop
from waypost.app import build_app
from waypost.payments import doors
from waypost.payments.callback_domain import CallbackElsewhere
from waypost.payments.doors import REMEMBER_S, Doors
from waypost.wiring import Services

BODY: dict[str, Any] = paybill("NOBODY1", "5.00", "RKT0000000")
ELSEWHERE = {"addresses": ["203.0.113.9"]}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def till(
    services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]], org: Org, clock: FakeClock
) -> Mobile:
    """What its server remembers, it remembers by ``clock``."""
    services.money.callbacks.doors = Doors(services.money.providers, clock)
    return await mobile(await Shop.of(org), await aiohttp_server(build_app(services)))


async def confirmed(till: Mobile, token: str | None = None) -> int:
    """The status that one more payment gets."""
    return (await till.call("confirmation", BODY | {"TransID": new_receipt()}, token=token))[0]


async def change(till: Mobile, values: Mapping[str, Any]) -> None:
    await till.services.money.providers.change(till.shop.owner, till.account.id, values)


async def test_what_is_changed_of_an_account_acts_within_seconds(till: Mobile, clock: FakeClock):
    assert await confirmed(till) == 200
    await change(till, ELSEWHERE)
    await clock.advance(REMEMBER_S - 0.1)
    assert await confirmed(till) == 200
    await clock.advance(0.1)
    assert await confirmed(till) == 403
    await change(till, {"addresses": []})
    await clock.advance(REMEMBER_S)
    assert await confirmed(till) == 200
    assert await till.became() == ["unmatched"] * 3


async def test_a_token_that_was_replaced_twice_leads_nowhere_within_seconds(till: Mobile, clock: FakeClock):
    register = till.services.money.providers
    assert await confirmed(till) == 200
    await register.replace_token(till.shop.owner, till.account.id)
    _, token = await register.replace_token(till.shop.owner, till.account.id)
    assert [await confirmed(till), await confirmed(till, token)] == [200, 200]
    await clock.advance(REMEMBER_S)
    assert [await confirmed(till), await confirmed(till, token)] == [404, 200]


async def test_who_is_let_in_is_asked_of_each_address_anew(till: Mobile):
    await change(till, {"addresses": ["127.0.0.0/8"]})
    assert await confirmed(till) == 200
    assert till.services.money.callbacks.doors.remembered(till.token, "127.0.0.1") is not None
    with pytest.raises(CallbackElsewhere):
        till.services.money.callbacks.doors.remembered(till.token, "203.0.113.9")


async def test_neither_guesses_nor_the_addresses_of_prompts_are_remembered(till: Mobile):
    prompt = await till.prompt(await till.shop.layby())
    assert await confirmed(till, "0" * 32) == 404
    assert (await till.call("stk", {}, token=till.own_token(prompt))) == (200, OK)
    assert till.services.money.callbacks.doors.known == {}


async def test_no_more_are_remembered_than_there_is_room_for(till: Mobile, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doors, "REMEMBER_AT_MOST", 1)
    assert await confirmed(till) == 200
    _, token = await till.services.money.providers.replace_token(till.shop.owner, till.account.id)
    assert await confirmed(till, token) == 200
    known = till.services.money.callbacks.doors
    assert (known.remembered(till.token, ""), len(known.known)) == (None, 1)
