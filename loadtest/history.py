"""``history``: pages of a trip's track, read from a table of millions."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from loadtest.errors import LoadtestError
from loadtest.ingest import say
from loadtest.machine import cpu_s
from loadtest.percentiles import percentiles
from loadtest.stand import Stand
from loadtest.world import Driven, World

OF_A_TRIP = 20_000
WEEKS = 8  # that the trips are spread over, as those of a fleet are
PAGE = 200
TRIPS_READ = 5
CHUNK = 25  # trips a transaction
OK = 200

BEGIN_TRIPS = """
UPDATE trips t SET started_at = i.at
  FROM unnest($2::uuid[], $3::timestamptz[]) AS i (id, at) WHERE t.org_id = $1 AND t.id = i.id
"""
BEGIN_ASSIGNMENTS = "UPDATE device_assignments SET from_at = from_at - $2::interval WHERE org_id = $1"
MAKE_WEEKS = "SELECT waypost_make_fix_partition(d) FROM generate_series($1::timestamptz, $2, '1 day') AS d"
# A drive of one fix a second; the rows of many trips lie beside each other, as they came.
FILL = """
INSERT INTO fixes (org_id, device_id, raw_at, recorded_at, received_at, trip_id, driver_id, vehicle_id, latitude_e7,
                   longitude_e7, accuracy_m, speed_mps)
SELECT $1, i.device_id, at, at, at, i.trip_id, i.driver_id, i.device_id, -178000000 + n * 100,
       310000000 + n % 777 * 100, 5.5, 13.25
  FROM generate_series(1, $6::int) AS n,
       unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[]) AS i (device_id, trip_id, driver_id, began),
       LATERAL (SELECT i.began + n * interval '1 second' AS at) AS t
"""


async def history(fixes: int) -> dict[str, Any]:
    """Whole tracks, page after page, by the API; from a table with ``fixes`` rows over eight weeks."""
    async with Stand.open() as stand:
        world = await stand.world(max(TRIPS_READ, fixes // OF_A_TRIP))
        await _fill(stand, world)
        await stand.settle()
        first, later = [], []
        cpu, database = cpu_s(stand.pids[0]), stand.database_cpu_s()
        async with aiohttp.ClientSession() as session:
            for driven in _some(world):
                took = await _read(session, stand.urls[0], driven)
                first += took[:1]
                later += took[1:]
        pages = len(first) + len(later)
        figures: dict[str, Any] = {
            "fixes": len(world.driven) * OF_A_TRIP,
            "pages": {"read": pages, **percentiles(first + later)},
            "first_pages": percentiles(first),
            "server_cpu_ms_per_page": round((cpu_s(stand.pids[0]) - cpu) / pages * 1000, 2),
            "database_cpu_ms_per_page": round((stand.database_cpu_s() - database) / pages * 1000, 2),
        }
    say(f"  page of {PAGE}: p50 {figures['pages']['p50_ms']} ms, p95 {figures['pages']['p95_ms']} ms")
    return figures


async def _fill(stand: Stand, world: World) -> None:
    now = datetime.now(UTC)
    starts = [now - timedelta(weeks=WEEKS) * ((n + 1) / len(world.driven)) for n in range(len(world.driven))]
    async with stand.superuser() as conn:
        await conn.fetch(MAKE_WEEKS, min(starts), now)
        await conn.execute(BEGIN_TRIPS, world.org_id, [d.trip_id for d in world.driven], starts)
        await conn.execute(BEGIN_ASSIGNMENTS, world.org_id, timedelta(weeks=WEEKS))
        for at in range(0, len(world.driven), CHUNK):
            some = world.driven[at : at + CHUNK]
            ids = ([getattr(d, name) for d in some] for name in ("device_id", "trip_id", "driver_id"))
            await conn.execute(FILL, world.org_id, *ids, starts[at : at + CHUNK], OF_A_TRIP)
            if at // CHUNK % 4 == 0 or at + CHUNK >= len(world.driven):
                say(f"  {(at + len(some)) * OF_A_TRIP:,} of {len(world.driven) * OF_A_TRIP:,} rows")
        await conn.execute("VACUUM ANALYZE fixes")


def _some(world: World) -> list[Driven]:
    """Trips from all over the weeks."""
    step = max(1, len(world.driven) // TRIPS_READ)
    return list(world.driven[::step])[:TRIPS_READ]


async def _read(session: aiohttp.ClientSession, url: str, driven: Driven) -> list[float]:
    """How long each page of a trip took."""
    took: list[float] = []
    read, query = 0, ""
    while True:
        began = time.monotonic()
        async with session.get(
            f"{url}/api/v1/trips/{driven.trip_id}/locations?limit={PAGE}{query}",
            headers={"Authorization": f"Bearer {driven.token}"},
        ) as response:
            body = await response.read()
            took.append(time.monotonic() - began)
            if response.status != OK:
                raise LoadtestError(f"the server answered {response.status}: {body[:200].decode(errors='replace')}")
            page = await response.json()
        read += len(page["data"])
        if not page["hasMore"]:
            break
        query = f"&cursor={page['nextCursor']}"
    if read != OF_A_TRIP:
        raise LoadtestError(f"a trip of {OF_A_TRIP} fixes gave {read}")
    return took
