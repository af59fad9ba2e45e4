"""The bus: Redis (or Valkey) carries a room's events between nodes, one channel a room.

A room's counter (``seq``) and the counter's life (``epoch``) live in Redis; both are set by the script that
publishes, so every node gives the same event the same number. The script also keeps the event in the room's log for a
while, so that whoever did not hear it can read it. An emptied Redis, or one that was started anew, begins a new epoch.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from redis.asyncio import Redis

from waypost.platform.redis import BusRedis
from waypost.platform.telemetry import log
from waypost.realtime.alone import Alone
from waypost.realtime.events import Event, Outgoing, Place
from waypost.realtime.link import AWAY, Link
from waypost.realtime.live import LiveRoom, LiveRooms
from waypost.realtime.questions import Questions
from waypost.realtime.record import ANSWER_TIMEOUT_S, Record, RedisAway
from waypost.realtime.scripts import PARTITIONS, Lives, Unreadable, partition_of, unpacked
from waypost.realtime.shards import Shard, Shards

__all__ = ["RedisAway", "RedisBus"]

# How long a room's counter outlives its last event; after that a room begins a new epoch, and its members join anew.
COUNTER_LIFE_S: Final = 7 * 24 * 3600
KEY_LIFE_S: Final = 10 * 60  # a repeat under the same key is known for so long
RECONNECT_S: Final = (0.2, 1.0)  # the first wait and the longest; each is a random part of it
AUDIT_EVERY_S: Final = 20.0
CATCH_UP_AGAIN_S: Final = 0.5
FETCH_EVENTS: Final = 1000  # in one answer
MISSED_EVENTS: Final = 500
_CHANCE: Final = random.Random()  # noqa: S311 - spreads nodes, guards nothing


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
    history_s: int = 15 * 60
    audit_every_s: float = AUDIT_EVERY_S
    shards: Shards = field(init=False)
    record: Record = field(init=False)
    questions: Questions = field(init=False)
    live: LiveRooms = field(init=False)
    alone: Alone = field(init=False)
    links: dict[int, Link] = field(default_factory=dict)  # by partition

    def __post_init__(self) -> None:
        self.shards = Shards(self.redis if isinstance(self.redis, BusRedis) else BusRedis((self.redis,)))
        self.record = Record(self.shards, Lives(COUNTER_LIFE_S, self.history_s, self.history_events, KEY_LIFE_S))
        self.questions = Questions(self.record)
        self.live = LiveRooms(self.deliver, self.declare)
        self.alone = Alone(self.live)

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
            live = self.live.rooms[room] = LiveRoom(room)
            link = self.links.get(partition_of(room))
            if link is not None:
                link.want(room)
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
            link = self.links.get(partition_of(room))
            if self.live.rooms.pop(room, None) is not None and link is not None:
                link.drop(room)

    async def run(self) -> None:
        """Listen for ever; after a break subscribe anew to all rooms, and fetch what they missed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._catch_up())
            tasks.create_task(self._audit())

    async def close(self) -> None:
        """Close what it opened itself; what it was given is its owner's."""
        await self.shards.close()

    async def _listen(self) -> None:
        """A link to each server that has a partition; all anew when it is known that one has others."""
        while True:
            with suppress(*AWAY):
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await self.shards.ready()
            self.shards.changed.clear()
            async with asyncio.TaskGroup() as tasks:
                links = [tasks.create_task(self._keep_link(*each)) for each in self.shards.all().items()]
                if links:
                    await self.shards.changed.wait()
                else:
                    self.alone.lost(range(PARTITIONS))
                for link in links:
                    link.cancel()
            await _jitter(RECONNECT_S[0 if links else 1])

    async def _keep_link(self, shard: Shard, partitions: Sequence[int]) -> None:
        loop, wait_s = asyncio.get_running_loop(), RECONNECT_S[0]
        while True:
            began = loop.time()
            try:
                await self._linked(shard, partitions)
            except AWAY as error:
                if wait_s == RECONNECT_S[0]:
                    log.warning("bus_interrupted", reason=type(error).__name__)
            except Exception:  # noqa: BLE001 - whatever breaks a connection, there is another one
                log.exception("bus_link_failed")
            (self.alone.found if await shard.is_there() else self.alone.lost)(partitions)
            stood = loop.time() - began > 2 * ANSWER_TIMEOUT_S
            wait_s = RECONNECT_S[0] if stood else min(wait_s * 2, RECONNECT_S[1])
            await _jitter(wait_s)
            await self.record.look_around()

    async def _linked(self, shard: Shard, partitions: Sequence[int]) -> None:
        opened = partial(self.alone.found, partitions)
        link = Link(shard.connection(), partitions[0], self._hear, self.live.confirm, shard.publish, opened)
        self.links |= dict.fromkeys(partitions, link)
        try:
            for room in self.live.rooms:
                if self.links.get(partition_of(room)) is link:
                    link.want(room)
            await link.run()
        finally:
            for partition in partitions:
                self.links.pop(partition, None)
            for room in link.rooms.values():
                self.live.interrupt(room)

    def _hear(self, room: str, data: bytes) -> None:
        try:
            self.live.hear(unpacked(room, data))
        except Unreadable as error:
            log.warning("bus_message_unreadable", room_size=len(room), reason=str(error))

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

    async def _fetch(self, rooms: Sequence[LiveRoom]) -> None:
        """First where all of them stand, then what those have missed of which the log may have it."""
        short: list[tuple[LiveRoom, Place]] = []
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

    async def _stand(self, rooms: Sequence[LiveRoom]) -> list[tuple[LiveRoom, Place]]:
        """The counters of those rooms for which somebody answers."""
        found = await self.record.read([(room.name, None) for room in rooms], 0)
        return [(room, answer[0]) for room, answer in zip(rooms, found, strict=True) if answer is not None]

    async def _fetch_missed(self, rooms: Sequence[tuple[LiveRoom, Place]]) -> None:
        found = await self.record.read([(room.name, since) for room, since in rooms], self.history_events)
        for (room, _), answer in zip(rooms, found, strict=True):
            if answer is not None:
                self.live.settle(room, *answer)

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


async def _jitter(longest_s: float) -> None:
    await asyncio.sleep(_CHANCE.uniform(0, longest_s))
