"""Principals that were found good a moment ago, so that not every request of theirs costs a look-up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal

REMEMBER_S = 2.0
# After who knows was asked about all at once: longer than the next time takes, and short enough that a socket let in at
# its end is found by the one after, all within five seconds.
CONFIRMED_S = 2.5
REMEMBER_AT_MOST = 20_000

K = TypeVar("K")


@dataclass(slots=True)
class Entry:
    """``until``: by the monotonic clock; ``is_used``: since it was last confirmed."""

    principal: Principal
    until: float
    is_used: bool = False


@dataclass(frozen=True, slots=True)
class Remembered(Generic[K]):
    """``known``: what opened the door, and for whom. The longest unused one goes first."""

    clock: Clock
    known: OrderedDict[K, Entry] = field(default_factory=OrderedDict)

    def get(self, key: K) -> Principal | None:
        """The principal, for ``REMEMBER_S`` after it was kept, ``CONFIRMED_S`` after it was confirmed."""
        found = self.known.get(key)
        if found is None or found.until <= self.clock.monotonic():
            return None
        found.is_used = True
        return found.principal

    def keep(self, key: K, principal: Principal, asked_at: float | None = None) -> None:
        """``asked_at``: when who knows was asked, monotonic; now, if nobody says."""
        since = self.clock.monotonic() if asked_at is None else asked_at
        self.known[key] = Entry(principal, since + REMEMBER_S)
        self.known.move_to_end(key)
        while len(self.known) > REMEMBER_AT_MOST:
            self.known.popitem(last=False)

    def used(self) -> dict[K, Principal]:
        """Who came since the last time they were confirmed."""
        return {key: entry.principal for key, entry in self.known.items() if entry.is_used}

    def confirm(self, keys: Iterable[K], asked_at: float) -> None:
        """These stood as they did at ``asked_at``, monotonic."""
        for key in keys:
            if (entry := self.known.get(key)) is not None:
                entry.until = max(entry.until, asked_at + CONFIRMED_S)
                entry.is_used = False
                self.known.move_to_end(key)

    def forget(self, wanted: Callable[[Principal], bool]) -> None:
        """Ask anew for these, on this node; others hear of it as their memory ends."""
        for key in [key for key, entry in self.known.items() if wanted(entry.principal)]:
            del self.known[key]
