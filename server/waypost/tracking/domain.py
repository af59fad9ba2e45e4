"""Pure rules of tracking: what a reported location is worth, which fixes are live, which of two is newer.

Source of the reasons, flags and limits: docs/protocol.md; the rules that look at neighbouring fixes or repair clocks
(speed jumps, drift, skew) come with the fast ingest and have their place in ``screen``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntFlag, StrEnum
from typing import TypeAlias
from uuid import UUID

from waypost.directory.domain import Assignment, assignment_at
from waypost.identity.domain import TrackingLimits
from waypost.trips.domain import Run, run_of

E7 = 10_000_000
FULL_CIRCLE_DEG = 360.0
FULL_BATTERY_PCT = 100.0
MAX_TEXT = 64  # of a timestamp; a longer one is none
LATEST_POSSIBLE_MS = 253_402_300_799_000  # the year 9999


class Reason(StrEnum):
    """Why a location was rejected."""

    BAD_COORDINATES = "bad_coordinates"
    BAD_TIME = "bad_time"
    ZERO_ISLAND = "zero_island"
    FUTURE = "future"
    TOO_OLD = "too_old"
    MALFORMED = "malformed"


class Flag(IntFlag):
    """Doubts about a stored fix, as bits of one column. Any of ``DOUBTFUL`` keeps it out of the live view."""

    NONE = 0
    SPEED_JUMP = 1
    POOR_ACCURACY = 2
    DRIFT = 4
    MOCK = 8
    CLOCK_SKEW = 16


DOUBTFUL = Flag.SPEED_JUMP | Flag.POOR_ACCURACY | Flag.DRIFT | Flag.MOCK


@dataclass(frozen=True, slots=True)
class Report:
    """A location as it was read off the wire, nothing checked. ``index``: its place in the batch."""

    index: int
    latitude: object = None
    longitude: object = None
    timestamp: object = None
    accuracy: object = None
    speed: object = None
    heading: object = None
    altitude: object = None
    battery: object = None
    mock: object = None
    key: str | None = None  # the client's own: stream and number, or its id
    malformed: bool = False  # not an object at all, or not readable as one


@dataclass(frozen=True, slots=True)
class Rejected:
    """A location that is not stored, and why."""

    index: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Fix:
    """One measurement: degrees times 10^7, metres, metres a second; None = unknown."""

    index: int
    raw_at: datetime  # the device's own time, before any repair
    recorded_at: datetime
    latitude_e7: int
    longitude_e7: int
    accuracy_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    altitude_m: float | None
    battery_pct: float | None
    flags: Flag
    key: str | None
    trip_id: UUID | None = None
    destination_org_id: UUID | None = None
    driver_id: UUID | None = None  # whose the device was then
    vehicle_id: UUID | None = None  # what it was in then

    @property
    def place_key(self) -> tuple[datetime, int, int]:
        """The second key of a fix within its device: its own time and place."""
        return self.raw_at, self.latitude_e7, self.longitude_e7

    @property
    def order(self) -> tuple[datetime, datetime]:
        """By time; those of a fast clock, which all count as now, by the device's own."""
        return self.recorded_at, self.raw_at

    @property
    def is_good(self) -> bool:
        """Fit for the live view, distance and fences."""
        return not self.flags & DOUBTFUL


Outcome: TypeAlias = Fix | Rejected


@dataclass(frozen=True, slots=True)
class Position:
    """The newest good fix of a vehicle, or of a trip."""

    device_id: UUID | None  # None where it is another organisation's
    vehicle_id: UUID
    trip_id: UUID | None
    driver_id: UUID | None
    recorded_at: datetime
    received_at: datetime
    latitude_e7: int
    longitude_e7: int
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None
    battery_pct: float | None = None
    vehicle_name: str | None = None


@dataclass(frozen=True, slots=True)
class TrackFix:
    """A stored fix of a trip, as its history gives it. ``receipt`` breaks ties of ``recorded_at``."""

    recorded_at: datetime
    received_at: datetime
    receipt: int
    latitude_e7: int
    longitude_e7: int
    accuracy_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    altitude_m: float | None
    battery_pct: float | None
    flags: Flag
    late: bool


