"""What must not come twice, and what must not go back.

Times of the server are of one form: text compares as time does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_SEEN = 2_000
MAX_STANDING = 50
Fix = Mapping[str, Any]


@dataclass(slots=True)
class Seen:
    """The ids of the last events, so that a repeat (a server that died half-way tells again) is known as one."""

    _ids: dict[str, None] = field(default_factory=dict)

    def is_repeat(self, event_id: str | None) -> bool:
        """Has it been here before? It has from now on. None is no id."""
        if event_id is None:
            return False
        if event_id in self._ids:
            return True
        self._ids[event_id] = None
        if len(self._ids) > MAX_SEEN:
            del self._ids[next(iter(self._ids))]
        return False


@dataclass(slots=True)
class NewestOfFleet:
    """The time of each vehicle's newest position: what is older is no news, unless it takes that back.

    ``withdrawn`` says up to when: all that was told after the position itself, up to that time.
    """

    _times: dict[str, str] = field(default_factory=dict)

    def reset(self, positions: Iterable[Fix]) -> None:
        """A snapshot: it may also be older than what we know, which was then taken back while we were away."""
        self._times = {position["vehicleId"]: position["recordedAt"] for position in positions}

    def news(self, positions: Iterable[Fix]) -> list[Fix]:
        """Those of them that are to be shown."""
        return [position for position in positions if self._is_news(position)]

    def _is_news(self, position: Fix) -> bool:
        vehicle, at, withdrawn = position["vehicleId"], position["recordedAt"], position.get("withdrawn")
        known = self._times.get(vehicle)
        if known is not None and at < known and not (withdrawn and known <= withdrawn):
            return False
        self._times[vehicle] = at
        return True


@dataclass(slots=True)
class NewestOfTrip:
    """Where a trip is: the newest of its fixes that stands. The last ones are kept for when it is taken back."""

    _standing: list[Fix] = field(default_factory=list)

    @property
    def position(self) -> Fix | None:
        """None while it is not known."""
        return self._standing[-1] if self._standing else None

    def reset(self, position: Fix | None) -> None:
        """A snapshot."""
        self._standing = [position] if position else []

    def apply(self, fixes: Iterable[Fix], withdrawn: Sequence[str] = ()) -> None:
        """An event's fixes, in any order, and the times of those that it takes back."""
        known = {fix["recordedAt"]: fix for fix in (*self._standing, *fixes)}
        for at in withdrawn:
            known.pop(at, None)
        self._standing = [known[at] for at in sorted(known)][-MAX_STANDING:]
