"""Who watches a trip: across nodes, per organisation, gone by itself with the node that held them.

Watchers are people of the staff; a phone or a driver in a trip's room is none, and is not told of them. This node's
own are held in Redis under a lease. Every second it writes what changed here, asks what changed elsewhere, and tells
those of its members whose room has other watchers than they know. That is no counted event of the room: it has no
`seq`, it is in no log, and the newest says all.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.principal import Principal
from waypost.platform.telemetry import log
from waypost.realtime.events import Event, Outgoing, Place, outgoing
from waypost.realtime.presence_store import Hold, Seen, WatcherStore
from waypost.realtime.scripts import partition_of
from waypost.realtime.wire import TripWatchers, Watcher

GOODBYE_S: Final = 1.0
NEVER: Final = float("inf")
AT_ONCE: Final = 200  # rooms, before anybody else of the process has a turn
_TRIP = re.compile(r"org:([0-9a-f-]{36}):trip:([0-9a-f-]{36})")

Write = Callable[[Collection[str], Sequence[Event]], None]
# The names of an organisation's people; who is not of it is left out.
Names = Callable[[UUID, Collection[UUID]], Awaitable[Mapping[UUID, str]]]


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds. A lease outlives one renewal that failed, and is over well within 30 s of a node's death."""

    look_s: float = 1.0
    renew_s: float = 10.0
    lease_s: float = 25.0


@dataclass(slots=True)
class Watched:
    """A trip's room with a watcher here. Times are monotonic seconds."""

    org_id: UUID
    trip_id: UUID
    partition: int
    people: dict[str, UUID] = field(default_factory=dict)  # by connection: a person may have several
    tabs: Counter[UUID] = field(default_factory=Counter)  # how many each has
    held: set[UUID] = field(default_factory=set)  # what Redis may have of us
    hold_at: float = 0.0
    read_at: float = 0.0
    entered: set[str] = field(default_factory=set)  # connections that are yet to be told
    known: tuple[UUID, ...] = ()  # what the others were told


class Unnumbered(Event):
    """An event that the room does not count."""

    __slots__ = ()

    def __init__(self, sent: Outgoing) -> None:
        super().__init__(sent, Place("", 0))
        self.text = sent.head.removesuffix(b",") + b"}]"


@dataclass(slots=True)
class Presence:
    """Of one node. The hub says who enters and leaves; neither ever waits or fails."""

    store: WatcherStore
    names: Names
    clock: Clock
    paces: Paces = Paces()
    rooms: dict[str, Watched] = field(default_factory=dict)
    is_interrupted: bool = False

    def entered(self, room: str, sid: str, principal: Principal) -> None:
        """A connection is in a room, or has entered it again; any room, anybody."""
        user_id, trip = principal.user_id, _TRIP.fullmatch(room)
        if trip is None or user_id is None or not principal.watches_everything:
            return
        found = self.rooms.get(room)
        if found is None:
            found = self.rooms[room] = Watched(UUID(trip[1]), UUID(trip[2]), partition_of(room))
        if sid not in found.people:
            found.tabs[user_id] += 1
        found.people[sid] = user_id
        found.entered.add(sid)
        if user_id not in found.held:
            found.hold_at = 0.0

    def left(self, room: str, sid: str) -> None:
        """A connection is no longer in a room."""
        found = self.rooms.get(room)
        if found is None:
            return
        found.entered.discard(sid)
        user_id = found.people.pop(sid, None)
        if user_id is not None:
            found.tabs[user_id] -= 1
            if not found.tabs[user_id]:
                del found.tabs[user_id]
                found.hold_at = 0.0

    async def watchers(self, room: str) -> list[UUID]:
        """The people who watch a room on any node, each once. ``RedisAway``."""
        (seen,) = await self.store.read([room])
        return list(seen.users)

    async def run(self, write: Write) -> None:
        """Keep and tell, for as long as the process lives; at its end what it held is over at once."""
        try:
            while True:
                await self.clock.sleep(self.paces.look_s)
                await self.look(write)
        finally:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    holds = [Hold(room, (), found.held) for room, found in self.rooms.items()]
                    await self.store.hold(holds, self.paces.lease_s)

    async def look(self, write: Write) -> None:
        """Once: write, ask, tell. What fails is tried again by the next."""
        try:
            for rooms in _slices(self._to_hold()):
                await self._hold(rooms)
            for rooms in _slices(await self._to_read()):
                await self._tell(await self._read(rooms), write)
        except Unavailable as error:
            if not self.is_interrupted:
                log.warning("presence_interrupted", reason=error.code)
            self.is_interrupted = True
        except Exception:  # noqa: BLE001 - nobody's positions end because of it
            log.exception("presence_failed")
        else:
            self.is_interrupted = False

    def _to_hold(self) -> list[str]:
        """Rooms that have changed here, or were written long enough ago."""
        now = self.clock.monotonic()
        return [room for room, found in self.rooms.items() if found.hold_at <= now]

    async def _hold(self, rooms: Sequence[str]) -> None:
        holds = []
        for room in rooms:
            found = self.rooms[room]
            here = set(found.tabs)
            holds.append(Hold(room, here, found.held - here))
            found.held |= here
        now = self.clock.monotonic()
        await self.store.hold(holds, self.paces.lease_s)
        for room, wanted, _ in holds:
            found = self.rooms[room]
            found.held = set(wanted)
            if found.held == set(found.tabs):  # else somebody came or went meanwhile
                found.hold_at = now + self.paces.renew_s
                if not found.people:
                    del self.rooms[room]

    async def _to_read(self) -> list[str]:
        """Rooms that may have other watchers than their members know."""
        changed = await self.store.changed({found.partition for found in self.rooms.values()})
        now = self.clock.monotonic()
        return [
            room
            for room, found in self.rooms.items()
            if found.people and (found.entered or found.read_at <= now or room in changed)
        ]

    async def _read(self, rooms: Sequence[str]) -> dict[str, Seen]:
        now = self.clock.monotonic()
        seen = dict(zip(rooms, await self.store.read(rooms), strict=True))
        for room, (_, over_in_s) in seen.items():
            self.rooms[room].read_at = now + over_in_s if over_in_s is not None else NEVER
        return seen

    async def _tell(self, seen: Mapping[str, Seen], write: Write) -> None:
        news = {
            room: users
            for room, (users, _) in seen.items()
            if self.rooms[room].entered or users != self.rooms[room].known
        }
        names = await self._names(news)
        for room, users in news.items():
            found = self.rooms[room]
            hearers = list(found.people) if users != found.known else list(found.entered)
            body = TripWatchers(found.trip_id, listed(users, names[found.org_id]))
            write(hearers, [Unnumbered(outgoing(room, "trip:watchers", body))])
            found.known = users
            found.entered.clear()

    async def _names(self, news: Mapping[str, Iterable[UUID]]) -> dict[UUID, Mapping[UUID, str]]:
        """Of each organisation's people who watch."""
        people: dict[UUID, set[UUID]] = defaultdict(set)
        for room, users in news.items():
            people[self.rooms[room].org_id].update(users)
        return {org_id: await self.names(org_id, users) for org_id, users in people.items()}


def _slices(rooms: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(rooms), AT_ONCE):
        yield rooms[begin : begin + AT_ONCE]


def listed(users: Iterable[UUID], names: Mapping[UUID, str]) -> list[Watcher]:
    """By name; who has none is not of the organisation any more."""
    found = [Watcher(user_id, names[user_id]) for user_id in users if user_id in names]
    return sorted(found, key=lambda watcher: (watcher.name.casefold(), watcher.user_id))
