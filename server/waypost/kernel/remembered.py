"""Principals that were found good a moment ago, so that not every request of theirs costs a look-up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal

REMEMBER_S = 2.0
REMEMBER_AT_MOST = 20_000

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Remembered(Generic[K]):
    """``known``: what opened the door -> (principal, until when, monotonic). The longest unused one goes first."""

    clock: Clock
    known: OrderedDict[K, tuple[Principal, float]] = field(default_factory=OrderedDict)

    def get(self, key: K) -> Principal | None:
        """The principal, for ``REMEMBER_S`` after it was kept."""
        found = self.known.get(key)
        return found[0] if found is not None and found[1] > self.clock.monotonic() else None

    def keep(self, key: K, principal: Principal) -> None:
        self.known[key] = (principal, self.clock.monotonic() + REMEMBER_S)
        self.known.move_to_end(key)
        while len(self.known) > REMEMBER_AT_MOST:
            self.known.popitem(last=False)

    def forget(self, wanted: Callable[[Principal], bool]) -> None:
        """Ask anew for these, on this node; others hear of it as their memory ends."""
        for key in [key for key, (principal, _) in self.known.items() if wanted(principal)]:
            del self.known[key]
