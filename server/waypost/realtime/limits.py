"""How often a connection may do something, and how many connections there may be: counted in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from waypost.kernel.errors import TooMany


class TooManyEvents(TooMany):
    """You send events faster than allowed; slow down."""

    code = "too-many"


class TooManyFailedJoins(TooMany):
    """Too many joins of what is not there; wait a minute."""

    code = "joins-too-many"


class TooManyConnections(TooMany):
    """Too many connections at once; close some."""

    code = "too-many-connections"


class TooManyRooms(TooMany):
    """A connection may be in 128 rooms at once; leave some."""

    code = "too-many-rooms"
    retry = False


class Rate(NamedTuple):
    """``per_s`` in the long run, ``burst`` at once."""

    per_s: float
    burst: float


@dataclass(slots=True)
class Bucket:
    """A token bucket: ``per_s`` in the long run, ``burst`` at once. Full in the beginning."""

    per_s: float
    burst: float
    left: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.left = self.burst

    def spend(self, now: float) -> bool:
        """May it happen once more? ``now`` is monotonic seconds."""
        self.left = min(self.burst, self.left + max(0.0, now - self.at) * self.per_s)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def is_empty(self, now: float) -> bool:
        """The same, without doing it."""
        return min(self.burst, self.left + max(0.0, now - self.at) * self.per_s) < 1


_HOLDERS = {"person": "You hold", "organisation": "Your organisation holds", "address": "Your network address holds"}


@dataclass(frozen=True, slots=True)
class Most:
    """Connections at once to one process; 0: any number."""

    per_person: int = 0
    per_organisation: int = 0
    per_address: int = 0

    def of(self, kind: str) -> int:
        """The limit of a kind of holder."""
        return {"person": self.per_person, "organisation": self.per_organisation, "address": self.per_address}[kind]


@dataclass(slots=True)
class Counts:
    """Who holds how many connections: (kind, id) -> number."""

    most: Most
    held: Counter[tuple[str, object]] = field(default_factory=Counter)

    def take(self, holders: Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
        """Count one more for each of them, or for none: ``TooManyConnections`` names who has too many."""
        wanted = list(holders)
        for kind, holder in wanted:
            limit = self.most.of(kind)
            if limit and self.held[kind, holder] >= limit:
                raise TooManyConnections(f"{_HOLDERS[kind]} {limit} connections already; close some, then come back.")
        self.held.update(wanted)
        return wanted

    def give_back(self, holders: Iterable[tuple[str, object]]) -> None:
        """Those connections have closed."""
        for holder in holders:
            self.held[holder] -= 1
            if self.held[holder] <= 0:
                del self.held[holder]
