"""Publishing, without Socket.IO: what the features call once their transaction has committed.

Never waits and never fails the caller: the row is the truth, an event only tells of it. While Redis is away events
wait in a bounded queue; what does not fit is dropped, counted and logged, and the room's next event leaves a number
out, so that its members see the gap and join anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform import codec
from waypost.platform.database import after_commit
from waypost.platform.telemetry import log

QUEUE_EVENTS = 10_000
BATCH_EVENTS = 200
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 2.0


def trip_room(org_id: UUID, trip_id: UUID) -> str:
    """A trip's room for one organisation's watchers: none can be named without it, none is shared by two."""
    return f"org:{org_id}:trip:{trip_id}"


def fleet_room(org_id: UUID) -> str:
    """The room of an organisation's whole fleet."""
    return f"org:{org_id}:fleet"


def staff_room(org_id: UUID) -> str:
    """Where the organisation's staff hear of what concerns all of them; the hub puts them in as they connect."""
    return f"org:{org_id}:staff"


def user_room(org_id: UUID, user_id: UUID) -> str:
    """What one person alone hears, on whatever socket; the hub puts them in as they connect."""
    return f"org:{org_id}:user:{user_id}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event for one room; ``body`` is its JSON object, to which the bus adds ``epoch`` and ``seq``."""

    room: str
    event: str
    body: bytes
    skip: int = 0  # numbers to leave out before this event's own


class Bus(Protocol):
    """What carries events to every node."""

    async def send(self, events: list[Outgoing]) -> None:
        """Give them their ``seq`` and carry them; ``Unavailable`` when Redis is away."""
        ...


class Publisher(Protocol):
    """What a feature needs of the hub."""

    def publish(self, room: str, event: str, body: msgspec.Struct) -> None: ...

    def publish_position(
        self,
        room: str,
        vehicle_id: UUID,
        recorded_at: datetime,
        body: msgspec.Struct,
        *,
        withdrawn_at: datetime | None = None,
    ) -> None: ...


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
    pending: dict[str, dict[UUID, tuple[datetime, msgspec.Struct]]] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    gaps: set[str] = field(default_factory=set)
    dropped: int = 0

    def publish(self, room: str, event: str, body: msgspec.Struct) -> None:
        """Tell a room, once the unit of work that is going on has committed. The order of calls is that of ``seq``."""
        outgoing = Outgoing(room, event, codec.encode(body))
        after_commit(lambda: self._queue(outgoing))

    def _queue(self, outgoing: Outgoing) -> None:
        try:
            self.queue.put_nowait(outgoing)
        except asyncio.QueueFull:
            self.gaps.add(outgoing.room)  # as many as there are rooms whose events were dropped
            self._dropped(1, "queue full")

    def publish_position(
        self,
        room: str,
        vehicle_id: UUID,
        recorded_at: datetime,
        body: msgspec.Struct,
        *,
        withdrawn_at: datetime | None = None,
    ) -> None:
        """Tell a fleet at its next tick; of a vehicle's positions that wait the newest stays.

        ``withdrawn_at``: the time of a newer one that this takes back.
        """
        waiting = self.pending.setdefault(room, {})
        newest = max(recorded_at, withdrawn_at or recorded_at)
        if vehicle_id not in waiting or waiting[vehicle_id][0] < recorded_at or waiting[vehicle_id][0] == newest:
            waiting[vehicle_id] = (recorded_at, body)
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
                self.publish(room, "fleet:positions", FleetPositions([body for _, body in positions.values()]))
            await self.clock.sleep(self.fleet_tick_s)

    async def _send(self) -> None:
        while True:
            batch = [await self.queue.get()]
            while len(batch) < BATCH_EVENTS and not self.queue.empty():
                batch.append(self.queue.get_nowait())
            await self._send_at_last([self._with_gap(event) for event in batch])

    async def _send_at_last(self, batch: list[Outgoing]) -> None:
        """Again and again while Redis is away: meanwhile the queue fills, and its bound decides what is dropped."""
        wait_s = FIRST_RETRY_S
        while True:
            try:
                return await self.bus.send(batch)
            except Unavailable:
                log.warning("events_wait", count=len(batch) + self.queue.qsize(), reason="redis away")
                await self.clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_RETRY_S)

    def _with_gap(self, event: Outgoing) -> Outgoing:
        """The first event of a room after one was dropped leaves a number out, so that its members see the gap."""
        if event.room not in self.gaps:
            return event
        self.gaps.discard(event.room)
        return replace(event, skip=1)

    def _dropped(self, count: int, reason: str) -> None:
        self.dropped += count
        log.warning("events_dropped", count=count, reason=reason)
