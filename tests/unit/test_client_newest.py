"""What a client shows once, and what it never shows going back; the same as dashboard/src/realtime/newest.test.ts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from waypost.client.newest import MAX_SEEN, NewestOfFleet, NewestOfTrip, Seen


def at(second: int) -> str:
    return f"2026-11-22T12:00:{second:02}.000Z"


def place(second: int, withdrawn: int | None = None, vehicle: str = "v") -> dict[str, Any]:
    taken = {} if withdrawn is None else {"withdrawn": at(withdrawn)}
    return {"vehicleId": vehicle, "recordedAt": at(second), **taken}


def test_a_repeat_is_known_by_its_id_and_the_oldest_of_many_are_forgotten():
    seen = Seen()
    assert [seen.is_repeat(each) for each in ("a", "b", "a", None, None)] == [False, False, True, False, False]
    for n in range(MAX_SEEN):
        seen.is_repeat(f"more {n}")
    assert [seen.is_repeat(each) for each in ("more 0", f"more {MAX_SEEN - 1}", "a")] == [True, True, False]


def test_no_vehicle_goes_back():
    newest = NewestOfFleet()
    newest.reset([place(5)])
    news = newest.news([place(4), place(4, vehicle="w"), place(6), place(5)])
    assert news == [place(4, vehicle="w"), place(6)]


def test_it_goes_back_only_from_what_is_taken_back():
    newest = NewestOfFleet()
    newest.reset([place(9)])
    assert newest.news([place(3, 8)]) == []
    assert newest.news([place(3, 9), place(4)]) == [place(3, 9), place(4)]
    assert newest.news([place(2, 7), place(5)]) == [place(2, 7), place(5)]


def test_a_snapshot_may_be_older():
    newest = NewestOfFleet()
    newest.reset([place(9)])
    newest.reset([place(5)])
    assert newest.news([place(6)]) == [place(6)]


@given(st.lists(st.tuples(st.sampled_from("vw"), st.integers(0, 59)), max_size=30))
def test_what_is_shown_of_a_vehicle_is_in_the_order_of_its_time(told: list[tuple[str, int]]):
    newest = NewestOfFleet()
    shown = newest.news([place(second, vehicle=vehicle) for vehicle, second in told])
    for vehicle in "vw":
        times = [each["recordedAt"] for each in shown if each["vehicleId"] == vehicle]
        assert times == sorted(times)
        assert times[-1:] == sorted(at(second) for each, second in told if each == vehicle)[-1:]


def test_a_trip_is_at_the_newest_of_its_fixes_that_stands():
    newest = NewestOfTrip()
    assert newest.position is None
    newest.reset(place(5))
    newest.apply([place(7), place(6)])
    newest.apply([place(4)])
    assert newest.position == place(7)
    newest.apply([], [at(7)])
    assert newest.position == place(6)
    newest.reset(None)
    assert newest.position is None
