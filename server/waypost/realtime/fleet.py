"""What a node has told of each vehicle, so that a room never hears an older position after a newer one (P4).

Two nodes take a vehicle's batches in turn; what waited for one node's tick may come off the bus behind what the other
has published since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from waypost.realtime.conflate import replaces
from waypost.realtime.events import Event


@dataclass(frozen=True, slots=True)
class FleetView:
    """Per live fleet room the time of each vehicle's newest position; as large as the fleets that are watched here."""

    newest: dict[str, dict[str, str]] = field(default_factory=dict)

    def news(self, room: str, positions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those that are newer than what the room has heard, or take it back. Times are of one form, so text compares
        as time does.
        """
        told = self.newest.setdefault(room, {})
        news = [p for p in positions if replaces(p, told.get(p["vehicleId"], ""))]
        told.update((p["vehicleId"], p["recordedAt"]) for p in news)
        return news

    def forget(self, room: str) -> None:
        """The room has no member here any more."""
        self.newest.pop(room, None)


def newest_of_fleet(events: Sequence[Event]) -> dict[str, str]:
    """Of each vehicle the time of the newest position that these tell of."""
    newest: dict[str, str] = {}
    for event in events:
        told = event.body.get("positions", ())
        newest.update((p["vehicleId"], p["recordedAt"]) for p in told if replaces(p, newest.get(p["vehicleId"], "")))
    return newest


def newest_of_trip(events: Sequence[Event]) -> str | None:
    """The time of the newest fix that these tell of and do not take back; None: of none."""
    gone = {at for event in events for at in event.body.get("withdrawn", ())}
    told = (fix["recordedAt"] for event in events for fix in event.body.get("locations", ()))
    return max((at for at in told if at not in gone), default=None)
