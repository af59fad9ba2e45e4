"""Bodies and events of tracking."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.kernel.errors import TooLarge
from waypost.platform.codec import Instant, instant, is_storable
from waypost.platform.queries import PageQuery
from waypost.tracking import domain
from waypost.tracking.domain import E7, Position, Report, flag_names
from waypost.trips import wire as trips_wire

MAX_LOCATIONS = 1000
MAX_KEY_LENGTH = 200


class TooManyLocations(TooLarge):
    """A batch holds at most 1,000 locations; split it."""

    code = "too-many-locations"


class Location(msgspec.Struct, rename="camel"):
    """One location of a batch. Anything may be in a field: what is wrong with one is that location's own outcome."""

    latitude: Any = None
    longitude: Any = None
    timestamp: Any = None
    accuracy: Any = None
    speed: Any = None
    heading: Any = None
    altitude: Any = None
    battery: Any = None
    mock: Any = None
    n: Any = None
    id: Any = None


class FixBatch(msgspec.Struct, rename="camel"):
    """`POST /tracking/ping` and `tracking:ping`. Fields that are not known are ignored: driver apps differ."""

    locations: Annotated[list[msgspec.Raw], Meta(min_length=1)]
    trip_id: UUID | None = None
    driver_id: Any = None  # never overrides the token
    stream: UUID | None = None
    sent_at: Any = None


class FixBatchObject(msgspec.Struct, rename="camel"):
    """The same, from a codec that has read it already."""

    locations: Annotated[list[Any], Meta(min_length=1)]
    trip_id: UUID | None = None
    driver_id: Any = None
    stream: UUID | None = None
    sent_at: Any = None


class TrackQuery(PageQuery):
    """``flagged``: doubtful fixes too; ``order``: by their own time."""

    format: Literal["json"] = "json"
    flagged: bool = False
    order: Literal["asc", "desc"] = "asc"


def reports_of(batch: FixBatch | FixBatchObject) -> list[Report]:
    """The batch's locations; one that is no object becomes an empty report, which is rejected as malformed."""
    if len(batch.locations) > MAX_LOCATIONS:
        raise TooManyLocations(limit=MAX_LOCATIONS)
    return [_report(index, item, batch.stream) for index, item in enumerate(batch.locations)]


def _report(index: int, item: object, stream: UUID | None) -> Report:
    try:
        if isinstance(item, msgspec.Raw):
            location = msgspec.json.decode(item, type=Location)
        else:
            location = msgspec.convert(item, Location)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Report(index, malformed=True)
    return Report(
        index=index,
        latitude=location.latitude,
        longitude=location.longitude,
        timestamp=location.timestamp,
        accuracy=location.accuracy,
        speed=location.speed,
        heading=location.heading,
        altitude=location.altitude,
        battery=location.battery,
        mock=location.mock,
        key=_key(location, stream),
    )


def _key(location: Location, stream: UUID | None) -> str | None:
    """The client's own key: its number in the stream, or the id that it gave."""
    if (
        stream is not None
        and isinstance(location.n, int)
        and not isinstance(location.n, bool)
        and 0 <= location.n < 2**63
    ):
        return f"{stream}:{location.n}"
    if isinstance(location.id, str) and 0 < len(location.id) <= MAX_KEY_LENGTH and is_storable(location.id):
        return f"id:{location.id}"
    return None


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
    """The newest good fix of a vehicle."""

    vehicle_id: UUID | None = None
    vehicle_name: str | None = None
    device_id: UUID | None = None
    trip_id: UUID | None = None
    driver_id: UUID | None = None


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


def location(fix: domain.TrackFix | domain.Fix, received_at: datetime) -> LiveLocation:
    return LiveLocation(
        latitude=fix.latitude_e7 / E7,
        longitude=fix.longitude_e7 / E7,
        recorded_at=instant(fix.recorded_at),
        received_at=instant(received_at),
        accuracy=tidy(fix.accuracy_m),
        speed=tidy(fix.speed_mps),
        heading=tidy(fix.heading_deg),
        altitude=tidy(fix.altitude_m),
        battery=tidy(fix.battery_pct),
        flags=flag_names(fix.flags),
        late=isinstance(fix, domain.TrackFix) and fix.late,
    )


def for_receiver(seen: LiveLocation) -> LiveLocation:
    """A live fix as the receiving organisation sees it: how full the sender's phone is, is not its business."""
    return msgspec.structs.replace(seen, battery=None)


def tidy(value: float | None) -> float | None:
    """A measurement to the hundredth: it is stored in four bytes, whose decimal form has noise in its tail."""
    return None if value is None else round(value, 2)


class TripLocations(msgspec.Struct, rename="camel"):
    """`trip:location`: live fixes of a joined trip, oldest first."""

    trip_id: UUID
    locations: list[LiveLocation]


class Join(msgspec.Struct, rename="camel"):
    """`trip:join`, `trip:leave`. ``since``: where the client stood, for recovery."""

    trip_id: UUID
    since: Any = None


class TripJoined(msgspec.Struct, rename="camel"):
    """Ack of `trip:join`: a snapshot that holds everything up to ``seq``."""

    trip: trips_wire.Trip
    position: LivePosition | None
    epoch: str
    seq: int
    recovered: bool
    missed: list[Any]


class FleetJoined(msgspec.Struct, rename="camel"):
    """Ack of `fleet:join`: every running trip, and the newest position of every vehicle."""

    trips: list[trips_wire.Trip]
    positions: list[LivePosition]
    epoch: str
    seq: int
    recovered: bool
    missed: list[Any]
