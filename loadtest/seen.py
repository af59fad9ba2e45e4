"""``seen``: a fix posted to one node, seen by a watcher of its trip on the other: ack to screen."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import socketio

from loadtest.errors import LoadtestError
from loadtest.percentiles import percentiles
from loadtest.stand import Stand

EVERY_S = 0.05


async def seen(seconds: float) -> dict[str, Any]:
    """Twenty fixes a second for so long."""
    async with (
        Stand.open(nodes=2) as stand,
        aiohttp.ClientSession() as session,
        socketio.AsyncSimpleClient() as watcher,
    ):
        world = await stand.world(1)
        (device,) = world.driven
        token = await stand.sign_in(world.org_id)
        await watcher.connect(stand.urls[1], auth={"token": token}, transports=["websocket"])
        await watcher.call("trip:join", {"tripId": str(device.trip_id)})
        arrived: dict[str, float] = {}
        delays: list[float] = []
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            recorded_at = await _post(session, stand.urls[0], device.token)
            acked = time.monotonic()
            while recorded_at not in arrived:
                _, message = await watcher.receive(timeout=5)
                arrived |= {fix["recordedAt"]: time.monotonic() for fix in message["locations"]}
            delays.append(max(0.0, arrived.pop(recorded_at) - acked))
            await asyncio.sleep(EVERY_S)
    return {"events": len(delays), **percentiles(delays)}


async def _post(session: aiohttp.ClientSession, url: str, token: str) -> str:
    """One fix of now; the time by which the watcher will know it."""
    now_ms = int(time.time() * 1000)
    fix = {"latitude": -17.8 + now_ms % 9973 / 1e7, "longitude": 31.0, "timestamp": now_ms, "speed": 13.4}
    async with session.post(
        f"{url}/api/v1/tracking/ping", json={"locations": [fix]}, headers={"Authorization": f"Bearer {token}"}
    ) as response:
        answer = await response.json()
        if not response.ok or answer["accepted"] != 1:
            raise LoadtestError(f"the server answered {response.status}: {answer}")
        recorded_at: str = answer["latest"]["recordedAt"]
        return recorded_at
