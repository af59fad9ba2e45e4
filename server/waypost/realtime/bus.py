"""The bus: Redis (or Valkey) carries a room's events between nodes, one channel a room.

A room's counter (``seq``) and the counter's life (``epoch``) live in Redis; both are set by the script that
publishes, so every node gives the same event the same number. The script also keeps the event in the room's log for a
while, so that whoever did not hear it can read it. An emptied Redis, or one that was started anew, begins a new epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis

from waypost.platform.redis import BusRedis
from waypost.platform.telemetry import log
from waypost.realtime.alone import Alone
from waypost.realtime.events import Event, Outgoing, Place
from waypost.realtime.listening import Listening
from waypost.realtime.live import HeardRoom, LiveRooms
from waypost.realtime.questions import Questions
from waypost.realtime.record import ANSWER_TIMEOUT_S, Record, RedisAway
from waypost.realtime.scripts import Lives
from waypost.realtime.shards import Shards

__all__ = ["RedisAway", "RedisBus"]

# How long a room's counter outlives its last event; after that a room begins a new epoch, and its members join anew.
COUNTER_LIFE_S: Final = 7 * 24 * 3600
KEY_LIFE_S: Final = 10 * 60  # a repeat under the same key is known for so long
AUDIT_EVERY_S: Final = 20.0
CATCH_UP_AGAIN_S: Final = 0.5
FETCH_EVENTS: Final = 1000  # in one answer
READ_AT_ONCE = 500  # rooms, of which to read many takes the loop a while
GAPS_EVERY_S, GAPS_AT_ONCE = 1.0, 200
MISSED_EVENTS: Final = 500


def _nobody(*_: object) -> None:
    """Workers and the relay publish, and hear no room."""


@dataclass(slots=True)
class RedisBus:
    """``deliver`` gets every event of the rooms that are subscribed, with a strictly rising ``seq`` in each epoch, also
    those that were missed on a broken connection and read again. ``declare`` gets a room and after which place it goes
    on, when what was missed is not to be had any more, or its epoch is new: its members must join anew.

    Neither may wait. Who only sends needs neither, nor ``run``.
    """

    redis: Redis | BusRedis
    deliver: Callable[[Event], None] = _nobody
    declare: Callable[[str, Place], None] = _nobody
    history_events: int = 1000
    history_bytes: int = 4 * 1024 * 1024
    history_s: int = 15 * 60
    audit_every_s: float = AUDIT_EVERY_S
    shards: Shards = field(init=False)
    record: Record = field(init=False)
    questions: Questions = field(init=False)
    live: LiveRooms = field(init=False)
    alone: Alone = field(init=False)
    listening: Listening = field(init=False)

    def __post_init__(self) -> None:
        self.shards = Shards(self.redis if isinstance(self.redis, BusRedis) else BusRedis((self.redis,)))
        lives = Lives(COUNTER_LIFE_S, self.history_s, self.history_events, self.history_bytes, KEY_LIFE_S)
        self.record = Record(self.shards, lives)
        self.questions = Questions(self.record)
        self.live = LiveRooms(self.deliver, self.declare)
        self.alone = Alone(self.live)
        self.listening = Listening(self.shards, self.record, self.live, self.alone)

    async def send(self, events: Sequence[Outgoing]) -> None:
        """Number the events, keep and publish them; members here have them at once, as far as nothing is before them.

        ``RedisAway.unsent`` says which of them may not have been sent. One whose key was sent some minutes ago is not
        sent again. While Redis is away for longer, members here are told all the same: then only what has a key is
        unsent, and ``is_told_here``.
        """
        alone: list[Outgoing] = []
        others: list[Outgoing] = []
        for event in events:
            (alone if self.alone.has(event.room) else others).append(event)
        unsent = self.alone.tell(alone)
        if others:
            await self._send(others, unsent)
        if unsent:
            away = RedisAway()
            away.unsent, away.is_told_here = unsent, True
            raise away

    async def _send(self, events: Sequence[Outgoing], unsent: Sequence[Outgoing]) -> None:
        sent: Sequence[tuple[Outgoing, Place]] = ()
        try:
            sent = await self.record.publish(self.alone.with_gaps(events) if self.alone.gaps else events)
        except RedisAway as away:
            sent = away.sent
            away.unsent = [*unsent, *away.unsent]
            raise
        finally:
            for event, place in sent:
                self.alone.sent(event)
                if event.room in self.live.rooms:
                    self.live.hear_own(Event(event, place))

    async def place(self, room: str) -> Place:
        """A room's epoch and the ``seq`` of its last event (0: none yet). Of a room that is heard here it may be that
        of an event that was published just before; what comes after it will be delivered.
        """
        live = self.live.rooms.get(room)
        if live is not None and live.ready.is_set() and live.waiting is None and live.place is not None:
            return live.place
        if self.alone.has(room):
            return self.alone.place(room)
        return (await self.questions.ask(room, None, 0))[0]

    async def missed(self, room: str, since: Place, limit: int = MISSED_EVENTS) -> tuple[Place, list[Event] | None]:
        """Where the room stands, and all of its events after ``since``; None when they are more than ``limit``, or not
        all of them are there any more.
        """
        if self.alone.has(room):
            place = self.alone.place(room)
            return place, [] if place == since else None
        place, events = await self.questions.ask(room, since, limit)
        if since.epoch != place.epoch or not 0 <= place.seq - since.seq <= limit:
            return place, None
        later = [event for event in events if event.seq > since.seq]
        wanted = range(since.seq + 1, place.seq + 1)
        return place, later if [event.seq for event in later] == list(wanted) else None

    async def lately(self, room: str, limit: int) -> Sequence[Event]:
        """What the room was told last, on whatever node: the newest of what is still in its log."""
        if self.alone.has(room):
            return ()
        place = await self.place(room)
        return (await self.questions.ask(room, Place(place.epoch, 0), limit))[1][-limit:]

    async def subscribe(self, room: str) -> None:
        """Hear a room from now on; returns when that is so, and nothing later is missed; or when this node serves it
        alone. After ``RedisAway`` the room stays wanted, and is heard once Redis is back.
        """
        live = self.live.rooms.get(room)
        if live is None:
            live = self.live.rooms[room] = HeardRoom(room)
            self.listening.want(room)
        if self.alone.has(room):
            return
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await live.ready.wait()
        except TimeoutError as error:
            raise RedisAway from error

    async def unsubscribe(self, rooms: Iterable[str]) -> None:
        """Hear these rooms no more."""
        for room in rooms:
            if self.live.rooms.pop(room, None) is not None:
                self.listening.drop(room)

    async def run(self) -> None:
        """Listen for ever; after a break subscribe anew to all rooms, and fetch what they missed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.listening.run())
            tasks.create_task(self._catch_up())
            tasks.create_task(self._audit())
            tasks.create_task(self._say_gaps())

    async def close(self) -> None:
        """Close what it opened itself; what it was given is its owner's."""
        await self.shards.close()

    async def _catch_up(self) -> None:
        """Whoever is behind gets what the log still has; then what has waited behind it."""
        while True:
            await self.live.wake.wait()
            self.live.wake.clear()
            rooms = self.live.take_behind()
            with _outlived("catch_up_failed"):
                await self._fetch(rooms)
            if self.live.ask_again(rooms):  # nobody answered for them
                await asyncio.sleep(CATCH_UP_AGAIN_S)

    async def _fetch(self, rooms: Sequence[HeardRoom]) -> None:
        """First where all of them stand, then what those have missed of which the log may have it."""
        short: list[tuple[HeardRoom, Place]] = []
        size = 0
        for room, place in await self._stand(rooms):
            since = room.since(place)
            missed = place.seq - since.seq
            if not 0 < missed <= self.history_events:
                self.live.settle(room, place, ())
                continue
            if size + missed > FETCH_EVENTS:
                await self._fetch_missed(short)
                short, size = [], 0
            short.append((room, since))
            size += missed
        await self._fetch_missed(short)

    async def _stand(self, rooms: Sequence[HeardRoom]) -> list[tuple[HeardRoom, Place]]:
        """The counters of those rooms for which somebody answers."""
        stand: list[tuple[HeardRoom, Place]] = []
        for first in range(0, len(rooms), READ_AT_ONCE):
            some = rooms[first : first + READ_AT_ONCE]
            found = await self.record.read([(room.name, None) for room in some], 0)
            stand += [(room, answer[0]) for room, answer in zip(some, found, strict=True) if answer is not None]
        return stand

    async def _fetch_missed(self, rooms: Sequence[tuple[HeardRoom, Place]]) -> None:
        found = await self.record.read([(room.name, since) for room, since in rooms], self.history_events)
        for (room, _), answer in zip(rooms, found, strict=True):
            if answer is not None:
                self.live.settle(room, *answer)

    async def _say_gaps(self) -> None:
        """What was told here alone is missing everywhere else: said to rooms that nothing else is told."""
        while True:
            await asyncio.sleep(GAPS_EVERY_S)
            if self.alone.gaps and not self.alone.away:
                with _outlived("gaps_failed"):
                    await self.send(self.alone.gaps_to_say(GAPS_AT_ONCE))

    async def _audit(self) -> None:
        """An event that was lost on its way leaves no trace if none follows it: the counters tell of it."""
        while True:
            await asyncio.sleep(self.audit_every_s)
            rooms = [room for room in self.live.rooms.values() if room.ready.is_set() and room.waiting is None]
            with _outlived("audit_failed"):
                for room, place in await self._stand(rooms):
                    if not room.knows(place):
                        self.live.fetch(room)


@contextmanager
def _outlived(event: str) -> Iterator[None]:
    """What goes wrong here is tried again, and ends nothing else."""
    try:
        yield
    except RedisAway:
        pass
    except Exception:  # noqa: BLE001 - one odd answer must not silence the node
        log.exception(event)
