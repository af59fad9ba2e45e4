"""What providers send: stored as it came, and committed, before anything is made of it; then worked on at once, and
answered. What cannot be finished in that time is finished beside the answer, or by the sweep.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.ids import new_id
from waypost.payments import storage_callbacks
from waypost.payments.callback_domain import VALIDATION, Callback, CallbackElsewhere, CallbackUnknown
from waypost.payments.callback_work import CallbackWork, Ended
from waypost.payments.domain import Disposition
from waypost.payments.doors import Door, Doors
from waypost.payments.ports import Checkpoint, pass_by
from waypost.payments.providers.accounts import ProviderAccount, ProviderName
from waypost.platform.database import SYSTEM, Database
from waypost.platform.telemetry import log

__all__ = ["CallbackElsewhere", "CallbackUnknown", "Callbacks", "Door"]

SOON_S: Final = 0.05  # so long an answer waits for the work
ANSWER_S: Final = 3.0  # a validation's answer is its work; then it is a yes
LOCK_MS: Final = 50
SWEPT_AFTER: Final = timedelta(seconds=2)
MOST_AT_WORK: Final = 50  # beyond it new ones are the sweep's
LAST_WORK_S: Final = 2.0


@dataclass(slots=True)
class Callbacks:
    """Who takes callbacks in. It owns the tasks that outlast an answer: ``close`` it before the database."""

    database: Database
    clock: Clock
    doors: Doors
    work: CallbackWork
    checkpoint: Checkpoint = field(default=pass_by)
    tasks: set[asyncio.Task[Ended | None]] = field(default_factory=set)

    async def door(self, token: str, address: str) -> Door:
        """Whose callbacks' address has this token, as it stands now; raises as ``Doors.find`` does."""
        async with self.database.transaction(SYSTEM) as conn:
            return await self.doors.find(conn, token, address)

    async def arrive(self, token: str, provider: ProviderName, road: str, body: bytes, address: str) -> Ended | None:
        """``door`` and ``take`` in one transaction, for a provider whose bodies need no check."""
        self.checkpoint("received")
        door = self.doors.remembered(token, address)
        async with self.database.transaction(door.account.org_id if door else SYSTEM) as conn:
            door = door or await self.doors.find(conn, token, address)
            if door.account.provider is not provider:
                raise CallbackUnknown
            row = self._row(door.account, road, body, address, door)
            await storage_callbacks.add(conn, row)
        self.checkpoint("stored")
        return await self._work_on(row, door.account)

    async def take(
        self, account: ProviderAccount, road: str, body: bytes, address: str | None, *, event_id: str | None = None
    ) -> Ended | None:
        """Keep it, work on it, and say what became of it; None: it is kept, and finished in a while.

        ``Unavailable`` when it could not be kept: nothing was promised. ``event_id``: a second with it is DUPLICATE.
        """
        row = self._row(account, road, body, address, Door(account), event_id)
        async with self.database.transaction(account.org_id) as conn:
            is_new = await storage_callbacks.add(conn, row)
        return await self._work_on(row, account) if is_new else Ended(Disposition.DUPLICATE)

    async def _work_on(self, row: Callback, account: ProviderAccount) -> Ended | None:
        if len(self.tasks) >= MOST_AT_WORK:
            log.warning("callback_left_to_sweep", callback_id=str(row.id), reason="busy")
            return None
        task = asyncio.create_task(self._finish(row, account))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        await asyncio.wait({task}, timeout=ANSWER_S if row.road == VALIDATION else SOON_S)
        return task.result() if task.done() and not task.cancelled() else None

    def _row(
        self,
        account: ProviderAccount,
        road: str,
        body: bytes,
        address: str | None,
        door: Door,
        event_id: str | None = None,
    ) -> Callback:
        now = self.clock.now()
        return Callback(
            org_id=account.org_id,
            id=new_id(self.clock),
            provider_id=account.id,
            prompt_id=door.prompt_id,
            road=road,
            body=body,
            address=address,
            received_at=now,
            due_at=now + SWEPT_AFTER,
            event_id=event_id,
            reversal_request_id=door.reversal_request_id,
        )

    async def _finish(self, row: Callback, account: ProviderAccount) -> Ended | None:
        """None, whatever it runs into: the row is there, and the sweep comes to it."""
        try:
            return await self.work.finish(row.org_id, row.id, account, patience_ms=LOCK_MS)
        except Unavailable as error:
            log.info("callback_left_to_sweep", callback_id=str(row.id), reason=error.code)
        except Exception:  # noqa: BLE001 - it must not be the provider's trouble: the answer is a yes
            log.exception("callback_failed", callback_id=str(row.id))
        return None

    async def close(self) -> None:
        """Let what is at work come to its end, for a moment; the rest is the sweep's. May be repeated."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=LAST_WORK_S)
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
