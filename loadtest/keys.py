"""``keys``: what the ways to insert fixes cost, and what the two unique keys cost (for the decision records).

Each way stores new rows of many devices in a transaction of its own, in the real tables, with everything durable, as
many rows at once as a group commit of a quiet, a busy and a full server has.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import asyncpg

from loadtest.rows import COLUMNS, Rows, copied, moments
from loadtest.stand import Stand
from loadtest.table import table

SIZES = (1, 32, 500, 2000)
TRIPS = 200
BATCH = 10
Conn: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NAMES = ", ".join(COLUMNS)
TYPES = (
    "uuid", "uuid", "timestamptz", "timestamptz", "timestamptz", "uuid", "uuid", "uuid", "int", "int", "real", "real",
    "int", "boolean",
)  # fmt: skip
ARRAYS = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(TYPES, 1))
UNNEST = f"""
INSERT INTO fixes ({NAMES}) SELECT * FROM unnest({ARRAYS}) ON CONFLICT DO NOTHING RETURNING receipt
"""  # noqa: S608 - constants
UNNEST_KEYED = f"""
WITH input AS (SELECT * FROM unnest({ARRAYS}, ${len(TYPES) + 1}::text[]) AS i ({NAMES}, key)),
     fresh AS (INSERT INTO fix_keys (org_id, device_id, key, received_at)
               SELECT org_id, device_id, key, received_at FROM input ON CONFLICT DO NOTHING RETURNING device_id, key)
INSERT INTO fixes ({NAMES})
SELECT {NAMES} FROM input WHERE (device_id, key) IN (SELECT device_id, key FROM fresh) ON CONFLICT DO NOTHING
RETURNING receipt
"""  # noqa: S608
STAGING = f"CREATE TEMP TABLE staging ON COMMIT DELETE ROWS AS SELECT {NAMES} FROM fixes LIMIT 0"  # noqa: S608
FROM_STAGING = f"""
INSERT INTO fixes ({NAMES}) SELECT {NAMES} FROM staging ON CONFLICT DO NOTHING RETURNING receipt
"""  # noqa: S608
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(d::text, 0)) FROM unnest($1::uuid[]) AS d ORDER BY d"
KNOWN = """
SELECT i.n FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::int[], $5::int[])
       WITH ORDINALITY AS i (org_id, device_id, raw_at, latitude_e7, longitude_e7, n)
  JOIN fixes f USING (org_id, device_id, raw_at, latitude_e7, longitude_e7)
