"""``notifications``: the relay's rows, a worker's sends, an event's way when all is idle and before a full queue.

The gateway is a process with 50 ms of latency on the same cores. Figures come from the rows' own times.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import ROOT, cpu_s, rss_mib
from loadtest.percentiles import percentiles
from loadtest.stand import PASSWORD, PHONE, Stand
from waypost.kernel.clock import SystemClock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal, Role
from waypost.notifications.domain import Notice
from waypost.notifications.kinds import PAYMENT_RECEIVED
from waypost.notifications.providers.accounts import HttpConfig
from waypost.notifications.providers_register import New
from waypost.notifications.words.samples import Sample, sample
from waypost.settings import Settings
from waypost.wiring import Services, open_services

LATENCY_S = 0.05
CUSTOMERS = 200
EVENTS, BACKLOG, SINGLE = 6_000, 10_000, 60
EVERY_S = 0.25
DONE_WITHIN_S = 300
SETTINGS = {"WAYPOST_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "WAYPOST_LOG_LEVEL": "ERROR"}
ADD = """
INSERT INTO outbox (org_id, id, kind, key, payload, created_at)
SELECT $1, r.id, $2, r.key, r.payload, clock_timestamp()
  FROM unnest($3::uuid[], $4::text[], $5::jsonb[]) AS r (id, key, payload)
"""
WAITING = "SELECT count(*) FROM outbox WHERE processed_at IS NULL"
SENT = "SELECT count(*) FROM deliveries WHERE sent_at IS NOT NULL"
UNSENT = "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')"
# From the second of ten parts of the sends to the ninth: starting and stopping are not a rate.
RATE = """
SELECT count(*) / extract(epoch FROM max(sent_at) - min(sent_at)) FROM (
    SELECT sent_at, ntile(10) OVER (ORDER BY sent_at) AS part FROM deliveries WHERE sent_at IS NOT NULL) s
 WHERE part BETWEEN 2 AND 9
"""
TOOK = """
SELECT extract(epoch FROM d.sent_at - o.created_at)::float8 FROM outbox o
  JOIN notifications n ON n.org_id = o.org_id AND n.dedupe_key = o.key
  JOIN deliveries d ON d.org_id = n.org_id AND d.notification_id = n.id
 WHERE o.key LIKE $1 AND d.sent_at IS NOT NULL
"""
EMPTY = "TRUNCATE attempts, deliveries, notifications, outbox CASCADE"


@dataclass(slots=True)
class Shop:
    """An organisation whose customers are told by a gateway."""

    stand: Stand
    services: Services
    org_id: UUID
    customers: Sequence[UUID]

    async def happens(self, count: int, name: str) -> None:
        """So many payments were received; one transaction for all."""
        clock = SystemClock()
        facts = sample(PAYMENT_RECEIVED, Sample.ORDINARY)
        notices = [Notice(self.customers[n % CUSTOMERS], "payment", new_id(clock), facts) for n in range(count)]
        keys = [f"{name}:{notice.subject_id}" for notice in notices]
        bodies = [msgspec.json.encode(notice).decode() for notice in notices]
        async with self.stand.superuser() as conn, conn.transaction():
            await conn.execute(ADD, self.org_id, PAYMENT_RECEIVED, [new_id(clock) for _ in notices], keys, bodies)
            await conn.execute("SELECT pg_notify('waypost_outbox', '')")

    async def value(self, statement: str) -> Any:
        async with self.stand.superuser() as conn:
            return await conn.fetchval(statement)

    async def run(self, statement: str) -> None:
        async with self.stand.superuser() as conn:
            await conn.execute(statement)

    async def took(self, name: str) -> list[float]:
        async with self.stand.superuser() as conn:
            return [row[0] for row in await conn.fetch(TOOK, f"{name}:%")]

    async def none(self, statement: str) -> None:
        """Until there is none."""
        await until(lambda: self._no(statement))

    async def _no(self, statement: str) -> bool:
        return not await self.value(statement)


async def notifications(events: int = EVENTS, backlog: int = BACKLOG, single: int = SINGLE) -> dict[str, Any]:
    """All parts, one after another."""
    async with Stand.open(nodes=0) as stand, AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(_gateway(stand))
        settings = Settings.from_env({**stand.environment, **SETTINGS})
        services = await exits.enter_async_context(open_services(settings))
        shop = await _shop(stand, services, gateway)
        figures: dict[str, Any] = {"relay": await _relay(shop, events)}
        figures["worker"] = await _worker(shop)
        await shop.run(EMPTY)
        figures["idle"] = await _idle(shop, single)
        await shop.run(EMPTY)
        figures["backlog"] = await _backlog(shop, backlog)
    return figures


async def _relay(shop: Shop, events: int) -> dict[str, Any]:
    """How fast a relay keeps what is promised: rows a second, from its first to its last."""
    await shop.happens(events, "many")
    async with process(shop.stand, "relay"):
        await shop.none(WAITING)
    span = "SELECT extract(epoch FROM max(processed_at) - min(processed_at))::float8 FROM outbox"
    rows_per_s = round(events / max(0.001, await shop.value(span)), 1)
    say(f"  relay: {rows_per_s:g} rows/s")
    return {"rows": events, "rows_per_s": rows_per_s}


async def _worker(shop: Shop) -> dict[str, Any]:
    """How fast one worker process sends what that has made; a relay gives it out."""
    async with process(shop.stand, "relay"), process(shop.stand, "work", "--queue", "urgent") as pid:
        await until(lambda: shop.value(SENT))
        early, cpu = rss_mib(pid), cpu_s(pid)
        await shop.none(UNSENT)
        grown, used = rss_mib(pid) - early, cpu_s(pid) - cpu
    sent = await shop.value(SENT)
    figures = {
        "deliveries": sent, "deliveries_per_s": round(float(await shop.value(RATE)), 1),
        "cpu_ms": round(used * 1000 / sent, 2), "grown_mib": round(grown, 1),
    }  # fmt: skip
    say(f"  worker: {figures['deliveries_per_s']:g} deliveries/s, {figures['cpu_ms']} ms of CPU each")
    return figures


async def _idle(shop: Shop, single: int) -> dict[str, Any]:
    """From the commit to the gateway's yes, when nothing else is to do; 50 ms of it are the gateway's."""
    async with process(shop.stand, "relay"), process(shop.stand, "work"):
        await _one_by_one(shop, 4, "warm")
        await _one_by_one(shop, single, "idle")
    figures = percentiles(await shop.took("idle"))
    say(f"  idle: commit to the provider's yes p50 {figures['p50_ms']}, p95 {figures['p95_ms']} ms")
    return figures


async def _backlog(shop: Shop, backlog: int) -> dict[str, Any]:
    """The same while thousands wait in the other queue, and how long those take; with the worker's memory."""
    await shop.happens(backlog, "bulk")
    async with process(shop.stand, "relay"):
        await shop.none(WAITING)
    await shop.run("UPDATE deliveries SET queue = 'bulk', poked_at = NULL")
    await _forget_jobs(shop)
    async with process(shop.stand, "relay"), process(shop.stand, "work") as pid:
        await _one_by_one(shop, 20, "first")
        early, waiting = rss_mib(pid), await shop.value(UNSENT)
        began = time.monotonic()
        await _one_by_one(shop, 40, "urgent")
        await shop.none(UNSENT)
        took_s, grown = time.monotonic() - began, rss_mib(pid) - early
    figures = {
        "waiting": waiting, "drained_per_s": round(waiting / took_s, 1), "grown_mib": round(grown, 1),
        **percentiles(await shop.took("urgent")),
    }  # fmt: skip
    say(f"  before {waiting} that wait: p95 {figures['p95_ms']} ms; drained at {figures['drained_per_s']:g}/s")
    return figures


