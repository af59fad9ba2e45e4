"""What waits for a member that cannot take it now: in order, counted in bytes, bounded.

Of positions only the newest counts, so that those of one room that follow each other without a gap wait as one; an
event is never joined to another and never left out. Who is too far behind is not served any further: the caller looks
at ``is_over`` after each ``add``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from waypost.realtime.conflate import can_join, joined_or_each
from waypost.realtime.events import Event
from waypost.realtime.letters import Letter

# Joining costs time for each event and each member, so that a run is joined only once it has this much.
FOLD_EVENTS = 64
FOLD_BYTES = 64 * 1024

Item = Letter | Event


class _Run:
    """Positions of one room that wait as one. Most of many are one only: for that no list is made."""

    __slots__ = ("event", "more", "size")

    def __init__(self, event: Event, size: int) -> None:
        self.event = event
        self.more: list[Event] | None = None
        self.size = size

    @property
    def events(self) -> list[Event]:
        """All of them."""
        return [self.event, *(self.more or ())]

    @property
    def last(self) -> Event:
        """The newest."""
        return self.more[-1] if self.more else self.event

    def add(self, event: Event, size: int) -> int:
        """Take one more; how many they are now."""
        if self.more is None:
            self.more = []
        self.more.append(event)
        self.size += size
        return len(self.more) + 1


def size_of(item: Item, *, packed: bool) -> int:
    """How many bytes it is as a frame."""
    return len(item.packed_frame if packed else item.frame)


class Backlog:
    """Its memory is there only while something waits. Not shared between connections."""

    __slots__ = ("_items", "_open", "_packed", "asked", "conflated", "size")

    def __init__(self, *, packed: bool) -> None:
        self._packed = packed
        self._items: deque[Item | _Run] | None = None
        self._open: dict[str, _Run] | None = None  # per room the run that its next position may still join
        self.size = 0  # bytes, were it all written as frames
        self.asked = 0  # of these what it asked for itself: answers may be large, and nobody is slow for that
        self.conflated = 0  # events that left, or will leave, as part of another

    def __len__(self) -> int:
        return len(self._items) if self._items is not None else 0

    def is_over(self, *, size: int, answers: int, events: int) -> bool:
        """Is more waiting than anybody may leave waiting? ``size``: of what was not asked for."""
        return self.size - self.asked > size or self.asked > answers or len(self) > events

    def add(self, item: Item) -> None:
        """Put it behind what waits."""
        size = size_of(item, packed=self._packed)
        self.size += size
        if isinstance(item, Letter):
            self.asked += size
        items, runs = self._begun()
        if isinstance(item, Event) and item.is_latest:
            self._add_latest(items, runs, item, size)
        else:
            items.append(item)

    def put_first(self, item: Item) -> None:
        """Put it before everything that waits."""
        size = size_of(item, packed=self._packed)
        self.size += size
        if isinstance(item, Letter):
            self.asked += size
        self._begun()[0].appendleft(item)

    def take(self, size: int) -> list[Item]:
        """The oldest, of about so many bytes, at least one if there is any."""
        taken: list[Item] = []
        left = size
        while self._items and left > 0:
            items, weight = self._next(self._items.popleft())
            taken += items
            left -= weight
        if not self._items:
            self.clear()
        return taken

    def clear(self) -> int:
        """Let everything go; how many items that were."""
        dropped = len(self)
        self._items = self._open = None
        self.size = self.asked = 0
        return dropped

    def _begun(self) -> tuple[deque[Item | _Run], dict[str, _Run]]:
        if self._items is None or self._open is None:
            self._items, self._open = deque(), {}
        return self._items, self._open

    def _add_latest(self, items: deque[Item | _Run], runs: dict[str, _Run], event: Event, size: int) -> None:
        run = runs.get(event.room)
        if run is None or not can_join(run.last, event):
            run = runs[event.room] = _Run(event, size)
            items.append(run)
            return
        self.conflated += 1
        if run.add(event, size) >= FOLD_EVENTS or run.size >= FOLD_BYTES:
            self._fold(run)

    def _fold(self, run: _Run) -> None:
        folded = joined_or_each(run.events)
        before, run.size = run.size, sum(size_of(event, packed=self._packed) for event in folded)
        self.size += run.size - before
        run.event, run.more = folded[0], folded[1:] or None

    def _next(self, item: Item | _Run) -> tuple[list[Item], int]:
        if not isinstance(item, _Run):
            weight = size_of(item, packed=self._packed)
            self.size -= weight
            if isinstance(item, Letter):
                self.asked -= weight
            return [item], weight
        runs = self._begun()[1]
        if runs.get(item.event.room) is item:
            del runs[item.event.room]
        self.size -= item.size
        events = joined_or_each(item.events)
        return list(events), sum(size_of(event, packed=self._packed) for event in events)


def written(items: Iterable[Item], *, packed: bool) -> bytes:
    """They all as WebSocket frames."""
    return b"".join([item.packed_frame if packed else item.frame for item in items])
