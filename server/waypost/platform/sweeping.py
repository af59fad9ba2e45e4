"""Finishing what somebody sent us and nobody finished: after a crash, a lock, or where it came too early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log

AT_ONCE: Final = 100  # rows a pass
SIDE_BY_SIDE: Final = 4  # transactions


class Row(Protocol):
    """One that is to be worked on; ``tries``: how often it was, this time with it."""

    @property
    def org_id(self) -> UUID: ...
    @property
    def id(self) -> UUID: ...
    @property
    def tries(self) -> int: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Sweep(Generic[R]):
    """Any number may run: each row is taken for a while, and each is finished once.

    ``name``: of a row, in the log; ``due``: takes up to so many; ``tell_stuck``: the staff, of one that was tried
    ``stuck`` times; what is not told now is told with the next try.
    """

    name: str
    database: Database
    clock: Clock
    due: Callable[[Connection, int], Awaitable[Sequence[R]]]
    finish: Callable[[R], Awaitable[object]]
    tell_stuck: Callable[[R], Awaitable[None]]
    stuck: int

    async def run(self) -> int:
        """One pass; how many rows it took."""
        async with self.database.transaction(SYSTEM) as conn:
            due = await self.due(conn, AT_ONCE)
        turns = asyncio.Semaphore(SIDE_BY_SIDE)
        await asyncio.gather(*(self._finish(row, turns) for row in due))
        return len(due)

    async def serve(self, poll_s: float) -> None:
        """For ever, whatever it runs into; at once while there is more."""
        while True:
            more = False
            try:
                more = await self.run() == AT_ONCE
            except Unavailable as error:
                log.warning(f"{self.name}s_wait", reason=error.code)
            except Exception:  # noqa: BLE001 - whatever one pass runs into, the next begins afresh
                log.exception(f"{self.name}_sweep_failed")
            if not more:
                await self.clock.sleep(poll_s)

    async def _finish(self, row: R, turns: asyncio.Semaphore) -> None:
        async with turns:
            try:
                await self.finish(row)
            except Unavailable as error:
                self._warn("waits", row, error)
            except Exception:  # noqa: BLE001 - whatever is wrong with this row, the others go on
                log.exception(f"{self.name}_failed", row_id=str(row.id), tries=row.tries)
                await self._tell(row)

    async def _tell(self, row: R) -> None:
        if row.tries < self.stuck:
            return
        try:
            await self.tell_stuck(row)
        except Unavailable as error:
            self._warn("untold", row, error)

    def _warn(self, what: str, row: R, error: Unavailable) -> None:
        log.warning(f"{self.name}_{what}", row_id=str(row.id), tries=row.tries, reason=error.code)