def screen(report: Report, now: datetime, limits: TrackingLimits) -> Outcome:
    """The one outcome of a location: a fix (perhaps flagged), or why it is rejected."""
    if report.malformed:
        return Rejected(report.index, Reason.MALFORMED, "a location is an object with latitude, longitude, timestamp")
    recorded_at = parse_time(report.timestamp)
    if recorded_at is None:
        return Rejected(report.index, Reason.BAD_TIME, "timestamp is neither ISO 8601 nor epoch milliseconds")
    place = _place(report.latitude, report.longitude)
    if place is None:
        return Rejected(report.index, Reason.BAD_COORDINATES, "latitude is -90 to 90, longitude -180 to 180 degrees")
    if place == (0, 0):
        return Rejected(report.index, Reason.ZERO_ISLAND, "0,0 is what a receiver without a fix says")
    if recorded_at > now + timedelta(seconds=limits.future_s):
        return Rejected(report.index, Reason.FUTURE, f"more than {limits.future_s} s ahead of the server's clock")
    if recorded_at < now - timedelta(days=limits.retention_days):
        return Rejected(report.index, Reason.TOO_OLD, f"older than {limits.retention_days} days")
    accuracy_m = positive(report.accuracy)
    speed_mps = at_least_zero(report.speed)
    return Fix(
        index=report.index,
        raw_at=recorded_at,
        recorded_at=min(recorded_at, now),
        latitude_e7=place[0],
        longitude_e7=place[1],
        accuracy_m=accuracy_m,
        speed_mps=None if speed_mps is not None and speed_mps > limits.max_speed_mps else speed_mps,
        heading_deg=heading(report.heading),
        altitude_m=number(report.altitude),
        battery_pct=battery(report.battery),
        flags=_flags(accuracy_m, report.mock, limits),
        key=report.key,
    )


def _flags(accuracy_m: float | None, mock: object, limits: TrackingLimits) -> Flag:
    flags = Flag.NONE
    if accuracy_m is not None and accuracy_m > limits.max_accuracy_m:
        flags |= Flag.POOR_ACCURACY
    if mock is True and not limits.allow_mock:
        flags |= Flag.MOCK
    return flags


def screen_batch(
    reports: Iterable[Report], now: datetime, limits: TrackingLimits
) -> tuple[list[Fix], list[int], list[Rejected]]:
    """The fixes to store, the indexes of repeats inside the batch (the first of a key stays), and the rejected."""
    fixes: list[Fix] = []
    repeats: list[int] = []
    rejected: list[Rejected] = []
    seen: set[object] = set()
    for report in reports:
        outcome = screen(report, now, limits)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        elif outcome.place_key in seen or (outcome.key is not None and outcome.key in seen):
            repeats.append(outcome.index)
        else:
            seen.update((outcome.place_key, outcome.key))
            fixes.append(outcome)
    return fixes, repeats, rejected


def for_receiver(position: Position) -> Position:
    """A position as the receiving organisation sees it: where the van is, not whose phone, driver and truck it is."""
    return replace(position, device_id=None, driver_id=None, vehicle_name=None, battery_pct=None)


def aboard(fixes: Iterable[Fix], device_id: UUID, assignments: Sequence[Assignment]) -> list[Fix]:
    """Each fix with the driver and the vehicle that the device had at its time. ``assignments``: one at least."""
    placed = []
    for fix in fixes:
        then = assignment_at(assignments, fix.recorded_at)
        placed.append(replace(fix, driver_id=then.driver_id, vehicle_id=then.truck_id or device_id) if then else fix)
    return placed


def assign(fixes: Iterable[Fix], runs: Sequence[Run], named: UUID | None) -> list[Fix]:
    """Each fix with the trip that was running at its time."""
    assigned = []
    for fix in fixes:
        run = run_of(runs, fix.recorded_at, named)
        assigned.append(replace(fix, trip_id=run.trip_id, destination_org_id=run.destination_org_id) if run else fix)
    return assigned


def newest(fixes: Iterable[Fix]) -> Fix | None:
    """The newest good one by its own time; of two with one time the one that came first."""
    best: Fix | None = None
    for fix in fixes:
        if fix.is_good and (best is None or fix.order > best.order):
            best = fix
    return best


def parse_time(value: object) -> datetime | None:
    """A moment (aware, UTC, whole milliseconds) from ISO 8601 text (without an offset: UTC) or epoch ms; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        if not 0 < value < LATEST_POSSIBLE_MS:
            return None
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(value))
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT:
        try:
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        if moment.timestamp() <= 0:
            return None
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return None


def number(value: object) -> float | None:
    """A finite number; anything else is unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) and abs(result) < 1e9 else None  # noqa: PLR2004 - past any of our units


def at_least_zero(value: object) -> float | None:
    """Negative means unknown, as some apps say it."""
    result = number(value)
    return result if result is not None and result >= 0 else None


def positive(value: object) -> float | None:
    """An accuracy of 0 or less means unknown."""
    result = number(value)
    return result if result is not None and result > 0 else None


def heading(value: object) -> float | None:
    """Degrees from north in [0, 360); 360 is 0."""
    result = at_least_zero(value)
    return None if result is None or result > FULL_CIRCLE_DEG else result % FULL_CIRCLE_DEG


def battery(value: object) -> float | None:
    """Percent."""
    result = at_least_zero(value)
    return result if result is not None and result <= FULL_BATTERY_PCT else None


def _place(latitude: object, longitude: object) -> tuple[int, int] | None:
    lat, lon = number(latitude), number(longitude)
    if lat is None or lon is None or not -90 <= lat <= 90 or not -180 <= lon <= 180:  # noqa: PLR2004 - degrees
        return None
    return round(lat * E7), round(lon * E7)


def flag_names(flags: Flag) -> list[str]:
    """The names that the wire uses."""
    return [flag.name.lower() for flag in Flag if flag & flags and flag.name]
