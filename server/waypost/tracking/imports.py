"""Tracks that come from files: history of a trip, through the same screening and keys as what phones report."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from waypost.directory import service as directory
from waypost.directory.domain import Assignment
from waypost.identity import audit
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal
from waypost.platform.database import SYSTEM, Database
from waypost.tracking import storage_tracks as storage
from waypost.tracking import values
from waypost.tracking.domain import Rejected, Report
from waypost.tracking.reporter import Reporter
from waypost.tracking.service import Reported, Tracking
from waypost.tracking.track_files import TrackFileUnreadable
from waypost.trips import service as trips
from waypost.trips.domain import Run, Trip, TripNotFound

POINTS_AT_A_TIME = 1000
REJECTED_SHOWN = 100
# A time that is far off may be repaired to within seven days of now.
REPAIRED_WITHIN = timedelta(days=8)


@dataclass(slots=True)
class Imported:
    """What became of a file's points; each has one outcome. ``rejected``: the first ones; ``reasons``: of all."""

    points: int = 0
    accepted: int = 0
    duplicates: int = 0
    flagged: int = 0
    without_time: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, reported: Reported) -> None:
        self.accepted += reported.accepted
        self.duplicates += reported.duplicates
        self.flagged += len(reported.flagged)
        self.reasons.update(str(rejected.reason) for rejected in reported.rejected)
        self.rejected += reported.rejected[: REJECTED_SHOWN - len(self.rejected)]


@dataclass(frozen=True, slots=True)
class Carriers:
    """Which device a driver had at what time; at others the trip itself stands for one, so that its fixes have keys."""

    trip: Trip
    known: Sequence[tuple[UUID, Assignment]]

    def at(self, moment: datetime | None) -> Reporter:
        trip = self.trip
        for device_id, had in self.known:
            if moment is not None and had.from_at <= moment and (had.until_at is None or moment < had.until_at):
                return Reporter(trip.org_id, device_id, trip.driver_id, had.truck_id or device_id)
        return Reporter(trip.org_id, trip.id, trip.driver_id, trip.truck_id or trip.id)


@dataclass(frozen=True, slots=True)
class Imports:
    """Files of points, for staff."""

    database: Database
    clock: Clock
    rules: Rules
    tracking: Tracking

    async def add(
        self, principal: Principal, trip_id: UUID, body: bytes, read: Callable[[bytes], Iterator[Sequence[Report]]]
    ) -> Imported:
        """Store the points of a file as a trip's history. Safe to repeat: what is known is a duplicate.

        ``TripNotFound``, also for a receiver: the trip is its sender's to change. ``TrackFileUnreadable`` and
        ``TrackFileTooLong`` before anything is stored; after an error of the database a part may be.
        """
        carriers = await self._carriers(principal, trip_id)
        await _check(read(body))
        kept = timedelta(days=(await self.rules.of(principal.org_id)).tracking.retention_days)
        imported = Imported()
        async for chunk in _chunks(read(body)):
            imported.points += len(chunk)
            timed = [report for report in chunk if report.malformed or report.timestamp is not None]
            imported.without_time += len(chunk) - len(timed)
            if timed:
                await self._add(carriers, timed, kept, imported)
        await self._note(principal, trip_id, imported)
        return imported

    async def _carriers(self, principal: Principal, trip_id: UUID) -> Carriers:
        async with self.database.transaction(principal.org_id) as conn:
            trip = await trips.visible(conn, principal, trip_id)
            if trip.org_id != principal.org_id:
                raise TripNotFound
            if trip.driver_id is None:
                return Carriers(trip, ())
            return Carriers(trip, await directory.assignments_of_driver(conn, trip.org_id, trip.driver_id))

    async def _add(self, carriers: Carriers, reports: Sequence[Report], kept: timedelta, imported: Imported) -> None:
        trip, now = carriers.trip, self.clock.now()
        moments = [_moment(report) for report in reports]
        async with self.database.transaction(SYSTEM) as conn:
            await storage.widen_span(conn, trip.org_id, trip.id, *span_of(moments, now, kept))
        by_reporter: dict[Reporter, list[Report]] = {}
        for report, moment in zip(reports, moments, strict=True):
            by_reporter.setdefault(carriers.at(moment), []).append(report)
        run = Run(trip.id, trip.started_at or trip.created_at, None, trip.destination_org_id)
        for reporter, own in by_reporter.items():
            imported.add(await self.tracking.add_history(reporter, run, own, source="import"))

    async def _note(self, principal: Principal, trip_id: UUID, imported: Imported) -> None:
        detail: Mapping[str, object] = {"points": imported.points, "accepted": imported.accepted}
        async with self.database.transaction(principal.org_id) as conn:
            await audit.record(
                conn, principal, self.clock, action="trip.track-imported", subject_kind="trip", subject_id=trip_id,
                detail=detail,
            )  # fmt: skip


async def _check(pieces: Iterable[Sequence[Report]]) -> None:
    """Read all of it once, so that a file that turns out to be none leaves nothing behind."""
    is_track = False
    for piece in pieces:
        is_track = is_track or bool(piece)
        await asyncio.sleep(0)  # others on this loop want their turn
    if not is_track:
        raise TrackFileUnreadable("There is no track point in the file.")


async def _chunks(pieces: Iterable[Sequence[Report]]) -> AsyncIterator[list[Report]]:
    """What is stored at a time, however the file is read."""
    waiting: list[Report] = []
    for piece in pieces:
        await asyncio.sleep(0)
        waiting += piece
        while len(waiting) >= POINTS_AT_A_TIME:
            yield waiting[:POINTS_AT_A_TIME]
            del waiting[:POINTS_AT_A_TIME]
    if waiting:
        yield waiting


def _moment(report: Report) -> datetime | None:
    ms = values.epoch_ms(report.timestamp)
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms) if ms is not None else None
    except OverflowError:
        return None


def span_of(moments: Sequence[datetime | None], now: datetime, kept: timedelta) -> tuple[datetime, datetime]:
    """Between which times the fixes lie that are made of reports of these times; None: of no time.

    One outside of what is kept is rejected, or repaired to within days of now.
    """
    near = (now - REPAIRED_WITHIN, now + REPAIRED_WITHIN)
    plausible = [moment for moment in moments if moment is not None and now - kept - REPAIRED_WITHIN <= moment <= now]
    if len(plausible) < len(moments):
        plausible += near
    return min(plausible), max(plausible)
