"""Publishing, without Socket.IO: what the features call.

``promise`` is for what must be told: a row in the transaction of what happened, published right after the commit, and
by a relay if this process dies before. ``publish`` is for what the next event of its kind heals (positions, progress):
it never waits and never fails the caller. While Redis is away both wait in one bounded queue, and after some seconds
the bus tells them to this node's own members. What does not fit is left to a relay, if it was promised; else it is
dropped, counted and logged, and the room's next event leaves a number out, so that its members see the gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import Connection, after_commit, after_commit_of
from waypost.platform.telemetry import log
from waypost.realtime import outbox
from waypost.realtime.events import Outgoing, outgoing
from waypost.realtime.moves import Move, one_of
from waypost.realtime.outbox import Row
from waypost.realtime.record import RedisAway

T = TypeVar("T")
QUEUE_EVENTS = 10_000
BATCH_EVENTS = 200
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 2.0
FORGET_EVERY_S, FORGET_ROWS = 0.5, 1_000


def trip_room(org_id: UUID, trip_id: UUID) -> str:
    """A trip's room for one organisation's watchers: none can be named without it, none is shared by two."""
    return f"org:{org_id}:trip:{trip_id}"


@lru_cache(maxsize=20_000)
def parts_of(room: str) -> tuple[UUID, str, UUID | None]:
    """Whose room it is, of what kind, and of a trip's room the trip."""
    _, org_id, kind, *what = room.split(":")
    return UUID(org_id), kind, UUID(what[0]) if kind == "trip" else None


def trip_of(room: str) -> UUID | None:
    """The trip whose room it is; None for a room of another kind."""
    return parts_of(room)[2]


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
class LiveRoom:
    """A trip's or a fleet's room with members on this node.

    ``newest``: what they were told last, as ISO text; of a fleet per vehicle. None, or no such vehicle: nothing yet.
    """

    room: str
    org_id: UUID
    trip_id: UUID | None
    newest: Mapping[str, str] | str | None


class Bus(Protocol):
    """What carries events to every node."""

    async def send(self, events: Sequence[Outgoing]) -> None:
        """Give them their ``seq`` and carry them; ``Unavailable`` when Redis is away, ``RedisAway`` says for which."""
        ...


class Publisher(Protocol):
    """What a feature needs of the hub."""

    def publish(self, room: str, name: str, body: msgspec.Struct) -> None: ...

    async def promise(
        self, conn: Connection, org_id: UUID, room: str, name: str, body: msgspec.Struct, event_id: UUID
    ) -> None: ...

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


class Queued(NamedTuple):
    """An event on its way to the bus; ``row``: where it was promised."""

    event: Outgoing
    row: Row | None = None


# Called with a name at the points where a process may die; the tests' programs die there.
Checkpoint = Callable[[str], None]


def pass_through(_name: str) -> None:
    """The checkpoint of every process of ours: nothing."""


