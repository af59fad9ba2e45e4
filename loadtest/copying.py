"""Bare COPY: how fast PostgreSQL takes the same rows into the same table with its indexes, 5,000 at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from loadtest.rows import COLUMNS, Rows, copied, moments
from loadtest.stand import Stand
from loadtest.world import World

AT_A_TIME = 5000


async def copy_rows(
    stand: Stand, world: World, batch: int, seconds: float, *, by_driver: bool = False
) -> dict[str, float]:
    """One connection, a commit each time. What is copied is encoded beforehand, so that only COPY is counted.

    ``by_driver``: rows are given as Python values, and the driver encodes them within the time, as a client must.
    """
    rows = Rows(world, batch, datetime.now(UTC))
    stored, took = 0, 0.0
    async with stand.superuser() as conn:
        cpu = stand.database_cpu_s()
        while took < seconds:
            some = list(rows.next(AT_A_TIME))
            values = moments(some) if by_driver else []
            data = b"" if by_driver else copied(iter(some))
            began = time.monotonic()
            if by_driver:
                await conn.copy_records_to_table("fixes", records=values, columns=COLUMNS)
            else:
                await conn.copy_to_table("fixes", source=_once(data), columns=COLUMNS, format="binary")
            took += time.monotonic() - began
            stored += AT_A_TIME
        cpu = stand.database_cpu_s() - cpu
    return {
        "fixes_per_s": round(stored / took, 1),
        "database_cpu_us_per_fix": round(cpu / stored * 1e6, 2),
        "fixes": stored,
    }


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
