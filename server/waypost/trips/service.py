"""The use cases of trips."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from waypost.directory.service import check_exist, is_driver_in_use
from waypost.identity.domain import OrganisationNotFound
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Denied, Stale, invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import PLANNERS, Principal
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.realtime.service import Publisher, fleet_room, trip_room
from waypost.trips import domain, notices, storage, wire
from waypost.trips.domain import (
    DriverBusy,
    Filter,
    Move,
    Past,
    Sight,
    Status,
    Trip,
    TripEvent,
    TripNotFound,
    TripWithoutDriver,
)

_BECOMES = {Move.START: Status.STARTED, Move.COMPLETE: Status.COMPLETED, Move.CANCEL: Status.CANCELLED}


@dataclass(frozen=True, slots=True)
class NewTrip:
    """What a trip begins with; ``reference`` None: one is made."""

    reference: str | None = None
    driver_id: UUID | None = None
    truck_id: UUID | None = None
    customer_id: UUID | None = None
    destination_org_id: UUID | None = None
    origin: str | None = None
    destination: str | None = None
    planned_start_at: datetime | None = None


# What a move means to another feature, in the move's own transaction; wiring fills it.
Moved = Callable[[Connection, Trip, Move], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Trips:
    """Trips. Every method is for a principal; what they may not see does not exist."""

    database: Database
    clock: Clock
    publisher: Publisher
    others: Sequence[Moved] = ()

    async def find(self, principal: Principal, trip_id: UUID) -> Trip:
        """One trip. ``TripNotFound`` whether it is absent or another's."""
        async with self.database.transaction(principal.org_id) as conn:
            return await visible(conn, principal, trip_id)

    async def sights(self, watched: Collection[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Sight]:
        """Of pairs (organisation that watches, trip) what decides who of it may; absent: nobody."""
        async with self.database.transaction(SYSTEM) as conn:
            return await storage.seen_by(conn, watched)

    async def list(self, principal: Principal, wanted: Filter, limit: int, cursor: str | None) -> Page[Trip]:
        """Newest first. Drivers and devices get their own whatever they ask for."""
        after = decode_cursor(cursor, UUID) if cursor else None
        if not principal.watches_everything:
            if principal.driver_id is None:
                return Page([], None)
            wanted = replace(wanted, driver_id=principal.driver_id)
        async with self.database.transaction(principal.org_id) as conn:
            rows = await list_in(conn, principal.org_id, wanted, limit, after)
        return page_of(rows, limit, lambda trip: trip.id)

    async def create(self, principal: Principal, new: NewTrip) -> Trip:
        """Plan a trip."""
        principal.require(PLANNERS)
        await self._check_destination(principal.org_id, new.destination_org_id)
        now, trip_id = self.clock.now(), new_id(self.clock)
        trip = Trip(
            org_id=principal.org_id,
            id=trip_id,
            reference=new.reference or f"T-{trip_id.hex[-6:].upper()}",
            status=Status.PLANNED,
            created_at=now,
            updated_at=now,
            version=1,
            destination_org_id=new.destination_org_id,
            driver_id=new.driver_id,
            truck_id=new.truck_id,
            customer_id=new.customer_id,
            origin=new.origin,
            destination=new.destination,
            planned_start_at=new.planned_start_at,
        )
        async with self.database.transaction(principal.org_id) as conn:
            await check_exist(
                conn,
                principal.org_id,
                driver_id=new.driver_id,
                truck_id=new.truck_id,
                customer_id=new.customer_id,
            )
            await storage.add(conn, trip)
            created = await self._record(conn, principal, trip_id, "created", {})
            await notices.tell_planned(conn, self.clock, created)
            return created

    async def change(
        self, principal: Principal, trip_id: UUID, columns: Mapping[str, object], *, expected: int | None = None
    ) -> Trip:
        """Change a trip's own fields; whose it is and when it begins only while it is planned.

        ``expected``: the version that the caller has seen (``Stale`` when it is another by now); None: any.
        """
        principal.require(PLANNERS)
        if not columns:
            return await self.find(principal, trip_id)
        destination = columns.get("destination_org_id")
        await self._check_destination(principal.org_id, destination if isinstance(destination, UUID) else None)
        async with self.database.transaction(principal.org_id) as conn:
            status, _ = await self._lock(conn, principal, trip_id, expected)
            domain.check_move(Move.CHANGE, status)
            if status is not Status.PLANNED and (
                fixed := sorted(map(public_name, domain.PLANNED_ONLY & columns.keys()))
            ):
                raise domain.TripMoveRefused(
                    f"The trip is {status}; {', '.join(fixed)} can no longer change.", tripStatus=str(status)
                )
            await check_exist(
                conn,
                principal.org_id,
                **{name: columns[name] for name in ("driver_id", "truck_id", "customer_id") if name in columns},  # type: ignore[arg-type]  # the wire struct made them ids
            )
            before = await visible(conn, principal, trip_id)
            await storage.change(conn, principal.org_id, trip_id, columns, self.clock.now())
            fields = {"fields": sorted(map(public_name, columns))}
            after = await self._record(conn, principal, trip_id, Move.CHANGE, fields)
            if after.status is Status.PLANNED:
                await notices.tell_put_off(conn, self.clock, before, after)
            return after

    async def move(
        self,
        principal: Principal,
        trip_id: UUID,
        move: Move,
        reason: str | None = None,
        *,
        expected: int | None = None,
    ) -> Trip:
        """Start, complete or cancel. Planners, and the trip's own driver (who may not cancel).

        ``TripMoveRefused`` names the present status; ``DriverBusy`` when the driver runs another trip.
        """
        try:
            async with self.database.transaction(principal.org_id) as conn:
                status, driver_id = await self._lock(conn, principal, trip_id, expected)
                self._check_mover(principal, driver_id, move)
                domain.check_move(move, status)
                if move is Move.START:
                    await _check_driver(conn, principal.org_id, driver_id)
                await storage.set_status(conn, principal.org_id, trip_id, _BECOMES[move], self.clock.now())
                trip = await self._record(conn, principal, trip_id, move, {"reason": reason} if reason else {})
                await notices.tell(conn, self.clock, trip, move)
                for moved in self.others:
                    await moved(conn, trip, move)
                return trip
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "trips_one_running":
                raise
            raise DriverBusy from error

    async def events(self, principal: Principal, trip_id: UUID, limit: int, cursor: str | None) -> Page[TripEvent]:
        """What happened on a trip, newest first."""
        after = decode_cursor(cursor, UUID) if cursor else None
        trip = await self.find(principal, trip_id)
        async with self.database.transaction(trip.org_id) as conn:
            rows = await storage.list_events(conn, trip.org_id, trip_id, after, limit)
        seen = [domain.event_seen_by(principal.org_id, trip, event) for event in rows]
        return page_of(seen, limit, lambda event: event.id)

    async def _check_destination(self, org_id: UUID, destination: UUID | None) -> None:
        if destination is None:
            return
        if destination == org_id:
            raise invalid_field("destinationOrgId", "that is your own organisation")
        async with self.database.transaction(SYSTEM) as conn:
            if not await storage.organisation_exists(conn, destination):
                raise OrganisationNotFound

    async def _lock(
        self, conn: Connection, principal: Principal, trip_id: UUID, expected: int | None
    ) -> tuple[Status, UUID | None]:
        trip = await visible(conn, principal, trip_id)
        if trip.org_id != principal.org_id:
            raise Denied("This trip belongs to the organisation that sends it; only they change it.")
        locked = await storage.lock(conn, principal.org_id, trip_id)
        if locked is None:
            raise TripNotFound
        status, driver_id, version = locked
        if expected not in (None, version):
            raise Stale
        return status, driver_id

    def _check_mover(self, principal: Principal, driver_id: UUID | None, move: Move) -> None:
        own = principal.driver_id is not None and principal.driver_id == driver_id
        if not (own and move is not Move.CANCEL):
            principal.require(PLANNERS)

    async def _record(
        self, conn: Connection, principal: Principal, trip_id: UUID, kind: str, data: Mapping[str, object]
    ) -> Trip:
        """Keep the event in this transaction, and promise to tell of it; the trip as it is now."""
        event = TripEvent(new_id(self.clock), trip_id, str(kind), self.clock.now(), None, data)
        event = await storage.add_event(conn, principal.org_id, event, principal)
        trip = await storage.find(conn, principal.org_id, trip_id)
        if trip is None:  # it is locked by this very transaction
            raise TripNotFound
        await self._promise(conn, trip, event)
        return trip

    async def _promise(self, conn: Connection, trip: Trip, event: TripEvent) -> None:
        """Tell the rooms of either organisation, each what it may see."""
        for org_id in domain.organisations_of(trip):
            body = wire.TripEvent.from_domain(domain.event_seen_by(org_id, trip, event))
            fields = {name: getattr(body, name) for name in body.__struct_fields__}
            seen = wire.Trip.from_domain(domain.seen_by(org_id, trip))
            for room, name in ((trip_room(org_id, trip.id), "trip"), (fleet_room(org_id), "fleet")):
                told = wire.TripEventMessage(**fields, room=name, trip=seen)
                await self.publisher.promise(conn, trip.org_id, room, "trip:event", told, event.id)


def public_name(column: str) -> str:
    """A column as the API calls it: driver_id -> driverId."""
    first, *rest = column.split("_")
    return first + "".join(word.capitalize() for word in rest)


async def _check_driver(conn: Connection, org_id: UUID, driver_id: UUID | None) -> None:
    """Somebody has to drive it; and is not archived before it has started."""
    if driver_id is None:
        raise TripWithoutDriver
    if not await is_driver_in_use(conn, org_id, driver_id):
        raise TripWithoutDriver("The trip's driver is archived; give it another.")


async def visible(conn: Connection, principal: Principal, trip_id: UUID) -> Trip:
    """The trip, if this principal may see it."""
    trip = await storage.find(conn, principal.org_id, trip_id)
    if trip is None or not domain.may_see(principal, trip):
        raise TripNotFound
    return domain.seen_by(principal.org_id, trip)


async def pasts_of(conn: Connection, wanted: Sequence[storage.Wanted]) -> Mapping[tuple[UUID, UUID], Past]:
    """Whose each (organisation, device) was in a span, and what trips were run then: for who books its fixes."""
    return await storage.pasts(conn, wanted, domain.NAMED_TRIP_GRACE)


async def list_in(conn: Connection, org_id: UUID, wanted: Filter, limit: int, after: UUID | None = None) -> list[Trip]:
    """Trips inside another's transaction, as this organisation sees them; ``limit + 1`` of them."""
    rows = await storage.list_trips(conn, org_id, wanted, after, limit)
    return [domain.seen_by(org_id, trip) for trip in rows]
