"""Finishing the receipts that nobody finished: after a crash, a lock, or where they came before what they are about."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from waypost.kernel.errors import Unavailable
from waypost.notifications.receipts import storage
from waypost.notifications.receipts.storage import Due
from waypost.notifications.receipts.work import ReceiptWork
from waypost.platform.database import SYSTEM
from waypost.platform.telemetry import log

AT_ONCE: Final = 100  # rows a pass
SIDE_BY_SIDE: Final = 4  # transactions
WAIT_S, LONGEST_S = 2.0, 60.0  # before one that could not be finished is tried again; doubling
STUCK: Final = 8  # tries that ran into something, after which staff are told


@dataclass(frozen=True, slots=True)
class ReceiptSweep:
    """Any number may run: each row is taken for a while, and each is finished once."""

    work: ReceiptWork

    async def run(self) -> int:
        """One pass; how many rows it took."""
        async with self.work.database.transaction(SYSTEM) as conn:
            due = await storage.due(conn, self.work.clock.now(), AT_ONCE, WAIT_S, LONGEST_S)
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
                log.warning("receipts_wait", reason=error.code)
            except Exception:  # noqa: BLE001 - whatever one pass runs into, the next begins afresh
                log.exception("receipt_sweep_failed")
            if not more:
                await self.work.clock.sleep(poll_s)

    async def _finish(self, row: Due, turns: asyncio.Semaphore) -> None:
        async with turns:
            try:
                await self.work.finish(row.org_id, row.id)
            except Unavailable as error:
                log.warning("receipt_waits", receipt_id=str(row.id), tries=row.tries, reason=error.code)
            except Exception:  # noqa: BLE001 - whatever is wrong with this row, the others go on
                log.exception("receipt_failed", receipt_id=str(row.id), tries=row.tries)
                await self._tell(row)

    async def _tell(self, row: Due) -> None:
        """The staff, when it was tried often enough; what is not told now is told with the next try."""
        if row.tries < STUCK:
            return
        try:
            await self.work.tell_stuck(row.org_id, row.id, row.tries)
        except Unavailable as error:
            log.warning("receipt_untold", receipt_id=str(row.id), reason=error.code)
