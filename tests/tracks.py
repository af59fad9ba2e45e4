"""Tracks for tests, written straight into the table: reading them back does not depend on reporting them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import UUID

from tests.factories import Phone
from waypost.platform.database import SYSTEM
from waypost.tracking.domain import Report
from waypost.tracking.track_files import geojson_pieces, gpx_pieces
from waypost.wiring import Services

ADD = """
INSERT INTO fixes (org_id, device_id, vehicle_id, trip_id, received_at, raw_at, recorded_at, latitude_e7, longitude_e7,
                   accuracy_m, speed_mps, heading_deg, altitude_m, battery_pct, flags, late)
SELECT $1, $2, $3, $4, at, at, at, round(latitude * 1e7), round(longitude * 1e7), accuracy_m, speed_mps, heading_deg,
       altitude_m, battery_pct, flags, late
  FROM unnest($5::timestamptz[], $6::float8[], $7::float8[], $8::real[], $9::real[], $10::real[], $11::real[],
              $12::real[], $13::int[], $14::boolean[])
    AS i (at, latitude, longitude, accuracy_m, speed_mps, heading_deg, altitude_m, battery_pct, flags, late)
"""


@dataclass(frozen=True, slots=True)
class At:
    """One stored fix."""

    at: datetime
    latitude: float
    longitude: float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None
    battery_pct: float | None = None
    flags: int = 0
    late: bool = False


def now_ms() -> datetime:
    """The present, as precise as fixes are."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def drive(count: int, *, begin: datetime, every_s: float = 5, speed_mps: float = 12) -> list[At]:
    """Northwards out of Harare."""
    step = speed_mps * every_s / 111_195
    return [
        At(begin + timedelta(seconds=n * every_s), -17.8 + n * step, 31.05, 5.5, speed_mps, 0.0, 1490.0, 80.0)
        for n in range(count)
    ]


async def store(services: Services, phone: Phone, fixes: Iterable[At], *, trip_id: UUID | None = None) -> None:
    """Put the fixes on the phone's running trip, or on another, as if they had been reported."""
    rows = list(fixes)
    columns = [[getattr(row, name) for row in rows] for name in At.__slots__]
    trip_id = trip_id or (phone.trip.id if phone.trip else None)
    vehicle_id = phone.principal.vehicle_id or phone.device_id
    async with services.database.transaction(SYSTEM) as conn:
        for moment in {row.at.date() for row in rows}:
            at = datetime.combine(moment, datetime.min.time(), UTC)
            await conn.execute("SELECT waypost_make_fix_partition($1)", at)
        await conn.execute(ADD, phone.principal.org_id, phone.device_id, vehicle_id, trip_id, *columns)


def gpx_reports(body: bytes) -> Iterator[Report]:
    """The points of a file, however many at a time."""
    return chain.from_iterable(gpx_pieces(body))


def geojson_reports(body: bytes) -> Iterator[Report]:
    """The same of the other kind."""
    return chain.from_iterable(geojson_pieces(body))
