"""What providers send of messages: stored as it came, and committed, before anything is made of it; then worked on at
once, beside the answer if it takes longer, or by the sweep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.ids import new_id
from waypost.notifications.alert_domain import RECEIPT_QUARANTINED
from waypost.notifications.alerts import alert
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.providers.reports import Call, Reading, Road
from waypost.notifications.receipts import storage
from waypost.notifications.receipts.domain import (
    Disposition,
    Receipt,
    ReceiptDoorUnknown,
    ReceiptForged,
    identity_of,
)
from waypost.notifications.receipts.doors import Doors, house
from waypost.notifications.receipts.work import ReceiptWork
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log

SOON_S: Final = 0.05  # so long an answer waits for the work
LOCK_MS: Final = 50
SWEPT_AFTER: Final = timedelta(seconds=2)
MOST_AT_WORK: Final = 50  # beyond it new ones are the sweep's
LAST_WORK_S: Final = 2.0
LONGEST_QUERY: Final = 8192
NOBODY: Final = UUID(int=0)


@dataclass(slots=True)
class Receipts:
    """Who takes receipts in. It owns the tasks that outlast an answer: ``close`` it before the database."""

    database: Database
    clock: Clock
    doors: Doors
    work: ReceiptWork
    tasks: set[asyncio.Task[Disposition | None]] = field(default_factory=set)

    async def arrive(self, token: str, call: Call, address: str) -> Disposition | None:
        """Keep it, work on it, and say what became of it; None: it is kept, and finished in a while.

        ``ReceiptDoorUnknown``, ``ReceiptElsewhere``; ``ReceiptForged`` after it was kept, for a person to look at.
        ``Unavailable`` when it could not be kept: nothing was promised.
        """
        async with self.database.transaction(SYSTEM) as conn:
            door = await self.doors.find(conn, token, address)
            account = door.account
            genuine = account is None or self._is_genuine(call, account)
            reading = self.work.read(call, account or house(NOBODY))
            if account is None:
                account = await self._of_house(conn, call, reading)
            row = self._row(account, call, reading, door.delivery_id)
            is_new = await self._keep(conn, row, genuine=genuine)
        if not genuine:
            raise ReceiptForged
        return await self._work_on(row, account) if is_new else Disposition.STALE

    def _is_genuine(self, call: Call, account: ProviderAccount) -> bool:
        try:
            return self.work.readers[account.provider].genuine(call, account)
        except Exception:  # noqa: BLE001 - whatever a signature of anybody's runs into, it is not a good one
            log.exception("receipt_unchecked", provider=account.provider)
            return False

    async def _of_house(self, conn: Connection, call: Call, reading: Reading) -> ProviderAccount:
        """Whose message the installation's mail server speaks of; of nobody's nothing is kept."""
        for report in reading.reports:
            org_id = await storage.org_of(conn, report.delivery_id) if report.delivery_id else None
            if org_id is not None and call.road is Road.BOUNCE:
                return house(org_id)
        raise ReceiptDoorUnknown

    async def _keep(self, conn: Connection, row: Receipt, *, genuine: bool) -> bool:
        if genuine:
            return await storage.add(conn, row)
        log.warning("receipt_quarantined", provider_id=str(row.provider_id), road=row.road)
        forged = replace(row, disposition=Disposition.QUARANTINED, detail="signature", provider_ref="", status="forged")
        await storage.add(conn, forged)
        key = f"{RECEIPT_QUARANTINED}:{row.provider_id}:{row.received_at:%Y-%m-%d}"
        await alert(
            conn, self.work.publisher, self.clock, row.org_id, kind=RECEIPT_QUARANTINED, key=key,
            subject_kind="message-provider", subject_id=row.provider_id,
        )  # fmt: skip
        return True

    def _row(self, account: ProviderAccount, call: Call, reading: Reading, delivery_id: UUID | None) -> Receipt:
        now, own_id = self.clock.now(), new_id(self.clock)
        delivery_id = delivery_id or _uuid(call.query.get("d", ""))
        reference, status = identity_of(call.road, reading, delivery_id, own_id)
        return Receipt(
            org_id=account.org_id,
            id=own_id,
            provider_id=account.id,
            road=call.road,
            provider_ref=_plain(reference),
            status=_plain(status),
            delivery_id=delivery_id,
            body=call.body,
            query=_kept(call.query),
            received_at=now,
            due_at=now + SWEPT_AFTER,
        )

    async def _work_on(self, row: Receipt, account: ProviderAccount) -> Disposition | None:
        if len(self.tasks) >= MOST_AT_WORK:
            log.warning("receipt_left_to_sweep", receipt_id=str(row.id), reason="busy")
            return None
        task = asyncio.create_task(self._finish(row, account))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        await asyncio.wait({task}, timeout=SOON_S)
        return task.result() if task.done() and not task.cancelled() else None

    async def _finish(self, row: Receipt, account: ProviderAccount) -> Disposition | None:
        """None, whatever it runs into: the row is there, and the sweep comes to it."""
        try:
            return await self.work.finish(row.org_id, row.id, account, patience_ms=LOCK_MS)
        except Unavailable as error:
            log.info("receipt_left_to_sweep", receipt_id=str(row.id), reason=error.code)
        except Exception:  # noqa: BLE001 - it must not be the provider's trouble: the answer is a yes
            log.exception("receipt_failed", receipt_id=str(row.id))
        return None

    async def close(self) -> None:
        """Let what is at work come to its end, for a moment; the rest is the sweep's. May be repeated."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=LAST_WORK_S)
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    """As PostgreSQL keeps it."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def _kept(query: Mapping[str, str]) -> str:
    """As JSON; empty where there is none, or one longer than any provider's."""
    text = msgspec.json.encode(query).decode() if query else ""
    return _plain(text) if len(text) <= LONGEST_QUERY else ""
