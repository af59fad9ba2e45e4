"""From the bus to the members: one task takes the rooms' events in their order and has them written.

Whoever hands an event in never waits. What does not fit is dropped, and its room told of a gap: who is in it asks the
log for what is missing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from waypost.platform.telemetry import log
from waypost.realtime.conflate import refilled
from waypost.realtime.events import Event, Place, outgoing
from waypost.realtime.fleet import FleetView
from waypost.realtime.rooms import RoomIndex, nothing_said
from waypost.realtime.ticks import Ticks

WAITING_EVENTS = 10_000
AT_ONCE = 500  # members that are written to before anybody else gets a turn
BREATH_S = 0.01  # the same for a row of events

# To members, once and at once; True: those that were written to a moment ago may wait for their own tick.
Write = Callable[[Collection[str], Sequence[Event], bool], None]


@dataclass(frozen=True, slots=True)
class Paces:
    """Ticks in seconds; ``crowd``: a room of so many has its tick too, whatever it is told."""

    fleet_tick_s: float
    crowd: int
    crowd_tick_s: float


@dataclass(slots=True, repr=False)
class Broadcast:
    """Of one node."""

    index: RoomIndex
    paces: Paces
    write: Write
    incoming: deque[Event] = field(default_factory=deque)
    ticks: Ticks = field(default_factory=Ticks)
    fleet: FleetView = field(default_factory=FleetView)
    newest: dict[str, Event] = field(default_factory=dict)  # per live trip room the last fixes that it was told
    cut_short: dict[str, Place] = field(default_factory=dict)  # rooms of which an event was dropped
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: int = 0

    def deliver(self, event: Event) -> None:
        """An event of a live room; in the order of its ``seq``."""
        if len(self.incoming) >= WAITING_EVENTS:
            self.dropped += 1
            self.cut_short[event.room] = Place(event.epoch, event.seq)
            return
        self.incoming.append(event)
        self.wake.set()

    def declare(self, room: str, place: Place) -> None:
        """The room has gone on to ``place``, and what it said on the way is not known here: its members see a gap.

        What tells them begins beyond its own number, so that nobody who stands before that takes it for the next.
        """
        self.deliver(Event(outgoing(room, *nothing_said(room)), place, first=place.seq + 1))

    def forget(self, room: str) -> None:
        """Nobody is in the room any more."""
        self.ticks.forget(room)
        self.fleet.forget(room)
        self.newest.pop(room, None)
        self.cut_short.pop(room, None)

    async def run(self) -> None:
        """For as long as the process lives."""
        loop = asyncio.get_running_loop()
        while True:
            await self._something()
            self.wake.clear()
            breath = loop.time() + BREATH_S
            while self.incoming:
                event = self.incoming.popleft()
                await self._pass_on(event)
                if loop.time() > breath:
                    await asyncio.sleep(0)
                    breath = loop.time() + BREATH_S
            for room, events in self.ticks.due(loop.time()):
                await self._send(room, events)
            self._own_up()

    async def _something(self) -> None:
        """Until there is an event, or a tick has ended."""
        if (next_at := self.ticks.next_at) is None:
            await self.wake.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(next_at):
                await self.wake.wait()

    async def _pass_on(self, event: Event) -> None:
        try:
            leaving = self._leaving(event)
        except Exception:  # noqa: BLE001 - one odd event must not silence the node
            log.exception("fan_out_failed")
            return
        if leaving:
            await self._send(event.room, leaving)

    def _leaving(self, event: Event) -> Sequence[Event]:
        members = self.index.members.get(event.room)
        if not members:
            return ()
        event = self._without_old_news(event)
        if event.name == "trip:location":
            self.newest[event.room] = event
        return self.ticks.take(event, self._tick_s(event, len(members)), asyncio.get_running_loop().time())

    def _tick_s(self, event: Event, members: int) -> float:
        if event.name == "fleet:positions":
            return self.paces.fleet_tick_s
        return self.paces.crowd_tick_s if members >= self.paces.crowd else 0.0

    def _without_old_news(self, event: Event) -> Event:
        """A fleet never hears an older position after a newer one (P4); one of which nothing is left still counts."""
        if event.name != "fleet:positions":
            return event
        told = event.body["positions"]
        news = self.fleet.news(event.room, told)
        return event if len(news) == len(told) else refilled(event, {"positions": news})

    async def _send(self, room: str, events: Sequence[Event]) -> None:
        """In slices, so that a crowd does not hold up everybody else; who has left meanwhile hears no more."""
        members = self.index.members.get(room, set())
        may_hold = room not in self.ticks.rooms  # what has waited for the room's tick waits for no other
        if len(members) <= AT_ONCE:
            self.write(members, events, may_hold)
            return
        everybody = list(members)
        for begin in range(0, len(everybody), AT_ONCE):
            self.write([sid for sid in everybody[begin : begin + AT_ONCE] if sid in members], events, may_hold)
            await asyncio.sleep(0)

    def _own_up(self) -> None:
        cut_short, self.cut_short = self.cut_short, {}
        for room, place in cut_short.items():
            log.warning("fan_out_behind", dropped=self.dropped)
            self.declare(room, place)
