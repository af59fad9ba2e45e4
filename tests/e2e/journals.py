"""What a client in a storm writes down, and what must be true of it.

- ``wire``: each event of a room as it came, ``[connection, room, epoch, first, seq]``, before the client's own rule.
- ``steps``: per room what it applied, ``[by, epoch, first, seq, content]``; by ``snapshot``, ``missed`` or ``event``.
- ``events``: per room the ordered events that it showed, ``[eventId, trip, version]``; without an id: a snapshot's.
- ``places``: of each vehicle and trip, where it showed it, ``[by, recordedAt, withdrawn]``.
- ``cuts``: the codes with which the server ended or refused something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Places = Mapping[str, Sequence[Sequence[Any]]]


@dataclass(slots=True)
class Journal:
    """Of one client."""

    name: str
    wire: list[Sequence[Any]] = field(default_factory=list)
    steps: dict[str, list[Sequence[Any]]] = field(default_factory=dict)
    events: dict[str, list[Sequence[Any]]] = field(default_factory=dict)
    places: dict[str, list[Sequence[Any]]] = field(default_factory=dict)
    cuts: list[str | None] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Everything in it that must not be."""
        return [
            f"{self.name}: {fault}"
            for fault in (*self._wire_faults(), *self._step_faults(), *self._event_faults(), *self._place_faults())
        ]

    def _wire_faults(self) -> list[str]:
        """On one connection the numbers of a room's epoch only rise: no repeat and no reorder reaches the client.

        An event that begins beyond its own number says only that something is missing.
        """
        last: dict[tuple[Any, ...], int] = {}
        faults = []
        for connection, room, epoch, first, seq in self.wire:
            if first > seq:
                continue
            before = last.get((connection, room, epoch), 0)
            if first <= before:
                faults.append(f"on the wire {first}-{seq} after {before} of {room} {epoch}, connection {connection}")
            last[connection, room, epoch] = seq
        return faults

    def _step_faults(self) -> list[str]:
        """What was applied follows what was applied before it, or a snapshot stands between."""
        faults = []
        for room, steps in self.steps.items():
            if steps and steps[0][0] != "snapshot":
                faults.append(f"{room} begins without a snapshot")
            for before, (by, epoch, first, seq, _) in pairwise(steps):
                if by == "snapshot":
                    continue
                if epoch != before[1] or not first - 1 <= before[3] < seq:
                    faults.append(f"{room}: {by} {first}-{seq} of {epoch} applied after {before[3]} of {before[1]}")
        return faults

    def _event_faults(self) -> list[str]:
        faults = []
        for room, events in self.events.items():
            ids = [event_id for event_id, *_ in events if event_id is not None]
            if len(ids) != len(set(ids)):
                faults.append(f"{room}: {len(ids) - len(set(ids))} events shown twice")
        return faults

    def _place_faults(self) -> list[str]:
        """Nothing that is shown goes back in its own time, but to a snapshot or from what is taken back."""
        faults = []
        for key, shown in self.places.items():
            for (_, before, _), (by, at, withdrawn) in pairwise(shown):
                if by == "event" and at < before and not (withdrawn and before <= withdrawn):
                    faults.append(f"{key} went back from {before} to {at}")
        return faults

    def lacks(self, room: str, versions: Mapping[str, int]) -> list[str]:
        """The trips' versions that no event and no snapshot told of in this room."""
        known: dict[str, set[int]] = {}
        for event_id, trip, version in self.events[room]:
            if event_id is None:
                known[trip] = set(range(1, version + 1))  # a snapshot stands for all before it
            else:
                known.setdefault(trip, set()).add(version)
        return [
            f"{self.name}, {room}: version {version} of {trip}"
            for trip, last in versions.items()
            for version in range(1, last + 1)
            if version not in known.get(trip, ())
        ]

    def count(self, by: str) -> int:
        return sum(1 for steps in self.steps.values() for step in steps if step[0] == by)

    @property
    def connections(self) -> int:
        return len({connection for connection, *_ in self.wire})


def contradictions(journals: Sequence[Journal]) -> list[str]:
    """Places of a room at which two clients were told different things."""
    told: dict[tuple[str, str, int], tuple[str, Any]] = {}
    found = []
    for journal in journals:
        for room, steps in journal.steps.items():
            for by, epoch, first, seq, content in steps:
                if by == "snapshot" or first != seq or content is None:
                    continue
                name, before = told.setdefault((room, epoch, seq), (journal.name, content))
                if before != content:
                    found.append(f"{room} {epoch} {seq}: {name} was told {before}, {journal.name} {content}")
    return found
