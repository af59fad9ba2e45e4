"""One endpoint that hangs delays no other: through the queue, a worker's line, and a hundred that never answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.factories import organisation
from tests.hooks import HookWorld, hook_world
from tests.waiting import until
from waypost.kernel.ids import new_id
from waypost.platform.database import SYSTEM
from waypost.webhooks import storage
from waypost.webhooks.domain import Secret, Webhook
from waypost.webhooks.rules import AT_ONCE
from waypost.webhooks.signing import secret_of
from waypost_workers import lines
from waypost_workers.pokes import webhook_pokes
from waypost_workers.queues import QueueName, close_queues, open_queues

HANGING, OTHERS, EVENTS = 100, 10, 12
COUNT = "SELECT count(*) AS n FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE "


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[HookWorld]:
    async with hook_world(environment, WAYPOST_DELIVERY_SEND_TIMEOUT_S="120", WAYPOST_DELIVERY_LEASE_S="240") as opened:
        yield opened


@asynccontextmanager
async def working(world: HookWorld) -> AsyncIterator[None]:
    """A relay's passes and a worker's line, as the processes run them."""
    settings = world.services.settings
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    worker, queues = lines.build(settings, QueueName.WEBHOOKS, {"webhook_sender": world.sender}), open_queues(url)
    pokes = webhook_pokes(world.services.database, world.dues)

    async def passes() -> None:
        while True:
            await pokes.give_out(queues)
            await asyncio.sleep(0.1)

    stop = asyncio.Event()
    work, passing = asyncio.create_task(lines.run([worker], stop, grace_s=0)), asyncio.create_task(passes())
    try:
        yield
    finally:
        passing.cancel()
        stop.set()
        await asyncio.gather(work, passing, return_exceptions=True)
        await close_queues(queues)
    work.result()


async def subscribe_many(world: HookWorld, prefix: str, number: int) -> None:
    """In organisations of twenty, which is as many as one may have."""
    org = world.org
    for each in range(number):
        if prefix == "hanging" and each % 20 == 0:
            org = await organisation(world.services, f"{prefix} {each}")
        name, secret = f"{prefix}-{each}", secret_of(b"k" * 32)
        clock = world.services.clock
        webhook = Webhook(
            org.org_id, new_id(clock), prefix, f"{world.fake.url}/webhook/{name}", ["*"], [Secret(secret)], clock.now()
        )
        async with world.services.database.transaction(SYSTEM) as conn:
            await storage.add(conn, world.services.box, webhook, None)
        world.face.secrets[name] = secret
        if prefix == "hanging":
            world.face.hanging.add(name)


async def number_of(world: HookWorld, condition: str) -> int:
    (row,) = await world.query(COUNT + condition)
    return int(row["n"])


async def test_a_hundred_endpoints_that_never_answer_delay_no_other(world: HookWorld):
    """All events of the others arrive while every try at those that hang is still under way."""
    await subscribe_many(world, "hanging", HANGING)
    await subscribe_many(world, "well", OTHERS)
    orgs = {row["org_id"] for row in await world.query("SELECT org_id FROM webhooks")}
    await world.take([world.row(org_id=org_id) for org_id in orgs for _ in range(EVENTS)])
    async with working(world):
        await until(lambda: sum(world.face.under_way[name] for name in world.face.hanging) == HANGING * AT_ONCE, 60)

        async def all_taken() -> bool:
            return await number_of(world, "w.name = 'well' AND d.state = 'sent'") == OTHERS * EVENTS

        await until(all_taken, 60)
        await world.take([world.row() for _ in range(EVENTS)])  # and what comes later too

        async def later_taken() -> bool:
            return await number_of(world, "w.name = 'well' AND d.state = 'sent'") == 2 * OTHERS * EVENTS

        await until(later_taken, 60)
        assert await number_of(world, "w.name = 'hanging' AND d.state = 'sending'") == HANGING * AT_ONCE
        assert await number_of(world, "w.name = 'hanging' AND d.attempt > 1") == 0
    assert max(world.face.most.values()) == AT_ONCE
    references = [(each.to, each.reference) for each in world.accepted]
    assert len(set(references)) == len(references) == 2 * OTHERS * EVENTS
