"""What is measured. Each scenario takes a stand, seconds and connections, and gives figures.

The yardsticks (peer, bare COPY, limit) and the large scenarios come with the fast ingest and the fast hub.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import quantiles

import aiohttp
import msgspec
import socketio

from loadtest.stand import PASSWORD, PHONE, Driven, Stand

Figures = Mapping[str, float]
Scenario = Callable[[Stand, float, int], Awaitable[Figures]]


def body(first_ms: int, count: int) -> bytes:
    """A batch of ``count`` fixes, one a millisecond up to ``first_ms``."""
    locations = [
        {"latitude": -17.8 + (first_ms - n) % 9973 / 1e5, "longitude": 31.0, "timestamp": first_ms - n, "speed": 13.4}
        for n in range(count)
    ]
    return msgspec.json.encode({"locations": locations})


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p95 in milliseconds."""
    cuts = quantiles(seconds, n=20)
    return {"p50_ms": round(cuts[9] * 1000, 2), "p95_ms": round(cuts[18] * 1000, 2)}


async def ping(stand: Stand, seconds: float, connections: int) -> Figures:
    """Requests with one fix each, over HTTP, as fast as they are answered: throughput and time to the ack."""
    return await _pings(stand, seconds, connections, 1)


async def ping50(stand: Stand, seconds: float, connections: int) -> Figures:
    """The same with 50 fixes a request."""
    return await _pings(stand, seconds, connections, 50)


async def _pings(stand: Stand, seconds: float, connections: int, fixes: int) -> Figures:
    devices = await stand.devices(connections)
    took: list[float] = []
    cpu_s, began = stand.cpu_s(), time.monotonic()

    async def drive(session: aiohttp.ClientSession, device: Driven) -> None:
        headers, now_ms = {"Authorization": f"Bearer {device.token}"}, int(time.time() * 1000)
        while (sent := time.monotonic()) < began + seconds:
            now_ms = max(int(time.time() * 1000), now_ms + fixes)
            url = f"{stand.urls[0]}/api/v1/tracking/ping"
            async with session.post(url, data=body(now_ms, fixes), headers=headers) as response:
                answer = await response.json()
                if response.status != 200 or answer["accepted"] != fixes:  # noqa: PLR2004 - OK
                    raise RuntimeError(f"{response.status}: {answer}")
            took.append(time.monotonic() - sent)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for device in devices:
            tasks.create_task(drive(session, device))
    wall_s = time.monotonic() - began
    return {
        "fixes_a_request": fixes,
        "requests_per_s": round(len(took) / wall_s, 1),
        "fixes_per_s": round(len(took) * fixes / wall_s, 1),
        "server_cpu_us_per_request": round((stand.cpu_s() - cpu_s) / len(took) * 1e6, 1),
        **percentiles(took),
    }


async def seen(stand: Stand, seconds: float, _connections: int) -> Figures:
    """A fix posted to one node, seen by a watcher of its trip on the other, 20 a second: ack to screen."""
    (device,) = await stand.devices(1)
    arrived: dict[str, float] = {}
    delays: list[float] = []
    async with aiohttp.ClientSession() as session, socketio.AsyncSimpleClient() as watcher:
        async with session.post(f"{stand.urls[1]}/api/v1/auth/login", json={"phone": PHONE, "password": PASSWORD}) as r:
            token = (await r.json())["accessToken"]
        await watcher.connect(stand.urls[1], auth={"token": token}, transports=["websocket"])
        await watcher.call("trip:join", {"tripId": device.trip_id})
        headers = {"Authorization": f"Bearer {device.token}"}
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            now_ms = int(time.time() * 1000)
            async with session.post(
                f"{stand.urls[0]}/api/v1/tracking/ping", data=body(now_ms, 1), headers=headers
            ) as response:
                recorded_at = (await response.json())["latest"]["recordedAt"]
            acked = time.monotonic()
            while recorded_at not in arrived:
                _, message = await watcher.receive(timeout=5)
                arrived |= {fix["recordedAt"]: time.monotonic() for fix in message["locations"]}
            delays.append(arrived.pop(recorded_at) - acked)
            await asyncio.sleep(0.05)
    return {"events": len(delays), **percentiles(delays)}


SCENARIOS: Mapping[str, Scenario] = {"ping": ping, "ping50": ping50, "seen": seen}
