"""The client rule of a room: the cases for clients in any language, and whatever the network does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from waypost.client.room import MAX_KEPT, MAX_REJOIN_WAIT_S, Mark, Room, RoomEvent, missed_of, placed, rejoin_wait_s

CASES = json.loads((Path(__file__).resolve().parents[2] / "docs" / "client-rule.json").read_text())


def event(seq: int, first: int | None = None, epoch: str = "a") -> RoomEvent:
    return RoomEvent("trip:location", {}, epoch, seq, seq if first is None else first)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_cases_that_every_client_has_to_pass(case: dict[str, Any]):
    room = Room()
    for step in case["steps"]:
        applied: list[RoomEvent] = []
        match step["do"]:
            case "begin":
                since = room.begin()
                assert (since and since._asdict()) == step["since"]
            case "receive":
                received = placed("trip:location", step["event"])
                assert received is not None
                applied = room.receive(received)
            case "joined":
                ack = step["ack"]
                applied = room.joined(Mark(ack["epoch"], ack["seq"]), missed_of(ack))
            case "lost":
                room.lost()
        assert [each.seq for each in applied] == step.get("applies", [])
        assert room.needs_join == step.get("needsJoin", False)


def test_more_events_than_are_kept_leave_a_gap_that_is_seen():
    room = Room()
    room.begin()
    for seq in range(1, MAX_KEPT + 500):
        room.receive(event(seq))
    assert room.joined(Mark("a", 0)) == []
    assert room.needs_join


def test_an_event_without_a_place_is_none_of_a_room():
    for payload in (None, [], {}, {"epoch": "a"}, {"epoch": 1, "seq": 2}, {"epoch": "a", "seq": "2"}):
        assert placed("trip:location", payload) is None
    read = placed("trip:event", {"epoch": "a", "seq": 7, "from": 5, "eventId": "e"})
    assert read is not None
    assert (read.epoch, read.first, read.seq, read.event_id) == ("a", 5, 7, "e")


def test_an_ack_says_whether_it_recovers():
    assert missed_of({"recovered": False, "missed": []}) is None
    found = missed_of({"recovered": True, "missed": [{"event": "trip:event", "data": {"epoch": "a", "seq": 7}}]})
    assert found is not None
    assert [(each.name, each.seq) for each in found] == [("trip:event", 7)]


@given(st.floats(0, 1, exclude_max=True))
def test_the_wait_before_joining_again_is_at_most_two_seconds(jitter: float):
    assert 0 <= rejoin_wait_s(jitter) <= MAX_REJOIN_WAIT_S


class AnyNetwork(RuleBasedStateMachine):
    """A room's server with a log that may be trimmed or lost, a client, and a network between that loses, repeats,
    joins and holds back what it likes. The state of a client is what it has applied.

    At every moment that is the truth as of its place, or a join is pending; once the network is good, it is the truth.
    """

    def __init__(self) -> None:
        super().__init__()
        self.room = Room()
        self.life = 0
        self.log = list[int]()  # numbers of this epoch that the server still has
        self.seq = 0
        self.under_way = list[RoomEvent]()
        self.ack: Callable[[], tuple[Mark, list[RoomEvent] | None]] | None = None
        self.state: tuple[str, int] | None = None  # what the client shows: everything of an epoch up to a number
        self.connected = False

    @property
    def epoch(self) -> str:
        return f"life {self.life}"

    def apply(self, events: Sequence[RoomEvent]) -> None:
        for each in events:
            assert self.state is not None
            epoch, seq = self.state
            assert (each.epoch, each.first <= seq + 1, each.seq > seq) == (epoch, True, True)
            self.state = (epoch, each.seq)

    @rule(count=st.integers(1, 4))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.seq += 1
            self.log.append(self.seq)
            if self.connected:
                self.under_way.append(event(self.seq, epoch=self.epoch))

    @rule()
    def redis_is_emptied(self) -> None:
        self.life += 1
        self.seq, self.log = 0, []

    @rule(keep=st.integers(0, 5))
    def the_log_is_trimmed(self, keep: int) -> None:
        self.log = self.log[len(self.log) - min(keep, len(self.log)) :]

    @precondition(lambda self: self.under_way)
    @rule(at=st.integers(0, 30))
    def an_event_is_lost(self, at: int) -> None:
        del self.under_way[at % len(self.under_way)]

    @precondition(lambda self: self.under_way)
    @rule(at=st.integers(0, 30), to=st.integers(0, 30))
    def an_event_is_repeated_or_overtaken(self, at: int, to: int) -> None:
        self.under_way.insert(to % len(self.under_way), self.under_way[at % len(self.under_way)])

    @precondition(lambda self: len(self.under_way) > 1)
    @rule(at=st.integers(0, 30))
    def two_events_are_joined(self, at: int) -> None:
        at %= len(self.under_way) - 1
        first, second = self.under_way[at : at + 2]
        if first.epoch == second.epoch and first.seq + 1 == second.first:
            self.under_way[at : at + 2] = [second._replace(first=first.first)]

    @precondition(lambda self: self.under_way)
    @rule()
    def an_event_arrives(self) -> None:
        self.apply(self.room.receive(self.under_way.pop(0)))

    @rule()
    def the_connection_is_lost(self) -> None:
        self.connected, self.ack = False, None
        self.under_way.clear()
        self.room.lost()

    @precondition(lambda self: self.ack is None and (not self.connected or self.room.needs_join))
    @rule()
    def it_joins(self) -> None:
        """The server puts it into the room and reads the log; the ack comes whenever the network likes."""
        self.connected = True
        since = self.room.begin()
        place = Mark(self.epoch, self.seq)
        missed = None
        if since is not None and since.epoch == self.epoch:
            newer = [seq for seq in self.log if seq > since.seq]
            if newer == list(range(since.seq + 1, self.seq + 1)):
                missed = [event(seq, epoch=self.epoch) for seq in newer]
        self.ack = lambda: (place, missed)

    @precondition(lambda self: self.ack is not None)
    @rule()
    def the_ack_arrives(self) -> None:
        assert self.ack is not None
        (place, missed), self.ack = self.ack(), None
        if missed is None:
            self.state = (place.epoch, place.seq)
        self.apply(self.room.joined(place, missed))

    @invariant()
    def it_shows_what_was_true_at_its_place(self) -> None:
        if self.room.mark is not None:
            assert self.state == self.room.mark

    def teardown(self) -> None:
        """The network is good from now on; one more event, and all that is pending is done."""
        if not self.connected:
            self.it_joins()
        self.publish(1)
        for _ in range(6):
            while self.under_way:
                self.an_event_arrives()
            if self.ack is not None:
                self.the_ack_arrives()
            elif self.room.needs_join:
                self.it_joins()
        assert self.state == (self.epoch, self.seq)


TestAnyNetwork = AnyNetwork.TestCase
