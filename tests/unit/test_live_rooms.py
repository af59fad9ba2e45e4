"""Rooms that are heard on a node, against a model of a Redis that loses, skips, trims and forgets."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from waypost.realtime.events import Event, Place, outgoing
from waypost.realtime.live import WAITING_BYTES, WAITING_EVENTS, HeardRoom, LiveRooms

ROOM = "org:1:fleet"


def event(epoch: str, seq: int, text: str = "") -> Event:
    return Event(outgoing(ROOM, "fleet:positions", {"text": text}), Place(epoch, seq))


@dataclass
class Model:
    """Redis and one node that hears one room; ``under_way`` are messages on the link."""

    epoch: int = 1
    seq: int = 0
    log: dict[int, Event] = field(default_factory=dict)
    under_way: list[Event] = field(default_factory=list)
    told: list[Event | Place] = field(default_factory=list)
    answers: list[tuple[HeardRoom, Place, list[Event]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live = LiveRooms(self.told.append, lambda _, place: self.told.append(place))
        self.room = self.live.rooms[ROOM] = HeardRoom(ROOM)

    @property
    def counter(self) -> Place:
        return Place(f"{self.epoch:016x}", self.seq)

    def publish(self, *, lost: bool = False, own: bool = False, skip: int = 0) -> None:
        if skip:
            self.log.clear()
        self.seq += 1 + skip
        made = self.log[self.seq] = event(self.counter.epoch, self.seq)
        if not lost:
            self.under_way.append(made)
        if own:
            self.live.hear_own(made)

    def act(self, action: str) -> None:
        if action.startswith("publish"):
            self.publish(lost="lost" in action, own="here" in action, skip=int("gap" in action))
        else:
            {"empty": self.empty, "trim": self.trim, "hear": self.hear, "reconnect": self.reconnect,
             "ask": self.ask, "answer": self.answer}[action]()  # fmt: skip

    def empty(self) -> None:
        self.epoch, self.seq = self.epoch + 1, 0
        self.log.clear()

    def trim(self) -> None:
        self.log = dict(list(self.log.items())[len(self.log) // 2 + 1 :])

    def hear(self) -> None:
        arrived, self.under_way = self.under_way[:2], self.under_way[2:]
        for each in arrived:
            self.live.hear(each)

    def reconnect(self) -> None:
        self.under_way.clear()
        self.live.interrupt(ROOM)
        self.live.confirm(ROOM)

    def ask(self) -> None:
        for room in self.live.take_behind():
            since = room.since(self.counter)
            missed = [each for seq, each in self.log.items() if seq > since.seq]
            self.answers.append((room, self.counter, missed))

    def answer(self) -> None:
        if self.answers:
            self.live.settle(*self.answers.pop(0))

    def come_to_rest(self) -> None:
        """Everything arrives, the counters are compared, and whoever is behind asks until nobody is."""
        self.live.confirm(ROOM)
        for _ in range(5):
            while self.under_way:
                self.hear()
            if not self.room.knows(self.counter):
                self.live.fetch(self.room)
            while self.live.behind or self.answers:
                self.ask()
                self.answer()


ACTIONS = ["publish", "publish, lost", "publish here", "publish with a gap", "empty", "trim", "hear", "reconnect"]
# Hearing, asking and answering more often than the rest, or next to nothing would ever be told.
actions = st.lists(st.sampled_from([*ACTIONS, "publish", "publish", "hear", "hear", "ask", "answer", "ask", "answer"]))


@settings(max_examples=1500, deadline=None)
@given(actions)
def test_nothing_is_missing_unnoticed_nothing_comes_twice_and_the_end_is_reached(acted: list[str]):
    model = Model()
    model.live.confirm(ROOM)
    for action in acted:
        model.act(action)
    model.come_to_rest()
    last: Place | None = None
    for told in model.told:
        if isinstance(told, Event):
            place = Place(told.epoch, told.seq)
            assert last is None or place == Place(last.epoch, last.seq + 1), (last, place)
            last = place
        else:
            assert told != last, "a declaration that nothing is missing"
            last = told
    epochs = [told.epoch for told in model.told]
    assert epochs == sorted(epochs), "an epoch that has ended never comes back"
    assert model.room.place == model.counter
    assert model.room.waiting is None
    assert model.room.ready.is_set()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["publish", "publish, lost", "publish here", "hear", "reconnect", "ask", "answer"])))
def test_while_the_log_is_whole_every_event_is_told_and_none_is_declared_missing(acted: list[str]):
    model = Model()
    model.live.confirm(ROOM)
    model.ask()
    model.answer()
    for action in acted:
        model.act(action)
    model.come_to_rest()
    assert [told.seq for told in model.told] == list(range(1, model.seq + 1))
    assert all(isinstance(told, Event) for told in model.told)


def test_what_waits_is_bounded_and_what_did_not_fit_is_read_from_the_log():
    for text, count in (("", WAITING_EVENTS * 3), ("x" * (WAITING_BYTES // 10), 30)):
        model = Model()
        model.live.confirm(ROOM)
        model.ask()
        model.answer()
        model.publish(lost=True)
        held = 0
        for _ in range(count):
            model.seq += 1
            made = model.log[model.seq] = event(model.counter.epoch, model.seq, text)
            model.live.hear(made)
            assert model.room.waiting is not None
            held = max(held, len(model.room.waiting))
            assert sum(len(each.text) for each in model.room.waiting) <= WAITING_BYTES
        assert 1 < held <= WAITING_EVENTS
        while model.live.behind or model.answers:
            model.ask()
            model.answer()
        assert [told.seq for told in model.told] == list(range(1, count + 2))


def test_an_answer_to_a_question_that_was_overtaken_does_not_count():
    model = Model()
    model.live.confirm(ROOM)
    model.ask()
    model.live.confirm(ROOM)  # subscribed anew: what came between the two is not in that answer
    model.publish(lost=True)
    model.answer()
    assert not model.room.ready.is_set()
    model.come_to_rest()
    assert model.room.place == model.counter


def test_a_member_that_fails_to_take_an_event_does_not_silence_the_room():
    heard: list[int] = []

    def fail_first(each: Event) -> None:
        heard.append(each.seq)
        if each.seq == 1:
            raise RuntimeError("odd")

    live = LiveRooms(fail_first, lambda *_: None)
    room = live.rooms[ROOM] = HeardRoom(ROOM)
    live.settle(room, Place("e", 0), ())
    for seq in (1, 2):
        live.hear(event("e", seq))
    assert heard == [1, 2]
