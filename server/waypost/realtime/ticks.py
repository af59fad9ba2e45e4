"""When a room's events leave: the first of an idle room at once, what follows within its tick together.

Positions that wait become the newest of each vehicle; every other event stays itself, in its order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from waypost.realtime.conflate import can_join, joined_or_each
from waypost.realtime.events import Event

MOST_HELD = 500  # of one room; with so many it leaves before its time


@dataclass(slots=True)
class Tick:
    """A room that was written to less than a tick ago. Times are monotonic seconds."""

    tick_s: float
    until: float
    held: list[Event] = field(default_factory=list)

    def take_held(self) -> list[Event]:
        held, self.held = self.held, []
        return conflated(held)


@dataclass(slots=True)
class Ticks:
    """Of one node. ``ends``: per length of tick when rooms' ticks end, in that order, since one is begun after another;
    an entry that is no room's any more is passed over.
    """

    rooms: dict[str, Tick] = field(default_factory=dict)
    ends: dict[float, deque[tuple[float, str]]] = field(default_factory=dict)

    def take(self, event: Event, tick_s: float, now: float) -> list[Event]:
        """What of the event's room leaves now: nothing, while it waits."""
        tick = self.rooms.get(event.room)
        if tick is None:
            if tick_s > 0:
                self.rooms[event.room] = tick = Tick(tick_s, 0.0)
                self._begin(event.room, tick, now)
            return [event]
        tick.held.append(event)
        if len(tick.held) < MOST_HELD and now < tick.until:
            return []
        self._begin(event.room, tick, now)
        return tick.take_held()

    def due(self, now: float) -> list[tuple[str, list[Event]]]:
        """What leaves because its tick has ended; rooms where nothing waited are idle again."""
        found = []
        for ends in self.ends.values():
            while ends and ends[0][0] <= now:
                until, room = ends.popleft()
                tick = self.rooms.get(room)
                if tick is None or tick.until != until:
                    continue
                if tick.held:
                    self._begin(room, tick, now)
                    found.append((room, tick.take_held()))
                else:
                    del self.rooms[room]
        return found

    def _begin(self, room: str, tick: Tick, now: float) -> None:
        tick.until = now + tick.tick_s
        self.ends.setdefault(tick.tick_s, deque()).append((tick.until, room))

    def forget(self, room: str) -> None:
        """Nobody is in the room any more."""
        self.rooms.pop(room, None)

    @property
    def next_at(self) -> float | None:
        """When ``due`` may have something to say next."""
        return min((ends[0][0] for ends in self.ends.values() if ends), default=None)


def conflated(events: list[Event]) -> list[Event]:
    """The same with runs of `fleet:positions` joined. A trip's fixes are one vehicle's trail, of which none is left out
    for those who keep up.
    """
    runs: list[list[Event]] = []
    for event in events:
        if runs and event.name == "fleet:positions" and can_join(runs[-1][-1], event):
            runs[-1].append(event)
        else:
            runs.append([event])
    return [event for run in runs for event in joined_or_each(run)]
