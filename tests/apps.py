"""What tests of driver apps share: what an adapter found, as the rows that it would become."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from waypost.identity.domain import TrackingLimits
from waypost.tracking import domain
from waypost.tracking.domain import Fix, Rejected, Report
from waypost.tracking.protocols.records import Fault, Found, Heard, Read

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ANY_TIME = TrackingLimits(retention_days=36_500)


def all_of(read: Read) -> list[Found]:
    """Everything that is in a request, what is to be stored first before the rest."""
    return [*read.first, *read.found]


def outcome(report: Report) -> Fix | Rejected:
    """What becomes of a report."""
    return domain.screen(report, int(NOW.timestamp() * 1000), ANY_TIME)


def outcomes(read: Read) -> list[Any]:
    """A fix's row, a rejection's reason, what was heard, why a record is none: each in its place."""
    return [_told(one) for one in all_of(read)]


def _told(one: Found) -> Any:
    if isinstance(one, Heard):
        return ("heard", one.kind, one.battery_pct)
    if isinstance(one, Fault):
        return ("fault", one.why)
    judged = outcome(one)
    return row(judged) if isinstance(judged, Fix) else str(judged.reason)


def row(fix: Fix) -> dict[str, Any]:
    """What is known of a fix: degrees, ms, metres, m/s, percent; to the hundredth."""
    found = {
        "lat": fix.latitude_e7 / 1e7, "lon": fix.longitude_e7 / 1e7, "ms": fix.raw_ms, "acc": fix.accuracy_m,
        "speed": fix.speed_mps, "heading": fix.heading_deg, "alt": fix.altitude_m, "batt": fix.battery_pct,
        "key": fix.key,
    }  # fmt: skip
    return {
        name: round(value, 7 if name in ("lat", "lon") else 2) if isinstance(value, float) else value
        for name, value in found.items()
        if value is not None
    }


def ms(text: str) -> int:
    """Epoch milliseconds of ISO 8601 text."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
