"""Two nodes under a steady load of fixes and changes, and what may befall them and their Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import aiohttp
from redis.asyncio import Redis

from tests.e2e.commands import Running, free_port, serving
from tests.e2e.senders import World
from tests.factories import Phone
from tests.waiting import until

PER_TRIP_S = 12.5  # fixes a second and trip
CHANGES_PER_S = 1  # of each trip
ANSWER_WITHIN_S = 15
STEP_DEGREES = 1e-6  # northward with each fix: 5.5 m/s


@dataclass(slots=True)
class Truck:
    """A phone and its trip, sent on by a writer that resends what has no answer to the other node."""

    phone: Phone
    trip_id: str
    newest: str = ""
    version: int = 0
    sent: int = 0


@dataclass(slots=True)
class Nodes:
    """Two server processes on ports of their own, which one may die and come back on."""

    env: dict[str, str]
    ports: list[int] = field(default_factory=lambda: [free_port(), free_port()])
    running: dict[int, tuple[AsyncExitStack, Running]] = field(default_factory=dict)

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    async def start(self, which: int) -> None:
        exits = AsyncExitStack()
        self.running[which] = (exits, await exits.enter_async_context(serving(self.env, self.ports[which])))

    async def kill(self, which: int) -> None:
        exits, server = self.running.pop(which)
        await server.kill()
        await exits.aclose()

    async def stop(self, which: int) -> None:
        """As a planned stop does."""
        exits, server = self.running.pop(which)
        server.send(signal.SIGTERM)
        assert await server.ended(60) == 0, server.complaint
        await exits.aclose()

    def complaints(self) -> list[str]:
        """What those that run have logged that no storm excuses, each with what follows it."""
        found = []
        for _, server in self.running.values():
            lines = (server.text + server.complaint).splitlines()
            found += ["\n".join(lines[at : at + 40]) for at, line in enumerate(lines) if "_failed" in line]
        return found


@dataclass(slots=True)
class Load:
    """What the trips' phones and their dispatcher do, all the time."""

    world: World
    nodes: Nodes
    trucks: list[Truck]
    session: aiohttp.ClientSession
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    paces: list[asyncio.Task[None]] = field(default_factory=list)
    turns: count[int] = field(default_factory=count)
    changes: int = 0
    began_s: float = field(default_factory=time.monotonic)
    lasted_s: float = 0.0

    async def post(self, method: str, path: str, token: str, body: object) -> Any:
        """Until somebody has answered it: at one node, then at the other. A server that asks for patience gets it."""
        headers = {"Authorization": f"Bearer {token}"}
        while True:
            url = self.nodes.urls[next(self.turns) % 2]
            try:
                async with self.session.request(method, url + path, json=body, headers=headers) as response:
                    if response.status < 300:
                        return await response.json()
                    assert response.status == 503, (response.status, await response.text())
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.02)

    async def drive(self, truck: Truck) -> None:
        """One fix a message, on time; what is late is not made up for."""
        loop = asyncio.get_running_loop()
        began, due = int(datetime.now(UTC).timestamp() * 1000), loop.time()
        while not self.stop.is_set():
            truck.sent += 1
            at_ms = max(int(datetime.now(UTC).timestamp() * 1000), began + truck.sent)
            fix = {"latitude": -17.8 + truck.sent * STEP_DEGREES, "longitude": 31.05, "timestamp": at_ms}
            body = {"tripId": truck.trip_id, "locations": [fix]}
            answer = await self.post("POST", "/api/v1/tracking/ping", truck.phone.token, body)
            assert answer["rejected"] == [], answer
            due = max(due + 1 / PER_TRIP_S, loop.time())
            await asyncio.sleep(due - loop.time())

    async def change(self, truck: Truck) -> None:
        for number in count(1):
            if self.stop.is_set():
                return
            path, body = f"/api/v1/trips/{truck.trip_id}", {"reference": f"number {number}"}
            await self.post("PATCH", path, self.world.token, body)
            self.changes += 1
            await asyncio.sleep(1 / CHANGES_PER_S)

    async def ends(self) -> None:
        """Each has its last answer; what is true now is what every client must show in the end."""
        self.lasted_s = time.monotonic() - self.began_s
        self.stop.set()
        await asyncio.wait_for(asyncio.gather(*self.paces), 60)
        for truck in self.trucks:
            trip = await self.post("GET", f"/api/v1/trips/{truck.trip_id}", self.world.token, None)
            latest = await self.post("GET", f"/api/v1/tracking/trips/{truck.trip_id}/latest", self.world.token, None)
            truck.version, truck.newest = trip["version"], latest["recordedAt"]

    @property
    def truth(self) -> dict[str, dict[str, Any]]:
        """As the clients' states: where each trip is, and its version."""
        return {
            "trips": {truck.trip_id: truck.newest for truck in self.trucks},
            "versions": {truck.trip_id: truck.version for truck in self.trucks},
        }

    @property
    def rate(self) -> float:
        """Fixes and changes a second that were told of; a change is two events."""
        return (sum(truck.sent for truck in self.trucks) + 2 * self.changes) / self.lasted_s

    def check(self) -> None:
        """Raises what a pace has failed of."""
        for pace in self.paces:
            if pace.done():
                pace.result()


@asynccontextmanager
async def loaded(world: World, nodes: Nodes, trips: int) -> AsyncIterator[Load]:
    """So many trips with their load."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        phones = [await world.org.phone() for _ in range(trips)]
        trucks = [Truck(phone, str(phone.trip.id)) for phone in phones if phone.trip]
        load = Load(world, nodes, trucks, session)
        for truck in trucks:
            load.paces += [asyncio.create_task(load.drive(truck)), asyncio.create_task(load.change(truck))]
        try:
            yield load
        finally:
            for pace in load.paces:
                pace.cancel()
            await asyncio.gather(*load.paces, return_exceptions=True)


@dataclass(slots=True)
class Trouble:
    """What may befall: each is one method, which returns once it has happened."""

    world: World
    nodes: Nodes

    async def _redis(self, *command: str) -> None:
        async with Redis.from_url(self.world.servers.stack.redis_url()) as redis:
            await redis.execute_command(*command)

    async def subscribers_are_cut(self) -> None:
        await self._redis("CLIENT", "KILL", "TYPE", "pubsub")

    async def redis_connections_are_cut(self) -> None:
        with suppress(ConnectionError):
            await self._redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def redis_is_emptied(self) -> None:
        await self._redis("FLUSHALL")

    async def redis_restarts(self) -> None:
        """As by ``kill -9``; half a second later it is back, with what it had written."""
        valkey = self.world.servers.stack.valkey
        pid = valkey.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not valkey.alive)
        await asyncio.sleep(0.5)
        await valkey.start()

    async def a_node_is_killed(self, which: int) -> None:
        await self.nodes.kill(which)
        await asyncio.sleep(1)
        await self.nodes.start(which)

    async def a_node_is_restarted(self, which: int) -> None:
        await self.nodes.stop(which)
        await self.nodes.start(which)
