"""Bodies of data quality."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.platform.codec import Instant, instant, instant_or_none
from waypost.platform.queries import PageQuery
from waypost.tracking.domain import Flag, flag_names
from waypost.tracking.seen import DayQuality as DayOf
from waypost.tracking.seen import Kept, Told
from waypost.tracking.silence import State


class QualityQuery(PageQuery):
    """``revoked``: devices whose token was withdrawn too."""

    revoked: bool = False


class DaysQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``days``: today and so many before it, less one."""

    days: Annotated[int, Meta(ge=1, le=31)] = 7


class Because(msgspec.Struct, rename="camel", omit_defaults=True):
    """Why a device is not live: a code for programs, ``detail`` for people (by the organisation's clocks).

    ``battery``: percent; ``seconds``: late, or ahead; ``names``: reasons or flags.
    """

    code: str
    detail: str
    battery: float | None = None
    seconds: float | None = None
    names: list[str] = []


class DayCounts(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What came on a (UTC) day. Seconds, metres, percent; what is unknown is left out."""

    day: str
    batches: int
    accepted: int
    duplicates: int
    late: int
    flagged: int
    rejected: int
    mean_accuracy: float | None = None
    mean_delay: float | None = None
    longest_delay: float
    battery: float | None = None
    lowest_battery: float | None = None
    clock_offset: float | None = None


class QualityDay(DayCounts, rename="camel", omit_defaults=True, kw_only=True):
    """The same with how many by flag and by reason, and the gaps: pauses of over 5 minutes in which it got on 500 m."""

    flags: dict[str, int]
    reasons: dict[str, int]
    gaps: int
    longest_gap: float


class HeardDevice(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """How a device is heard of just now. ``silent_since`` only where it is silent, ``because`` unless it is live;
    ``accuracy``, ``delay``, ``clock_offset`` (how far its clock is ahead, seconds) of its last batch.
    """

    device_id: UUID
    name: str
    driver_id: UUID
    driver_name: str
    vehicle_id: UUID
    truck_id: UUID | None = None
    truck_name: str | None = None
    trip_id: UUID | None = None
    state: str
    silent_since: Instant | None = None
    because: Because | None = None
    heard_at: Instant | None = None
    source: str | None = None
    battery: float | None = None
    battery_at: Instant | None = None
    accuracy: float | None = None
    delay: float | None = None
    clock_offset: float | None = None
    doubts: list[str]
    last_rejected_at: Instant | None = None
    last_reason: str | None = None
    revoked_at: Instant | None = None
    today: DayCounts


class DeviceQuality(msgspec.Struct, rename="camel", kw_only=True):
    """A device's state and its days, today first."""

    device: HeardDevice
    days: list[QualityDay]


class RejectedRecord(msgspec.Struct, rename="camel", kw_only=True):
    r"""A location that was refused. ``record``: the first kilobyte of what was sent; what is no text is shown as
    ``\xNN``. ``more``: so many others of its batch had the same reason and were not kept.
    """

    id: UUID
    received_at: Instant
    source: str
    reason: str
    detail: str
    record: str
    more: int


def state(told: Told) -> HeardDevice:
    seen, heard, because = told.seen, told.seen.heard, told.judged.because
    return HeardDevice(
        device_id=seen.device_id,
        name=seen.name,
        driver_id=seen.driver_id,
        driver_name=seen.driver_name,
        vehicle_id=seen.truck_id or seen.device_id,
        truck_id=seen.truck_id,
        truck_name=seen.truck_name,
        trip_id=seen.trip_id,
        state=str(told.judged.state),
        silent_since=instant_or_none(told.judged.since) if told.judged.state is State.SILENT else None,
        because=Because(
            str(because.code), told.detail or "", tidy(because.battery_pct), tidy(because.seconds), list(because.names)
        ) if because else None,
        heard_at=instant_or_none(heard.heard_at),
        source=seen.source,
        battery=tidy(heard.battery_pct),
        battery_at=instant_or_none(seen.battery_at),
        accuracy=tidy(seen.accuracy_m),
        delay=tidy(heard.delay_s),
        clock_offset=_seconds(seen.clock_offset_ms),
        doubts=flag_names(Flag(heard.doubts)),
        last_rejected_at=instant_or_none(heard.rejected_at),
        last_reason=heard.reason,
        revoked_at=instant_or_none(heard.revoked_at),
        today=DayCounts(**_counts(seen.today)),
    )  # fmt: skip


def day(value: DayOf) -> QualityDay:
    return QualityDay(
        **_counts(value),
        flags=dict(value.flags),
        reasons=dict(value.reasons),
        gaps=value.gaps,
        longest_gap=value.longest_gap / timedelta(seconds=1),
    )


def rejected(kept: Kept) -> RejectedRecord:
    return RejectedRecord(
        id=kept.id,
        received_at=instant(kept.received_at),
        source=kept.source,
        reason=kept.reason,
        detail=kept.detail,
        record=shown(kept.record),
        more=kept.more,
    )


def shown(record: bytes) -> str:
    """Bytes as text in which nothing is lost and nothing acts: no control character, no bidirectional mark."""
    text = record.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _counts(day: DayOf) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "batches": day.batches,
        "accepted": day.accepted,
        "duplicates": day.duplicates,
        "late": day.late,
        "flagged": day.flagged,
        "rejected": day.rejected,
        "mean_accuracy": _mean(day.accuracy_sum_m, day.accuracy_n),
        "mean_delay": _mean(day.delay_sum_s, day.accepted),
        "longest_delay": round(day.delay_max_s, 1),
        "battery": tidy(day.battery_pct),
        "lowest_battery": tidy(day.battery_min_pct),
        "clock_offset": _seconds(day.clock_offset_ms),
    }


def _mean(total: float, count: int) -> float | None:
    return round(total / count, 1) if count else None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def tidy(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
