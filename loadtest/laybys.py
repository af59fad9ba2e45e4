"""``laybys``: reads and writes at a constant rate, in tables of a million laybys with five million payments."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loadtest import shops
from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import cpu_s
from loadtest.percentiles import percentiles
from loadtest.shops import Shop
from loadtest.stand import Stand

LAYBYS, SHOPS = 1_000_000, 200
REQUESTS_PER_S = 300
NODES = 2
AT_ONCE = 64
PRICE_MINOR, DOWN_MINOR, PART_MINOR = 60_000, 12_000, 1_000
COLD_READS = 40
WARM_UP_S = 3.0
NO_LIMITS = {f"WAYPOST_RATE_{whose}": "0" for whose in ("PERSON", "ORGANISATION", "ADDRESS", "COSTLY")}
# Four fifths are reads. Of the writes a completion is a payment of all that is owed.
MIX = (
    ("list", 25), ("list_by_status", 15), ("get", 35), ("analytics", 5),
    ("create", 7), ("pay", 10), ("complete", 3),
)  # fmt: skip


@dataclass(slots=True)
class Load:
    """One run: what is asked of whom, and how long each took, seconds."""

    session: aiohttp.ClientSession
    urls: Sequence[str]
    shops: Sequence[Shop]
    random: random.Random
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    numbers: Any = field(default_factory=itertools.count)

    async def ask(self, name: str, due: float) -> None:
        """One request of the mix; its time is from the moment it was due."""
        shop = self.random.choice(self.shops)
        await _ASKS[name](self, shop)
        self.took[name].append(time.monotonic() - due)

    async def send(self, shop: Shop, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        url = self.urls[next(self.numbers) % len(self.urls)]
        headers = {"Authorization": f"Bearer {shop.token}"}
        async with self.session.request(method, f"{url}/api/v1{path}", json=body, headers=headers) as answer:
            text = await answer.read()
            if answer.status not in (200, 201):
                raise LoadtestError(f"{method} {path}: {answer.status} {text[:300].decode(errors='replace')}")
        return text


async def _list(load: Load, shop: Shop) -> None:
    await load.send(shop, "GET", "/laybys?limit=50")


async def _list_by_status(load: Load, shop: Shop) -> None:
    await load.send(shop, "GET", "/laybys?limit=50&status=active")


async def _get(load: Load, shop: Shop) -> None:
    await load.send(shop, "GET", f"/laybys/{load.random.choice(shop.active)}")


async def _analytics(load: Load, shop: Shop) -> None:
    await load.send(shop, "GET", "/laybys/analytics")


async def _create(load: Load, shop: Shop) -> None:
    items = [{"product": "P-1", "name": "Product 1", "quantity": 1, "unitPriceMinor": PRICE_MINOR}]
    body = {
        "customerId": str(load.random.choice(shop.customers)),
        "items": items,
        "rhythm": "fortnightly",
        "instalments": 4,
        "deposit": {"amountMinor": DOWN_MINOR, "method": "cash"},
    }
    await load.send(shop, "POST", "/laybys", body)


async def _pay(load: Load, shop: Shop) -> None:
    body = {"amountMinor": PART_MINOR, "currency": "KES", "method": "cash"}
    await load.send(shop, "POST", f"/laybys/{load.random.choice(shop.active)}/payments", body)


async def _complete(load: Load, shop: Shop) -> None:
    layby_id, amount_minor = shop.to_complete.pop()
    body = {"amountMinor": amount_minor, "currency": "KES", "method": "cash"}
    await load.send(shop, "POST", f"/laybys/{layby_id}/payments", body)


_ASKS: Mapping[str, Callable[[Load, Shop], Awaitable[None]]] = {
    "list": _list,
    "list_by_status": _list_by_status,
    "get": _get,
    "analytics": _analytics,
    "create": _create,
    "pay": _pay,
    "complete": _complete,
}


async def laybys(
    seconds: float, *, count: int = LAYBYS, of_shops: int = SHOPS, requests_per_s: float = REQUESTS_PER_S
) -> dict[str, Any]:
    """p95 of each kind of request at that rate, two nodes and the load on the same machine; figures cold and kept."""
    async with Stand.open(nodes=0) as stand, AsyncExitStack() as exits:
        made = await shops.fill(stand, count, of_shops)
        await stand.settle()
        for _ in range(NODES):
            await exits.enter_async_context(stand.node(NO_LIMITS))
        session = await exits.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE), auto_decompress=False)
        )
        load = Load(session, stand.urls, made, random.Random(7))
        figures: dict[str, Any] = {"laybys": count, **await _analytics_cold_and_kept(load)}
        await _run(load, WARM_UP_S, requests_per_s)
        load.took.clear()
        cpu, database = [cpu_s(pid) for pid in stand.pids], stand.database_cpu_s()
        await _run(load, seconds, requests_per_s)
        figures |= {name: percentiles(took) for name, took in sorted(load.took.items())}
        figures["requests_per_s"] = round(sum(map(len, load.took.values())) / seconds, 1)
        figures["server_cores"] = round(sum(cpu_s(p) - c for p, c in zip(stand.pids, cpu, strict=True)) / seconds, 2)
        figures["database_cores"] = round((stand.database_cpu_s() - database) / seconds, 2)
    for name in _ASKS:
        if name in figures:
            say(f"  {name.replace('_', ' ')}: p50 {figures[name]['p50_ms']}, p95 {figures[name]['p95_ms']} ms")
    return figures


async def _analytics_cold_and_kept(load: Load) -> dict[str, Any]:
    """Figures that nobody has asked for before, then the same again."""
    cold: list[float] = []
    kept: list[float] = []
    for shop in load.shops[:COLD_READS]:
        for times in (cold, kept):
            began = time.monotonic()
            await _analytics(load, shop)
            times.append(time.monotonic() - began)
    found = {"analytics_cold": percentiles(cold), "analytics_kept": percentiles(kept)}
    say(f"  analytics: p95 cold {found['analytics_cold']['p95_ms']}, kept {found['analytics_kept']['p95_ms']} ms")
    return found


async def _run(load: Load, seconds: float, requests_per_s: float) -> None:
    """Each request has its moment, whatever became of those before it."""
    names, weights = zip(*MIX, strict=True)
    began = time.monotonic() + 0.05
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds * requests_per_s)):
            due = began + number / requests_per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(load.ask(load.random.choices(names, weights)[0], due))
