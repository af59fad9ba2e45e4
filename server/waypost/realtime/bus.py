"""The bus: Redis (or Valkey) carries a room's events between nodes, one channel a room.

A room's counter (``seq``) and the counter's life (``epoch``) live in Redis; both are set by the script that
publishes, so every node gives the same event the same number. An emptied Redis begins a new epoch.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from waypost.kernel.errors import Unavailable
from waypost.platform.telemetry import log
from waypost.realtime.service import Outgoing

# How long a room's counter outlives its last event; after that a room begins a new epoch, and its members join anew.
COUNTER_LIFE_S: Final = 7 * 24 * 3600
ANSWER_TIMEOUT_S: Final = 2.0
RECONNECT_S: Final = (0.1, 2.0)
CONTROL: Final = "waypost:control"  # keeps the subscriber's connection open while no room is live here

PUBLISH = """
local e = redis.call('HGET', KEYS[1], 'e')
if not e then e = ARGV[1]; redis.call('HSET', KEYS[1], 'e', e) end
local s = redis.call('HINCRBY', KEYS[1], 's', 1)
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[2], cmsgpack.pack({e, s, ARGV[3], ARGV[4]}))
return s
"""

PLACE = """
local e = redis.call('HGET', KEYS[1], 'e')
if not e then e = ARGV[1]; redis.call('HSET', KEYS[1], 'e', e, 's', 0) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {e, tonumber(redis.call('HGET', KEYS[1], 's') or 0)}
"""


class RedisAway(Unavailable):
    """Live updates are interrupted; try again shortly."""

    code = "realtime-away"


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event of a room as it came off the bus."""

    room: str
    epoch: str
    seq: int
    event: str
    body: bytes


def _keys(room: str) -> tuple[str, str]:
    """A room's counter and its channel; the braces keep both in one slot of a cluster."""
    return f"waypost:{{{room}}}:m", f"waypost:{{{room}}}"


@dataclass(slots=True)
class RedisBus:
    """``deliver`` gets every event of the rooms that are subscribed; it must not wait.

    What is published while the subscription is broken does not come later: a room's next ``seq`` shows the gap.
    """

    redis: Redis
    deliver: Callable[[Incoming], None]
    subscribed: dict[str, asyncio.Event] = field(default_factory=dict)
    pubsub: PubSub | None = None

    async def send(self, events: list[Outgoing]) -> None:
        """Number the events and publish them, in one pipeline."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S), self.redis.pipeline(transaction=False) as pipe:
                for event in events:
                    fresh = secrets.token_hex(8)
                    pipe.eval(PUBLISH, 2, *_keys(event.room), fresh, COUNTER_LIFE_S, event.event, event.body)  # type: ignore[arg-type]  # redis-py takes bytes and numbers too
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisAway from error

    async def place(self, room: str) -> tuple[str, int]:
        """A room's epoch and the ``seq`` of its last event (0: none yet)."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer: Any = await self.redis.eval(PLACE, 1, _keys(room)[0], secrets.token_hex(8), COUNTER_LIFE_S)  # type: ignore[misc, arg-type]
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisAway from error
        return answer[0].decode(), int(answer[1])

    async def subscribe(self, room: str) -> None:
        """Hear a room from now on; returns when Redis has confirmed it, so that nothing later is missed."""
        confirmed = self.subscribed.setdefault(room, asyncio.Event())
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                if self.pubsub is not None and not confirmed.is_set():
                    await self.pubsub.subscribe(_keys(room)[1])
                await confirmed.wait()
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisAway from error

    async def unsubscribe(self, rooms: Iterable[str]) -> None:
        """Hear these rooms no more."""
        gone = [_keys(room)[1] for room in rooms if self.subscribed.pop(room, None) is not None]
        if gone and self.pubsub is not None:
            with suppress(RedisError, OSError):  # a broken link is dropped by the listener, with all it heard
                await self.pubsub.unsubscribe(*gone)

    async def run(self) -> None:
        """Listen for ever; after a break subscribe anew to all rooms, with a little patience and jitter."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("bus_interrupted", reason=type(error).__name__)
            for confirmed in self.subscribed.values():
                confirmed.clear()
            await asyncio.sleep(random.uniform(*RECONNECT_S))  # noqa: S311 - spreads nodes, guards nothing

    async def _listen(self) -> None:
        async with self.redis.pubsub() as pubsub:
            await pubsub.subscribe(CONTROL)
            self.pubsub = pubsub  # from here on a join subscribes by itself
            try:
                if self.subscribed:
                    await pubsub.subscribe(*(_keys(room)[1] for room in self.subscribed))
                async for message in pubsub.listen():
                    self._hear(message)
            finally:
                self.pubsub = None

    def _hear(self, message: dict[str, Any]) -> None:
        room = message["channel"].decode().removeprefix("waypost:{").removesuffix("}")
        if message["type"] == "subscribe" and room in self.subscribed:
            self.subscribed[room].set()
        elif message["type"] == "message" and room in self.subscribed:
            epoch, seq, event, body = msgpack.unpackb(message["data"], raw=True)
            self.deliver(Incoming(room, epoch.decode(), seq, event.decode(), body))
