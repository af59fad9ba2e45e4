"""Bodies and events of trips."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost.kernel.errors import invalid_field
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant, utc
from waypost.platform.queries import PageQuery
from waypost.trips import domain

Reference = Annotated[str, Meta(min_length=1, max_length=100, pattern=SOME_TEXT)]
Place = Annotated[str, Meta(max_length=300, pattern=NO_NUL)]
Moment = Annotated[datetime, Meta(tz=True)]


class TripsQuery(PageQuery):
    """Which trips a list shows."""

    status: domain.Status | None = None
    driver_id: UUID | None = None


class NewTrip(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A trip to be. ``reference``: one is made when it is left out."""

    reference: Reference | None = None
    driver_id: UUID | None = None
    truck_id: UUID | None = None
    customer_id: UUID | None = None
    destination_org_id: UUID | None = None
    origin: Place | None = None
    destination: Place | None = None
    planned_start_at: Moment | None = None

    def to_domain(self) -> dict[str, Any]:
        """The fields; ``Invalid`` for a moment beyond all plans."""
        return _checked(msgspec.structs.asdict(self))


class TripChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null empties a field, one that is left out stays."""

    reference: Reference | UnsetType = UNSET
    driver_id: UUID | None | UnsetType = UNSET
    truck_id: UUID | None | UnsetType = UNSET
    customer_id: UUID | None | UnsetType = UNSET
    destination_org_id: UUID | None | UnsetType = UNSET
    origin: Place | None | UnsetType = UNSET
    destination: Place | None | UnsetType = UNSET
    planned_start_at: Moment | None | UnsetType = UNSET

    def to_domain(self) -> dict[str, Any]:
        """The changed columns."""
        given = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        return _checked(given)


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    if (at := fields.get("planned_start_at")) is None:
        return fields
    try:
        return {**fields, "planned_start_at": utc(at)}
    except ValueError as error:
        raise invalid_field("plannedStartAt", str(error)) from error


class Reason(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Why, in words; kept with the event."""

    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None


class Trip(msgspec.Struct, rename="camel", omit_defaults=True):
    """A trip; what is unknown is left out."""

    id: UUID
    org_id: UUID
    reference: str
    status: str
    created_at: Instant
    updated_at: Instant
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
    planned_start_at: Instant | None = None
    started_at: Instant | None = None
    completed_at: Instant | None = None
    cancelled_at: Instant | None = None

    @classmethod
    def from_domain(cls, trip: domain.Trip) -> Trip:
        values: dict[str, Any] = {name: getattr(trip, name) for name in cls.__struct_fields__}
        return cls(**values | {name: instant(v) for name, v in values.items() if isinstance(v, datetime)})


class TripEvent(msgspec.Struct, rename="camel", omit_defaults=True):
    """Something that happened on a trip, as the list gives it."""

    event_id: UUID
    trip_id: UUID
    kind: str
    at: Instant
    actor_name: str | None = None
    data: dict[str, Any] = {}

    @classmethod
    def from_domain(cls, event: domain.TripEvent) -> TripEvent:
        return cls(event.id, event.trip_id, event.kind, instant(event.at), event.actor_name, dict(event.data))


class TripEventMessage(TripEvent):
    """`trip:event`: the same as it goes to the rooms, with the trip as it is now. ``room`` says whose `seq` it has."""

    room: str = ""
    trip: Trip | None = None
