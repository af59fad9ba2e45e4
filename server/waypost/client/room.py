"""The client rule of a room, without any socket.

Every event of a room carries ``epoch`` (the life of the room's counter) and ``seq`` (its place in it). A conflated
event stands for several and says ``from``, the first ``seq`` it stands for. The ack of a join says where its snapshot
stands.

1. From the moment of joining until the ack, keep events; then go through them in order.
2. Drop an event whose ``seq`` is not beyond ours: the snapshot or an earlier event holds it.
3. A gap (``from``, else ``seq``, beyond ours + 1) or another ``epoch`` means that something is missing: join again with
   ``since``, after a random wait of at most ``MAX_REJOIN_WAIT_S``, so that a crowd does not return at once.
4. After a reconnect of the socket, join again with ``since``.
5. An ack either recovers (apply its ``missed`` on what you have) or brings a snapshot (replace what you have).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

MAX_REJOIN_WAIT_S = 2.0
MAX_KEPT = 1_000  # while waiting for an ack; then the oldest go, and the gap that leaves is seen as one


class Mark(NamedTuple):
    """A place in a room."""

    epoch: str
    seq: int


class RoomEvent(NamedTuple):
    """An event with its place. ``first``: of the numbers that it stands for."""

    name: str
    payload: Mapping[str, Any]
    epoch: str
    seq: int
    first: int

    @property
    def event_id(self) -> str | None:
        """Under which a repeat of it is known."""
        found = self.payload.get("eventId")
        return found if isinstance(found, str) else None


class State(Enum):
    """Of a client in a room."""

    OUT = "out"
    JOINING = "joining"
    IN = "in"
    BEHIND = "behind"


@dataclass(slots=True)
class Room:
    """``begin`` before sending the join, ``receive`` for each event, ``joined`` with the ack.

    Whatever they return is to be applied, in that order; ``needs_join`` then says whether to join again.
    """

    state: State = State.OUT
    mark: Mark | None = None
    _kept: deque[RoomEvent] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))

    @property
    def needs_join(self) -> bool:
        """A gap or another epoch was seen: join again after ``rejoin_wait_s``."""
        return self.state is State.BEHIND

    def begin(self) -> Mark | None:
        """A join is about to be sent; the result is its ``since``, None on the first."""
        self.state = State.JOINING
        return self.mark

    def receive(self, event: RoomEvent) -> list[RoomEvent]:
        """An event came. What to apply now: the event itself, or nothing."""
        if self.state is State.IN and self.mark is not None:
            is_ours = event.epoch == self.mark.epoch
            if is_ours and event.seq <= self.mark.seq:
                return []
            if is_ours and event.first <= self.mark.seq + 1:
                self.mark = Mark(event.epoch, event.seq)
                return [event]
            self.state = State.BEHIND
        self._kept.append(event)
        return []

    def joined(self, ack: Mark, missed: Sequence[RoomEvent] | None = None) -> list[RoomEvent]:
        """The ack came. ``missed``: what it recovered, in order; None: it holds a snapshot, to be applied first.

        The missed events and then the kept ones that go beyond them. What is said to be recovered but does not join
        what we have to the ack's place is not believed: the next join asks for a snapshot.
        """
        if missed is not None and not self._connects(missed, ack):
            self.mark, self.state = None, State.BEHIND
            return []
        self.mark, self.state = ack, State.IN
        return [*(missed or ()), *self._release(ack.epoch)]

    def lost(self) -> None:
        """The socket is gone: events are kept again from the next join on."""
        self.state = State.OUT
        self._kept.clear()

    def _connects(self, missed: Sequence[RoomEvent], ack: Mark) -> bool:
        """Do they lead, without a hole, from where we are to where the ack says that we are?"""
        if self.mark is None or self.mark.epoch != ack.epoch:
            return False
        seq = self.mark.seq
        for event in missed:
            if event.epoch != ack.epoch or not event.first - 1 <= seq < event.seq:
                return False
            seq = event.seq
        return seq == ack.seq

    def _release(self, epoch: str) -> list[RoomEvent]:
        """What was kept of another epoch than the ack's, before anything of its own, is of the room's former life. What
        came after, or without any of its own, may be of the next life: then the room is behind again.
        """
        kept = list(self._kept)
        self._kept.clear()
        begin = next((at for at, event in enumerate(kept) if event.epoch == epoch), 0)
        return [each for event in kept[begin:] for each in self.receive(event)]


def placed(name: str, payload: object) -> RoomEvent | None:
    """An event that has a place in a room; None for one that has none."""
    if not isinstance(payload, Mapping):
        return None
    epoch, seq, first = payload.get("epoch"), payload.get("seq"), payload.get("from")
    if not isinstance(epoch, str) or not isinstance(seq, int):
        return None
    return RoomEvent(name, payload, epoch, seq, first if isinstance(first, int) else seq)


def missed_of(ack: Mapping[str, Any]) -> list[RoomEvent] | None:
    """What an ack recovered; None if it holds a snapshot."""
    if not ack.get("recovered"):
        return None
    found = [placed(str(each.get("event")), each.get("data")) for each in ack.get("missed") or ()]
    return [event for event in found if event is not None]


def rejoin_wait_s(jitter: float) -> float:
    """How long to wait before joining again; ``jitter`` in [0, 1)."""
    return jitter * MAX_REJOIN_WAIT_S
