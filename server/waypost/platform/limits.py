"""Rate limits: counted in Redis over all nodes; on this node alone while Redis is away, never "no" because of it.

Several are counted one after another, and what was counted is given back when a later one is used up: no one script can
ask them all, since a cluster keeps them on different nodes. None is ever exceeded; what is about to be given back may
for a moment keep out somebody else.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from waypost.kernel.clock import Clock
from waypost.kernel.errors import TooMany
from waypost.platform.telemetry import log

PREFIX = "waypost:limit"
ANSWER_S = 0.25  # a limit is not worth waiting longer for
LOCAL_FOR_S = 2.0  # after Redis failed, so long nobody asks it

# One limit's two windows as `limits` keeps them: KEYS[1] the one before, KEYS[2] the present one, which lives for two
# lengths from its start (all in ms). It goes back to the one it was counted in, never below nothing; when that is in
# doubt, to the one before, which weighs less: so never more is given back than was counted.
GIVE_BACK = """
local length, cost, ago = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local window, age = KEYS[2], 2 * length - redis.call('pttl', KEYS[2])
if ago >= age and redis.call('exists', KEYS[1]) == 1 then
    window = KEYS[1]
end
local back = math.min(tonumber(redis.call('get', window) or 0), cost)
if back > 0 then
    redis.call('decrby', window, back)
end
"""


class RateLimited(TooMany):
    """Too many requests in a minute; wait as long as `Retry-After` says."""

    code = "rate-limited"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many of something a minute, or in ``minutes``. ``name`` keeps its counts apart from those of other limits."""

    name: str
    a_minute: int
    minutes: int = 1

    @property
    def item(self) -> RateLimitItem:
        return RateLimitItemPerMinute(self.a_minute, self.minutes, namespace=self.name)


@dataclass(frozen=True, slots=True)
class Share:
    """One count against one limit: ``key`` names whose."""

    limit: Limit
    key: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What was counted, so that it can be given back. ``since``: by the monotonic clock, just before; ``here``: on this
    node alone.
    """

    share: Share
    cost: int
    since: float
    here: bool


@dataclass(slots=True)
class Limiter:
    """Counts over a sliding minute (the ``limits`` package); Redis and memory forget a count after its minute."""

    redis: Redis
    clock: Clock
    shared: Storage = field(init=False)
    local: MemoryStorage = field(default_factory=MemoryStorage)
    local_until: float = 0.0
    answer_s: float = ANSWER_S

    def __post_init__(self) -> None:
        pool: Any = self.redis.connection_pool  # it has the address: the one below is only read for its kind
        self.shared = RedisStorage(
            "async+redis://the-pool:6379", implementation="redispy", key_prefix=PREFIX, connection_pool=pool
        )

    async def spend(self, shares: Sequence[Share], cost: int = 1) -> tuple[Spent, ...]:
        """Count ``cost`` against each, or against none. ``RateLimited`` names the first that is used up, and when it is
        not any more.
        """
        spent: list[Spent] = []
        try:
            for share in shares:
                if (counted := await self._hit(share, cost)) is None:
                    break
                spent.append(counted)
            else:
                return tuple(spent)
        except BaseException:
            await self.give_back(spent)
            raise
        await self.give_back(spent)
        raise await self._refusal(shares[len(spent)])

    async def give_back(self, spent: Sequence[Spent]) -> None:
        """Nothing came of it. To be called once; if Redis does not answer, the count stays until its time is over."""
        try:
            async with asyncio.timeout(self.answer_s):
                for each in spent:
                    await self._give_back(each)
        except (RedisError, OSError, TimeoutError):
            self._count_here()

    async def _give_back(self, spent: Spent) -> None:
        item, ago_s = spent.share.limit.item, self.clock.monotonic() - spent.since
        key, length_s = item.key_for(spent.share.key), item.get_expiry()
        if ago_s >= length_s:
            return
        if spent.here:
            _, window = self.local.sliding_window_keys(key, length_s, self.clock.now().timestamp() - ago_s)
            if (left := await self.local.get(window)) > 0:
                await self.local.decr(window, min(spent.cost, left))
            return
        windows = f"{PREFIX}:{{{key}}}/-1", f"{PREFIX}:{{{key}}}"  # as `limits` names them: on one node of a cluster
        await self.redis.eval(GIVE_BACK, 2, *windows, length_s * 1000, spent.cost, math.ceil(ago_s * 1000))  # type: ignore[misc, arg-type]  # takes numbers too

    async def _hit(self, share: Share, cost: int) -> Spent | None:
        """Count it, if there is room."""
        since = self.clock.monotonic()
        if since >= self.local_until:
            try:
                async with asyncio.timeout(self.answer_s):
                    has_room = await _window(self.shared).hit(share.limit.item, share.key, cost=cost)
                return Spent(share, cost, since, here=False) if has_room else None
            except (RedisError, OSError, TimeoutError):
                self._count_here()
        since = self.clock.monotonic()
        has_room = await _window(self.local).hit(share.limit.item, share.key, cost=cost)
        return Spent(share, cost, since, here=True) if has_room else None

    def _count_here(self) -> None:
        self.local_until = self.clock.monotonic() + LOCAL_FOR_S
        log.warning("limits_local", reason="redis away")

    async def _refusal(self, share: Share) -> RateLimited:
        storage = self.local if self.clock.monotonic() < self.local_until else self.shared
        try:
            async with asyncio.timeout(self.answer_s):
                stats = await _window(storage).get_window_stats(share.limit.item, share.key)
            wait_s = max(1, math.ceil(stats.reset_time - self.clock.now().timestamp()))
        except (RedisError, OSError, TimeoutError):
            wait_s = 60
        headers = {
            "RateLimit-Limit": str(share.limit.a_minute),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(wait_s),
        }
        return RateLimited(
            retry_after_s=wait_s, headers=headers, limit=share.limit.name, limitPerMinute=share.limit.a_minute
        )


def _window(storage: Storage) -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(storage)
