"""Device tokens that nobody has: a phone that was withdrawn and goes on, and people who guess."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from waypost.kernel.clock import Clock
from waypost.kernel.errors import TooMany, Unavailable

BAD_FOR_S = 30.0
BAD_AT_MOST = 10_000
LOOK_UPS_A_SECOND = 50
AT_ONCE = 500
TURNS = 10


class TooManyUnknown(TooMany):
    """Too many unknown tokens were sent to this server just now; try again shortly."""

    code = "too-many-unknown-tokens"


@dataclass(slots=True)
class Guesses:
    """What a node spends on unknown tokens: a bad one is looked up once in a while, all of them so often a second.

    Tokens that were good before on this node are not counted: a flood of guesses does not shut phones out. Others are
    looked up in turn, so that many phones which come at once after a start do not take all shares for a moment.
    """

    clock: Clock
    bad: OrderedDict[bytes, float] = field(default_factory=OrderedDict)  # hash -> known to be bad until, monotonic
    left: float = AT_ONCE
    counted_at: float = 0.0
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TURNS))

    def is_bad(self, hashed: bytes) -> bool:
        """Was it looked up a moment ago, in vain?"""
        return self.bad.get(hashed, 0.0) > self.clock.monotonic()

    @asynccontextmanager
    async def share(self) -> AsyncIterator[None]:
        """For one look-up, when it is its turn; given back unless it is in vain.

        ``TooManyUnknown`` when so many were in vain that no more are made just now.
        """
        async with self.turns:
            self._take()
            try:
                yield
            except Unavailable:  # it was not made
                self.left += 1
                raise
            self.left += 1

    def _take(self) -> None:
        now = self.clock.monotonic()
        self.left = min(AT_ONCE, self.left + (now - self.counted_at) * LOOK_UPS_A_SECOND)
        self.counted_at = now
        if self.left < 1:
            raise TooManyUnknown
        self.left -= 1

    def note(self, hashed: bytes) -> None:
        """A look-up was in vain."""
        self.bad[hashed] = self.clock.monotonic() + BAD_FOR_S
        self.bad.move_to_end(hashed)
        while len(self.bad) > BAD_AT_MOST:
            self.bad.popitem(last=False)
