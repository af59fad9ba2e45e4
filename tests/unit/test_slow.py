"""What waits for a member that is behind."""

from __future__ import annotations

import gc
import random
import sys
from typing import Any

import pytest

from waypost.realtime.events import Event, Place, outgoing
from waypost.realtime.letters import Letter
from waypost.realtime.slow import FOLD_EVENTS, Backlog, Item, size_of, written

EPOCH = "0123456789abcdef"


def moved(seq: int, *vehicles: str, room: str = "r", pad: str = "", epoch: str = EPOCH) -> Event:
    told = [{"vehicleId": v, "recordedAt": f"2026-11-22T10:00:00.{seq:06}Z", "pad": pad} for v in vehicles]
    return Event(outgoing(room, "fleet:positions", {"positions": told}), Place(epoch, seq))


def happened(seq: int, room: str = "r", pad: str = "") -> Event:
    return Event(outgoing(room, "trip:event", {"n": seq, "pad": pad}), Place(EPOCH, seq))


def span(item: Item) -> tuple[int, int]:
    assert isinstance(item, Event)
    return item.first, item.seq


@pytest.mark.parametrize("packed", [False, True])
def test_positions_that_follow_each_other_wait_as_one_and_events_by_themselves(packed: bool):
    backlog = Backlog(packed=packed)
    for item in (moved(1, "a"), moved(2, "b"), moved(3, "a"), happened(4), moved(5, "a"), moved(6, "a"), happened(7)):
        backlog.add(item)
    assert (len(backlog), backlog.conflated) == (4, 3)
    taken = backlog.take(10**6)
    assert [span(item) for item in taken] == [(1, 3), (4, 4), (5, 6), (7, 7)]
    joined = taken[0]
    assert isinstance(joined, Event)
    assert {p["vehicleId"]: p["recordedAt"][-7:] for p in joined.body["positions"]} == {"a": "000003Z", "b": "000002Z"}
    assert (len(backlog), backlog.size) == (0, 0)


def test_a_gap_another_room_and_another_epoch_are_never_joined_over():
    backlog = Backlog(packed=False)
    items = [
        moved(1, "a"),
        moved(3, "a"),
        moved(1, "a", room="s"),
        moved(2, "a", room="s"),
        moved(4, "a", epoch="f" * 16),
    ]
    for item in items:
        backlog.add(item)
    assert [span(item) for item in backlog.take(10**6)] == [(1, 1), (3, 3), (1, 2), (4, 4)]


def test_bytes_are_counted_as_they_would_be_written():
    backlog, rng = Backlog(packed=False), random.Random(5)  # noqa: S311 - guards nothing
    seqs: dict[str, int] = {}
    for _ in range(2000):
        room = rng.choice("pqr")
        seqs[room] = seqs.get(room, 0) + rng.choice((1, 1, 1, 2))
        if rng.random() < 0.8:
            backlog.add(moved(seqs[room], rng.choice("abc"), room=room, pad="x" * rng.randrange(400)))
        else:
            backlog.add(happened(seqs[room], room))
        if rng.random() < 0.3:
            before, taken = backlog.size, backlog.take(rng.randrange(1, 3000))
            assert sum(size_of(item, packed=False) for item in taken) <= before - backlog.size + 60 * len(taken)
    backlog.take(10**9)
    assert backlog.size == 0


def test_a_long_run_of_positions_needs_little_room():
    backlog = Backlog(packed=False)
    for seq in range(1, 10_001):
        backlog.add(moved(seq, f"v{seq % 10}", pad="x" * 100))
    assert len(backlog) == 1
    assert backlog.size < FOLD_EVENTS * 400
    assert [span(item) for item in backlog.take(1)] == [(1, 10_000)]


def test_it_is_over_by_bytes_or_by_events():
    backlog = Backlog(packed=False)
    for seq in range(1, 11):
        backlog.add(happened(seq, pad="x" * 1000))
    assert backlog.is_over(size=10_000, answers=10**9, events=100)
    assert backlog.is_over(size=10**6, answers=10**9, events=9)
    assert not backlog.is_over(size=10**6, answers=10**9, events=10)


def test_what_is_put_first_comes_first_and_take_takes_no_more_than_asked():
    backlog = Backlog(packed=False)
    for seq in (1, 2, 3):
        backlog.add(happened(seq))
    answer = Letter(b'40{"sid":"x"}')
    backlog.put_first(answer)
    assert backlog.take(1) == [answer]
    assert [span(item) for item in backlog.take(1)] == [(1, 1)]
    assert len(backlog) == 2


def test_positions_that_cannot_be_joined_are_all_delivered():
    def odd(seq: int) -> Event:
        return Event(outgoing("r", "fleet:positions", {"nothing": seq}), Place(EPOCH, seq))

    backlog = Backlog(packed=False)
    for seq in range(1, 200):
        backlog.add(odd(seq))
    assert [span(item) for item in backlog.take(10**6)] == [(seq, seq) for seq in range(1, 200)]


def test_while_nothing_waits_it_holds_no_memory():
    backlog = Backlog(packed=False)
    empty = sys.getsizeof(backlog)
    backlog.add(happened(1))
    backlog.take(1)
    assert not any(
        isinstance(held, (dict, list)) or type(held).__name__ == "deque" for held in gc.get_referents(backlog)
    )
    assert sys.getsizeof(backlog) == empty


def test_random_histories_lose_nothing_and_keep_their_order():
    """Whatever the mix: each room's numbers come out without a hole but those that went in with one."""
    for seed in range(50):
        rng, backlog = random.Random(seed), Backlog(packed=False)  # noqa: S311 - guards nothing
        seqs: dict[str, int] = {"p": 0, "q": 0}
        taken: list[Item] = []
        for _ in range(300):
            room = rng.choice("pq")
            seqs[room] += 1
            event: Any = moved(seqs[room], "a", room=room) if rng.random() < 0.7 else happened(seqs[room], room)
            backlog.add(event)
            if rng.random() < 0.1:
                taken += backlog.take(rng.randrange(1, 5000))
        taken += backlog.take(10**9)
        for room, last in seqs.items():
            expected = 1
            for item in taken:
                if isinstance(item, Event) and item.room == room:
                    assert item.first == expected
                    expected = item.seq + 1
            assert expected == last + 1


def test_frames_are_written_one_after_the_other():
    items: list[Item] = [happened(1), Letter(b"2"), Letter(packed=b"\x80")]
    assert written(items, packed=False) == happened(1).frame + b"\x81\x012" + b"\x82\x01\x80"
