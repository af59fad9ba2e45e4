"""The bus: Redis (or Valkey) carries a room's events between nodes, one channel a room.

A room's counter (``seq``) and the counter's life (``epoch``) live in Redis; both are set by the script that
publishes, so every node gives the same event the same number. An emptied Redis begins a new epoch.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import NoScriptError, RedisError

from waypost.kernel.errors import Unavailable
from waypost.platform.telemetry import log
from waypost.realtime.service import Outgoing

# How long a room's counter outlives its last event; after that a room begins a new epoch, and its members join anew.
COUNTER_LIFE_S: Final = 7 * 24 * 3600
ANSWER_TIMEOUT_S: Final = 2.0
RECONNECT_S: Final = (0.1, 2.0)
SILENCE_S: Final = 5.0
CONTROL: Final = "waypost:control"  # keeps the subscriber's connection open while no room is live here

# An epoch ends with the server that counted it: one that comes back from an old copy would give numbers out twice.
# One packed argument: a client spends as much on each of them as on the whole.
_EPOCH = """
local new, life, run, event, body, skip = unpack(cmsgpack.unpack(ARGV[1]))
local e, r = unpack(redis.call('HMGET', KEYS[1], 'e', 'r'))
if not e or r ~= run then
    e = new
    redis.call('HSET', KEYS[1], 'e', e, 's', 0, 'r', run)
end
redis.call('EXPIRE', KEYS[1], life)
"""
PUBLISH = f"""{_EPOCH}
local s = redis.call('HINCRBY', KEYS[1], 's', 1 + skip)
redis.call('PUBLISH', KEYS[2], cmsgpack.pack({{e, s, event, body}}))
return s
"""
PUBLISH_SHA: Final = hashlib.sha1(PUBLISH.encode(), usedforsecurity=False).hexdigest()
PLACE = f"""{_EPOCH}
return {{e, tonumber(redis.call('HGET', KEYS[1], 's'))}}
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


_pack: Final = msgpack.Packer(use_bin_type=False).pack  # the scripts know text only


def _keys(room: str) -> tuple[str, str]:
    """A room's counter and its channel; the braces keep both in one slot of a cluster."""
    return f"waypost:{{{room}}}:m", f"waypost:{{{room}}}"


@dataclass(slots=True)
class RedisBus:
    """``deliver`` gets every event of the rooms that are subscribed; it must not wait.

    What is published while the subscription is broken does not come later: ``resumed`` is called once it stands again.
    """

    redis: Redis
    deliver: Callable[[Incoming], None]
    resumed: Callable[[], None]
    subscribed: dict[str, asyncio.Event] = field(default_factory=dict)
    pubsub: PubSub | None = None
    server: str | None = None  # the run of the server that we talk to; None: ask

    async def send(self, events: list[Outgoing]) -> None:
        """Number the events and publish them, in one pipeline."""
        async with self._answering(), self.redis.pipeline(transaction=False) as pipe:
            server = await self._server()
            epoch = secrets.token_hex(8)  # for rooms that have none: a room's own life, whatever other rooms have
            for event in events:
                packed = _pack((epoch, COUNTER_LIFE_S, server, event.event, event.body, event.skip))
                pipe.evalsha(PUBLISH_SHA, 2, *_keys(event.room), packed)
            answers = await pipe.execute(raise_on_error=False)
            await self._repeat(events, answers, epoch, server)

    async def _repeat(self, events: Sequence[Outgoing], answers: Sequence[object], epoch: str, server: str) -> None:
        """Those that Redis had no script for, in their order; any other error is the whole pipeline's."""
        for event, answer in zip(events, answers, strict=True):
            if isinstance(answer, NoScriptError):
                packed = _pack((epoch, COUNTER_LIFE_S, server, event.event, event.body, event.skip))
                await self._eval(PUBLISH, *_keys(event.room), packed)
            elif isinstance(answer, Exception):
                raise answer

    async def _eval(self, script: str, *keys_and_packed: str | bytes) -> Any:
        return await self.redis.eval(script, len(keys_and_packed) - 1, *keys_and_packed)  # type: ignore[misc, arg-type]

    async def place(self, room: str) -> tuple[str, int]:
        """A room's epoch and the ``seq`` of its last event (0: none yet)."""
        async with self._answering():
            packed = _pack((secrets.token_hex(8), COUNTER_LIFE_S, await self._server()))
            answer = await self._eval(PLACE, _keys(room)[0], packed)
        return answer[0].decode(), int(answer[1])

    async def subscribe(self, room: str) -> None:
        """Hear a room from now on; returns when Redis has confirmed it, so that nothing later is missed."""
        confirmed = self.subscribed.setdefault(room, asyncio.Event())
        async with self._answering():
            if self.pubsub is not None and not confirmed.is_set():
                await self.pubsub.subscribe(_keys(room)[1])
            await confirmed.wait()

    async def unsubscribe(self, rooms: Iterable[str]) -> None:
        """Hear these rooms no more."""
        gone = [_keys(room)[1] for room in rooms if self.subscribed.pop(room, None) is not None]
        if gone and self.pubsub is not None:
            with suppress(RedisError, OSError):  # a broken link is dropped by the listener, with all it heard
                await self.pubsub.unsubscribe(*gone)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """Redis answers in time, or it is away."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                yield
        except (RedisError, OSError, TimeoutError) as error:
            self.server = None  # another may answer next
            raise RedisAway from error

    async def _server(self) -> str:
        if self.server is None:
            info: dict[str, Any] = await self.redis.info("server")
            self.server = str(info["run_id"])
        return self.server

    async def run(self) -> None:
        """Listen for ever; after a break subscribe anew to all rooms, with a little patience and jitter."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("bus_interrupted", reason=type(error).__name__)
            self.server = None
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
                self.resumed()
                await self._hear_all(pubsub)
            finally:
                self.pubsub = None

    async def _hear_all(self, pubsub: PubSub) -> None:
        """A link that says nothing for a while is asked; one that does not answer is half open, and given up."""
        asked = False
        while True:
            message = await pubsub.get_message(timeout=ANSWER_TIMEOUT_S if asked else SILENCE_S)
            if message is not None:
                asked = False
                self._hear(message)
            elif asked:
                raise TimeoutError("the subscription does not answer")
            else:
                asked = True
                await pubsub.ping()

    def _hear(self, message: dict[str, Any]) -> None:
        room = (message["channel"] or b"").decode(errors="replace").removeprefix("waypost:{").removesuffix("}")
        if message["type"] == "subscribe" and room in self.subscribed:
            self.subscribed[room].set()
        elif message["type"] == "message" and room in self.subscribed:
            try:
                epoch, seq, event, body = msgpack.unpackb(message["data"], raw=True)
                self.deliver(Incoming(room, epoch.decode(), int(seq), event.decode(), body))
            except (ValueError, TypeError, AttributeError, msgpack.UnpackException):
                log.warning("bus_message_unreadable", size=len(message["data"]))
