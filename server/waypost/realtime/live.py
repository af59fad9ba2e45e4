"""The rooms that are heard on this node, and how far: every event once, in order, or the word that some are missing.

No I/O: what has to be fetched is put on ``behind``, and handed back to ``settle``. Meanwhile a room's events wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from waypost.platform.telemetry import log
from waypost.realtime.events import Event, Place

WAITING_EVENTS = 1000
WAITING_BYTES = 4 * 1024 * 1024


@dataclass(eq=False, slots=True)
class HeardRoom:
    """One room; ``waiting`` None: events are delivered as they come, else they wait for those before them."""

    name: str
    place: Place | None = None  # of the last event that was delivered; None: it is not known yet where we begin
    waiting: list[Event] | None = field(default_factory=list)
    waiting_bytes: int = 0
    is_cut_short: bool = False  # more came than may wait: it is all in the log
    is_confirmed: bool = False
    is_astray: bool = False  # members were told of another epoch meanwhile, this node's own
    ready: asyncio.Event = field(default_factory=asyncio.Event)  # heard from ``place`` on, nothing waits

    def hold(self, event: Event) -> None:
        if self.waiting is None:
            self.waiting = []
        self.waiting.append(event)
        self.waiting_bytes += len(event.text) + sum(map(len, event.attachments))
        if len(self.waiting) > WAITING_EVENTS or self.waiting_bytes > WAITING_BYTES:
            self.waiting, self.waiting_bytes, self.is_cut_short = [], 0, True

    def let_go(self) -> list[Event]:
        """What has waited; from now on nothing does."""
        waiting, self.waiting, self.waiting_bytes = self.waiting or [], None, 0
        return waiting

    def follows(self, event: Event) -> bool:
        """Is it the very next one?"""
        return self.place is not None and (event.epoch, event.seq) == (self.place.epoch, self.place.seq + 1)

    def knows(self, place: Place) -> bool:
        """Was everything up to there delivered?"""
        return self.place is not None and place.epoch == self.place.epoch and place.seq <= self.place.seq

    def since(self, counter: Place) -> Place:
        """After which place to read on, when the counter stands there: a new epoch from its beginning."""
        if self.place is None:
            return counter
        return self.place if self.place.epoch == counter.epoch else Place(counter.epoch, 0)


@dataclass(slots=True)
class LiveRooms:
    """``deliver`` gets each event; ``declare`` a room that cannot be told all that it missed, and after which place it
    goes on.
    """

    deliver: Callable[[Event], None]
    declare: Callable[[str, Place], None]
    rooms: dict[str, HeardRoom] = field(default_factory=dict)
    behind: dict[str, None] = field(default_factory=dict)  # an ordered set
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: Event) -> None:
        """An event off the bus."""
        room = self.rooms.get(event.room)
        if room is None:
            return
        if room.waiting is not None:
            room.hold(event)
        elif room.follows(event):
            self._tell(room, event)
        elif not room.knows(Place(event.epoch, event.seq)):
            room.hold(event)
            self.fetch(room)

    def hear_own(self, event: Event) -> None:
        """One that this process has just published: at once if it is the next; if not, it comes off the bus too."""
        room = self.rooms.get(event.room)
        if room is not None and room.follows(event):
            self._tell(room, event)

    def fetch(self, room: HeardRoom) -> None:
        """What came after ``room.place`` has to be asked for; until that is known its events wait."""
        if room.waiting is None:
            room.waiting = []
        self.behind[room.name] = None
        self.wake.set()

    def confirm(self, name: str) -> None:
        """From here on everything comes off the bus; what came before has to be asked for."""
        room = self.rooms.get(name)
        if room is not None:
            room.is_confirmed = True
            self.fetch(room)

    def interrupt(self, name: str) -> None:
        """It is not heard any more until it is confirmed anew."""
        room = self.rooms.get(name)
        if room is not None:
            room.is_confirmed = False
            room.ready.clear()

    def take_behind(self) -> list[HeardRoom]:
        """Whom to ask for now."""
        names, self.behind = self.behind, {}
        return [self.rooms[name] for name in names if name in self.rooms]

    def ask_again(self, rooms: Iterable[HeardRoom]) -> bool:
        """For those that still wait, and not for an answer to a later question; are there any?"""
        left = [room for room in rooms if not self._is_outdated(room) and room.waiting is not None]
        for room in left:
            self.fetch(room)
        return bool(left)

    def _is_outdated(self, room: HeardRoom) -> bool:
        """Has it to be asked for anew, or is it gone? Then what was answered before does not count."""
        return room.name in self.behind or self.rooms.get(room.name) is not room

    def settle(self, room: HeardRoom, place: Place, missed: Sequence[Event]) -> None:
        """The counter stands at ``place``; ``missed`` is what the log has after ``room.since(place)``."""
        if self._is_outdated(room):
            return
        if room.place is None:
            room.place = place
        for event in missed:
            if not room.follows(event) and not room.knows(Place(event.epoch, event.seq)):
                self._go_on(room, Place(event.epoch, event.seq - 1))
            if room.follows(event):
                self._tell(room, event)
        if not room.knows(place):
            self._go_on(room, place)
        if room.is_astray and room.is_confirmed:
            room.is_astray = False
            self._go_on(room, room.place)
        self._release(room)
        if room.is_cut_short:
            room.is_cut_short = False
            self.fetch(room)
        elif room.is_confirmed and room.waiting is None:
            room.ready.set()

    def _release(self, room: HeardRoom) -> None:
        """What has waited. What is of another epoch than the counter was is old, or newer than it: ask once more."""
        for event in room.let_go():
            if room.place is not None and event.epoch == room.place.epoch:
                self.hear(event)
            else:
                room.is_cut_short = True

    def _tell(self, room: HeardRoom, event: Event) -> None:
        room.place = Place(event.epoch, event.seq)
        self.hand_over(event)

    def hand_over(self, event: Event) -> None:
        """To the members, whatever they make of it."""
        try:
            self.deliver(event)
        except Exception:  # noqa: BLE001 - one odd event must not silence the node
            log.exception("delivery_failed", event_name=event.name)

    def _go_on(self, room: HeardRoom, place: Place) -> None:
        """From there, without what lies between."""
        room.place = place
        try:
            self.declare(room.name, place)
        except Exception:  # noqa: BLE001 - as above
            log.exception("declaration_failed")
