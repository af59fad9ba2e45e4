"""Rate limits: counted in Redis over all nodes; on this node alone while Redis is away, never "no" because of it."""

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


@dataclass(slots=True)
class Limiter:
    """Counts over a sliding minute (the ``limits`` package); Redis and memory forget a count after its minute."""

    redis: Redis
    clock: Clock
    shared: Storage = field(init=False)
    local: Storage = field(default_factory=MemoryStorage)
    local_until: float = 0.0

    def __post_init__(self) -> None:
        pool: Any = self.redis.connection_pool  # it has the address: the one below is only read for its kind
        self.shared = RedisStorage(
            "async+redis://the-pool:6379", implementation="redispy", key_prefix=PREFIX, connection_pool=pool
        )

    async def spend(self, shares: Sequence[Share], cost: int = 1) -> None:
        """Count ``cost`` against each. ``RateLimited`` names the first that is used up, and when it is not any more."""
        for share in shares:
            if not await self._hit(share, cost):
                raise await self._refusal(share)

    async def _hit(self, share: Share, cost: int) -> bool:
        if self.clock.monotonic() >= self.local_until:
            try:
                async with asyncio.timeout(ANSWER_S):
                    return bool(await _window(self.shared).hit(share.limit.item, share.key, cost=cost))
            except (RedisError, OSError, TimeoutError):
                self.local_until = self.clock.monotonic() + LOCAL_FOR_S
                log.warning("limits_local", reason="redis away")
        return bool(await _window(self.local).hit(share.limit.item, share.key, cost=cost))

    async def _refusal(self, share: Share) -> RateLimited:
        storage = self.local if self.clock.monotonic() < self.local_until else self.shared
        try:
            async with asyncio.timeout(ANSWER_S):
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
