"""``webhooks``: from the commit to a subscriber that answers at once, without and with a hundred that never do.

Each of some shops has one good endpoint, and then ten beside it that accept and say nothing; every event goes to all of
its shop's. The relay, one worker process and the settings are as an installation has them by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.notifications import ADD, SETTINGS, process
from loadtest.percentiles import percentiles
from loadtest.stand import PASSWORD, Stand
from loadtest.table import table
from waypost.kernel.clock import SystemClock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal, Role
from waypost.notifications.domain import Notice
from waypost.notifications.kinds import PAYMENT_RECEIVED
from waypost.notifications.words.samples import Sample, sample
from waypost.settings import Settings
from waypost.wiring import Services, open_services

SHOPS, HANGING, EVENTS_PER_S, SECONDS = 10, 100, 20.0, 20.0
WARM_EVENTS, WARM_EVERY_S = 10, 0.1
COME_WITHIN_S, LOOK_S = 30, 0.1
EVENT = "payment.received"


@dataclass(slots=True)
class Receiver:
    """All endpoints. ``came``: when each payment was told to a good one; ``repeats``: how many were told again."""

    url: str = ""
    came: dict[str, float] = field(default_factory=dict)
    repeats: int = 0
    under_way: int = 0  # calls that hang
    most: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Receiver]:
        """Listen on this machine alone."""
        app = web.Application()
        app.add_routes([web.post("/good", self._good), web.post("/hangs", self._hangs)])
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            self.over.set()
            await runner.cleanup()

    async def _good(self, request: web.Request) -> web.Response:
        now, body = time.monotonic(), msgspec.json.decode(await request.read())
        payment = body["data"]["paymentId"]
        if payment in self.came:
            self.repeats += 1
        self.came.setdefault(payment, now)
        return web.Response()

    async def _hangs(self, request: web.Request) -> web.Response:
        await request.read()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.over.wait()
        finally:
            self.under_way -= 1
        raise web.HTTPServiceUnavailable


@dataclass(frozen=True, slots=True)
class Shop:
    """An organisation with subscribers."""

    owner: Principal
    customer: UUID


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured."""

    stand: Stand
    services: Services
    receiver: Receiver
    shops: Sequence[Shop]

    async def subscribe(self, count: int, path: str) -> None:
        """So many endpoints, each shop in its turn."""
        for number in range(count):
            owner = self.shops[number % len(self.shops)].owner
            await self.services.telling.webhooks.add(
                owner, name=f"{path} {number}", url=f"{self.receiver.url}/{path}", events=[EVENT]
            )

    async def steadily(self, count: int, every_s: float) -> dict[str, float]:
        """So many payments, one after another; when each was committed."""
        committed, clock, facts = {}, SystemClock(), sample(PAYMENT_RECEIVED, Sample.ORDINARY)
        async with self.stand.superuser() as conn:
            began = time.monotonic()
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number * every_s - time.monotonic()))
                shop = self.shops[number % len(self.shops)]
                notice = Notice(shop.customer, "payment", new_id(clock), facts)
                body = msgspec.json.encode(notice).decode()
                async with conn.transaction():
                    await conn.execute(
                        ADD, shop.owner.org_id, PAYMENT_RECEIVED, [new_id(clock)],
                        [f"paid:{notice.subject_id}"], [body],
                    )  # fmt: skip
                    await conn.execute("SELECT pg_notify('waypost_outbox', '')")
                committed[str(notice.subject_id)] = time.monotonic()
        return committed

    async def delays(self, committed: Mapping[str, float]) -> list[float]:
        """Of each, to its good endpoint's receipt. ``LoadtestError`` for one that does not come."""
        until = time.monotonic() + COME_WITHIN_S
        while missing := committed.keys() - self.receiver.came.keys():
            if time.monotonic() > until:
                raise LoadtestError(f"of {len(committed)} events {len(missing)} did not reach a good endpoint")
            await asyncio.sleep(LOOK_S)
        return [max(0.0, self.receiver.came[each] - moment) for each, moment in committed.items()]


async def webhooks(
    seconds: float = SECONDS, hanging: int = HANGING, per_s: float = EVENTS_PER_S, shops: int = SHOPS
) -> dict[str, Any]:
    """The same events without and with those that hang, in one run."""
    async with AsyncExitStack() as exits:
        stand = await exits.enter_async_context(Stand.open(nodes=0))
        receiver = await exits.enter_async_context(Receiver().open())
        settings = Settings.from_env({**stand.environment, **SETTINGS})
        services = await exits.enter_async_context(open_services(settings))
        place = Place(stand, services, receiver, [await _shop(services, number) for number in range(shops)])
        await place.subscribe(shops, "good")
        await exits.enter_async_context(process(stand, "relay"))
        await exits.enter_async_context(process(stand, "work"))
        found = await _phases(place, seconds, hanging, per_s)
    return {"hanging": hanging, "good": shops, "events_per_s": per_s, **found}


async def _phases(place: Place, seconds: float, hanging: int, per_s: float) -> dict[str, Any]:
    count, every_s, receiver = max(1, round(seconds * per_s)), 1 / per_s, place.receiver
    await place.delays(await place.steadily(WARM_EVENTS, WARM_EVERY_S))
    without = percentiles(await place.delays(await place.steadily(count, every_s)))
    say(f"  without any that hangs: p50 {without['p50_ms']}, p95 {without['p95_ms']} ms")
    await place.subscribe(hanging, "hangs")
    beside = percentiles(await place.delays(await place.steadily(count, every_s)))
    say(f"  beside {hanging} that hang, {receiver.most} calls: p50 {beside['p50_ms']}, p95 {beside['p95_ms']} ms")
    if receiver.repeats:
        raise LoadtestError(f"{receiver.repeats} events came twice")
    return {
        "without": {"events": count, **without},
        "with": {"events": count, **beside},
        "hanging_at_once": receiver.most,
        "ratios": {"p95": round(beside["p95_ms"] / without["p95_ms"], 2)},
    }


async def _shop(services: Services, number: int) -> Shop:
    org_id = await services.identity.add_organisation(f"Shop {number}")
    user_id = await services.identity.add_user(
        org_id=org_id, name="Owner", role=Role.OWNER, password=PASSWORD, phone=f"+2637710000{number:02}"
    )
    owner = Principal(org_id, Role.OWNER, user_id=user_id)
    return Shop(owner, await services.directory.add_customer(owner, name="Customer", phone=f"+2637720000{number:02}"))


def report(figures: Mapping[str, Any]) -> str:
    """The figures as a table."""
    rows = [["commit to receipt", "p50 ms", "p95 ms", "p99 ms", "most ms", "events"]]
    for name, title in (("without", "no endpoint hangs"), ("with", f"{figures['hanging']} hang")):
        of = figures[name]
        times = [f"{of[each]:g}" for each in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
        rows.append([title, *times, str(of["events"])])
    ratio = f"p95 with to without: {figures['ratios']['p95']:g}; calls that hung at once: {figures['hanging_at_once']}"
    return f"{table(rows)}\n\n{ratio}"
