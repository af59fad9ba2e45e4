"""The server is killed at each point of a callback's way, fsync on: the provider's retry leads to one booking."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from random import SystemRandom

import aiohttp
import pytest

from tests.e2e.commands import free_port, get, serving
from tests.e2e.mortal_callbacks import POINTS
from tests.e2e.senders import World
from tests.e2e.workers import begin
from tests.mobile import OK, Mobile, mobile, new_receipt, paybill, stk
from tests.tills import Shop
from tests.waiting import until

CHANCE = SystemRandom()
KEPT_BEFORE = {"received": 0, "stored": 1, "taken": 1, "booked": 1, "committed": 1}
BOOKED_BEFORE = {"received": 0, "stored": 0, "taken": 0, "booked": 0, "committed": 1}
WITHIN_S = 60


@pytest.fixture
async def till(world: World) -> Mobile:
    return await mobile(await Shop.of(world.org))


async def receipts(till: Mobile) -> list[str]:
    rows = await till.query("SELECT receipt FROM payments WHERE provider = 'daraja' ORDER BY id")
    return [row["receipt"] for row in rows]


async def finished(till: Mobile) -> None:
    """As the relay's sweep does, however long ago it was."""
    while await till.sweep():
        pass


@pytest.mark.timeout(300)
@pytest.mark.parametrize("road", ["confirmation", "stk"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_server_killed_at_a_point_of_a_callback_books_the_providers_retry_once(
    world: World, till: Mobile, point: str, road: str
):
    layby = await till.shop.layby()
    prompt = await till.asked(await till.prompt(layby, 2000), "ws_CO_1")
    receipt = new_receipt()
    body = paybill(layby.reference, "20.00", receipt) if road == "confirmation" else stk("ws_CO_1", 20, receipt)
    port = free_port()
    till.url = f"http://127.0.0.1:{port}"
    server = await begin("tests.e2e.mortal_callbacks", point, str(port), env=world.env)
    await until(lambda: _is_up(till.url), WITHIN_S)
    with suppress(aiohttp.ClientError):  # on a slow machine the answer may be out before the work comes to the point
        await till.call(road, body)
    assert await asyncio.wait_for(server.wait(), WITHIN_S) == -signal.SIGKILL
    assert len(await till.rows()) == KEPT_BEFORE[point]
    assert len(await receipts(till)) == BOOKED_BEFORE[point]
    async with serving(world.env, port):
        assert await till.call(road, body) == (200, OK)
    await finished(till)
    assert await receipts(till) == [receipt]
    became = sorted(map(str, await till.became()))
    assert became == ["applied", *["duplicate"] * KEPT_BEFORE[point]]
    told = [kind for kind, facts in await till.shop.told() if facts.get("receipt") == receipt]
    assert told == ["payment_received"]
    if road == "stk":
        assert (await till.read(prompt)).state == "paid"
    await till.shop.check()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.long)])
async def test_a_storm_of_callbacks_and_kills_books_each_once(world: World, till: Mobile, kills: int):
    """A provider that is not answered, or hears a 5xx, tries again; here until it is heard."""
    laybys = [await till.shop.layby(price=10_000_00, deposit=3_000_00) for _ in range(4)]
    port = free_port()
    till.url = f"http://127.0.0.1:{port}"
    told: dict[str, bool] = {}
    ended = False

    async def provider(number: int) -> None:
        while not ended:
            receipt = new_receipt()
            told[receipt] = False
            body = paybill(laybys[number % 4].reference, "1.00", receipt)
            while not told[receipt]:
                with suppress(aiohttp.ClientError, ValueError):
                    status, _ = await till.call("confirmation", body)
                    told[receipt] = status == 200
                if not told[receipt]:
                    await asyncio.sleep(0.05)

    providers = [asyncio.create_task(provider(number)) for number in range(8)]
    for _ in range(kills):
        async with serving(world.env, port) as server:
            heard = sum(told.values())
            await until(lambda heard=heard: sum(told.values()) > heard + CHANCE.randint(5, 40), WITHIN_S)
            await server.kill()
    async with serving(world.env, port):
        ended = True
        await asyncio.gather(*providers)
    await finished(till)
    assert all(told.values())
    assert sorted(await receipts(till)) == sorted(told)
    assert None not in await till.became()
    await till.shop.check()


async def _is_up(url: str) -> bool:
    return (await get(f"{url}/livez"))[0] == 200
