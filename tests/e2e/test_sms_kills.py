"""The five points of an attempt where a worker may die, for a channel that may not repeat: an SMS.

The gateway's own log is the proof: no message stands in it twice, and what may stand in it is in doubt, for a person.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.e2e.test_delivery_kills import QUICK, WITHIN_S, environment_of, the_delivery
from tests.e2e.workers import MORTAL, RELAY, WORKER, begin, running
from tests.fakes.faces.http import KEY
from tests.fakes.provider import FakeProvider, fake_provider
from tests.notices import World, telling
from tests.waiting import until
from waypost.notifications.providers.accounts import HttpConfig
from waypost.notifications.providers_register import New

LOOPBACK = {"WAYPOST_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}


@dataclass(slots=True)
class Scene:
    """An organisation that tells by SMS over a gateway of its own."""

    world: World
    fake: FakeProvider
    env: dict[str, str]


@pytest.fixture
async def scene(environment: dict[str, str]) -> AsyncIterator[Scene]:
    async with telling(environment, **QUICK, **LOOPBACK) as world, fake_provider() as fake:
        body = '{"to": "{{ to }}", "from": "{{ from }}", "text": "{{ text }}", "id": "{{ id }}"}'
        config = HttpConfig(f"{fake.url}/gateway/plain", headers={"X-Key": KEY}, body=body)
        await world.services.telling.providers.add(world.org.owner, New("gateway", config, sender="+263779990001"))
        await world.trip(await world.customer(email=None, phone="+263771000200"))
        yield Scene(world, fake, environment_of(world, environment) | LOOPBACK)


# In which state it is in the end, and how often the gateway has taken it; None: nobody knows, but never twice.
CASES = {
    "before_claim": ("sent", 1),
    "after_claim": ("in_doubt", 0),
    "after_write": ("in_doubt", None),
    "after_accept": ("in_doubt", 1),
    "after_finish": ("sent", 1),
}


@pytest.mark.parametrize("point", CASES)
async def test_a_worker_killed_at_a_point_of_an_attempt_sends_no_sms_a_second_time(scene: Scene, point: str):
    state, taken = CASES[point]
    async with running(*RELAY, env=scene.env):
        mortal = await begin(*MORTAL, point, env=scene.env)
        assert await asyncio.wait_for(mortal.wait(), WITHIN_S) == -signal.SIGKILL
        await scene.world.services.redis.flushall()  # and Redis is emptied on top
        async with running(*WORKER, env=scene.env):

            async def reached() -> bool:
                row = await the_delivery(scene.world)
                return bool(row["state"] == state)

            await until(reached, WITHIN_S)
    row = await the_delivery(scene.world)
    assert (row["state"], row["attempt"]) == (state, 1)
    references = scene.fake.references
    assert len(references) == len(set(references)) <= 1
    assert taken is None or len(references) == taken
    assert [a["outcome"] for a in await scene.world.attempts()] == ["accepted" if state == "sent" else "unknown"]