async def until(done: Callable[[], Awaitable[Any]]) -> None:
    """Another process decides when."""
    async with asyncio.timeout(DONE_WITHIN_S):
        while not await done():  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.05)


async def _one_by_one(shop: Shop, count: int, name: str) -> None:
    for _ in range(count):
        await shop.happens(1, name)
        await asyncio.sleep(EVERY_S)

    async def all_sent() -> bool:
        return len(await shop.took(name)) >= count

    await until(all_sent)


async def _forget_jobs(shop: Shop) -> None:
    await shop.services.redis.flushall()


async def _shop(stand: Stand, services: Services, gateway: str) -> Shop:
    org_id = await services.identity.add_organisation("Shop")
    user_id = await services.identity.add_user(
        org_id=org_id, name="Owner", role=Role.OWNER, password=PASSWORD, phone=PHONE
    )
    owner = Principal(org_id, Role.OWNER, user_id=user_id)
    telling = {"a_minute": 1_000_000, "an_hour_to_one": 10_000}
    await services.organisations.change(owner, name=None, time_zone=None, telling=telling)
    config = HttpConfig(
        f"{gateway}/gateway/plain", headers={"X-Key": "a-key-of-the-gateway"},
        body='{"to": "{{ to }}", "text": "{{ text }}", "id": "{{ id }}"}', id_path="messages.0.id",
    )  # fmt: skip
    await services.telling.providers.add(owner, New("gateway", config, sender="SHOP"))
    customers = [
        await services.directory.add_customer(owner, name=f"Customer {n}", phone=f"+2637720{n:05}")
        for n in range(CUSTOMERS)
    ]
    return Shop(stand, services, org_id, customers)


@asynccontextmanager
async def process(stand: Stand, *arguments: str) -> AsyncIterator[int]:
    """``waypost-worker`` with these, until the block ends; its process id."""
    async with running(stand, ["-m", "waypost_workers.main", *arguments], {**stand.environment, **SETTINGS}) as each:
        yield each.pid


@asynccontextmanager
async def _gateway(stand: Stand) -> AsyncIterator[str]:
    """The fake provider with its latency; its address."""
    script = Path(stand.log).with_name("script.json")
    script.write_text(json.dumps({"latency_s": LATENCY_S}))
    arguments = ["-m", "tests.fakes.provider", "--script", str(script)]
    async with running(stand, arguments, {}, stdout=asyncio.subprocess.PIPE) as process:
        said = await process.stdout.readline() if process.stdout else b""
        if not said:
            raise LoadtestError("the fake provider did not start; run from the repository")
        yield said.decode().strip()


@asynccontextmanager
async def running(
    stand: Stand, arguments: Sequence[str], env: Mapping[str, str], stdout: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    with stand.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env={**os.environ, **env}, cwd=ROOT, stdout=stdout or log, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
