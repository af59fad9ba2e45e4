"""P1 and P2 with real kills, fsync on, one moment at a time: what was acknowledged is there, a resend adds nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.proxy import proxy_to
from tests.e2e.commands import free_port, serving
from tests.e2e.roads import Road, Roads
from tests.e2e.senders import BATCH, Sender, World, check
from tests.waiting import until

BOTH = pytest.mark.parametrize("road", [Roads.json, Roads.socket], ids=["http", "socket"])


@BOTH
async def test_killed_between_commit_and_answer_nothing_is_lost_and_the_resend_adds_nothing(world: World, road: Road):
    port = free_port()
    async with (
        serving(world.env, port) as server,
        proxy_to(port) as proxy,
        Roads.to(proxy.url) as over_proxy,
        Roads.to(server.url) as direct,
    ):
        sender = Sender(await world.org.phone(), over_proxy, road)
        await sender.send(sender.batch())
        numbers = sender.batch()
        proxy.to_client.lost = True
        posting = asyncio.create_task(sender.post(numbers))
        await until(lambda: world.has_rows(sender.phone, 2 * BATCH))
        assert not posting.done()
        await server.kill()
        assert not posting.done()
        proxy.cut()
        assert (await posting)[0] == 0
        sender.roads = direct
        async with serving(world.env, port):
            answer = await sender.send(numbers)
            assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (0, BATCH, [])
            await check(world, server.url, [sender])


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(3, marks=pytest.mark.timeout(300)),
        pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
    ids=["3", "100"],
)
async def test_killed_right_after_an_answer_every_acknowledged_fix_is_there_at_the_next_read(world: World, rounds: int):
    """Phones on all roads have a batch under way each round; the first answer to any of them is the kill's moment."""
    port = free_port()
    async with Roads.to(f"http://127.0.0.1:{port}") as roads:
        senders = [
            Sender(await world.org.phone(), roads, road) for road in (Roads.json, Roads.columns, Roads.socket) * 2
        ]
        under_way = {id(sender): sender.batch() for sender in senders}
        for _ in range(rounds):
            async with serving(world.env, port) as server:
                await check_acknowledged(world, server.url, senders)
                tasks = {asyncio.create_task(sender.send(under_way[id(sender)])): sender for sender in senders}
                done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                await server.kill()
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)
                for task in (*done, *(task for task in others if not task.cancelled())):
                    task.result()
                    under_way[id(tasks[task])] = tasks[task].batch()
        async with serving(world.env, port) as server:
            await check_acknowledged(world, server.url, senders)
            for sender in senders:
                await sender.send(under_way[id(sender)])
            await check(world, server.url, senders)
        assert sum(len(sender.acknowledged) for sender in senders) >= (rounds + len(senders)) * BATCH


async def check_acknowledged(world: World, url: str, senders: list[Sender]) -> None:
    """Of what was never answered some may be there too."""
    for sender in senders:
        found = await world.read_back(url, sender.phone)
        assert sender.acknowledged <= found, sorted(sender.acknowledged - found)
        assert found <= sender.times(), sorted(found - sender.times())
