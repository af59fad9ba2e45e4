"""The apps' own queues against the real server: no bad record blocks one, and no refusal costs a good record.

Each queue follows its app's rules for an answer: traccar/traccar-client-android TrackingController.kt,
traccar/traccar-client-sdk HttpUploader.kt, owntracks/android MessageProcessor.kt, owntracks/ios Connection.m,
transistorsoft's HTTP guide, aaronpk/Overland-iOS GLManager.m. Waits between tries are left out: a try follows a try.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests import app_drives as drives
from tests.app_drives import Fix, Request, drive
from tests.conftest import Answer, Api
from tests.described import Described
from tests.factories import Org, Phone, organisation
from waypost.app import DESCRIPTION, build_app, route_table
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

POOL = 4
STORED = "SELECT latitude_e7, longitude_e7 FROM fixes WHERE org_id = $1 AND device_id = $2"
KEPT = "SELECT reason FROM fix_rejections WHERE org_id = $1 AND device_id = $2"
NOBODY = "wpd_" + "x" * 32


class Fate(Enum):
    """What an app does with what it has sent, after an answer."""

    FORGET = "it is done"
    AGAIN = "the same again, later"
    LOSE = "it is thrown away"


def traccar_client(answer: Answer) -> Fate:
    """Up to 8 and 10: the record at the head goes after a success, and is repeated for ever after anything else."""
    return Fate.FORGET if 200 <= answer.status < 300 else Fate.AGAIN


def owntracks_android(answer: Answer) -> Fate:
    """Back to the head of the queue, up to 100,000 times."""
    return Fate.FORGET if 200 <= answer.status < 300 else Fate.AGAIN


def owntracks_ios(answer: Answer) -> Fate:
    """Any 4xx, also 401 and 429: an alert, and the record is gone."""
    if 400 <= answer.status < 500:
        return Fate.LOSE
    return Fate.FORGET if 200 <= answer.status < 300 else Fate.AGAIN


def transistor_sdk(answer: Answer) -> Fate:
    """One failure stops the run; exactly 401 begins a refresh of the token."""
    return Fate.FORGET if answer.status in (200, 201, 204) else Fate.AGAIN


def overland(answer: Answer) -> Fate:
    """Success is a 2xx, and a JSON object that says so; the same oldest batch is sent again after anything else."""
    if 200 <= answer.status < 300 and isinstance(answer.json, dict) and answer.json.get("result") == "ok":
        return Fate.FORGET
    return Fate.AGAIN


@dataclass(frozen=True, slots=True)
class App:
    """How an app makes requests of its oldest records, how many at a time, and what it makes of the answer."""

    requests: Callable[[list[Fix]], list[Request]]
    after: Callable[[Answer], Fate]
    at_once: int = 1


QUEUES = {
    "traccar 8": App(drives.traccar_8, traccar_client),
    "traccar 9": App(drives.traccar_9, transistor_sdk),
    "traccar 10": App(drives.traccar_10, traccar_client),
    "owntracks android": App(drives.owntracks, owntracks_android),
    "owntracks ios": App(drives.owntracks, owntracks_ios),
    "transistor": App(drives.transistor, transistor_sdk),
    "transistor batch": App(lambda fixes: [drives.transistor_batch(fixes)], transistor_sdk, at_once=1000),
    "overland": App(drives.overland, overland, at_once=5),
}  # fmt: skip


@dataclass(slots=True)
class Queue:
    """What waits in a phone, oldest first."""

    app: App
    api: Api
    token: str
    waiting: list[Fix]
    lost: list[Fix] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def attempt(self) -> Fate:
        """One request with the oldest records; what becomes of them is the app's own rule."""
        batch = self.waiting[: self.app.at_once]
        (request,) = self.app.requests(batch)
        body = io.BytesIO(request.body) if request.body is not None else None
        address = request.address.replace("{token}", self.token)
        answer = await self.api(request.method, address, data=body, headers=dict(request.headers))
        self.statuses.append(answer.status)
        fate = self.app.after(answer)
        if fate is not Fate.AGAIN:
            del self.waiting[: len(batch)]
        if fate is Fate.LOSE:
            self.lost += batch
        return fate

    async def drain(self) -> None:
        """Until it is empty; a queue that stands still fails here."""
        for _ in range(len(self.waiting)):
            if not self.waiting:
                return
            assert await self.attempt() is Fate.FORGET, f"blocked by {self.statuses[-1]}"


