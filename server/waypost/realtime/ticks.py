"""When a room's events leave: the first of an idle room at once, what follows within its tick together.

Positions that wait become the newest of each vehicle; every other event stays itself, in its order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from waypost.realtime.conflate import can_join, joined
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
    """Of one node."""

    rooms: dict[str, Tick] = field(default_factory=dict)

    def take(self, event: Event, tick_s: float, now: float) -> list[Event]:
        """What of the event's room leaves now: nothing, while it waits."""
        tick = self.rooms.get(event.room)
        if tick is None:
            if tick_s > 0:
                self.rooms[event.room] = Tick(tick_s, now + tick_s)
            return [event]
        tick.held.append(event)
        if len(tick.held) < MOST_HELD and now < tick.until:
            return []
        tick.until = now + tick.tick_s
        return tick.take_held()

    def due(self, now: float) -> list[tuple[str, list[Event]]]:
        """What leaves because its tick has ended; rooms where nothing waited are idle again."""
        found = []
        for room, tick in [(room, tick) for room, tick in self.rooms.items() if tick.until <= now]:
            if tick.held:
                tick.until = now + tick.tick_s
                found.append((room, tick.take_held()))
            else:
                del self.rooms[room]
        return found

    def forget(self, room: str) -> None:
        """Nobody is in the room any more."""
        self.rooms.pop(room, None)

    @property
    def next_at(self) -> float | None:
        """When ``due`` has something to say next."""
        return min((tick.until for tick in self.rooms.values()), default=None)


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
    return [joined(run) for run in runs]
