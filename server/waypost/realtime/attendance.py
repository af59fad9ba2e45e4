"""Entering and leaving rooms: the node listens to a room while somebody is in it, and for a moment after."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.principal import Principal
from waypost.realtime.bus import RedisBus
from waypost.realtime.door import Connection, Door
from waypost.realtime.events import Place
from waypost.realtime.limits import TooManyRooms
from waypost.realtime.recovery import MOST_MISSED, Entered, handy
from waypost.realtime.rooms import RoomIndex
from waypost.realtime.service import staff_room, user_room

T = TypeVar("T")
MAX_ROOMS = 128
GRACE_S = 2.0  # people come back
AT_ONCE = 200


def slices(of: Sequence[T]) -> Iterator[Sequence[T]]:
    """Pieces that may be done in one go, with a breath for everybody else between them."""
    return (of[begin : begin + AT_ONCE] for begin in range(0, len(of), AT_ONCE))


OWN = ("person", "staff")


def own_rooms(principal: Principal) -> list[str]:
    """The rooms that a person's connection is in from the beginning: their own and, for staff, the organisation's; in
    the order of ``OWN``.
    """
    if principal.user_id is None:
        return []
    own = user_room(principal.org_id, principal.user_id)
    return [own, staff_room(principal.org_id)] if principal.watches_everything else [own]


@dataclass(slots=True, repr=False)
class Attendance:
    """Of one node. ``forget``: a room is nobody's any more; ``entered``, ``left``: one more or less is in it."""

    door: Door
    index: RoomIndex
    bus: RedisBus
    clock: Clock
    forget: Callable[[str], None]
    entered: list[Callable[[str, str, Principal], None]] = field(default_factory=list)  # room, connection, who
    left: list[Callable[[str, str], None]] = field(default_factory=list)
    entering: Counter[str] = field(default_factory=Counter)
    emptied: set[str] = field(default_factory=set)
    someone_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def enter(self, sid: str, room: str, since: Place | None = None) -> Entered:
        """Put a connection into a room; where that stands, read once it hears the room, and what it missed.

        The caller has checked that the principal may. ``TooManyRooms``, ``Unauthenticated`` once it has gone.
        """
        connection = self.door.find(sid)
        asked_for = self.index.count(sid) - len(own_rooms(connection.principal))
        if asked_for >= MAX_ROOMS and room not in self.index.rooms.get(sid, ()):
            raise TooManyRooms
        try:
            await self._hear(sid, room)
            if since is None:
                return Entered(await self.bus.place(room))
            return handy(*await self.bus.missed(room, since, MOST_MISSED))
        except BaseException:
            if room not in own_rooms(connection.principal):
                self.leave(sid, room)
            raise

    async def enter_own_again(self, sid: str, since: Mapping[str, Place | None]) -> dict[str, Entered]:
        """Where the rooms stand that the connection is in from the beginning, by their kind, and what it missed."""
        rooms = own_rooms(self.door.find(sid).principal)
        return {kind: await self.enter(sid, room, since.get(kind)) for kind, room in zip(OWN, rooms, strict=False)}

    async def _hear(self, sid: str, room: str) -> None:
        self.entering[room] += 1
        try:
            await self.bus.subscribe(room)
            self._join(self.door.find(sid), room)
        finally:
            self.entering[room] -= 1
            if not self.entering[room]:
                del self.entering[room]

    def _join(self, connection: Connection, room: str) -> None:
        if room not in self.index.rooms.get(connection.sid, ()):
            self.index.join(connection.sid, room)
            for tell in self.entered:
                tell(room, connection.sid, connection.principal)

    @asynccontextmanager
    async def joining(self, sid: str, room: str, since: Place | None = None) -> AsyncIterator[Entered]:
        """``enter``, and out again when the body, which reads the snapshot, fails: a refused join joins nothing."""
        entered = await self.enter(sid, room, since)
        try:
            yield entered
        except BaseException:
            self.leave(sid, room)
            raise

    async def enter_own(self, connection: Connection) -> None:
        """While Redis is away they hear nothing yet: the bus subscribes to every wanted room as it comes back."""
        rooms = own_rooms(connection.principal)
        for room in rooms:
            self._join(connection, room)
        if rooms:
            with suppress(Unavailable):
                await asyncio.gather(*(self.bus.subscribe(room) for room in rooms))

    def leave(self, sid: str, room: str) -> None:
        """Take a connection out of a room; may be repeated."""
        if room in self.index.rooms.get(sid, ()):
            self.index.leave(sid, room)
            self._tell_left(room, sid)
        self._may_be_empty([room])

    def gone(self, sid: str) -> None:
        """A connection has closed."""
        rooms = list(self.index.rooms.get(sid, ()))
        self.index.forget(sid)
        for room in rooms:
            self._tell_left(room, sid)
        self._may_be_empty(rooms)

    def _tell_left(self, room: str, sid: str) -> None:
        for tell in self.left:
            tell(room, sid)

    def _may_be_empty(self, rooms: Iterable[str]) -> None:
        self.emptied.update(room for room in rooms if not self.index.is_live(room))
        if self.emptied:
            self.someone_left.set()

    async def leave_empty_rooms(self) -> None:
        """Stop listening to rooms that nobody has come back to; for ever."""
        while True:
            await self.someone_left.wait()
            self.someone_left.clear()
            rooms, self.emptied = self.emptied, set()
            await self.clock.sleep(GRACE_S)
            for some in slices(list(rooms)):
                empty = [room for room in some if not self.index.is_live(room) and not self.entering[room]]
                for room in empty:
                    self.forget(room)
                await self.bus.unsubscribe(empty)
                await asyncio.sleep(0)
