"""The use cases of tracking: a device reports, people look."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg
import msgspec
from msgspec import Meta

from waypost.directory import service as directory
from waypost.directory.domain import Assignment
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied
from waypost.kernel.paging import BadCursor, Page, decode_cursor, page_of
from waypost.kernel.principal import WATCHERS, Principal
from waypost.platform import codec
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.realtime.service import Publisher, fleet_room, trip_room
from waypost.tracking import domain, storage, wire
from waypost.tracking.domain import Fix, Position, Rejected, Report, TrackFix
from waypost.tracking.storage import Known, Reporter
from waypost.trips import service as trips
from waypost.trips.domain import Filter, Status, Trip, TripNotFound

MAX_FLEET = 5000
NEXT_MS = 5000


class TrackCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of a track ended: the fix's own time and its receipt number."""

    recorded_at: Annotated[datetime, Meta(tz=True)]
    receipt: Annotated[int, Meta(ge=0, le=2**63 - 1)]

    def moment(self) -> datetime:
        """``BadCursor`` for one beyond all calendars."""
        try:
            return codec.utc(self.recorded_at)
        except ValueError as error:
            raise BadCursor from error


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


@dataclass(frozen=True, slots=True)
class Stored:
    """What a transaction wrote: the new fixes with their receipts, and what was known before of device and trips."""

    fixes: Sequence[tuple[Fix, int]] = ()
    known: Known = Known()  # noqa: RUF009 - frozen
    trips_at: Mapping[UUID, datetime] = field(default_factory=dict)
    vehicle_name: str | None = None

    def newest(self) -> Fix | None:
        """The device's new position, if the batch brought one."""
        best = domain.newest(fix for fix, _ in self.fixes)
        return best if best and _is_after(best.recorded_at, self.known.device_at) else None

    def news_of_vehicle(self) -> Fix | None:
        """The vehicle's new position: another device in it may have been heard of since."""
        best = self.newest()
        if best is None or best.vehicle_id is None:
            return None
        return best if _is_after(best.recorded_at, self.known.vehicles_at.get(best.vehicle_id)) else None

    def news_of_trips(self) -> dict[UUID, list[Fix]]:
        """The good fixes that each trip's watchers have not been overtaken by, in the order of their own time."""
        news: dict[UUID, list[Fix]] = defaultdict(list)
        for fix, _ in sorted(self.fixes, key=lambda stored: stored[0].order):
            if fix.trip_id is not None and fix.is_good and _is_after(fix.recorded_at, self.trips_at.get(fix.trip_id)):
                news[fix.trip_id].append(fix)
        return news

    def late(self) -> int:
        """How many came after a newer one of their device."""
        before = self.known.device_at
        return sum(before is not None and fix.recorded_at <= before for fix, _ in self.fixes)


def _is_after(moment: datetime, known: datetime | None) -> bool:
    return known is None or moment > known


