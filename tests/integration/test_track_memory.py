"""A file of any length takes the memory of a few pages: in the server, whatever the client does."""

from __future__ import annotations

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Api
from tests.factories import Org, Phone
from tests.tracks import now_ms
from waypost.platform.database import SYSTEM
from waypost.tracking.tracks import FIXES_A_READ, Asked, Tracks
from waypost.wiring import Services

FILL = """
INSERT INTO fixes (org_id, device_id, vehicle_id, trip_id, received_at, raw_at, recorded_at, latitude_e7, longitude_e7,
                   accuracy_m, speed_mps, heading_deg)
SELECT $1, $2, $2, $3, at, at, at, -178000000 + n % 10000 * 700, 310500000 + n % 7000 * 900, 5, 12, 90
  FROM (SELECT n, $4::timestamptz + n * interval '500 milliseconds' AS at FROM generate_series($5::int, $6::int) AS n)
"""
FORMS = ("format=csv", "format=gpx", "format=geojson&flagged=true", "format=gpx&simplify=5")


async def fill(services: Services, phone: Phone, begin: int, end: int) -> None:
    assert phone.trip is not None
    since = now_ms() - timedelta(days=7)
    async with services.database.transaction(SYSTEM) as conn:
        for week in (0, 1, 2):
            await conn.execute("SELECT waypost_make_fix_partition($1)", since + timedelta(weeks=week))
        await conn.execute(FILL, phone.principal.org_id, phone.device_id, phone.trip.id, since, begin, end, timeout=120)


async def download(url: str, token: str, on_piece: Callable[[], None] = lambda: None) -> int:
    size = 0
    timeout = aiohttp.ClientTimeout(total=600)
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, timeout=timeout) as session,
        session.get(url) as response,
    ):
        assert response.status == 200
        async for piece in response.content.iter_chunked(65_536):
            size += len(piece)
            on_piece()
    return size


async def peak_of(work: Awaitable[object]) -> int:
    """The most that was allocated beyond what was there before, in bytes."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    await work
    return tracemalloc.get_traced_memory()[1] - before


async def test_four_times_the_track_takes_no_more_memory(api: Api, org: Org, services: Services):
    phone, token = await org.phone(), await org.token()
    assert phone.trip is not None
    await fill(services, phone, 1, 5 * FIXES_A_READ)
    urls = [f"{api.url}/api/v1/trips/{phone.trip.id}/locations?{form}" for form in FORMS]
    for url in urls:
        await download(url, token)  # what is made once is made
    tracemalloc.start()
    try:
        short = [await peak_of(download(url, token)) for url in urls]
        await fill(services, phone, 5 * FIXES_A_READ + 1, 20 * FIXES_A_READ)
        for url, before in zip(urls, short, strict=True):
            assert await peak_of(download(url, token)) < 1.5 * before + 500_000, url
    finally:
        tracemalloc.stop()


async def test_a_part_is_read_ahead_and_no_more_however_slow_the_reader_is(org: Org, services: Services):
    phone = await org.phone()
    assert phone.trip is not None
    await fill(services, phone, 1, 20 * FIXES_A_READ)
    reads = 0

    class Counting(Tracks):
        async def _read(self, *arguments: object) -> object:  # type: ignore[override]
            nonlocal reads
            reads += 1
            return await super()._read(*arguments)  # type: ignore[arg-type]

    _, parts = await Counting(services.database).whole(org.owner, phone.trip.id, Asked())
    await anext(parts)
    await asyncio.sleep(0.2)
    assert reads == 2
    await parts.aclose()
    assert reads == 2
    assert services.database.pool.get_size() == services.database.pool.get_idle_size()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read this process's memory from")
async def test_a_million_fixes_stream_in_flat_memory(api: Api, org: Org, services: Services):
    phone, token = await org.phone(), await org.token()
    assert phone.trip is not None
    for begin in range(0, 1_000_000, 100_000):
        await fill(services, phone, begin + 1, begin + 100_000)
    for form in FORMS:
        url = f"{api.url}/api/v1/trips/{phone.trip.id}/locations?{form}"
        sizes: list[int] = []
        await download(url, token, lambda sizes=sizes: sizes.append(resident_bytes()))  # type: ignore[misc]
        early, last = sizes[len(sizes) // 20], sizes[-1]
        assert last - early < 20_000_000, f"{form}: {early} -> {last}"
    summary = await api.as_(token)("GET", f"/api/v1/trips/{phone.trip.id}/locations/summary")
    assert summary.json["fixes"] == 1_000_000
