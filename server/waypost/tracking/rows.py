"""Fixes as the bytes of a binary COPY: made from columns of numbers, without an object for each value.

Format: PostgreSQL's manual, COPY, "Binary Format": a header; per row the number of fields, then each field's length in
bytes (-1: NULL) and its value in network order; a trailer.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from struct import Struct
from uuid import UUID

from waypost.tracking.domain import Fix

# In this order: first what many rows of a batch share, then what every row has, then what may be unknown.
COLUMNS = (
    "org_id", "device_id", "received_at", "vehicle_id", "driver_id", "trip_id",
    "raw_at", "recorded_at", "latitude_e7", "longitude_e7", "flags", "late",
    "accuracy_m", "speed_mps", "heading_deg", "altitude_m", "battery_pct", "raw_ms",
)  # fmt: skip
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

_UUID = Struct(">i16s")
_INT8 = Struct(">iq")
_FIELDS = Struct(">h")
_KNOWN = Struct(">iqiqiiiiiiib")  # raw_at, recorded_at, latitude, longitude, flags, late: each with its length
_EPOCH_2000_MS = 946_684_800_000


def _reals(known: tuple[bool, ...]) -> Struct:
    return Struct(">" + "".join("if" if is_known else "i" for is_known in known))


# A packer for each of the 32 ways in which five values are known or not.
_PACK_REALS = {known: _reals(known).pack for known in product((False, True), repeat=5)}


def encode(org_id: UUID, device_id: UUID, received_ms: int, fixes: Iterable[Fix]) -> bytes:
    """The rows of one device, without header and trailer."""
    begin = b"".join(
        (
            _FIELDS.pack(len(COLUMNS)),
            _UUID.pack(16, org_id.bytes),
            _UUID.pack(16, device_id.bytes),
            _INT8.pack(8, _moment(received_ms)),
        )
    )
    shared: dict[tuple[UUID | None, UUID | None, UUID | None], bytes] = {}
    parts: list[bytes] = []
    for fix in fixes:
        whose = (fix.vehicle_id, fix.driver_id, fix.trip_id)
        prefix = shared.get(whose)
        if prefix is None:
            prefix = shared[whose] = begin + b"".join(map(_uuid, whose))
        parts += (
            prefix,
            _KNOWN.pack(
                8, (fix.raw_ms - _EPOCH_2000_MS) * 1000, 8, (fix.recorded_ms - _EPOCH_2000_MS) * 1000,
                4, fix.latitude_e7, 4, fix.longitude_e7, 4, fix.flags, 1, fix.late,
            ),
            _pack_reals(fix.accuracy_m, fix.speed_mps, fix.heading_deg, fix.altitude_m, fix.battery_pct),
            NULL if fix.said_ms is None else _INT8.pack(8, fix.said_ms),
        )  # fmt: skip
    return b"".join(parts)


def _pack_reals(*values: float | None) -> bytes:
    known = tuple([value is not None for value in values])
    numbers: list[float] = []
    for value in values:
        numbers += (-1,) if value is None else (4, value)
    return _PACK_REALS[known](*numbers)


def _moment(ms: int) -> int:
    """As timestamptz is carried: microseconds since 2000."""
    return (ms - _EPOCH_2000_MS) * 1000


def _uuid(value: UUID | None) -> bytes:
    return NULL if value is None else _UUID.pack(16, value.bytes)
