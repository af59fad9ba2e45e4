"""Rows as a binary COPY, read back by a reader of its own."""

from __future__ import annotations

import struct
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.tracking import rows
from waypost.tracking.domain import Fix

ORG, DEVICE, RECEIVED = uuid4(), uuid4(), 1_795_348_800_123
TEXTS = {  # how each type is carried
    16: lambda data: UUID(bytes=data),
    8: lambda data: int.from_bytes(data, "big", signed=True),
    1: lambda data: data[0],
}
REALS = {"accuracy_m", "speed_mps", "heading_deg", "altitude_m", "battery_pct"}
MOMENTS = {"received_at", "raw_at", "recorded_at"}
SINCE_2000_MS = 946_684_800_000


def read(data: bytes) -> list[dict[str, Any]]:
    """The rows of a whole COPY, as the manual describes it."""
    assert data[:11] == b"PGCOPY\n\xff\r\n\0"
    flags, extension = struct.unpack(">II", data[11:19])
    assert (flags, extension) == (0, 0)
    place, found = 19, []
    while (fields := int.from_bytes(data[place : place + 2], "big", signed=True)) != -1:
        place += 2
        assert fields == len(rows.COLUMNS)
        row = {}
        for name in rows.COLUMNS:
            length = int.from_bytes(data[place : place + 4], "big", signed=True)
            place += 4
            assert length >= -1
            row[name] = None if length == -1 else _value(name, data[place : place + length])
            place += max(length, 0)
        found.append(row)
    assert data[place:] == b"\xff\xff"
    return found


def _value(name: str, data: bytes) -> Any:
    if name in REALS:
        return struct.unpack(">f", data)[0]
    if name in MOMENTS:
        micros = int.from_bytes(data, "big", signed=True)
        assert micros % 1000 == 0
        return micros // 1000 + SINCE_2000_MS
    if len(data) == 4:
        return int.from_bytes(data, "big", signed=True)
    return TEXTS[len(data)](data)


def whole(*parts: bytes) -> bytes:
    return b"".join((rows.HEADER, *parts, rows.TRAILER))


def fix(**fields: Any) -> Fix:
    known: dict[str, Any] = {
        "index": 0, "raw_ms": 1_795_348_799_001, "latitude_e7": -178_252_000, "longitude_e7": 310_335_000,
        "accuracy_m": 6.5, "speed_mps": 13.25, "heading_deg": 271.0, "altitude_m": -1490.5, "battery_pct": 76.0,
        "flags": 0, "key": None, "recorded_ms": 1_795_348_798_002, "vehicle_id": DEVICE,
    }  # fmt: skip
    return Fix(**(known | fields))


def expected(one: Fix, received_ms: int = RECEIVED) -> dict[str, Any]:
    return {
        "org_id": ORG, "device_id": DEVICE, "received_at": received_ms, "vehicle_id": one.vehicle_id,
        "driver_id": one.driver_id, "trip_id": one.trip_id, "raw_at": one.raw_ms, "recorded_at": one.recorded_ms,
        "latitude_e7": one.latitude_e7, "longitude_e7": one.longitude_e7, "flags": one.flags, "late": int(one.late),
        "accuracy_m": one.accuracy_m, "speed_mps": one.speed_mps, "heading_deg": one.heading_deg,
        "altitude_m": one.altitude_m, "battery_pct": one.battery_pct, "raw_ms": one.said_ms,
    }  # fmt: skip


@pytest.mark.parametrize("known", list(product((False, True), repeat=5)))
def test_each_of_the_32_ways_of_not_knowing_reads_back(known: tuple[bool, ...]):
    values = {"accuracy_m": 6.5, "speed_mps": 0.0, "heading_deg": 359.5, "altitude_m": -12.0, "battery_pct": 100.0}
    told = {name: value if is_known else None for (name, value), is_known in zip(values.items(), known, strict=True)}
    one = fix(**told)
    assert read(whole(rows.encode(ORG, DEVICE, RECEIVED, [one]))) == [expected(one)]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("said_ms", [None, 1, -1, 2**53])
@pytest.mark.parametrize("whose", list(product((False, True), repeat=3)))
def test_what_else_may_be_unknown_reads_back(whose: tuple[bool, bool, bool], said_ms: int | None, late: bool):
    ids = [uuid4() if is_known else None for is_known in whose]
    one = fix(vehicle_id=ids[0], driver_id=ids[1], trip_id=ids[2], said_ms=said_ms, late=late, flags=31)
    assert read(whole(rows.encode(ORG, DEVICE, RECEIVED, [one]))) == [expected(one)]


fixes = st.builds(
    fix,
    raw_ms=st.integers(1, 4_102_444_800_000),
    recorded_ms=st.integers(1, 4_102_444_800_000),
    latitude_e7=st.integers(-900_000_000, 900_000_000),
    longitude_e7=st.integers(-1_800_000_000, 1_800_000_000),
    accuracy_m=st.none() | st.floats(0, 1e9, width=32),
    speed_mps=st.none() | st.floats(0, 1e9, width=32),
    altitude_m=st.none() | st.floats(-1e9, 1e9, width=32),
    flags=st.integers(0, 31),
    late=st.booleans(),
    trip_id=st.sampled_from([None, UUID(int=1), UUID(int=2)]),
    driver_id=st.sampled_from([None, UUID(int=3)]),
    vehicle_id=st.sampled_from([DEVICE, UUID(int=4)]),
)


@given(st.lists(fixes, max_size=6), st.lists(fixes, max_size=6))
def test_many_rows_of_several_batches_read_back_in_their_order(first: list[Fix], second: list[Fix]):
    data = whole(rows.encode(ORG, DEVICE, RECEIVED, first), rows.encode(ORG, DEVICE, RECEIVED + 5, second))
    assert read(data) == [*map(expected, first), *(expected(one, RECEIVED + 5) for one in second)]


def test_no_fixes_are_no_rows():
    assert rows.encode(ORG, DEVICE, RECEIVED, []) == b""
    assert read(whole()) == []