"""
Row: TypeAlias = "tuple[Any, ...]"


class Batch(NamedTuple):
    """Rows to store, made ready beforehand for each way."""

    rows: list[Row]
    binary: bytes

    def column(self, name: str) -> list[Any]:
        place = COLUMNS.index(name)
        return [row[place] for row in self.rows]


class Way(NamedTuple):
    """A way to insert, and what is to be done to the schema before and after."""

    store: Callable[[Conn, Batch], Awaitable[object]]
    before: str = ""
    after: str = ""


_numbers = count(1)
STREAM = "0190f5c2-8f2e-7a5c-9d7e-3b1f2a4c5d6e"


async def _unnest(conn: Conn, batch: Batch) -> None:
    await conn.fetch(UNNEST, *zip(*batch.rows, strict=True))


async def _unnest_keyed(conn: Conn, batch: Batch) -> None:
    keys = [f"{STREAM}:{next(_numbers)}" for _ in batch.rows]
    await conn.fetch(UNNEST_KEYED, *zip(*batch.rows, strict=True), keys)


async def _staged(conn: Conn, batch: Batch) -> None:
    await conn.copy_records_to_table("staging", records=batch.rows, columns=COLUMNS)
    await conn.fetch(FROM_STAGING)


async def _staged_binary(conn: Conn, batch: Batch) -> None:
    await conn.copy_to_table("staging", source=_once(batch.binary), columns=COLUMNS, format="binary")
    await conn.fetch(FROM_STAGING)


async def _locked(conn: Conn, batch: Batch) -> None:
    """The lock makes "not there yet" hold until the commit, so that COPY, which knows no conflict, may be used."""
    await conn.execute(LOCK, list(set(batch.column("device_id"))))
    key = (batch.column(name) for name in ("org_id", "device_id", "raw_at", "latitude_e7", "longitude_e7"))
    known = {row["n"] for row in await conn.fetch(KNOWN, *key)}
    fresh = [row for n, row in enumerate(batch.rows, 1) if n not in known]
    await conn.copy_records_to_table("fixes", records=fresh, columns=COLUMNS)


async def _bare(conn: Conn, batch: Batch) -> None:
    await conn.copy_to_table("fixes", source=_once(batch.binary), columns=COLUMNS, format="binary")


async def _once(data: bytes) -> Any:
    yield data


NO_PLACE_KEY = "DROP INDEX fixes_key"
PLACE_KEY = (
    "TRUNCATE fixes; CREATE UNIQUE INDEX fixes_key ON fixes (org_id, device_id, raw_at, latitude_e7, longitude_e7)"
)
WAYS: Mapping[str, Way] = {
    "unnest, ON CONFLICT": Way(_unnest),
    "the same with fix_keys": Way(_unnest_keyed),
    "COPY to staging, ON CONFLICT": Way(_staged, STAGING, "DROP TABLE staging"),
    "the same, encoded beforehand": Way(_staged_binary, STAGING, "DROP TABLE staging"),
    "lock, look, COPY": Way(_locked),
    "bare COPY": Way(_bare),
    "unnest without fixes_key": Way(_unnest, NO_PLACE_KEY, PLACE_KEY),
    "with fix_keys, without fixes_key": Way(_unnest_keyed, NO_PLACE_KEY, PLACE_KEY),
}


async def keys(stand: Stand, seconds: float) -> dict[str, object]:
    """Rows a second of each way and size, and the database's CPU a row."""
    world = await stand.world(TRIPS)
    rows = Rows(world, BATCH, datetime.now(UTC))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, way in WAYS.items():
        async with stand.superuser() as conn:
            await conn.execute("TRUNCATE fixes, fix_keys")
            if way.before:
                await conn.execute(way.before)
            found[name] = {str(size): await _measure(stand, conn, way, rows, size, seconds) for size in SIZES}
            if way.after:
                await conn.execute(way.after)
        print(f"  {name}: " + ", ".join(f"{f['rows_per_s']:,} rows/s" for f in found[name].values()), flush=True)
    return {"rows_at_once": found}


async def _measure(stand: Stand, conn: Conn, way: Way, rows: Rows, size: int, seconds: float) -> dict[str, float]:
    ready = [_batch(list(rows.next(size))) for _ in range(_enough(size, seconds))]
    stored, took = 0, 0.0
    await stand.settle()
    cpu = stand.database_cpu_s()
    began = time.monotonic()
    for some in ready:
        async with conn.transaction():
            await way.store(conn, some)
        stored += size
        if (took := time.monotonic() - began) > seconds:
            break
    return {
        "rows_per_s": round(stored / took),
        "us_per_row": round(took / stored * 1e6, 2),
        "database_cpu_us_per_row": round((stand.database_cpu_s() - cpu) / stored * 1e6, 2),
    }


def _enough(size: int, seconds: float) -> int:
    """Batches for what a fast machine stores in that time; made beforehand, so no more than that."""
    return max(3, int(seconds * min(4000, 200_000 / size)))


def _batch(rows: list[Row]) -> Batch:
    return Batch(moments(rows), copied(iter(rows)))


def report(figures: dict[str, Any]) -> str:
    """The figures as a table: rows a second (microseconds of the database's CPU a row)."""
    heading = ["rows at once", *map(str, SIZES)]
    lines = [
        [name, *(f"{f['rows_per_s']:,} ({f['database_cpu_us_per_row']:g})" for f in sizes.values())]
        for name, sizes in figures["rows_at_once"].items()
    ]
    return table([heading, *lines])
