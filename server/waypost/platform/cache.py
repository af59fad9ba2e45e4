"""Two bounded caches before the database: this process's memory, and Redis for all nodes.

What is kept is named ``{org}:{kind}:{id}:v{n}``. ``n`` counts the changes of that kind in that organisation and lives
in Redis; a node believes the count it knows for half a second, so a change is seen everywhere within one. A reader
learns ``n`` before it reads the database: what it read before a change can only be kept under the number before it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from waypost.kernel.clock import Clock
from waypost.platform.database import after_commit
from waypost.platform.telemetry import log

T = TypeVar("T")

ANSWER_S = 0.05  # a cache that is slower than the database is none
AWAY_S = 1.0  # after Redis failed, so long nobody asks it
BELIEVED_S = 0.5
LARGEST_BYTES = 64 * 1024
KNOWN_COUNTS = 10_000

# A count begins anywhere: an emptied Redis must not come to numbers again that this process has values under.
COUNT = """
local n = redis.call('GET', KEYS[1])
if not n then n = ARGV[1]; redis.call('SET', KEYS[1], n, 'EX', ARGV[2]) end
return n
"""
CHANGED = """
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCR', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
"""
COUNT_LIFE_S = 7 * 24 * 3600

# Keep a value; the oldest of its kind and organisation goes when there are too many. The tag holds them in one slot.
KEEP = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], KEYS[1])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4])
if over > 0 then
    local gone = redis.call('ZPOPMIN', KEYS[2], over)
    for i = 1, #gone, 2 do redis.call('DEL', gone[i]) end
end
"""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What is kept: values of ``type``, so long, and so many an organisation (Redis) and a process (memory)."""

    name: str
    type: Any  # what msgspec takes: ``type[T]``, or a union that T stands for
    life_s: float
    most: int

    def __post_init__(self) -> None:
        if ":" in self.name or not self.name:
            raise ValueError("a kind's name is one word")


@dataclass(slots=True)
class Kept:
    """A value in this process's memory."""

    value: Any
    until: float


