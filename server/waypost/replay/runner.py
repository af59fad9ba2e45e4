"""Plays all vehicles: one timetable for all of them, a few senders, and the tasks' owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from waypost.kernel.clock import Clock
from waypost.replay.client import Device
from waypost.replay.stats import Stats
from waypost.replay.timeline import Slot

SENDERS = 64
TICK_S, LONGEST_NAP_S = 0.05, 0.25
FLUSH_S = 5.0  # what a replay that is told to stop gives its devices to send their last fixes


class Timetable:
    """What is due when, of all vehicles in one heap; the times are monotonic seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._ties = count()

    def at(self, due_s: float, action: Callable[[], None]) -> None:
        heappush(self._heap, (due_s, next(self._ties), action))

    def run_due(self, now_s: float) -> None:
        """Run what is due, also what that makes due at once."""
        while self._heap and self._heap[0][0] <= now_s:
            heappop(self._heap)[2]()

    def nap_s(self, now_s: float) -> float:
        """How long to sleep: until the next entry, but no shorter than a tick (joins wake-ups), nor long."""
        until_s = self._heap[0][0] - now_s if self._heap else LONGEST_NAP_S
        return min(max(until_s, TICK_S), LONGEST_NAP_S)


@dataclass(slots=True)
class Runner:
    """A replay from its first fix to its last answer. `run` once."""

    lines: Sequence[tuple[Device, Iterator[Slot]]]
    clock: Clock
    stats: Stats
    duration_s: float | None = None
    flush_s: float = FLUSH_S
    _table: Timetable = field(default_factory=Timetable)
    _ready: asyncio.Queue[Device] = field(default_factory=asyncio.Queue)  # bounded: each device at most once
    _planned: set[str] = field(default_factory=set)  # vehicles with a turn in the timetable
    _busy: set[str] = field(default_factory=set)  # those whose turn is under way or waits for a sender
    _playing: int = 0
    _flush_until_s: float | None = None  # set once the replay is told to stop
    _began_s: float = 0.0
    _began_ms: float = 0.0

    @property
    def playing(self) -> int:
        """Vehicles whose recording has not ended."""
        return self._playing

    async def run(self, stop: asyncio.Event) -> None:
        """Play until all recordings have ended and been answered, or ``stop`` is set, or the duration is over.

        The latter two leave the devices `flush_s` seconds for what they hold.
        """
        self._began_s = self.clock.monotonic()
        self._began_ms = self.clock.now().timestamp() * 1000
        for device, slots in self.lines:
            self._playing += 1
            self._next(device, slots)
        async with self._senders():
            while not self._over(stop):
                await self._step()
            await self._flush()

    @asynccontextmanager
    async def _senders(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._sender()) for _ in range(min(SENDERS, len(self.lines)))]
            yield
            for task in tasks:
                task.cancel()

    async def _step(self) -> None:
        self._table.run_due(self.clock.monotonic())
        await self.clock.sleep(self._table.nap_s(self.clock.monotonic()))

    def _over(self, stop: asyncio.Event) -> bool:
        late = self.duration_s is not None and self.clock.monotonic() - self._began_s >= self.duration_s
        return stop.is_set() or late or not (self._playing or self._planned or self._busy)

    async def _flush(self) -> None:
        """Let every device that may send now send what it still has, and whatever is under way end."""
        deadline_s = self._flush_until_s = self.clock.monotonic() + self.flush_s
        self._table = Timetable()
        self._planned.clear()
        for device, _ in self.lines:
            if device.vehicle not in self._busy and len(device.outbox) and not device.stopped:
                self._plan(device)
        while (self._planned or self._busy) and self.clock.monotonic() < deadline_s:
            await self._step()

    def _next(self, device: Device, slots: Iterator[Slot]) -> None:
        slot = next(slots, None)
        if slot is None or device.stopped:
            self._playing -= 1
            return
        self._table.at(self._began_s + slot.send_s, lambda: self._play(device, slots, slot))

    def _play(self, device: Device, slots: Iterator[Slot], slot: Slot) -> None:
        """Hand the device its fix. A clock that was set back must not make it one of the future."""
        now_ms = self.clock.now().timestamp() * 1000
        device.take(slot.row, int(min(self._began_ms + slot.stamp_s * 1000, now_ms)))
        self.stats.played += 1
        if device.vehicle not in self._planned and device.vehicle not in self._busy:
            self._plan(device)
        self._next(device, slots)

    def _plan(self, device: Device) -> None:
        at_s = device.next_turn_s()
        if self._flush_until_s is not None:
            at_s = max(self.clock.monotonic(), device.not_before_s)
            if at_s >= self._flush_until_s:
                return
        self._planned.add(device.vehicle)
        self._table.at(at_s, lambda: self._begin(device))

    def _begin(self, device: Device) -> None:
        self._planned.discard(device.vehicle)
        self._busy.add(device.vehicle)
        self._ready.put_nowait(device)

    async def _sender(self) -> None:
        while True:
            device = await self._ready.get()
            more = await device.turn()
            self._busy.discard(device.vehicle)
            if more:
                self._plan(device)
