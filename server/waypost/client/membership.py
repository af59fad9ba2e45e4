"""Being in a room over connections that come and go: joins, joins again, applies in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from waypost.client.link import Unreachable
from waypost.client.newest import Seen
from waypost.client.room import Mark, Room, RoomEvent, missed_of, rejoin_wait_s
from waypost.kernel.clock import Clock

ACK_WITHIN_S = 10.0
AT_ONCE = 8  # joins of a connection: a server lets 16 commands wait, and refuses more
RETRY_S = 3.0
OF_PERSON = frozenset({"job:progress"})  # all others that nobody joins for are the staff's
Ack = Mapping[str, Any]


class Caller(Protocol):
    """What a join is sent over."""

    async def call(self, event: str, data: object, within_s: float) -> Ack:
        """The ack. ``Unreachable``."""
        ...


class Step(NamedTuple):
    """Where a room stands after it, and what made it so; for logs and tests."""

    epoch: str
    first: int
    seq: int
    by: Literal["snapshot", "missed", "event"]


def nothing(_: object) -> None:
    """A handler that does nothing."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """``snapshot``: replace what you have by this ack. ``event``: apply it on what you have; each ``eventId`` comes
    once. ``refused``: with ``retry`` it is tried again by itself. ``position``: where a trip is, after each change.
    """

    snapshot: Callable[[Ack], None] = nothing
    event: Callable[[RoomEvent], None] = nothing
    refused: Callable[[Mapping[str, Any]], None] = nothing
    step: Callable[[Step], None] = nothing
    position: Callable[[Mapping[str, Any] | None], None] = nothing


@dataclass(slots=True)
class Joiner:
    """Sends the join when it is due. ``jitter`` gives numbers in [0, 1); ``gate`` is all joiners' of a client."""

    clock: Clock
    jitter: Callable[[], float]
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    due: asyncio.Event = field(default_factory=asyncio.Event)

    async def stay(self, ask: Callable[[], tuple[str, object]], accept: Callable[[Ack], None], over: Caller,
                   refused: Callable[[Mapping[str, Any]], None]) -> None:  # fmt: skip
        """Join at once, and again, after a random wait, whenever it is due; for as long as the connection lives."""
        while True:
            self.due.clear()
            wait_s = await self._attempt(ask, accept, over, refused)
            if wait_s is None:
                await self.due.wait()
                wait_s = rejoin_wait_s(self.jitter())
            await self.clock.sleep(wait_s)

    async def _attempt(self, ask: Callable[[], tuple[str, object]], accept: Callable[[Ack], None], over: Caller,
                       refused: Callable[[Mapping[str, Any]], None]) -> float | None:  # fmt: skip
        """After how long to try again; None when there is an answer for good."""
        try:
            async with self.gate:
                ack = await over.call(*ask(), ACK_WITHIN_S)
        except Unreachable:
            return RETRY_S
        if ack.get("ok"):
            accept(ack)
            return None
        error = ack.get("error") or {}
        refused(error)
        return max(RETRY_S, float(error.get("retryAfter") or 0)) if error.get("retry") else None


@dataclass(slots=True)
class Membership:
    """In one room that one joins by the event ``join``; ``params``: what that says beside ``since``."""

    join: str
    params: Mapping[str, object]
    handlers: Handlers
    joiner: Joiner
    room: Room = field(default_factory=Room)
    seen: Seen = field(default_factory=Seen)

    async def stay(self, over: Caller) -> None:
        """For the life of a connection."""
        try:
            await self.joiner.stay(self._ask, self._accept, over, self.handlers.refused)
        finally:
            self.room.lost()

    def receive(self, event: RoomEvent) -> None:
        """An event of this room."""
        self._apply(self.room.receive(event))

    def _ask(self) -> tuple[str, object]:
        since = self.room.begin()
        return self.join, {**self.params, **({"since": since._asdict()} if since else {})}

    def _accept(self, ack: Ack) -> None:
        place, missed = Mark(ack["epoch"], ack["seq"]), missed_of(ack)
        if missed is None:
            self.handlers.snapshot(ack)
            self.handlers.step(Step(place.epoch, place.seq, place.seq, "snapshot"))
        self._apply(self.room.joined(place, missed), many=len(missed or ()))

    def _apply(self, events: Sequence[RoomEvent], many: int = 0) -> None:
        """The first of them, so ``many``, were missed before."""
        for at, event in enumerate(events):
            if not self.seen.is_repeat(event.event_id):  # a repeat has its place in the room, but nothing to say
                self.handlers.event(event)
            self.handlers.step(Step(event.epoch, event.first, event.seq, "missed" if at < many else "event"))
        if self.room.needs_join:
            self.joiner.due.set()


@dataclass(slots=True)
class OwnRooms:
    """The rooms that a connection is in from the beginning: one's own, and the staff's.

    They have no snapshot: what is shown of them is read over HTTP, at first and whenever ``stale`` says that something
    was missed for good.
    """

    event: Callable[[RoomEvent], None]
    stale: Callable[[], None]
    joiner: Joiner
    rooms: dict[str, Room] = field(default_factory=lambda: {"person": Room(), "staff": Room()})
    seen: Seen = field(default_factory=Seen)

    async def stay(self, over: Caller) -> None:
        """For the life of a connection."""
        try:
            await self.joiner.stay(self._ask, self._accept, over, nothing)
        finally:
            for room in self.rooms.values():
                room.lost()

    def receive(self, event: RoomEvent) -> None:
        """An event of one of these rooms."""
        room = self.rooms["person" if event.name in OF_PERSON else "staff"]
        self._apply(room, room.receive(event))

    def _ask(self) -> tuple[str, object]:
        since = {kind: room.begin() for kind, room in self.rooms.items()}
        return "own:join", {"since": {kind: mark._asdict() for kind, mark in since.items() if mark}}

    def _accept(self, ack: Ack) -> None:
        entered = {kind: each for kind, each in ack["rooms"].items() if kind in self.rooms}
        if any(not each.get("recovered") for each in entered.values()):
            self.stale()
        for kind, each in entered.items():
            room = self.rooms[kind]
            self._apply(room, room.joined(Mark(each["epoch"], each["seq"]), missed_of(each)))

    def _apply(self, room: Room, events: Sequence[RoomEvent]) -> None:
        for event in events:
            if not self.seen.is_repeat(event.event_id):
                self.event(event)
        if room.needs_join:
            self.joiner.due.set()
