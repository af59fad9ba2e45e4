"""A world in which customers are told things: services, a mail server, a relay and a worker's deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from uuid import UUID

from aiohttp.test_utils import TestServer

from tests.conftest import Api
from tests.described import Described
from tests.factories import Org, organisation
from tests.fakes.mail import MailServer, mail_server
from waypost.app import DESCRIPTION, build_app, route_table
from waypost.notifications.deliveries import Deliveries
from waypost.notifications.relay import Relay
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.trips.domain import Move, Trip
from waypost.trips.service import NewTrip
from waypost.wiring import Services, open_services
from waypost.wiring_work import deliveries_over, relay_over
from waypost_workers.channels import open_channels

DELIVERIES = "SELECT * FROM deliveries ORDER BY id"
ATTEMPTS = "SELECT * FROM attempts ORDER BY delivery_id, attempt"
LEASE_OUT = "UPDATE deliveries SET lease_until = now() - interval '1 second' WHERE state = 'sending'"
ALL_DUE = "UPDATE deliveries SET due_at = now() - interval '1 day' WHERE state IN ('pending', 'in_doubt')"
_numbers = count(1)
Serve = Callable[..., Awaitable[TestServer]]  # pytest-aiohttp's


@dataclass(slots=True, repr=False)
class World:
    """One installation with one organisation."""

    services: Services
    mail: MailServer
    org: Org
    relay: Relay
    deliveries: Deliveries
    open_ones: AsyncExitStack

    async def customer(self, name: str = "Chipo Dube", **address: str | None) -> UUID:
        """One with an e-mail address, unless another is given."""
        address = {"email": f"chipo{next(_numbers)}@example.com"} | address
        return await self.services.directory.add_customer(self.org.owner, name=name, **address)

    async def trip(self, customer_id: UUID | None, *, move: Move | None = Move.START, **of: Any) -> Trip:
        """A trip of that customer with a driver of its own; started, unless ``move`` is None."""
        trips, owner = self.services.trips, self.org.owner
        driver = await self.services.directory.add_driver(owner, name=f"Driver {next(_numbers)}")
        new = NewTrip(driver_id=driver.id, customer_id=customer_id, destination="12 Jason Moyo Ave", **of)
        trip = await trips.create(owner, new)
        return await trips.move(owner, trip.id, move) if move else trip

    async def told(self, name: str = "Chipo Dube", **address: str | None) -> UUID:
        """Start a trip whose customer is told, and let the relay see it; the one delivery's id."""
        known = {row["id"] for row in await self.rows()}
        await self.trip(await self.customer(name, **address))
        await self.relay.expand()
        (new,) = [row["id"] for row in await self.rows() if row["id"] not in known]
        return UUID(str(new))

    async def attempt(self, delivery_id: UUID) -> None:
        await self.deliveries.attempt(self.org.org_id, delivery_id)

    async def rows(self) -> list[Mapping[str, Any]]:
        return await self.query(DELIVERIES)

    async def row(self, delivery_id: UUID) -> Mapping[str, Any]:
        (row,) = await self.query("SELECT * FROM deliveries WHERE id = $1", delivery_id)
        return row

    async def attempts(self) -> list[Mapping[str, Any]]:
        return await self.query(ATTEMPTS)

    async def query(self, statement: str, *arguments: object) -> list[Mapping[str, Any]]:
        async with self.services.database.transaction(SYSTEM) as conn:
            return list(await conn.fetch(statement, *arguments))

    async def with_settings(self, **settings: Any) -> World:
        """The same, with other paces or channels."""
        changed = self.services.settings.model_copy(update=settings)
        return await world_over(replace(self.services, settings=changed), self.mail, self.org, self.open_ones)


def changed(deliveries: Deliveries, **parts: Any) -> Deliveries:
    """The same worker with other ``channels``, ``clock``, ``guards``, ``words``, ``accounts``, ``rules``."""
    deciding = {name: part for name, part in parts.items() if name in {"clock", "guards", "words", "accounts"}}
    if "channels" in parts:
        deciding["channels"] = parts["channels"].keys()
    own = {name: part for name, part in parts.items() if name in {"clock", "channels", "rules", "checkpoint", "pace"}}
    return replace(deliveries, deciding=replace(deliveries.deciding, **deciding), **own)


async def world_over(services: Services, mail: MailServer, org: Org, open_ones: AsyncExitStack) -> World:
    """``open_ones``: what the channels keep open ends with it."""
    channels = await open_ones.enter_async_context(open_channels(services))
    return World(services, mail, org, relay_over(services), deliveries_over(services, channels), open_ones)


@asynccontextmanager
async def telling(environment: Mapping[str, str], **settings: str) -> AsyncIterator[World]:
    """A world that sends by e-mail."""
    async with mail_server() as mail:
        env = {**environment, **mail.environment, **settings}
        async with open_services(Settings.from_env(env)) as services, AsyncExitStack() as open_ones:
            await services.redis.flushall()
            yield await world_over(services, mail, await organisation(services), open_ones)


async def served(world: World, aiohttp_server: Serve) -> Api:
    """A server over this world, nobody signed in; every answer is held against the description."""
    document = DESCRIPTION.document(route_table(world.services))
    return Api(await aiohttp_server(build_app(world.services)), Described.of(document))


async def shown(world: World, name: str = "Chipo Dube") -> None:
    """Tell a customer of that name by the console, which stands for SMS."""
    await world.trip(await world.customer(name, email="chipo@example.com", phone="+263771000999"))
    await world.relay.expand()
    for row in await world.query("SELECT id FROM deliveries WHERE channel = 'console' AND state = 'pending'"):
        await world.attempt(row["id"])
