"""Where a client says that it stood, and what a join tells it of what it missed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from waypost.realtime.events import Event, Place
from waypost.realtime.wire import Missed

MOST_MISSED_BYTES = 512 * 1024
MOST_MISSED = 500  # more than these, and a snapshot is cheaper for both
LARGEST_SEQ = 1 << 53
_EPOCH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Entered:
    """A room was entered. ``missed``: exactly what came after the client's ``since``; None: it needs a snapshot."""

    place: Place
    missed: Sequence[Event] | None = None

    @property
    def recovered(self) -> bool:
        return self.missed is not None

    def told(self) -> list[Missed]:
        """What was missed, as acks carry it."""
        return [Missed(event.name, event.body) for event in self.missed or ()]


def handy(place: Place, missed: Sequence[Event] | None) -> Entered:
    """What was missed, unless a snapshot is the lesser answer."""
    if missed is not None and sum(len(event.text) for event in missed) > MOST_MISSED_BYTES:
        missed = None
    return Entered(place, missed)


def since_of(value: object) -> Place | None:
    """A join's ``since {epoch, seq}``; None for what makes no sense: then it is a join from the beginning."""
    if not isinstance(value, Mapping):
        return None
    epoch, seq = value.get("epoch"), value.get("seq")
    if not isinstance(epoch, str) or not _EPOCH.fullmatch(epoch):
        return None
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < LARGEST_SEQ:
        return None
    return Place(epoch, seq)
