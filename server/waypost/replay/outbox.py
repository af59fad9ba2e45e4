"""A phone's memory of what it has still to send: numbered, bounded, kept until it is answered. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from waypost.replay.rows import Row
from waypost.replay.wire import Location, location

BATCH_LOCATIONS = 1000
CAPACITY = 10_000


@dataclass(slots=True)
class Batch:
    """Locations that are sent together, again and again, until they are answered."""

    locations: tuple[Location, ...]
    attempts: int = 0


@dataclass(slots=True)
class Outbox:
    """Fixes waiting in order. When it is full the oldest unsent fix makes room, and is counted in ``dropped``."""

    capacity: int = CAPACITY
    dropped: int = 0
    _n: int = 0
    _waiting: deque[Location] = field(default_factory=deque)
    _batches: deque[Batch] = field(default_factory=deque)  # formed: their content never changes again

    def add(self, row: Row, stamp_ms: int) -> None:
        self._n += 1
        if len(self._waiting) >= self.capacity:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(location(row, stamp_ms, self._n))

    def head(self) -> Batch | None:
        """The batch to send now: the same one until it is `settle`d or `split`; None when all is sent."""
        if not self._batches and self._waiting:
            size = min(BATCH_LOCATIONS, len(self._waiting))
            self._batches.append(Batch(tuple(self._waiting.popleft() for _ in range(size))))
        return self._batches[0] if self._batches else None

    def settle(self) -> None:
        """Forget the head: it was answered for good."""
        self._batches.popleft()

    def split(self) -> bool:
        """Make two batches of the head, since it was too large; False if it holds one location only."""
        locations = self._batches[0].locations
        if len(locations) == 1:
            return False
        middle = len(locations) // 2
        self._batches.popleft()
        self._batches.extendleft((Batch(locations[middle:]), Batch(locations[:middle])))
        return True

    def __len__(self) -> int:
        return len(self._waiting) + sum(len(batch.locations) for batch in self._batches)
