"""What a device may send, and what an organisation may have waiting."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import FakeClock
from waypost.identity.domain import TrackingLimits
from waypost.tracking.shares import LONGEST_S, DeviceShares, DeviceTooFast, Overloaded, WaitingRoom

PHONE, NEWCOMER = UUID(int=1), UUID(int=99)
LIMITS = TrackingLimits()
NONE = TrackingLimits(requests_per_s=0, fixes_per_s=0)


def sent(shares: DeviceShares, fixes: int, times: int, limits: TrackingLimits = LIMITS) -> int:
    """How many of so many requests were let through."""
    taken = 0
    for _ in range(times):
        try:
            shares.spend(PHONE, fixes, limits)
        except DeviceTooFast:
            continue
        taken += 1
    return taken


def knocked(shares: DeviceShares, times: int) -> int:
    """How many of so many knocks were answered."""
    count = 0
    for _ in range(times):
        with suppress(DeviceTooFast):
            shares.knock(PHONE)
            count += 1
    return count


async def test_ten_requests_a_second_are_let_through_for_ever_and_no_more():
    shares = DeviceShares(clock := FakeClock())
    assert sent(shares, 1, 500) == 100  # what ten seconds allow, at once
    for _ in range(100):
        await clock.advance(1)
        assert sent(shares, 1, 50) == 10


async def test_who_knocks_is_counted_though_nothing_is_read_and_once_only():
    shares = DeviceShares(clock := FakeClock())
    assert knocked(shares, 500) == 100
    await clock.advance(10)
    for _ in range(100):
        shares.knock(PHONE)
        shares.spend(PHONE, 1, LIMITS, requests=0)
    assert knocked(shares, 5) == 0


async def test_the_limits_of_who_knocks_are_those_that_were_heard_last():
    shares = DeviceShares(FakeClock())
    shares.spend(PHONE, 1, TrackingLimits(requests_per_s=1))
    assert knocked(shares, 500) == 9
    shares = DeviceShares(FakeClock())
    for _ in range(1000):
        shares.knock(PHONE)
        shares.spend(PHONE, 1000, NONE, requests=0)


async def test_the_backlog_of_a_tunnel_comes_at_once_and_a_hundred_fixes_a_second_after_it():
    shares = DeviceShares(clock := FakeClock())
    assert sent(shares, 1000, 20) == 6
    await clock.advance(10)
    assert sent(shares, 1000, 2) == 1
    await clock.advance(60)
    assert sent(shares, 1000, 20) == 6


async def test_who_waits_as_long_as_is_said_is_let_in_and_not_before():
    shares = DeviceShares(clock := FakeClock())
    sent(shares, 1000, 6)
    with pytest.raises(DeviceTooFast) as refused:
        shares.spend(PHONE, 1000, LIMITS)
    error = refused.value
    assert error.retry_after_s == 10
    assert error.headers == {"RateLimit-Limit": "6000", "RateLimit-Remaining": "0", "RateLimit-Reset": "10"}
    assert (error.extra["limit"], error.extra["limitPerSecond"], error.extra["retryAfter"]) == ("device-fixes", 100, 10)
    await clock.advance(9.9)
    assert sent(shares, 1000, 1) == 0
    await clock.advance(0.1)
    assert sent(shares, 1000, 1) == 1


def test_nobody_else_waits_for_a_mad_phone():
    shares = DeviceShares(FakeClock())
    sent(shares, 1000, 10_000)
    shares.spend(uuid4(), 1000, LIMITS)


async def test_a_batch_above_the_whole_allowance_passes_once_nothing_is_spent():
    slow = TrackingLimits(fixes_per_s=1)
    shares = DeviceShares(clock := FakeClock())
    assert sent(shares, 1000, 3, slow) == 1
    await clock.advance(999)
    assert sent(shares, 1000, 3, slow) == 0
    await clock.advance(1)
    assert sent(shares, 1000, 3, slow) == 1


async def test_no_device_waits_longer_than_an_hour():
    hardly = TrackingLimits(requests_per_s=1e-300, fixes_per_s=1e-300)
    shares = DeviceShares(clock := FakeClock())
    assert sent(shares, 1, 2, hardly) == 1
    with pytest.raises(DeviceTooFast) as refused:
        shares.spend(PHONE, 1, hardly)
    assert refused.value.retry_after_s == LONGEST_S
    await clock.advance(LONGEST_S)
    assert sent(shares, 1, 1, hardly) == 1


async def test_nought_is_no_limit_and_a_limit_that_is_lifted_is_lifted_at_once():
    shares = DeviceShares(FakeClock())
    assert sent(shares, 1000, 1000, NONE) == 1000
    sent(shares, 1000, 100)
    assert sent(shares, 1000, 100, NONE) == 100
    assert sent(shares, 1000, 100) == 6


async def test_devices_that_are_silent_are_forgotten_and_their_debts_are_not():
    shares = DeviceShares(clock := FakeClock())
    sent(shares, 1, 200)
    for n in range(2, 5000):
        shares.spend(UUID(int=n), 1, LIMITS)
    assert sent(shares, 1, 1) == 0
    await clock.advance(5)
    assert sent(shares, 1, 200) == 50
    await clock.advance(60)
    for _ in range(5000):
        shares.spend(UUID(int=7), 0, NONE)
    assert len(shares.devices) <= 1


def entered(room: WaitingRoom, org: UUID, many: int, times: int = 1) -> int:
    """How often it was let in."""
    count = 0
    for _ in range(times):
        with suppress(Overloaded):
            room.enter(org, many)
            count += 1
    return count


@given(sizes=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 1000)), max_size=200), seed=st.integers(0, 2**32))
def test_a_waiting_room_never_holds_more_than_it_has_places_and_always_has_some_for_a_newcomer(
    sizes: list[tuple[int, int]], seed: int
):
    room, random = WaitingRoom(10_000), Random(seed)  # noqa: S311 - test data
    waiting: list[tuple[UUID, int]] = []
    for org, many in sizes:
        if entered(room, UUID(int=org), many) == 1:
            waiting.append((UUID(int=org), many))
        if waiting and random.random() < 0.2:
            room.leave(*waiting.pop(random.randrange(len(waiting))))
        assert room.taken == sum(many for _, many in waiting) <= room.places
        room.enter(NEWCOMER, 1)
        room.leave(NEWCOMER, 1)
    for one in waiting:
        room.leave(*one)
    assert (room.taken, room.by_org, room.fullness) == (0, {}, 0)


def test_one_organisation_has_four_fifths_of_the_room_and_of_two_each_gets_its_share():
    room, one, other = WaitingRoom(9_000), UUID(int=1), UUID(int=2)
    assert entered(room, one, 10, 2_000) == 720
    assert entered(room, other, 10, 2_000) > 100
    assert entered(room, one, 10) == 0
    room = WaitingRoom(9_000)
    for _ in range(2_000):
        entered(room, one, 10)
        entered(room, other, 10)
    assert abs(room.by_org[one] - 4_000) < 300
    assert abs(room.by_org[other] - 4_000) < 300


async def test_what_was_not_stored_is_given_back():
    shares = DeviceShares(clock := FakeClock())
    for _ in range(50):
        shares.spend(PHONE, 6000, LIMITS)
        shares.give_back(PHONE, 6000)
        await clock.advance(0.2)
    assert sent(shares, 1000, 20) == 6
    shares.give_back(uuid4(), 5)
    shares.spend(PHONE, 1, NONE)
    shares.give_back(PHONE, 10**9)
    assert sent(shares, 1000, 20) <= 6
