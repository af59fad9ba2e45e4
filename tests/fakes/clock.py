"""A clock that a test moves."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until ``advance``; sleepers wake in the order of their times."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, id(woken), woken))
        await woken.wait()

    @property
    def sleepers(self) -> int:
        """How many sleep."""
        return len(self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move on, waking who sleeps on the way."""
        until = self._elapsed_s + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, woken = heapq.heappop(self._sleepers)
            self._move(at)
            woken.set()
            await asyncio.sleep(0)
        self._move(until)

    def _move(self, elapsed_s: float) -> None:
        self._now += timedelta(seconds=elapsed_s - self._elapsed_s)
        self._elapsed_s = elapsed_s
