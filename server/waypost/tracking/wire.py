"""Bodies and events of tracking."""

from __future__ import annotations

from uuid import UUID

import msgspec

from waypost.platform.codec import Instant, instant, instant_of_ms
from waypost.realtime.wire import Missed, Since
from waypost.tracking import domain
from waypost.tracking.domain import E7, Position, flag_names
from waypost.tracking.values import tidy
from waypost.trips import wire as trips_wire


class Rejected(msgspec.Struct, rename="camel"):
    """A location that was not stored."""

    index: int
    reason: str
    detail: str


class Flagged(msgspec.Struct, rename="camel"):
    """A location that was stored, with doubts."""

    index: int
    flags: list[str]


class Latest(msgspec.Struct, rename="camel"):
    """The newest good fix that is known of the device."""

    recorded_at: Instant


class Outcomes(msgspec.Struct, rename="camel"):
    """The answer after the commit: accepted + duplicates + rejected = sent. ``next_ms``: send again then."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]
    late: int
    flagged: list[Flagged]
    latest: Latest | None
    next_ms: int


class LiveLocation(msgspec.Struct, rename="camel", omit_defaults=True):
    """A fix as people see it: degrees, metres, metres a second; what is unknown is left out."""

    latitude: float
    longitude: float
    recorded_at: Instant
    received_at: Instant
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    altitude: float | None = None
    battery: float | None = None
    flags: list[str] = []
    late: bool = False


class LivePosition(LiveLocation, omit_defaults=True):
    """The newest good fix of a vehicle. ``withdrawn``: the time of the one it replaces, which turned out to be a jump:
    the only case in which a position goes back.
    """

    vehicle_id: UUID | None = None
    vehicle_name: str | None = None
    device_id: UUID | None = None
    trip_id: UUID | None = None
    driver_id: UUID | None = None
    withdrawn: Instant | None = None


def position(value: Position) -> LivePosition:
    return LivePosition(
        latitude=value.latitude_e7 / E7,
        longitude=value.longitude_e7 / E7,
        recorded_at=instant(value.recorded_at),
        received_at=instant(value.received_at),
        accuracy=tidy(value.accuracy_m),
        speed=tidy(value.speed_mps),
        heading=tidy(value.heading_deg),
        altitude=tidy(value.altitude_m),
        battery=tidy(value.battery_pct),
        vehicle_id=value.vehicle_id,
        vehicle_name=value.vehicle_name,
        device_id=value.device_id,
        trip_id=value.trip_id,
        driver_id=value.driver_id,
    )


def live_position(device_id: UUID, fix: domain.Fix, received_at: Instant, vehicle_name: str | None) -> LivePosition:
    """A fix that has just become its vehicle's position."""
    return LivePosition(
        latitude=fix.latitude_e7 / E7,
        longitude=fix.longitude_e7 / E7,
        recorded_at=instant_of_ms(fix.recorded_ms),
        received_at=received_at,
        accuracy=tidy(fix.accuracy_m),
        speed=tidy(fix.speed_mps),
        heading=tidy(fix.heading_deg),
        altitude=tidy(fix.altitude_m),
        battery=tidy(fix.battery_pct),
        vehicle_id=fix.vehicle_id,
        vehicle_name=vehicle_name,
        device_id=device_id,
        trip_id=fix.trip_id,
        driver_id=fix.driver_id,
    )


def position_for_receiver(seen: LivePosition) -> LivePosition:
    """As ``domain.for_receiver``."""
    return msgspec.structs.replace(seen, device_id=None, driver_id=None, vehicle_name=None, battery=None)


def live_location(fix: domain.Fix, received_at: Instant) -> LiveLocation:
    """A fix that has just been stored. Made for each fix of each batch, hence with as little ado as can be."""
    return LiveLocation(
        fix.latitude_e7 / E7,
        fix.longitude_e7 / E7,
        instant_of_ms(fix.recorded_ms),
        received_at,
        tidy(fix.accuracy_m),
        tidy(fix.speed_mps),
        tidy(fix.heading_deg),
        tidy(fix.altitude_m),
        tidy(fix.battery_pct),
        flag_names(fix.flags),
    )


def location(fix: domain.TrackFix) -> LiveLocation:
    """A fix of a trip's history."""
    return LiveLocation(
        latitude=fix.latitude_e7 / E7,
        longitude=fix.longitude_e7 / E7,
        recorded_at=instant(fix.recorded_at),
        received_at=instant(fix.received_at),
        accuracy=tidy(fix.accuracy_m),
        speed=tidy(fix.speed_mps),
        heading=tidy(fix.heading_deg),
        altitude=tidy(fix.altitude_m),
        battery=tidy(fix.battery_pct),
        flags=flag_names(fix.flags),
        late=fix.late,
    )


def location_of(value: Position) -> LiveLocation:
    """Where a trip is known to be, as the live fix that it was."""
    seen = position(value)
    return LiveLocation(**{name: getattr(seen, name) for name in LiveLocation.__struct_fields__})


def for_receiver(seen: LiveLocation) -> LiveLocation:
    """A live fix as the receiving organisation sees it: how full the sender's phone is, is not its business."""
    return msgspec.structs.replace(seen, battery=None)


class TripLocations(msgspec.Struct, rename="camel", omit_defaults=True):
    """`trip:location`: live fixes of a joined trip, oldest first. ``withdrawn``: the times of those told before that
    turned out to be jumps.
    """

    trip_id: UUID
    locations: list[LiveLocation]
    withdrawn: list[Instant] = []


class TripGone(msgspec.Struct, rename="camel"):
    """`trip:gone`: you may not see this trip any more, and are out of its room."""

    trip_id: UUID


class Join(msgspec.Struct, rename="camel"):
    """`trip:join`, `trip:leave`. ``since``: where the client stood, for recovery."""

    trip_id: UUID
    since: Since = None


class TripJoined(msgspec.Struct, rename="camel", omit_defaults=True):
    """Ack of `trip:join`: a snapshot that holds everything up to ``seq`` or, where the client was ``recovered``, just
    what it ``missed`` since then, for it to apply.
    """

    trip: trips_wire.Trip
    epoch: str
    seq: int
    recovered: bool
    missed: list[Missed]
    position: LivePosition | msgspec.UnsetType | None = msgspec.UNSET


class FleetJoin(msgspec.Struct, rename="camel"):
    """`fleet:join`. ``since``: where the client stood, for recovery."""

    since: Since = None


class FleetJoined(msgspec.Struct, rename="camel", omit_defaults=True):
    """Ack of `fleet:join`: every running trip, and the newest position of every vehicle; or what was missed.

    ``truncated``: there are more than are listed.
    """

    epoch: str
    seq: int
    recovered: bool
    missed: list[Missed]
    trips: list[trips_wire.Trip] | msgspec.UnsetType = msgspec.UNSET
    positions: list[LivePosition] | msgspec.UnsetType = msgspec.UNSET
    truncated: bool = False
