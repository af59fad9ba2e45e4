"""How good what devices send is: counted beside the hot path, written every few seconds."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import SYSTEM, Database
from waypost.platform.telemetry import log
from waypost.tracking import rejections, storage_quality, storage_rejections
from waypost.tracking.rejections import Rejection
from waypost.tracking.tallies import Device, Noted, Tallies, Tally

__all__ = ["Noted", "Quality"]

FLUSH_S = 3.0
LAST_FLUSH_S = 5.0
DEVICES_A_BATCH = 1_000
REJECTIONS_KEPT = 1_000  # of one device


@dataclass(slots=True)
class Quality:
    """The counters of this process, and the doors to those of all.

    A process that dies loses the counters of its last few seconds, never a fix or a rejection: these are written with
    their batch. Where the connection breaks in the middle of a commit, those few seconds may be counted twice.
    """

    database: Database
    clock: Clock
    tallies: Tallies = field(default_factory=Tallies)
    waiting: dict[Device, Tally] = field(default_factory=dict)  # taken out of ``tallies``, not yet written
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # of who writes

    def note(self, noted: Noted) -> None:
        """A batch that was committed, or that was refused whole. Only in memory: for the hot path."""
        self.tallies.note(noted)

    def heard(
        self,
        org_id: UUID,
        device_id: UUID,
        at: datetime,
        battery_pct: float | None = None,
        signal: str | None = None,
        source: str = "api",
    ) -> None:
        """A sign of life without a location: a heartbeat, a last will (``silence.Signal``)."""
        said = rejections.storable(signal, rejections.MAX_NAME) if signal is not None else None
        self.tallies.heard((org_id, device_id), at, battery_pct, said, source)

    async def refuse(self, refused: Sequence[Rejection]) -> None:
        """Keep what never became a batch (a body that cannot be read or decrypted), and count it."""
        async with self.database.transaction(SYSTEM) as conn:
            await rejections.add(conn, refused)
        batches: dict[tuple[UUID, UUID, datetime, str], list[str]] = defaultdict(list)
        for one in refused:
            reason = rejections.storable(one.reason, rejections.MAX_NAME)
            batches[one.org_id, one.device_id, one.received_at, one.source].append(reason)
        for batch, reasons in batches.items():
            self.note(Noted(*batch, rejected=reasons))

    async def run(self) -> None:
        """Write for ever, and once more at the end."""
        try:
            while True:
                await self.clock.sleep(FLUSH_S)
                await self.flush()
        finally:
            try:
                async with asyncio.timeout(LAST_FLUSH_S):
                    await self.flush()
            except TimeoutError:
                log.warning("counters_lost", devices=len(self.waiting) + len(self.tallies.of), why="database away")

    async def flush(self) -> None:
        """Write what has come since the last time. While the database is away it waits, up to so many devices."""
        try:
            async with self.turn:
                await self._write()
                self.waiting = self.tallies.take_all()
                await self._write()
        except Unavailable:
            log.warning("counters_wait", devices=len(self.waiting) + len(self.tallies.of))
        if self.tallies.dropped:
            log.warning("counters_lost", batches=self.tallies.dropped, why="too many devices wait")
            self.tallies.dropped = 0

    async def _write(self) -> None:
        while self.waiting:
            some = dict(islice(self.waiting.items(), DEVICES_A_BATCH))
            try:
                async with self.database.transaction(SYSTEM) as conn:
                    await storage_quality.note(conn, some)
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001 - what cannot be written now never can; the next devices' counters can
                log.exception("counters_lost", devices=len(some))
            for device in some:
                del self.waiting[device]
            if rejecting := [device for device, tally in some.items() if tally.is_rejecting]:
                async with self.database.transaction(SYSTEM) as conn:
                    await storage_rejections.trim(conn, rejecting, REJECTIONS_KEPT)