@dataclass(frozen=True, slots=True)
class Server:
    """One node with so few connections that a test can take all of them."""

    api: Api
    services: Services
    org: Org

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Every connection to the database is in use."""
        async with AsyncExitStack() as held:
            for _ in range(POOL):
                await held.enter_async_context(self.services.database.transaction(SYSTEM))
            yield


@asynccontextmanager
async def server(environment: dict[str, str], **settings: str) -> AsyncIterator[Server]:
    small = {"WAYPOST_POOL_MIN": str(POOL), "WAYPOST_POOL_MAX": str(POOL), "WAYPOST_POOL_WAIT_S": "0.2"}
    async with open_services(Settings.from_env(environment | small | settings)) as services:
        await services.redis.flushall()
        running = TestServer(build_app(services))
        await running.start_server()
        try:
            api = Api(running, Described.of(DESCRIPTION.document(route_table(services))))
            yield Server(api, services, await organisation(services))
        finally:
            await running.close()


def a_queue(server: Server, phone: Phone, name: str) -> tuple[Queue, list[Fix], Fix]:
    """Ten good records with a bad one among them."""
    fixes = drive(11, until=datetime.now(UTC))
    bad = fixes[3].bad()
    good = [fix for n, fix in enumerate(fixes) if n != 3]
    return Queue(QUEUES[name], server.api, phone.token, [*fixes[:3], bad, *fixes[4:]]), good, bad


async def check(server: Server, phone: Phone, queue: Queue, good: list[Fix]) -> None:
    """Everything good is stored, and nothing was thrown away unstored; the bad record is kept for staff."""
    async with server.services.database.transaction(server.org.org_id) as conn:
        found = await conn.fetch(STORED, server.org.org_id, phone.device_id)
        kept = await conn.fetch(KEPT, server.org.org_id, phone.device_id)
    assert queue.waiting == []
    assert queue.lost == []
    places = sorted((round(fix.lat * 1e7), round(fix.lon * 1e7)) for fix in good)
    assert sorted((row["latitude_e7"], row["longitude_e7"]) for row in found) == places
    assert [row["reason"] for row in kept] == ["bad_coordinates"]


@pytest.mark.parametrize("name", QUEUES)
async def test_a_queue_with_a_bad_record_empties_through_a_busy_database(environment: dict[str, str], name: str):
    async with server(environment) as node:
        phone = await node.org.phone()
        queue, good, _ = a_queue(node, phone, name)
        before = len(queue.waiting)
        async with node.busy():
            assert {await queue.attempt() for _ in range(3)} == {Fate.AGAIN}
        assert set(queue.statuses) == {503}
        assert len(queue.waiting) == before
        await queue.drain()
        await check(node, phone, queue, good)


@pytest.mark.parametrize("name", [name for name in QUEUES if name != "owntracks ios"])
async def test_a_queue_waits_while_its_token_is_wrong_and_empties_when_it_is_right(
    environment: dict[str, str], name: str
):
    async with server(environment) as node:
        phone = await node.org.phone()
        queue, good, _ = a_queue(node, phone, name)
        queue.token = NOBODY
        assert {await queue.attempt() for _ in range(3)} == {Fate.AGAIN}
        assert set(queue.statuses) == {401}
        queue.token = phone.token
        await queue.drain()
        await check(node, phone, queue, good)


async def test_with_grace_owntracks_on_ios_throws_nothing_away_either(environment: dict[str, str]):
    async with server(environment, WAYPOST_OWNTRACKS_GRACE="true") as node:
        phone = await node.org.phone()
        queue, good, _ = a_queue(node, phone, "owntracks ios")
        queue.token = NOBODY
        assert {await queue.attempt() for _ in range(3)} == {Fate.AGAIN}
        assert set(queue.statuses) == {503}
        queue.token = phone.token
        await queue.drain()
        await check(node, phone, queue, good)


async def test_without_it_that_app_loses_what_it_sends_with_a_wrong_token(environment: dict[str, str]):
    """Why there is the setting: this is the app's doing, told in docs/apps/owntracks.md."""
    async with server(environment) as node:
        queue, _, _ = a_queue(node, await node.org.phone(), "owntracks ios")
        queue.token = NOBODY
        assert await queue.attempt() is Fate.LOSE


@pytest.mark.parametrize("name", QUEUES)
async def test_a_withdrawn_and_renewed_token_loses_nothing_between(environment: dict[str, str], name: str):
    async with server(environment, WAYPOST_OWNTRACKS_GRACE="true") as node:
        phone = await node.org.phone()
        queue, good, _ = a_queue(node, phone, name)
        await queue.attempt()
        _, token = await node.services.directory.devices.replace_token(node.org.owner, phone.device_id)
        await queue.attempt()  # the old one goes on for a day
        queue.token = token
        if queue.waiting:
            await queue.drain()
        await check(node, phone, queue, good)


@pytest.mark.parametrize("name", ["transistor batch", "overland"])
async def test_a_batch_that_timed_out_on_the_phone_is_only_duplicates_the_second_time(
    environment: dict[str, str], name: str
):
    async with server(environment) as node:
        phone = await node.org.phone()
        queue, good, _ = a_queue(node, phone, name)
        again: list[Any] = list(queue.waiting)
        await queue.attempt()
        queue.waiting = again  # no answer came: it keeps what was stored
        await queue.drain()
        async with node.services.database.transaction(node.org.org_id) as conn:
            assert len(await conn.fetch(STORED, node.org.org_id, phone.device_id)) == len(good)