@dataclass(frozen=True, slots=True)
class Tracking:
    """Fixes in, positions out."""

    database: Database
    clock: Clock
    publisher: Publisher
    rules: Rules
    turns: WeakValueDictionary[UUID, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def report(self, principal: Principal, reports: Sequence[Report], trip_id: UUID | None = None) -> Reported:
        """Store a device's batch; returns once it has committed (P1), safe to repeat (P2).

        ``OnlyDevices``; ``TripNotFound`` when ``trip_id`` is not this driver's.
        """
        reporter = Reporter.of(principal)
        if reporter is None:
            raise OnlyDevices
        now = self.clock.now()
        limits = (await self.rules.of(principal.org_id)).tracking
        fixes, repeats, rejected = domain.screen_batch(reports, now, limits)
        if trip_id is not None and not fixes:
            async with self.database.transaction(SYSTEM) as conn:
                await trips.visible(conn, principal, trip_id)
        stored = await self._store(reporter, fixes, now, trip_id) if fixes else Stored()
        self._publish(reporter, stored, now)
        newest = stored.newest()
        return Reported(
            accepted=len(stored.fixes),
            duplicates=len(repeats) + len(fixes) - len(stored.fixes),
            rejected=rejected,
            late=stored.late(),
            flagged=[fix for fix, _ in stored.fixes if fix.flags],
            latest_at=newest.recorded_at if newest else stored.known.device_at,
        )

    async def _store(self, reporter: Reporter, fixes: Sequence[Fix], now: datetime, trip_id: UUID | None) -> Stored:
        """In turns within the process too, so that one phone's crowd of batches cannot hold every connection."""
        turn = self.turns.setdefault(reporter.device_id, asyncio.Lock())
        async with turn:
            try:
                return await self._store_once(reporter, fixes, now, trip_id)
            except asyncpg.CheckViolationError:  # a week without a partition: an old backlog, or the worker was away
                async with self.database.transaction(SYSTEM) as conn:
                    await storage.make_partitions(conn, (fix.raw_at for fix in fixes))
                return await self._store_once(reporter, fixes, now, trip_id)

    async def _store_once(
        self, reporter: Reporter, fixes: Sequence[Fix], now: datetime, trip_id: UUID | None
    ) -> Stored:
        async with self.database.transaction(SYSTEM) as conn:
            await storage.take_turn(conn, reporter)
            assignments = await _assignments(conn, reporter, min(fix.recorded_at for fix in fixes))
            fixes = domain.aboard(fixes, reporter.device_id, assignments)
            if trip_id is not None:
                drivers = {assignments[-1].driver_id, *(fix.driver_id for fix in fixes)}
                await _check_named(conn, reporter, drivers, trip_id)
            vehicles = {fix.vehicle_id for fix in fixes if fix.vehicle_id is not None}
            known = await storage.known(conn, reporter, vehicles)
            assigned = await _on_trips(conn, reporter, fixes, trip_id)
            on_trips = {fix.trip_id for fix in assigned if fix.trip_id is not None}
            trips_at = await storage.known_of_trips(conn, reporter.org_id, on_trips) if on_trips else {}
            stored = await storage.add_fixes(conn, reporter, assigned, now, known.device_at)
            await _move_positions(conn, reporter, stored, now)
            newest = domain.newest(fix for fix, _ in stored)
            vehicle_name = await storage.vehicle_name(conn, reporter, newest.vehicle_id) if newest else None
            return Stored(stored, known, trips_at, vehicle_name)

    def _publish(self, reporter: Reporter, stored: Stored, now: datetime) -> None:
        """Tell the rooms, after the commit (P5): each trip its fixes, each fleet its vehicle's newest."""
        for trip_id, fixes in stored.news_of_trips().items():
            locations = [wire.location(fix, now) for fix in fixes]
            room = trip_room(reporter.org_id, trip_id)
            self.publisher.publish(room, "trip:location", wire.TripLocations(trip_id, locations))
            if (receiver := fixes[0].destination_org_id) is not None:
                seen = wire.TripLocations(trip_id, [wire.for_receiver(location) for location in locations])
                self.publisher.publish(trip_room(receiver, trip_id), "trip:location", seen)
        if (newest := stored.news_of_vehicle()) is not None:
            position = _position(reporter, newest, now, stored.vehicle_name)
            self._publish_position(reporter.org_id, position)
            if newest.destination_org_id is not None:
                self._publish_position(newest.destination_org_id, domain.for_receiver(position))

    def _publish_position(self, org_id: UUID, position: Position) -> None:
        body = wire.position(position)
        self.publisher.publish_position(fleet_room(org_id), position.vehicle_id, position.recorded_at, body)

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

    async def track(
        self,
        principal: Principal,
        trip_id: UUID,
        limit: int,
        cursor: str | None,
        *,
        doubtful: bool = False,
        backwards: bool = False,
    ) -> Page[TrackFix]:
        """A trip's fixes in the order of their own time."""
        start = decode_cursor(cursor, TrackCursor) if cursor else None
        after = (start.moment(), start.receipt) if start else None
        async with self.database.transaction(principal.org_id) as conn:
            trip = await trips.visible(conn, principal, trip_id)
        async with self.database.transaction(trip.org_id) as conn:
            rows = await storage.track(
                conn, trip.org_id, trip_id, after=after, limit=limit, doubtful=doubtful, backwards=backwards
            )
        return page_of(rows, limit, lambda fix: TrackCursor(fix.recorded_at, fix.receipt))

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

    async def fleet_snapshot(self, principal: Principal) -> tuple[list[Trip], list[Position]]:
        """Every running trip, sent or received, and where each vehicle is."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id, snapshot=True) as conn:
            running = await trips.list_in(conn, principal.org_id, Filter(Status.STARTED), MAX_FLEET)
            positions = await storage.latest(conn, principal.org_id, None, MAX_FLEET)
        if any(trip.org_id != principal.org_id for trip in running):
            async with self.database.transaction(SYSTEM, snapshot=True) as conn:
                received = await storage.received_positions(conn, principal.org_id, MAX_FLEET)
            positions += [domain.for_receiver(position) for position in received]
        return running, positions


async def _assignments(conn: Connection, reporter: Reporter, since: datetime) -> Sequence[Assignment]:
    """Whose the device was from then on, up to now; what its token says, if nobody has begun its history."""
    known = await directory.assignments_since(conn, reporter.org_id, reporter.device_id, since)
    return known or [reporter.assignment(since)]


async def _check_named(conn: Connection, reporter: Reporter, drivers: Iterable[UUID | None], trip_id: UUID) -> None:
    """``TripNotFound`` unless the trip is one of these drivers': who has the device, or had it at a fix's time."""
    for driver_id in drivers:
        with suppress(TripNotFound):
            await trips.visible(conn, reporter.principal(driver_id), trip_id)
            return
    raise TripNotFound


async def _on_trips(conn: Connection, reporter: Reporter, fixes: Sequence[Fix], trip_id: UUID | None) -> list[Fix]:
    """The fixes, each with the trip that its driver was running at its time."""
    by_driver: dict[UUID, list[Fix]] = defaultdict(list)
    for fix in fixes:
        by_driver[fix.driver_id or reporter.driver_id].append(fix)
    assigned: list[Fix] = []
    for driver_id, own in by_driver.items():
        times = [fix.recorded_at for fix in own]
        runs = await trips.runs_between(conn, reporter.org_id, driver_id, min(times), max(times))
        assigned += domain.assign(own, runs, trip_id)
    return sorted(assigned, key=lambda fix: fix.index)


async def _move_positions(
    conn: Connection, reporter: Reporter, stored: Sequence[tuple[Fix, int]], now: datetime
) -> None:
    """The device's position, and that of each trip that got a fix. In one order: no deadlock."""
    receipts = {fix.place_key: receipt for fix, receipt in stored}
    by_trip: dict[UUID | None, list[Fix]] = defaultdict(list)
    for fix, _ in stored:
        by_trip[fix.trip_id].append(fix)
    if best := domain.newest(fix for fix, _ in stored):
        await storage.move_position(conn, reporter, best, receipts[best.place_key], now)
    for trip_id in sorted(trip_id for trip_id in by_trip if trip_id is not None):
        if best := domain.newest(by_trip[trip_id]):
            await storage.move_trip_position(conn, reporter, best, receipts[best.place_key], now)


def _position(reporter: Reporter, fix: Fix, now: datetime, vehicle_name: str | None) -> Position:
    shared: dict[str, Any] = {
        name: getattr(fix, name)
        for name in (
            "trip_id", "recorded_at", "latitude_e7", "longitude_e7", "accuracy_m", "speed_mps", "heading_deg",
            "altitude_m", "battery_pct",
        )
    }  # fmt: skip
    return Position(
        device_id=reporter.device_id,
        vehicle_id=fix.vehicle_id or reporter.vehicle_id,
        driver_id=fix.driver_id,
        received_at=now,
        vehicle_name=vehicle_name,
        **shared,
    )
