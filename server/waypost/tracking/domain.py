"""Pure rules of tracking: what a reported location is worth, which trip and vehicle it is of, which of two is newer.

Source of the reasons, flags and limits: docs/protocol.md. What looks at neighbouring fixes is in judgement.py, what
repairs times in clocks.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntFlag, StrEnum
from functools import cache
from typing import Protocol, TypeAlias
from uuid import UUID

import msgspec

from waypost.identity.domain import TrackingLimits
from waypost.tracking import clocks, values
from waypost.tracking.values import E7

__all__ = ["E7"]

DAY_MS = clocks.DAY_MS
YEAR_MS = 365 * DAY_MS  # only what is further from now may be meant otherwise


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
# A bit beside the flags, which no answer shows: brought by an import, so history for ever.
IMPORTED = 32
BY_ITSELF = int(Flag.POOR_ACCURACY | Flag.MOCK)  # doubtful whatever its neighbours
UNFIT = BY_ITSELF | IMPORTED  # to be a neighbour by which others are judged
NEVER_LIVE = int(DOUBTFUL) | IMPORTED
_DOUBTFUL, _POOR_ACCURACY, _MOCK, _CLOCK_SKEW = map(int, (DOUBTFUL, Flag.POOR_ACCURACY, Flag.MOCK, Flag.CLOCK_SKEW))


class Source(Protocol):
    """Where a batch came from: its locations as they were sent, one by one."""

    def raw_of(self, index: int) -> bytes: ...


class Report(msgspec.Struct, frozen=True, gc=False):
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
    age_ms: object = None  # how old the fix was when it was sent, where the client says so
    raw: bytes | Source = b""  # what was sent, or who can say it
    malformed: bool = False  # not an object at all, or not readable as one

    def sent(self) -> bytes:
        """What was sent, its first kilobyte: kept with the reason if it is rejected. Costly: ask of those only."""
        return self.raw if isinstance(self.raw, bytes) else self.raw.raw_of(self.index)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A location that is not stored, and why."""

    index: int
    reason: Reason
    detail: str


class Fix(msgspec.Struct, gc=False):
    """One measurement: ms since 1970, degrees times 10^7, metres, metres a second; None = unknown.

    Made by the thousand a second, hence a msgspec struct that the garbage collector does not follow.
    """

    index: int
    raw_ms: int  # the device's own time, before any smoothing
    latitude_e7: int
    longitude_e7: int
    accuracy_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    altitude_m: float | None
    battery_pct: float | None
    flags: int
    key: str | None
    said_ms: int | None = None  # what the device literally said, where a constant repaired it
    recorded_ms: int = 0
    late: bool = False
    trip_id: UUID | None = None
    destination_org_id: UUID | None = None
    driver_id: UUID | None = None  # whose the device was then
    vehicle_id: UUID | None = None  # what it was in then

    @property
    def place_key(self) -> tuple[int, int, int]:
        """The second key of a fix within its device: its own time and place."""
        return self.raw_ms, self.latitude_e7, self.longitude_e7

    @property
    def order(self) -> Order:
        """By time; those of a fast clock, which all count as now, by the device's own; then by place.

        The order of arrival has no part in it: however a batch is shuffled, the same fix is the newest.
        """
        return self.recorded_ms, self.raw_ms, self.latitude_e7, self.longitude_e7

    @property
    def recorded_at(self) -> datetime:
        return moment(self.recorded_ms)

    @property
    def is_good(self) -> bool:
        """Fit for the live view, distance and fences."""
        return not self.flags & _DOUBTFUL


Order: TypeAlias = tuple[int, int, int, int]
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


