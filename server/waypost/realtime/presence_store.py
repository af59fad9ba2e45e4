"""Who watches which room, in Redis: per room a sorted set of `node:user`, scored by when it is over.

A node renews what it holds; what a dead node held runs out by itself. Beside the rooms of a partition stands which of
them changed lately, so that a node learns of changes elsewhere without asking for every room. Times are Redis's own:
several machines compare them. A room's keys share a slot with its other keys on a cluster.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgpack
from redis.exceptions import NoScriptError

from waypost.realtime.bus import RedisAway
from waypost.realtime.link import AWAY
from waypost.realtime.scripts import partition_of, tag
from waypost.realtime.shards import Shard, Shards

MOST_WATCHERS: Final = 100  # of a room, a person on two nodes counted twice; more are not kept
CHANGES_KEPT_S: Final = 60
ANSWER_TIMEOUT_S: Final = 2.0
ASKS_AT_ONCE: Final = 200
FIRST: Final = "-inf"

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)"
HOLD = f"""{_NOW}
local room, lease, most, kept, here, gone = unpack(cmsgpack.unpack(ARGV[1]))
local changed = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for _, member in ipairs(gone) do changed = changed + redis.call('ZREM', KEYS[1], member) end
for _, member in ipairs(here) do
    if redis.call('ZSCORE', KEYS[1], member) then
        redis.call('ZADD', KEYS[1], now + lease, member)
    elseif redis.call('ZCARD', KEYS[1]) < most then
        changed = changed + redis.call('ZADD', KEYS[1], now + lease, member)
    end
end
redis.call('PEXPIRE', KEYS[1], lease)
if changed > 0 then
    redis.call('ZADD', KEYS[2], now, room)
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - kept)
    redis.call('PEXPIRE', KEYS[2], kept)
end
return changed
"""
CHANGED = f"""{_NOW}
return {{now, redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf')}}
"""
READ = f"""{_NOW}
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES')
for at = 2, #found, 2 do found[at] = found[at] - now end
return found
"""


class Hold(NamedTuple):
    """What a node holds of a room from now on: these people, and those no more."""

    room: str
    here: Collection[UUID]
    gone: Collection[UUID]


class Seen(NamedTuple):
    """Who watches a room. ``over_in_s``: when the first of what other nodes hold is over; None: they hold nothing."""

    users: tuple[UUID, ...]
    over_in_s: float | None


class _Ask(NamedTuple):
    """One call of a script; ``keys`` are of one partition."""

    partition: int
    keys: Sequence[str]
    argument: bytes | int | str = b""


@dataclass(slots=True)
class WatcherStore:
    """Of one node. Every method: ``RedisAway``."""

    shards: Shards
    node: str = field(default_factory=lambda: secrets.token_hex(8))
    looked: dict[int, int] = field(default_factory=dict)  # per partition up to when it was asked for changes

    async def hold(self, holds: Iterable[Hold], lease_s: float) -> None:
        """Write and renew. Safe to repeat."""
        lease_ms, kept_ms = int(lease_s * 1000), CHANGES_KEPT_S * 1000
        asks = []
        for room, here, gone in holds:
            packed = msgpack.packb((room, lease_ms, MOST_WATCHERS, kept_ms, self._members(here), self._members(gone)))
            number = partition_of(room)
            asks.append(_Ask(number, (_key(room), _changes(number)), packed))
        await self._run(HOLD, asks)

    async def changed(self, partitions: Collection[int]) -> set[str]:
        """The rooms of these partitions whose watchers have changed since this was last asked, on whatever node."""
        asks = [_Ask(each, (_changes(each),), self.looked.get(each, FIRST)) for each in partitions]
        answers = await self._run(CHANGED, asks)
        for ask, (now, _) in zip(asks, answers, strict=True):
            self.looked[ask.partition] = now
        return {room.decode() for _, rooms in answers for room in rooms}

    async def read(self, rooms: Iterable[str]) -> list[Seen]:
        """Who watches each of them now."""
        asks = [_Ask(partition_of(room), (_key(room),)) for room in rooms]
        return [self._seen(answer) for answer in await self._run(READ, asks)]

    def _members(self, users: Collection[UUID]) -> list[str]:
        return [f"{self.node}:{user}" for user in users]

    def _seen(self, answer: Sequence[Any]) -> Seen:
        found = [member.decode().split(":") for member in answer[::2]]
        over = [int(ms) / 1000 for (node, _), ms in zip(found, answer[1::2], strict=True) if node != self.node]
        return Seen(tuple(sorted({UUID(user) for _, user in found})), min(over, default=None))

    async def _run(self, script: str, asks: Sequence[_Ask]) -> list[Any]:
        """One script over many keys, in as few pipelines as may be; the answers in the order of ``asks``.

        A server that does not answer keeps nobody from asking the others.
        """
        answers: dict[int, Any] = {}
        away: Exception | None = None
        try:
            by_shard = await self._by_shard(asks)
        except AWAY as error:
            raise RedisAway from error
        for shard, places in by_shard.items():
            try:
                for begin in range(0, len(places), ASKS_AT_ONCE):
                    some = places[begin : begin + ASKS_AT_ONCE]
                    async with asyncio.timeout(ANSWER_TIMEOUT_S):
                        answers |= zip(some, await _pipeline(shard, script, [asks[at] for at in some]), strict=True)
            except AWAY as error:
                away = error
        if away is not None:
            await self._look_around()
            raise RedisAway from away
        return [answers[at] for at in range(len(asks))]

    async def _by_shard(self, asks: Sequence[_Ask]) -> dict[Shard, list[int]]:
        """Which of them each server is asked."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self.shards.ready()
        found: dict[Shard, list[int]] = defaultdict(list)
        for at, ask in enumerate(asks):
            found[self.shards.owners[ask.partition]].append(at)
        return found

    async def _look_around(self) -> None:
        """In a cluster somebody else may have it by now: the next time finds them."""
        with suppress(*AWAY):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self.shards.refresh()


async def _pipeline(shard: Shard, script: str, asks: Sequence[_Ask]) -> list[Any]:
    """Servers keep a script once they have run it."""
    sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    async with shard.redis.pipeline(transaction=False) as pipe:
        for ask in asks:
            pipe.evalsha(sha, len(ask.keys), *ask.keys, ask.argument)  # type: ignore[arg-type]  # it takes bytes too
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        for at, ask in enumerate(asks):
            if isinstance(answers[at], NoScriptError):
                pipe.eval(script, len(ask.keys), *ask.keys, ask.argument)  # type: ignore[arg-type]
                (answers[at],) = await pipe.execute(raise_on_error=False)
            if isinstance(answers[at], Exception):
                raise answers[at]
    return answers


def _key(room: str) -> str:
    return f"{tag(partition_of(room))}:w:{room}"


def _changes(partition: int) -> str:
    return f"{tag(partition)}:w"
