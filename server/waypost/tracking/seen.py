"""What is known of devices, as it is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from waypost.tracking.silence import Heard, Judged


@dataclass(frozen=True, slots=True)
class DayQuality:
    """A device's day: what came, and what was wrong with it. ``flags``, ``reasons``: how many by name."""

    day: date
    batches: int = 0
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    flagged: int = 0
    rejected: int = 0
    accuracy_sum_m: float = 0.0
    accuracy_n: int = 0
    delay_sum_s: float = 0.0
    delay_max_s: float = 0.0
    battery_min_pct: float | None = None
    battery_pct: float | None = None
    clock_offset_ms: int | None = None
    flags: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    gaps: int = 0
    longest_gap: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Seen:
    """A device, how it is heard of, and its day so far."""

    device_id: UUID
    name: str
    driver_id: UUID
    driver_name: str
    truck_id: UUID | None
    truck_name: str | None
    trip_id: UUID | None
    source: str | None
    battery_at: datetime | None
    accuracy_m: float | None
    clock_offset_ms: int | None
    heard: Heard
    today: DayQuality


@dataclass(frozen=True, slots=True)
class Told:
    """A device with what is said of it; ``detail``: by the organisation's clocks, None where all is well."""

    seen: Seen
    judged: Judged
    detail: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A rejection as it was kept."""

    id: UUID
    received_at: datetime
    source: str
    reason: str
    detail: str
    record: bytes
    more: int
