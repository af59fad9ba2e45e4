"""Publishing, without Socket.IO: what the features call once their transaction has committed.

Never waits and never fails the caller: the row is the truth, an event only tells of it. What cannot be handed to
Redis in time is dropped, counted and logged: a position heals with the vehicle's next fix, a trip's events are read
back by who joins or asks for them. (Published again by the relay, once there is an outbox.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform import codec
from waypost.platform.telemetry import log

QUEUE_EVENTS = 10_000
BATCH_EVENTS = 200


def trip_room(org_id: UUID, trip_id: UUID) -> str:
    """A trip's room for one organisation's watchers: none can be named without it, none is shared by two."""
    return f"org:{org_id}:trip:{trip_id}"


def fleet_room(org_id: UUID) -> str:
    """The room of an organisation's whole fleet."""
    return f"org:{org_id}:fleet"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event for one room; ``body`` is its JSON object, to which the bus adds ``epoch`` and ``seq``."""

    room: str
    event: str
    body: bytes


class Bus(Protocol):
    """What carries events to every node."""

    async def send(self, events: list[Outgoing]) -> None:
        """Give them their ``seq`` and carry them; ``Unavailable`` when Redis is away."""
        ...


class Publisher(Protocol):
    """What a feature needs of the hub."""

    def publish(self, room: str, event: str, body: msgspec.Struct) -> None: ...

    def publish_positions(self, room: str, positions: Mapping[UUID, msgspec.Struct]) -> None: ...


class FleetPositions(msgspec.Struct, rename="camel"):
    """`fleet:positions`: the newest position of each vehicle that moved within the tick."""

    positions: list[msgspec.Struct]


@dataclass(slots=True)
class Realtime:
    """The publisher of a process: a bounded queue, and per fleet the newest position of each vehicle in this tick."""

    bus: Bus
    clock: Clock
    fleet_tick_s: float
    queue: asyncio.Queue[Outgoing] = field(default_factory=lambda: asyncio.Queue(QUEUE_EVENTS))
    pending: dict[str, dict[UUID, msgspec.Struct]] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: int = 0

    def publish(self, room: str, event: str, body: msgspec.Struct) -> None:
        """Tell a room. The order of calls is the order of ``seq``."""
        try:
            self.queue.put_nowait(Outgoing(room, event, codec.encode(body)))
        except asyncio.QueueFull:
            self._dropped(1, "queue full")

    def publish_positions(self, room: str, positions: Mapping[UUID, msgspec.Struct]) -> None:
        """Tell a fleet at its next tick; a newer position of a vehicle replaces one that still waits."""
        self.pending.setdefault(room, {}).update(positions)
        self.wake.set()

    async def run(self) -> None:
        """Send what was published, for as long as the process lives."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._send())

    async def _tick(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            pending, self.pending = self.pending, {}
            for room, positions in pending.items():
                self.publish(room, "fleet:positions", FleetPositions(list(positions.values())))
            await self.clock.sleep(self.fleet_tick_s)

    async def _send(self) -> None:
        while True:
            batch = [await self.queue.get()]
            while len(batch) < BATCH_EVENTS and not self.queue.empty():
                batch.append(self.queue.get_nowait())
            try:
                await self.bus.send(batch)
            except Unavailable:
                self._dropped(len(batch), "redis away")

    def _dropped(self, count: int, reason: str) -> None:
        self.dropped += count
        log.warning("events_dropped", count=count, reason=reason)