@dataclass(slots=True)
class Cache:
    """``count(kind, where)``: told of every read: "memory", "redis", or "database"."""

    redis: Redis
    clock: Clock
    count: Callable[[str, str], None] = lambda _kind, _where: None
    jitter: Callable[[], float] = random.random
    memory: dict[str, OrderedDict[str, Kept]] = field(default_factory=dict)
    counts: OrderedDict[str, Kept] = field(default_factory=OrderedDict)
    loading: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    counting: dict[str, asyncio.Task[int | None]] = field(default_factory=dict)
    unsaid: dict[str, int] = field(default_factory=dict)  # changes that Redis has not heard of yet
    telling: set[asyncio.Task[None]] = field(default_factory=set)
    away_until: float = 0.0

    async def get(self, org_id: UUID, kind: Kind[T], key: object, load: Callable[[], Awaitable[T]]) -> T:
        """The value of ``key``; ``load`` reads the database when nobody has it: once, however many ask at once.

        While Redis is slow or away the database answers (this memory has no way to learn of changes then).
        """
        number = await self._number(org_id, kind)
        if number is None:
            self.count(kind.name, "database")
            return await load()
        name = name_of(org_id, kind, key, number)
        kept = self._remembered(kind, name)
        if kept is not None:
            self.count(kind.name, "memory")
            value: T = kept.value  # put there under the same kind
            return value
        task = self.loading.get(name)
        if task is None:
            task = asyncio.create_task(self._find(org_id, kind, name, load), name=f"load {kind.name}")
            self.loading[name] = task
            task.add_done_callback(lambda _: self.loading.pop(name, None))
        loaded: T = await asyncio.shield(task)
        return loaded

    def forget(self, org_id: UUID, kind: Kind[Any]) -> None:
        """What is kept of a kind in an organisation is old, once the unit of work that is going on has committed.

        Call it right after the transaction of the change (inside, somebody might keep the old value under the new
        number). Told to Redis in the background, again and again while that is away.
        """
        after_commit(lambda: self._changed(org_id, kind))

    async def close(self) -> None:
        """End what is still loading; what is being told gets a moment to arrive."""
        if self.telling:
            await asyncio.wait(self.telling, timeout=AWAY_S)
        tasks = [*self.loading.values(), *self.counting.values(), *self.telling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, org_id: UUID, kind: Kind[Any]) -> None:
        name = _count_name(org_id, kind)
        self.counts.pop(name, None)
        self.counting.pop(name, None)  # what it is about to hear is old
        self.unsaid[name] = self.unsaid.get(name, 0) + 1
        task = asyncio.create_task(self._tell(name), name=f"forget {kind.name}")
        self.telling.add(task)
        task.add_done_callback(self.telling.discard)

    async def _tell(self, name: str) -> None:
        while name in self.unsaid:
            said = self.unsaid[name]
            try:
                async with asyncio.timeout(AWAY_S):
                    await self.redis.eval(CHANGED, 1, name, _anywhere(), COUNT_LIFE_S)  # type: ignore[misc, arg-type]  # takes numbers too
            except (RedisError, OSError, TimeoutError):
                await self.clock.sleep(AWAY_S)
                continue
            if self.unsaid.get(name, 0) <= said:
                self.unsaid.pop(name, None)
            else:
                self.unsaid[name] -= said

    async def _number(self, org_id: UUID, kind: Kind[Any]) -> int | None:
        """How often the kind has changed; None when nobody can say."""
        name = _count_name(org_id, kind)
        if name in self.unsaid:
            return None
        known = self.counts.get(name)
        if known is not None and self.clock.monotonic() < known.until:
            return int(known.value)
        task = self.counting.get(name)
        if task is None:
            task = asyncio.create_task(self._count(name), name="count changes")
            self.counting[name] = task
        return await asyncio.shield(task)

    async def _count(self, name: str) -> int | None:
        try:
            asked = self.redis.eval(COUNT, 1, name, _anywhere(), COUNT_LIFE_S)  # type: ignore[arg-type]  # takes numbers too
            answer = await self._ask(asked)  # type: ignore[arg-type]  # an awaitable, in the asynchronous client
            if self.counting.get(name) is not asyncio.current_task() or answer is _AWAY:
                return None  # it changed while we asked, or nobody answers
            number = int(answer)
            _put(self.counts, name, Kept(number, self.clock.monotonic() + BELIEVED_S), KNOWN_COUNTS)
            return number
        finally:
            if self.counting.get(name) is asyncio.current_task():
                del self.counting[name]

    async def _find(self, org_id: UUID, kind: Kind[T], name: str, load: Callable[[], Awaitable[T]]) -> T:
        found = await self._ask(self.redis.get(f"waypost:cache:{name}"))
        if isinstance(found, bytes):
            try:
                value: T = msgspec.msgpack.decode(found, type=kind.type)
            except msgspec.MsgspecError:  # of another version of ours
                log.warning("cache_unreadable", kind=kind.name)
            else:
                self.count(kind.name, "redis")
                self._remember(kind, name, value)
                return value
        self.count(kind.name, "database")
        value = await load()
        self._remember(kind, name, value)
        await self._keep(org_id, kind, name, value)
        return value

    async def _keep(self, org_id: UUID, kind: Kind[T], name: str, value: T) -> None:
        body = msgspec.msgpack.encode(value)
        if len(body) > LARGEST_BYTES:
            return
        life_ms, now_ms = int(self._life_s(kind) * 1000), int(self.clock.now().timestamp() * 1000)
        keys = (f"waypost:cache:{name}", f"waypost:cache:{{{org_id}}}:{kind.name}:index")
        longest_ms = int(kind.life_s * 1000)
        await self._ask(self.redis.eval(KEEP, 2, *keys, body, life_ms, now_ms, kind.most, longest_ms))  # type: ignore[arg-type]  # takes bytes and numbers too

    def _life_s(self, kind: Kind[Any]) -> float:
        """Up to a tenth shorter by chance, so that what was kept at once does not end at once."""
        return kind.life_s * (1 - self.jitter() / 10)

    def _remembered(self, kind: Kind[Any], name: str) -> Kept | None:
        kept = self.memory.get(kind.name, OrderedDict()).get(name)
        return kept if kept is not None and self.clock.monotonic() < kept.until else None

    def _remember(self, kind: Kind[T], name: str, value: T) -> None:
        until = self.clock.monotonic() + self._life_s(kind)
        _put(self.memory.setdefault(kind.name, OrderedDict()), name, Kept(value, until), kind.most)

    async def _ask(self, question: Awaitable[Any]) -> Any:
        """Redis' answer, or ``_AWAY`` when it gives none in time."""
        if self.clock.monotonic() < self.away_until:
            _close(question)
            return _AWAY
        try:
            async with asyncio.timeout(ANSWER_S):
                return await question
        except (RedisError, OSError, TimeoutError):
            self.away_until = self.clock.monotonic() + AWAY_S
            log.warning("cache_away", reason="redis away")
            return _AWAY


_AWAY = object()


def _close(question: Awaitable[Any]) -> None:
    close = getattr(question, "close", None)
    if close is not None:
        close()


def name_of(org_id: UUID, kind: Kind[Any], key: object, number: int) -> str:
    """Under which a value is kept. The organisation comes first: nothing is kept without one."""
    if not isinstance(org_id, UUID):
        raise TypeError("a cached value belongs to an organisation")
    return f"{{{org_id}}}:{kind.name}:{key}:v{number}"


def _anywhere() -> int:
    return secrets.randbits(48)


def _count_name(org_id: UUID, kind: Kind[Any]) -> str:
    return f"waypost:cache:{{{org_id}}}:{kind.name}:n"


def _put(values: OrderedDict[str, Kept], name: str, kept: Kept, most: int) -> None:
    """The oldest goes first."""
    values.pop(name, None)
    values[name] = kept
    while len(values) > most:
        values.popitem(last=False)


def sizes(cache: Cache) -> Mapping[str, int]:
    """How many values of each kind this process holds."""
    return {name: len(values) for name, values in cache.memory.items()}
