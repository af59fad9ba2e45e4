"""The use cases of tracking: a device reports, people look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, Unavailable
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import WATCHERS, Principal
from waypost.platform.database import SYSTEM, Database
from waypost.tracking import domain, storage
from waypost.tracking.commit import GroupCommit
from waypost.tracking.domain import IMPORTED, Fix, Position, Reason, Rejected, Report, moment, ms_of
from waypost.tracking.quality import Noted, Quality
from waypost.tracking.reporter import Reporter
from waypost.tracking.shares import DeviceShares
from waypost.tracking.values import epoch_ms, number
from waypost.tracking.work import Batch
from waypost.trips import service as trips
from waypost.trips.domain import Filter, Run, Status, Trip

MAX_FLEET = 5000
NEXT_MS, LONGEST_NEXT_MS = 5_000, 60_000


class OnlyDevices(Denied):
    """Locations are reported with a device's token."""

    code = "device-token-needed"


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of a batch; every location has exactly one outcome."""

    accepted: int
    duplicates: int
    rejected: Sequence[Rejected]
    late: int
    flagged: Sequence[Fix]
    latest_at: datetime | None
    next_ms: int = NEXT_MS  # when to send again, at best


@dataclass(frozen=True, slots=True)
class Fleet:
    """What an organisation has on the road; ``truncated``: there is more than this."""

    trips: Sequence[Trip]
    positions: Sequence[Position]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Tracking:
    """Fixes in, positions out."""

    database: Database
    clock: Clock
    rules: Rules
    commit: GroupCommit
    quality: Quality
    shares: DeviceShares

    async def report(
        self,
        principal: Principal,
        reports: Sequence[Report],
        trip_id: UUID | None = None,
        *,
        stream: UUID | None = None,
        sent_at: object = None,
        source: str = "api",
    ) -> Reported:
        """Store a device's batch; returns once it has committed (P1), safe to repeat (P2).

        ``sent_at``: the device's clock as it sent the batch, as it wrote it; ``source``: the protocol it spoke.
        ``OnlyDevices``; ``TripNotFound`` when ``trip_id`` is not this driver's; ``DeviceTooFast``; ``Overloaded``.
        """
        reporter = Reporter.of(principal)
        if reporter is None:
            raise OnlyDevices
        limits = (await self.rules.of(principal.org_id)).tracking
        self.shares.spend(reporter.device_id, len(reports), limits, requests=0)
        now_ms = ms_of(self.clock.now())
        fixes, repeats, rejected = domain.screen_batch(reports, now_ms, limits)
        batch = Batch(
            reporter,
            now_ms,
            limits,
            fixes,
            rejected,
            len(repeats),
            named=trip_id,
            stream=str(stream) if stream is not None else "",
            sent_ms=_sent_ms(sent_at, reports),
            source=source,
            records=lambda index: reports[index].sent(),
        )
        try:
            return await self._store(batch)
        except Unavailable:
            self.shares.give_back(reporter.device_id, len(reports))
            raise

    def knock(self, principal: Principal) -> None:
        """Before a request is read: ``OnlyDevices``, ``DeviceTooFast``."""
        if principal.device_id is None:
            raise OnlyDevices
        self.shares.knock(principal.device_id)

    async def add_history(self, reporter: Reporter, run: Run, reports: Sequence[Report], *, source: str) -> Reported:
        """Store fixes that staff brings for a trip: same screening and keys, but nothing of them becomes live."""
        limits = (await self.rules.of(reporter.org_id)).tracking
        now_ms = ms_of(self.clock.now())
        fixes, repeats, rejected = domain.screen_batch(reports, now_ms, limits)
        for fix in fixes:
            fix.flags |= IMPORTED
            fix.vehicle_id, fix.driver_id, fix.trip_id = reporter.vehicle_id, reporter.driver_id, run.trip_id
        batch = Batch(reporter, now_ms, limits, fixes, rejected, len(repeats), source=source, is_history=True)
        return await self._store(batch)

    async def _store(self, batch: Batch) -> Reported:
        await self.commit.store(batch)
        stored = batch.stored
        flagged = [fix for fix in stored if fix.flags & ~IMPORTED]
        duplicates = batch.repeats + len(batch.screened) + len(batch.refused) - len(batch.rejected) - len(stored)
        late = sum(fix.late for fix in stored)
        if not batch.is_history:
            self.quality.note(_noted(batch, flagged, duplicates, late))
        return Reported(
            accepted=len(stored),
            duplicates=duplicates,
            rejected=sorted(batch.rejected, key=lambda one: one.index),
            late=late,
            flagged=flagged,
            latest_at=moment(batch.latest_ms) if batch.latest_ms is not None else None,
            next_ms=min(int(NEXT_MS * (1 + 10 * self.commit.room.fullness)), LONGEST_NEXT_MS),
        )

    async def latest(self, principal: Principal, limit: int, cursor: str | None) -> Page[Position]:
        """The newest position of each vehicle: of all for staff, its own for a device, none for a driver's login."""
        after = decode_cursor(cursor, UUID) if cursor else None
        if not principal.watches_everything and principal.device_id is None:
            return Page([], None)
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.latest(conn, principal.org_id, after, limit + 1, principal.device_id)
        return page_of(rows, limit, lambda position: position.vehicle_id)

    async def latest_of_trip(self, principal: Principal, trip_id: UUID) -> Position | None:
        """A trip's newest good fix; None before the first."""
        _, position = await self.trip_snapshot(principal, trip_id)
        return position

    async def trip_snapshot(self, principal: Principal, trip_id: UUID) -> tuple[Trip, Position | None]:
        """A trip as the principal may see it now, and its position. ``TripNotFound``.

        The sender's staff get both of one moment; a receiver's position may be newer than the trip, never older.
        """
        async with self.database.transaction(principal.org_id, snapshot=True) as conn:
            trip = await trips.visible(conn, principal, trip_id)
            if trip.org_id == principal.org_id:
                return trip, await storage.latest_of_trip(conn, trip.org_id, trip_id)
        async with self.database.transaction(trip.org_id) as conn:
            position = await storage.latest_of_trip(conn, trip.org_id, trip_id)
        return trip, domain.for_receiver(position) if position else None

    async def fleet_snapshot(self, principal: Principal) -> Fleet:
        """Every running trip, sent or received, and where each vehicle is."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id, snapshot=True) as conn:
            running = await trips.list_in(conn, principal.org_id, Filter(Status.STARTED), MAX_FLEET)
            positions = await storage.latest(conn, principal.org_id, None, MAX_FLEET + 1)
        if any(trip.org_id != principal.org_id for trip in running):
            async with self.database.transaction(SYSTEM, snapshot=True) as conn:
                received = await storage.received_positions(conn, principal.org_id, MAX_FLEET)
            positions += [domain.for_receiver(position) for position in received]
        truncated = len(running) > MAX_FLEET or len(positions) > MAX_FLEET
        return Fleet(running[:MAX_FLEET], positions, truncated)


def _sent_ms(sent_at: object, reports: Sequence[Report]) -> int | None:
    """When the device sent a batch, by its own clock: it says so, or how old a fix was by then."""
    if sent_at is not None:
        return epoch_ms(sent_at)
    for report in reports:
        age_ms = number(report.age_ms)
        if age_ms is not None and age_ms >= 0 and (at_ms := epoch_ms(report.timestamp)) is not None:
            return at_ms + int(age_ms)
    return None


def _noted(batch: Batch, flagged: Sequence[Fix], duplicates: int, late: int) -> Noted:
    """A batch as its device's data quality counts it."""
    stored = batch.stored
    times = [fix.recorded_ms for fix in stored]
    charged = [fix for fix in stored if fix.battery_pct is not None]
    accuracies = [fix.accuracy_m for fix in stored if fix.accuracy_m is not None]
    org_id, device_id = batch.device
    return Noted(
        org_id,
        device_id,
        moment(batch.received_ms),
        batch.source,
        accepted=len(stored),
        duplicates=duplicates,
        late=late,
        rejected=[one.reason for one in batch.rejected],
        flags=[fix.flags for fix in flagged],
        newest_at=moment(max(times)) if times else None,
        oldest_at=moment(min(times)) if times else None,
        delay_sum_s=(batch.received_ms * len(times) - sum(times)) / 1000,
        accuracy_sum_m=sum(accuracies),
        accuracy_n=len(accuracies),
        battery_pct=max(charged, key=_recorded_ms).battery_pct if charged else None,
        clock_offset_ms=-batch.offset_ms if batch.offset_ms is not None else None,
        ahead_s=_ahead_s(batch),
    )


def _recorded_ms(fix: Fix) -> int:
    return fix.recorded_ms


def _ahead_s(batch: Batch) -> float | None:
    """How far ahead of us the fixes were that were refused for it."""
    refused = {one.index for one in batch.rejected if one.reason is Reason.FUTURE}
    if not refused:
        return None
    return max(fix.raw_ms - batch.received_ms for fix in batch.screened if fix.index in refused) / 1000
