"""What is made of a receipt that is stored: read and applied, in one transaction. May be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from waypost.identity.domain import OrgSettings
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.notifications.alert_domain import BOUNCES_TO_CONFIRM, RECEIPT_STUCK
from waypost.notifications.alerts import alert
from waypost.notifications.providers.accounts import ProviderAccount, ProviderName
from waypost.notifications.providers.reports import Call, Reader, Reading, Report, Road
from waypost.notifications.receipts import storage
from waypost.notifications.receipts.answering import Answering
from waypost.notifications.receipts.domain import Disposition, Receipt, worst
from waypost.notifications.receipts.doors import Doors
from waypost.notifications.receipts.hearing import Hearing
from waypost.notifications.receipts.reporting import NotYet, Reporting
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

PATIENCE_MS: Final = 2_000  # of a sweep with a lock
CONFIRM: Final = "confirm "  # of a reading's trouble: an address that staff must open


class AccountGone(Exception):
    """A mistake of ours: a receipt of a provider's account that is not there."""


@dataclass(frozen=True, slots=True)
class ReceiptWork:
    """Finishes receipts, each in its own transaction."""

    database: Database
    clock: Clock
    publisher: Publisher
    doors: Doors
    rules: Rules
    readers: Mapping[ProviderName, Reader]

    async def finish(
        self, org_id: UUID, receipt_id: UUID, account: ProviderAccount | None = None, *, patience_ms: int = PATIENCE_MS
    ) -> Disposition | None:
        """What became of it; None: it stays open for now, is done already, or somebody is at it.

        ``patience_ms``: how long it may wait for a lock; then ``Unavailable``, and it stays open.
        """
        settings = await self.rules.of(org_id)  # it may ask caches
        try:
            async with self.database.transaction(SYSTEM, lock_timeout_ms=patience_ms) as conn:
                row = await storage.take(conn, org_id, receipt_id)
                if row is None:
                    return None
                account = account or await self._account(conn, row)
                ended = await self._work(conn, row, account, settings)
        except NotYet:
            return None
        log.info("receipt_done", receipt_id=str(receipt_id), road=row.road, disposition=str(ended))
        return ended

    def read(self, call: Call, account: ProviderAccount) -> Reading:
        """What is in it; whatever a reader stumbles over is a trouble of this one receipt."""
        try:
            return self.readers[account.provider].read(call, account)
        except Exception:  # noqa: BLE001 - anybody may send anything: it is kept, and shown as not understood
            log.exception("receipt_unreadable", provider=account.provider, road=call.road)
            return Reading(trouble="not_understood")

    async def tell_stuck(self, org_id: UUID, receipt_id: UUID, tries: int) -> None:
        """The staff, once a receipt."""
        async with self.database.transaction(SYSTEM) as conn:
            await alert(
                conn, self.publisher, self.clock, org_id, kind=RECEIPT_STUCK, key=f"{RECEIPT_STUCK}:{receipt_id}",
                subject_kind="receipt", subject_id=receipt_id, facts={"tries": str(tries)},
            )  # fmt: skip

    async def _account(self, conn: Connection, row: Receipt) -> ProviderAccount:
        found = await self.doors.account(conn, row.org_id, row.provider_id)
        if found is None:
            raise AccountGone(row.provider_id)
        return found

    async def _work(
        self, conn: Connection, row: Receipt, account: ProviderAccount, settings: OrgSettings
    ) -> Disposition:
        reading = self.read(call_of(row), account)
        if reading.trouble is not None:
            return await self._close(conn, row, await self._troubled(conn, row, reading.trouble), None, reading.trouble)
        named = await self._named(conn, row, reading)
        reporting = Reporting(self.clock, self.publisher)
        ends = [await reporting.apply(conn, account, report, to, settings.telling) for report, to in named]
        answering = Answering(self.clock, settings.selling)
        hearing = Hearing(self.clock, self.publisher, self.doors.accounts, answering)
        country = settings.selling.country
        ends += [await hearing.heard(conn, row, account, each, country) for each in reading.answered]
        ends += [await hearing.told_the_provider(conn, account, each, country) for each in reading.opted_out]
        only = named[0][1] if len(named) == 1 else None
        return await self._close(conn, row, worst(ends), only, None)

    async def _named(self, conn: Connection, row: Receipt, reading: Reading) -> list[tuple[Report, UUID | None]]:
        """Each report with its delivery, in the order in which deliveries are locked."""
        reporting = Reporting(self.clock, self.publisher)
        named = [(report, await reporting.delivery_of(conn, row, report)) for report in reading.reports]
        return sorted(named, key=lambda pair: pair[1].int if pair[1] else -1)

    async def _troubled(self, conn: Connection, row: Receipt, trouble: str) -> Disposition:
        """Not to be understood; or it asks whether the address is ours, which staff have to say."""
        if not trouble.startswith(CONFIRM):
            return Disposition.UNKNOWN
        await alert(
            conn, self.publisher, self.clock, row.org_id, kind=BOUNCES_TO_CONFIRM,
            key=f"{BOUNCES_TO_CONFIRM}:{row.id}", subject_kind="receipt", subject_id=row.id,
            facts={"link": trouble.removeprefix(CONFIRM)},
        )  # fmt: skip
        return Disposition.IGNORED

    async def _close(
        self, conn: Connection, row: Receipt, ended: Disposition, delivery_id: UUID | None, detail: str | None
    ) -> Disposition:
        await storage.close(conn, row, ended, detail, delivery_id)
        return ended


def call_of(row: Receipt) -> Call:
    """A stored one, as far as reading needs it; whether it is genuine was asked when it came."""
    named = {"d": str(row.delivery_id)} if row.delivery_id and row.road is Road.STATUS else {}
    return Call(row.road, "", {}, {**_query(row), **named}, row.body)


def _query(row: Receipt) -> Mapping[str, str]:
    return msgspec.json.decode(row.query, type=dict[str, str]) if row.query else {}
