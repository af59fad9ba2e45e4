"""``payments``: a provider's confirmations at a constant rate and as fast as they are answered; each booked once."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from loadtest import shops
from loadtest.client import Connection
from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.laybys import LAYBYS, NO_LIMITS, NODES, SHOPS
from loadtest.machine import cpu_s
from loadtest.percentiles import percentiles
from loadtest.shops import Shop
from loadtest.stand import Stand
from waypost.kernel.principal import Principal, Role
from waypost.payments.providers.accounts import DarajaConfig
from waypost.settings import Settings
from waypost.wiring import open_services

CALLBACKS_PER_S = 300
CONNECTIONS = 32
AMOUNT_MINOR = 100
WARM_UP_S = 3.0
CALLED = 20  # shops with a provider
CONFIG = DarajaConfig(consumer_key="k", consumer_secret="s", passkey="p", shortcode="174379")  # noqa: S106
BOOKED = "SELECT count(*), count(DISTINCT receipt) FROM payments WHERE account_ref IS NOT NULL AND receipt LIKE 'LT%'"
OPEN = "SELECT count(*) FROM callbacks WHERE disposition IS NULL"
UNEVEN = """
SELECT count(*) FROM (
    SELECT p.org_id, p.layby_id, sum(p.applied_minor) AS applied FROM payments p
     WHERE (p.org_id, p.layby_id) IN (SELECT org_id, layby_id FROM payments WHERE receipt LIKE 'LT%')
     GROUP BY 1, 2) s
  JOIN laybys l ON l.org_id = s.org_id AND l.id = s.layby_id
 WHERE l.paid_minor <> s.applied
"""
SETTLED_WITHIN_S = 30


@dataclass(slots=True)
class Provider:
    """What calls back: confirmations for laybys of shops, each with a receipt of its own."""

    called: Sequence[tuple[Shop, str]]
    random: random.Random
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def confirmation(self, host: str) -> bytes:
        """A whole request."""
        shop, token = self.random.choice(self.called)
        body = json.dumps(
            {
                "TransactionType": "Pay Bill",
                "TransID": f"LT{next(self.numbers):08d}",
                "TransTime": time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + 3 * 3600)),
                "TransAmount": "1.00",
                "BusinessShortCode": "174379",
                "BillRefNumber": self.random.choice(shop.references),
                "MSISDN": "25470****149",
                "FirstName": "A",
            }
        ).encode()
        head = f"POST /api/v1/callbacks/daraja/{token}/confirmation HTTP/1.1\r\nHost: {host}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def payments(
    seconds: float, *, count: int = LAYBYS, of_shops: int = SHOPS, callbacks_per_s: float = CALLBACKS_PER_S
) -> dict[str, Any]:
    """p99 of the answers at that rate, then how many are answered at most; two nodes, the load on the same machine."""
    async with Stand.open(nodes=0) as stand, AsyncExitStack() as exits:
        made = await shops.fill(stand, count, of_shops)
        provider = Provider([(shop, await _provider(stand, shop)) for shop in made[:CALLED]], random.Random(7))
        await stand.settle()
        for _ in range(NODES):
            await exits.enter_async_context(stand.node(NO_LIMITS))
        await _steadily(stand, provider, WARM_UP_S, callbacks_per_s)
        cpu, database = [cpu_s(pid) for pid in stand.pids], stand.database_cpu_s()
        steady = await _steadily(stand, provider, seconds, callbacks_per_s)
        cores = {
            "server_cores": round(sum(cpu_s(p) - c for p, c in zip(stand.pids, cpu, strict=True)) / seconds, 2),
            "database_cores": round((stand.database_cpu_s() - database) / seconds, 2),
        }
        fast = await _fast(stand, provider, seconds)
        await _all_booked(stand, provider)
    figures: dict[str, Any] = {
        "laybys": count,
        "steady": {"callbacks_per_s": callbacks_per_s, **percentiles(steady), **cores},
        "fast": {"callbacks_per_s": round(len(fast) / seconds, 1), **percentiles(fast)},
    }
    say(f"  at {callbacks_per_s:g}/s: p50 {figures['steady']['p50_ms']}, p99 {figures['steady']['p99_ms']} ms")
    say(f"  at most {figures['fast']['callbacks_per_s']:g}/s, p99 {figures['fast']['p99_ms']} ms")
    return figures


async def _provider(stand: Stand, shop: Shop) -> str:
    """An account with the provider, by its token."""
    async with open_services(Settings.from_env(stand.environment)) as services:
        owner = Principal(shop.org_id, Role.OWNER, user_id=shop.user_id)
        _, token = await services.money.providers.add(owner, name="Paybill", config=CONFIG, currency="KES")
    return token


async def _steadily(stand: Stand, provider: Provider, seconds: float, per_s: float) -> list[float]:
    """Each has its moment; times are from then."""
    took: list[float] = []
    connections = await _connections(stand)
    began = time.monotonic() + 0.1
    period = len(connections) / per_s

    async def go(number: int, connection: Connection, host: str) -> None:
        due = began + number / per_s
        while due < began + seconds:
            request = provider.confirmation(host)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await _ask(connection, request)
            took.append(time.monotonic() - due)
            due += period

    await _together(go(number, *each) for number, each in enumerate(connections))
    return took


async def _fast(stand: Stand, provider: Provider, seconds: float) -> list[float]:
    """Each connection sends its next as soon as its last was answered."""
    took: list[float] = []
    until = time.monotonic() + seconds

    async def go(connection: Connection, host: str) -> None:
        while (sent := time.monotonic()) < until:
            await _ask(connection, provider.confirmation(host))
            took.append(time.monotonic() - sent)

    await _together(go(*each) for each in await _connections(stand))
    return took


async def _connections(stand: Stand) -> list[tuple[Connection, str]]:
    urls = [stand.urls[number % len(stand.urls)] for number in range(CONNECTIONS)]
    return [(await Connection.to(url), urlsplit(url).netloc) for url in urls]


async def _ask(connection: Connection, request: bytes) -> None:
    status, body = await connection.ask(request)
    if status != 200:  # noqa: PLR2004
        raise LoadtestError(f"a confirmation was answered {status}: {body[:300].decode(errors='replace')}")


async def _together(work: Iterator[Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for each in work:
            tasks.create_task(each)


async def _sweep(stand: Stand) -> None:
    """As a relay does: finish what was answered before it was booked."""
    async with open_services(Settings.from_env(stand.environment)) as services:
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while await services.money.callback_sweep.run():
                pass


async def _all_booked(stand: Stand, provider: Provider) -> None:
    """Each is booked once, and the laybys' totals are the sums of their rows. ``LoadtestError``."""
    sent = next(provider.numbers)
    async with stand.superuser() as conn:
        left = await conn.fetchval(OPEN)
        await _sweep(stand)
        rows, receipts = await conn.fetchrow(BOOKED) or (0, 0)
        uneven = await conn.fetchval(UNEVEN)
        unswept = await conn.fetchval(OPEN)
    say(f"  {left} of {sent} were left to the sweep")
    if unswept:
        raise LoadtestError(f"{unswept} confirmations are still open")
    if (rows, receipts) != (sent, sent) or uneven:
        raise LoadtestError(f"{sent} sent, {rows} booked, {receipts} of them different, {uneven} laybys do not add up")
