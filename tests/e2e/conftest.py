"""Servers that lose nothing, for the tests that kill."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.senders import World
from tests.factories import organisation
from tests.servers import Servers, running_servers
from waypost.identity.domain import OrgSettings, TrackingLimits
from waypost.settings import Settings
from waypost.wiring import open_services

UNLIMITED = OrgSettings(tracking=TrackingLimits(requests_per_s=0, fixes_per_s=0))


@pytest.fixture(scope="module")
def durable() -> Iterator[Servers]:
    """fsync on."""
    with running_servers(durable=True) as started:
        yield started


@pytest.fixture
async def world(durable: Servers) -> AsyncIterator[World]:
    """A database of its own on them, with an organisation whose phones are held to no number of requests."""
    name = await durable.create_database()
    env = durable.environment(name)
    async with open_services(Settings.from_env(env)) as services:
        await services.redis.flushall()
        org = await organisation(services)
        await services.identity.save_settings(org.org_id, UNLIMITED)
        yield World(durable, name, env, org, await org.token())
    await durable.drop_database(name)
