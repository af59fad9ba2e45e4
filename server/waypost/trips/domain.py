"""Pure rules of trips: their states, the moves between them, which of them a fix belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from waypost.directory.domain import Assignment
from waypost.kernel.errors import Conflict, NotFound
from waypost.kernel.principal import Principal

# A phone's clock and the moment of "start" on the server never agree to the second: a batch that names its trip may
# reach this far beyond the trip's run.
NAMED_TRIP_GRACE = timedelta(minutes=5)


class TripNotFound(NotFound):
    """No such trip, or none that you may see."""

    code = "trip-not-found"


class TripMoveRefused(Conflict):
    """The trip's present status does not allow this."""

    code = "trip-status"


class DriverBusy(Conflict):
    """The driver is running another trip; complete or cancel that one first."""

    code = "driver-busy"


class TripWithoutDriver(Conflict):
    """The trip has no driver yet; give it one before it starts."""

    code = "trip-without-driver"


class Status(StrEnum):
    """Where a trip is in its life."""

    PLANNED = "planned"
    STARTED = "started"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """What may be done to a trip; the value names the event that tells of it."""

    START = "started"
    COMPLETE = "completed"
    CANCEL = "cancelled"
    CHANGE = "changed"


ALLOWED: Mapping[Move, frozenset[Status]] = {
    Move.START: frozenset({Status.PLANNED}),
    Move.COMPLETE: frozenset({Status.STARTED}),
    Move.CANCEL: frozenset({Status.PLANNED, Status.STARTED}),
    Move.CHANGE: frozenset({Status.PLANNED, Status.STARTED}),
}
# What is fixed once the trip runs: whose it is and when it was to begin.
PLANNED_ONLY = frozenset({"driver_id", "truck_id", "planned_start_at", "destination_org_id"})


@dataclass(frozen=True, slots=True)
class Trip:
    """A journey. The names are None where they are another organisation's."""

    org_id: UUID
    id: UUID
    reference: str
    status: Status
    created_at: datetime
    updated_at: datetime
    version: int
    destination_org_id: UUID | None = None
    driver_id: UUID | None = None
    driver_name: str | None = None
    truck_id: UUID | None = None
    truck_name: str | None = None
    customer_id: UUID | None = None
    customer_name: str | None = None
    origin: str | None = None
    destination: str | None = None
    planned_start_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TripEvent:
    """Something that happened on a trip."""

    id: UUID
    trip_id: UUID
    kind: str
    at: datetime
    actor_name: str | None
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Run:
    """When a driver was on a trip: from ``started_at`` up to, not including, ``ended_at`` (None: still)."""

    trip_id: UUID
    started_at: datetime
    ended_at: datetime | None
    destination_org_id: UUID | None = None

    def holds(self, moment: datetime, grace: timedelta = timedelta(0)) -> bool:
        return self.started_at - grace <= moment and (self.ended_at is None or moment < self.ended_at + grace)


@dataclass(frozen=True, slots=True)
class Past:
    """Whose a device was, oldest first, and by driver the trips they ran meanwhile, newest first."""

    assignments: list[Assignment]
    runs: dict[UUID, list[Run]]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which trips a list wants; None: any."""

    status: Status | None = None
    driver_id: UUID | None = None


def check_move(move: Move, status: Status) -> None:
    """Raise ``TripMoveRefused``, which names the present status, unless ``status`` allows ``move``."""
    if status not in ALLOWED[move]:
        allowed = " or ".join(sorted(ALLOWED[move]))
        done = {"started": "start", "completed": "complete", "cancelled": "cancel", "changed": "change"}[move]
        raise TripMoveRefused(f"The trip is {status}; to {done} it, it must be {allowed}.", tripStatus=str(status))


class Sight(NamedTuple):
    """What decides who sees a trip."""

    org_id: UUID
    destination_org_id: UUID | None
    driver_id: UUID | None


def may_see(principal: Principal, trip: Trip | Sight) -> bool:
    """Staff of either organisation see it; a driver or device of the sender only their own."""
    if principal.watches_everything:
        return principal.org_id in (trip.org_id, trip.destination_org_id)
    return principal.org_id == trip.org_id and principal.driver_id is not None and principal.driver_id == trip.driver_id


def organisations_of(trip: Trip) -> list[UUID]:
    """Who sees it: the sender, and the receiver where there is one."""
    return [trip.org_id, trip.destination_org_id] if trip.destination_org_id else [trip.org_id]


def seen_by(org_id: UUID, trip: Trip) -> Trip:
    """The trip as one of its two organisations sees it: whose people, trucks and customers are the sender's alone."""
    if org_id == trip.org_id:
        return trip
    return replace(
        trip,
        driver_id=None,
        driver_name=None,
        truck_id=None,
        truck_name=None,
        customer_id=None,
        customer_name=None,
    )


def event_seen_by(org_id: UUID, trip: Trip, event: TripEvent) -> TripEvent:
    """An event as one of the trip's two organisations sees it: who did it is the sender's alone."""
    return event if org_id == trip.org_id else replace(event, actor_name=None)


def run_of(runs: Sequence[Run], moment: datetime, named: UUID | None) -> Run | None:
    """The trip that a fix of ``moment`` belongs to: the one that was running then (of several the one its batch named);
    else the named one, if it ran within the grace; else none.
    """
    running = [run for run in runs if run.holds(moment)]
    by_name = [run for run in running if run.trip_id == named]
    near = [run for run in runs if run.trip_id == named and run.holds(moment, NAMED_TRIP_GRACE)]
    return next(iter([*by_name, *running, *near]), None)