def screen(report: Report, now_ms: int, limits: TrackingLimits) -> Outcome:
    """What can be said of a location by itself: a fix (perhaps flagged), or why it is rejected.

    Its time is judged by ``timed``, which may know how the stream's clock goes.
    """
    if report.malformed:
        return Rejected(report.index, Reason.MALFORMED, "a location is an object with latitude, longitude, timestamp")
    raw_ms = values.epoch_ms(report.timestamp)
    if raw_ms is None:
        return Rejected(report.index, Reason.BAD_TIME, "timestamp is neither ISO 8601 nor epoch milliseconds")
    latitude_e7, longitude_e7 = values.degrees_e7(report.latitude, 90), values.degrees_e7(report.longitude, 180)
    if latitude_e7 is None or longitude_e7 is None:
        return Rejected(report.index, Reason.BAD_COORDINATES, "latitude is -90 to 90, longitude -180 to 180 degrees")
    if latitude_e7 == 0 == longitude_e7:
        return Rejected(report.index, Reason.ZERO_ISLAND, "0,0 is what a receiver without a fix says")
    flags = 0
    said_ms = None
    if not now_ms - YEAR_MS < raw_ms <= now_ms + limits.future_s * 1000:
        meant_ms = clocks.repaired(raw_ms, now_ms)
        if meant_ms is not None:
            raw_ms, said_ms, flags = meant_ms, raw_ms, _CLOCK_SKEW
    accuracy_m = values.tidy(values.positive(report.accuracy)) or None  # less than a centimetre is none
    if accuracy_m is not None and accuracy_m > limits.max_accuracy_m:
        flags |= _POOR_ACCURACY
    if report.mock is True and not limits.allow_mock:
        flags |= _MOCK
    speed_mps = values.tidy(values.at_least_zero(report.speed))
    if speed_mps is not None and speed_mps > limits.max_speed_mps:
        speed_mps = None
    return Fix(
        report.index,
        raw_ms,
        latitude_e7,
        longitude_e7,
        accuracy_m,
        speed_mps,
        values.heading(report.heading),
        values.number(report.altitude),
        values.battery(report.battery),
        flags,
        report.key,
        said_ms,
    )


def screen_batch(
    reports: Iterable[Report], now_ms: int, limits: TrackingLimits
) -> tuple[list[Fix], list[int], list[Rejected]]:
    """The fixes, the indexes of those that are a fix of the same batch again (the first stays), and the rejected."""
    fixes: list[Fix] = []
    repeats: list[int] = []
    rejected: list[Rejected] = []
    seen: set[tuple[int, int, int]] = set()
    for report in reports:
        outcome = screen(report, now_ms, limits)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
            continue
        place = outcome.place_key
        if place in seen:
            repeats.append(outcome.index)
        else:
            seen.add(place)
            fixes.append(outcome)
    return fixes, repeats, rejected


def timed(
    fixes: Iterable[Fix], now_ms: int, offset_ms: int, limits: TrackingLimits
) -> tuple[list[Fix], list[Rejected]]:
    """The fixes with the time that counts, and those whose time cannot be.

    ``offset_ms``: by how much the stream's clock is corrected. What is ahead of us, within reason, counts as now.
    """
    latest_ms, earliest_ms = now_ms + limits.future_s * 1000, now_ms - limits.retention_days * DAY_MS
    kept: list[Fix] = []
    rejected: list[Rejected] = []
    for fix in fixes:
        at_ms = fix.raw_ms
        if offset_ms:
            at_ms += offset_ms
            fix.flags |= _CLOCK_SKEW
        if at_ms > latest_ms:
            rejected.append(Rejected(fix.index, Reason.FUTURE, f"more than {limits.future_s} s ahead of our clock"))
        elif at_ms < earliest_ms:
            rejected.append(Rejected(fix.index, Reason.TOO_OLD, f"older than {limits.retention_days} days"))
        else:
            fix.recorded_ms = at_ms if at_ms < now_ms else now_ms
            kept.append(fix)
    return kept, rejected


def for_receiver(position: Position) -> Position:
    """A position as the receiving organisation sees it: where the van is, not whose phone, driver and truck it is."""
    return replace(position, device_id=None, driver_id=None, vehicle_name=None, battery_pct=None)


def newest(fixes: Iterable[Fix]) -> Fix | None:
    """The newest good one by its own time."""
    return max((fix for fix in fixes if fix.is_good), key=_order, default=None)


def _order(fix: Fix) -> Order:
    return fix.order


EPOCH = datetime.fromtimestamp(0, UTC)


def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)  # to the microsecond, which a float of seconds holds exactly


def ms_of(at: datetime) -> int:
    """The whole milliseconds since 1970 up to a moment."""
    return (at - EPOCH) // _MILLISECOND


_MILLISECOND = timedelta(milliseconds=1)


def flag_names(flags: int) -> list[str]:
    """The names that the wire uses."""
    return list(_flag_names(int(flags))) if flags else []


@cache
def _flag_names(flags: int) -> tuple[str, ...]:
    return tuple(flag.name.lower() for flag in Flag if flag & flags and flag.name)