@dataclass(slots=True)
class Realtime:
    """The publisher of a process: a bounded queue, and per fleet the newest position of each vehicle in this tick.

    ``forget``: the bus has taken what these rows promise. One that fails only means that a relay publishes them again,
    under the same keys, which the bus drops.
    """

    bus: Bus
    clock: Clock
    fleet_tick_s: float
    forget: Callable[[Sequence[Row]], Awaitable[None]]
    checkpoint: Checkpoint = pass_through
    queue: asyncio.Queue[Queued] = field(default_factory=lambda: asyncio.Queue(QUEUE_EVENTS))
    kept: asyncio.Queue[Row] = field(default_factory=lambda: asyncio.Queue(QUEUE_EVENTS))
    pending: dict[str, dict[UUID, Move]] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    gaps: set[str] = field(default_factory=set)
    dropped: int = 0

    def publish(self, room: str, name: str, body: msgspec.Struct) -> None:
        """Tell a room, once the unit of work that is going on has committed. The order of calls is that of ``seq``."""
        event = outgoing(room, name, body)
        after_commit(lambda: self._queue(event))

    async def promise(
        self, conn: Connection, org_id: UUID, room: str, name: str, body: msgspec.Struct, event_id: UUID
    ) -> None:
        """Tell a room what must not be lost, if the transaction of ``conn`` commits.

        ``org_id``: the transaction's own; ``event_id``: of the event, which several rooms may be told, and its body
        says it as ``eventId``: clients drop a repeat by it.
        """
        event, row = outgoing(room, name, body, key=str(event_id)), Row(org_id, room, event_id)
        await outbox.add(conn, row, event)
        self.checkpoint("promised")
        after_commit_of(conn, lambda: self._queue_promised(Queued(event, row)))

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

        ``withdrawn_at``: the time of a newer one that this takes back; ``body`` has a field ``withdrawn`` to say it in.
        """
        waiting = self.pending.setdefault(room, {})
        waiting[vehicle_id] = one_of(waiting.get(vehicle_id), Move(recorded_at, body, withdrawn_at))
        self.wake.set()

    async def run(self) -> None:
        """Send what was published, for as long as the process lives."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._send())
            tasks.create_task(self._forget())

    async def finish(self, within_s: float) -> None:
        """Before the end: send what waits, as far as that takes no longer. What was promised is a relay's else."""
        self._tell_fleets()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.queue.join()
                while not self.kept.empty():
                    await self._forget_these(await _taken(self.kept, FORGET_ROWS))
                await self.kept.join()

    def _queue(self, event: Outgoing) -> None:
        try:
            self.queue.put_nowait(Queued(event))
        except asyncio.QueueFull:
            self.gaps.add(event.room)  # as many as there are rooms whose events were dropped
            self.dropped += 1
            log.warning("events_dropped", count=1, reason="queue full")

    def _queue_promised(self, promised: Queued) -> None:
        self.checkpoint("committed")
        try:
            self.queue.put_nowait(promised)
        except asyncio.QueueFull:
            log.warning("event_left_to_relay", reason="queue full")

    async def _tick(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            self._tell_fleets()
            await self.clock.sleep(self.fleet_tick_s)

    def _tell_fleets(self) -> None:
        pending, self.pending = self.pending, {}
        for room, moves in pending.items():
            positions = FleetPositions([move.told() for move in moves.values()])
            self._queue(outgoing(room, "fleet:positions", positions))

    async def _send(self) -> None:
        while True:
            batch = await _taken(self.queue, BATCH_EVENTS)
            left = await self._send_at_last([self._with_gap(queued.event) for queued in batch])
            self.checkpoint("sent")
            for queued in batch:
                if queued.row is not None and (queued.event.room, queued.event.key) not in left:
                    with suppress(asyncio.QueueFull):  # a relay finds the row, and the bus knows its key
                        self.kept.put_nowait(queued.row)
                self.queue.task_done()

    async def _send_at_last(self, batch: Sequence[Outgoing]) -> set[tuple[str, str | None]]:
        """Again and again while Redis is away: meanwhile the queue fills, and its bound decides what is dropped.

        The rooms and keys of what is left to a relay, since by now the bus serves the members of this node alone.
        """
        left, wait_s = batch, FIRST_RETRY_S
        while True:
            try:
                await self.bus.send(left)
            except Unavailable as away:
                left = away.unsent if isinstance(away, RedisAway) else left
                if isinstance(away, RedisAway) and away.is_told_here:
                    return {(event.room, event.key) for event in left}
                log.warning("events_wait", count=len(left) + self.queue.qsize(), reason="redis away")
                await self.clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_RETRY_S)
            else:
                return set()

    def _with_gap(self, event: Outgoing) -> Outgoing:
        """The first event of a room after one was dropped leaves a number out, so that its members see the gap; so does
        what comes after a promised one, of which the bus may know already and make nothing.
        """
        if event.room not in self.gaps:
            return event
        if event.key is None:
            self.gaps.discard(event.room)
        return event._replace(skip=1)

    async def _forget(self) -> None:
        """Twice a second at most, so that many rows go at once."""
        while True:
            await self._forget_these(await _taken(self.kept, FORGET_ROWS))
            await self.clock.sleep(FORGET_EVERY_S)

    async def _forget_these(self, rows: Sequence[Row]) -> None:
        try:
            await self.forget(rows)
        except Unavailable as error:
            log.warning("promises_not_forgotten", count=len(rows), reason=error.code)
        except Exception:  # noqa: BLE001 - whatever the database runs into: the relay deletes them
            log.exception("promises_not_forgotten", count=len(rows))
        finally:
            for _ in rows:
                self.kept.task_done()


async def _taken(queue: asyncio.Queue[T], most: int) -> list[T]:
    """What waits, as soon as something does."""
    taken = [await queue.get()]
    while len(taken) < most and not queue.empty():
        taken.append(queue.get_nowait())
    return taken
