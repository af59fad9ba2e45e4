"""Device tokens that nobody has: a phone that was withdrawn and goes on, and people who guess."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from waypost.kernel.clock import Clock
from waypost.kernel.errors import TooMany

BAD_FOR_S = 30.0
BAD_AT_MOST = 10_000
LOOK_UPS_A_SECOND = 50
AT_ONCE = 500


class TooManyUnknown(TooMany):
    """Too many unknown tokens were sent to this server just now; try again shortly."""

    code = "too-many-unknown-tokens"


@dataclass(slots=True)
class Guesses:
    """What a node spends on unknown tokens: a bad one is looked up once in a while, all of them so often a second.

    Tokens that were good before on this node are not counted: a flood of guesses does not shut phones out.
    """

    clock: Clock
    bad: OrderedDict[bytes, float] = field(default_factory=OrderedDict)  # hash -> known to be bad until, monotonic
    left: float = AT_ONCE
    counted_at: float = 0.0

    def is_bad(self, hashed: bytes) -> bool:
        """Was it looked up a moment ago, in vain?"""
        return self.bad.get(hashed, 0.0) > self.clock.monotonic()

    def check(self) -> None:
        """``TooManyUnknown`` when so many look-ups were in vain that no more are made just now."""
        now = self.clock.monotonic()
        self.left = min(AT_ONCE, self.left + (now - self.counted_at) * LOOK_UPS_A_SECOND)
        self.counted_at = now
        if self.left < 1:
            raise TooManyUnknown

    def note(self, hashed: bytes) -> None:
        """A look-up was in vain."""
        self.left -= 1
        self.bad[hashed] = self.clock.monotonic() + BAD_FOR_S
        self.bad.move_to_end(hashed)
        while len(self.bad) > BAD_AT_MOST:
            self.bad.popitem(last=False)
