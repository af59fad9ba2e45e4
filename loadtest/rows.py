"""Rows for the table of fixes, made without the server: what ``ping.lua`` sends, as that table holds it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from loadtest.world import World

COLUMNS = (
    "org_id", "device_id", "raw_at", "recorded_at", "received_at", "trip_id", "driver_id", "vehicle_id", "latitude_e7",
    "longitude_e7", "accuracy_m", "speed_mps", "flags", "late",
)  # fmt: skip
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
EPOCH_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())  # PostgreSQL's
# One row in COPY's binary form (PostgreSQL documentation, COPY, "Binary Format"): a length before each value.
ROW = struct.Struct("!h" + "i16s" * 2 + "iq" * 3 + "i16s" * 3 + "ii" * 2 + "if" * 2 + "ii" + "i?")
LENGTHS = (16, 16, 8, 8, 8, 16, 16, 16, 4, 4, 4, 4, 4, 1)
START_BEFORE_S = 20 * 3600


class Rows:
    """Fixes of many trips, a batch of each in turn, one a second of the device's own time, and never one twice."""

    def __init__(self, world: World, batch: int, now: datetime) -> None:
        self.world, self.batch = world, batch
        self.start = int(now.timestamp()) - START_BEFORE_S
        self.received = (int(now.timestamp()) - EPOCH_S) * 1_000_000
        self.clocks = [0] * len(world.driven)
        self.turn = 0

    def next(self, count: int) -> Iterator[tuple[object, ...]]:
        """The next ``count``, in the order of ``COLUMNS``; times in microseconds since 2000, PostgreSQL's own."""
        org, driven, start = self.world.org_id, self.world.driven, self.start - EPOCH_S
        for left in range(count, 0, -self.batch):
            k = self.turn % len(driven)
            d, clock = driven[k], self.clocks[k]
            for at in range(clock + 1, clock + 1 + min(self.batch, left)):
                time = (start + at) * 1_000_000
                yield (
                    org, d.device_id, time, time, self.received, d.trip_id, d.driver_id, d.device_id,
                    -178_000_000 + at % 1000 * 1000, 310_000_000 + at % 777 * 1000, 5.5, 13.25, 0, False,
                )  # fmt: skip
            self.clocks[k] += min(self.batch, left)
            self.turn += 1


def copied(rows: Iterator[tuple[object, ...]]) -> bytes:
    """Rows as one COPY's binary stream."""
    parts = [COPY_HEADER]
    for row in rows:
        values = [value.bytes if isinstance(value, UUID) else value for value in row]
        parts.append(ROW.pack(len(COLUMNS), *(part for pair in zip(LENGTHS, values, strict=True) for part in pair)))
    return b"".join((*parts, COPY_END))


def moments(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The same with times as asyncpg takes them."""
    return [(*row[:2], *(_moment(row[i]) for i in (2, 3, 4)), *row[5:]) for row in rows]


def _moment(microseconds: object) -> datetime:
    assert isinstance(microseconds, int)  # noqa: S101
    return datetime.fromtimestamp(microseconds / 1_000_000 + EPOCH_S, UTC)
