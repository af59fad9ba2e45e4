"""Several limits at once: all of them count it, or none does; whatever a node gives back, none is ever exceeded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from limits.aio.storage import MemoryStorage

from tests.fakes.clock import FakeClock
from waypost.kernel.clock import Clock, SystemClock
from waypost.platform.limits import PREFIX, Limit, Limiter, RateLimited, Share
from waypost.platform.redis import open_redis
from waypost.wiring import Services

AGES = 1_000_000  # minutes: no test sees a window end unless it ends one
HOUR_MS = 3_600_000


def patient(services: Services, clock: Clock | None = None) -> Limiter:
    """One that waits for Redis as long as a busy machine takes."""
    return Limiter(services.redis, clock or SystemClock(), answer_s=60)


def share(name: str, room: int, minutes: int = AGES) -> Share:
    return Share(Limit(name, room, minutes), "somebody")


async def has_room(limiter: Limiter, *shares: Share) -> bool:
    """Count it; did it fit?"""
    with suppress(RateLimited):
        await limiter.spend(shares)
        return True
    return False


async def room(limiter: Limiter, of: Share) -> int:
    """What is left of it; it is used up afterwards."""
    left = 0
    while await has_room(limiter, of):
        left += 1
    return left


@pytest.fixture
async def away() -> AsyncIterator[Limiter]:
    """One that counts here, since no Redis answers."""
    redis = open_redis("unix:///nowhere/redis.sock")
    yield Limiter(redis, SystemClock())
    await redis.aclose()


@pytest.fixture(params=["in Redis", "here"])
async def limiter(request: pytest.FixtureRequest, services: Services, away: Limiter) -> Limiter:
    return away if request.param == "here" else patient(services)


async def test_what_a_later_limit_refuses_is_counted_by_none_of_them(limiter: Limiter):
    wide, wider, narrow = share("wide", 3), share("wider", 4), share("narrow", 1)
    await limiter.spend([wide, wider, narrow])
    for _ in range(9):
        with pytest.raises(RateLimited) as refused:
            await limiter.spend([wide, wider, narrow])
        assert refused.value.extra["limit"] == "narrow"
    assert (await room(limiter, wide), await room(limiter, wider), await room(limiter, narrow)) == (2, 3, 0)


async def test_what_came_to_nothing_makes_room_once(limiter: Limiter):
    one = share("one", 2)
    await limiter.spend([one])
    await limiter.give_back(await limiter.spend([one]))
    assert await room(limiter, one) == 1


async def test_more_than_one_is_given_back_as_it_was_counted(limiter: Limiter):
    wide, narrow = share("wide", 10), share("narrow", 4)
    await limiter.spend([wide], 2)
    with pytest.raises(RateLimited):
        await limiter.spend([wide, narrow], 5)
    assert await room(limiter, wide) == 8


async def test_two_workers_at_once_never_exceed_a_limit_and_leave_what_they_did_not_use(services: Services):
    workers = [patient(services) for _ in range(2)]
    wide, narrow = share("wide", 10), share("narrow", 4)
    fitted = await asyncio.gather(*(has_room(workers[n % 2], wide, narrow) for n in range(30)))
    assert sum(fitted) == 4
    assert (await room(workers[0], wide), await room(workers[1], narrow)) == (6, 0)


async def test_two_that_ask_in_opposite_orders_end_with_what_went_out_and_no_more(services: Services):
    workers = [patient(services) for _ in range(2)]
    a, b = share("a", 5), share("b", 5)
    orders = [(a, b), (b, a)]
    fitted = sum(await asyncio.gather(*(has_room(workers[n % 2], *orders[n % 2]) for n in range(20))))
    assert fitted <= 5
    assert (await room(workers[0], a), await room(workers[1], b)) == (5 - fitted, 5 - fitted)


async def test_it_goes_back_to_the_window_in_which_it_was_counted(services: Services):
    clock = FakeClock()
    limiter, hourly = patient(services, clock), share("hourly", 2, minutes=60)
    spent = await limiter.spend([hourly])
    window = f"{PREFIX}:{{{hourly.limit.item.key_for(hourly.key)}}}"
    assert await services.redis.pexpire(window, HOUR_MS - 60_000)  # it ended a minute ago
    assert await room(limiter, hourly) == 2  # the one before is worth a little less than one by now
    await clock.advance(600)
    await limiter.give_back(spent)
    assert await room(limiter, hourly) == 0
    assert (await services.redis.get(f"{window}/-1"), await services.redis.get(window)) == (b"0", b"2")


async def test_what_its_time_has_taken_is_not_given_back_again(services: Services):
    clock = FakeClock()
    limiter, hourly = patient(services, clock), share("hourly", 2, minutes=60)
    spent = await limiter.spend([hourly])
    await clock.advance(3600)
    await limiter.give_back(spent)
    assert await room(limiter, hourly) == 1


async def test_an_emptied_redis_has_nothing_to_give_back(services: Services):
    limiter, one = patient(services), share("one", 2)
    spent = await limiter.spend([one])
    await services.redis.flushall()
    await limiter.give_back(spent)
    assert await room(limiter, one) == 2


async def test_when_redis_goes_meanwhile_the_count_stays_and_nobody_is_the_worse(services: Services, away: Limiter):
    limiter, one = patient(services), share("one", 2)
    spent = await limiter.spend([one])
    await away.give_back(spent)
    assert await room(limiter, one) == 1


class Stuck(MemoryStorage):
    """Never says whether a limit of that name has room."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        if key.startswith("stuck"):
            self.asked.set()
            await asyncio.Event().wait()
        return await super().acquire_sliding_window_entry(key, limit, expiry, amount)


async def test_who_is_stopped_while_they_ask_has_counted_nothing(away: Limiter):
    away.local, one = Stuck(), share("one", 1)
    asking = asyncio.create_task(away.spend([one, share("stuck", 1)]))
    await away.local.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await room(away, one) == 1
