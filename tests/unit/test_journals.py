"""What the storm's check finds in a client's journal."""

from __future__ import annotations

import pytest

from tests.e2e.journals import Journal, contradictions


def good() -> Journal:
    return Journal(
        "good",
        wire=[(1, "t", "a", 4, 4), (1, "t", "a", 5, 7), (1, "t", "a", 9, 8), (2, "t", "a", 6, 6), (2, "t", "b", 1, 1)],
        steps={"t": [("snapshot", "a", 3, 3, None), ("event", "a", 4, 4, "x"), ("event", "a", 4, 7, "y"),
                     ("missed", "a", 8, 8, "z"), ("snapshot", "b", 1, 1, None), ("event", "b", 2, 2, "x")]},
        events={"t": [(None, "trip", 1), ("e1", "trip", 2), ("e3", "trip", 4), ("e2", "trip", 3)]},
        places={"v": [("snapshot", "12:05", None), ("event", "12:07", None), ("event", "12:06", "12:07"),
                      ("snapshot", "12:01", None), ("event", "12:01", None)]},
    )  # fmt: skip


def test_nothing_is_found_where_nothing_is_wrong():
    assert good().faults() == []
    assert good().lacks("t", {"trip": 4}) == []
    assert contradictions([good(), good()]) == []


@pytest.mark.parametrize(
    "added",
    [(1, "t", "a", 7, 7), (1, "t", "a", 3, 3), (1, "t", "a", 7, 9)],
    ids=["a repeat", "a reorder", "numbers told twice"],
)
def test_a_wire_that_repeats_or_reorders_is_found(added: tuple[object, ...]):
    journal = good()
    journal.wire.append(added)
    assert len(journal.faults()) == 1


@pytest.mark.parametrize(
    "added",
    [("event", "b", 4, 4, "x"), ("event", "b", 2, 2, "x"), ("event", "a", 3, 3, "x"), ("missed", "b", 4, 5, "x")],
    ids=["a gap", "a repeat", "another epoch", "a recovery with a hole"],
)
def test_a_step_that_does_not_follow_is_found(added: tuple[object, ...]):
    journal = good()
    journal.steps["t"].append(added)
    assert len(journal.faults()) == 1


def test_a_beginning_without_a_snapshot_is_found():
    journal = good()
    del journal.steps["t"][0]
    assert journal.faults() == ["good: t begins without a snapshot"]


def test_an_event_shown_twice_is_found():
    journal = good()
    journal.events["t"].append(("e1", "trip", 2))
    assert journal.faults() == ["good: t: 1 events shown twice"]


def test_a_place_that_goes_back_is_found():
    journal = good()
    journal.places["v"].append(("event", "12:00", "11:00"))
    assert journal.faults() == ["good: v went back from 12:01 to 12:00"]


def test_a_version_that_nobody_told_of_is_found():
    journal = good()
    journal.events["t"].remove(("e2", "trip", 3))
    assert journal.lacks("t", {"trip": 4}) == ["good, t: version 3 of trip"]
    assert journal.lacks("t", {"other": 1}) == ["good, t: version 1 of other"]


def test_two_clients_that_were_told_different_things_are_found():
    other = good()
    other.steps["t"][1] = ("event", "a", 4, 4, "something else")
    assert len(contradictions([good(), other])) == 1
