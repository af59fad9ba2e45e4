"""What of a device's history is read for fixes that come late: their surroundings, never all of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Org
from waypost.identity.domain import TrackingLimits
from waypost.tracking import storage_ingest
from waypost.tracking.domain import Report, ms_of
from waypost.wiring import Services

HOUR_MS = 3_600_000


async def test_a_late_batch_with_wide_gaps_reads_what_is_around_each_fix(
    services: Services, org: Org, monkeypatch: pytest.MonkeyPatch
):
    phone = await org.phone()
    begin_ms = ms_of(services.clock.now() - timedelta(days=3))
    every_30_s = [Report(n, -17.8, 31.0 + n * 1e-6, begin_ms + n * 30_000) for n in range(8_000)]
    for first in range(0, len(every_30_s), 1000):
        batch = [
            Report(i, r.latitude, r.longitude, r.timestamp) for i, r in enumerate(every_30_s[first : first + 1000])
        ]
        await services.tracking.commit.store(await _batch(services, phone, batch))
    read: list[int] = []
    stored_between = storage_ingest.stored_between

    async def counted(*arguments: Any) -> Any:
        rows = await stored_between(*arguments)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(storage_ingest, "stored_between", counted)
    late = [Report(n, -17.8, 31.0, begin_ms + 7_001 + n * 5 * HOUR_MS) for n in range(12)]
    stored = await _batch(services, phone, late)
    await services.tracking.commit.store(stored)
    assert len(stored.stored) == 12
    assert max(read) < 200, "each has its own surroundings"
    assert sum(read) < 12 * 100


async def _batch(services: Services, phone: Any, reports: list[Report]) -> Any:
    from waypost.tracking.domain import screen_batch
    from waypost.tracking.reporter import Reporter
    from waypost.tracking.work import Batch

    reporter = Reporter.of(phone.principal)
    assert reporter is not None
    now_ms = ms_of(services.clock.now())
    fixes, _, refused = screen_batch(reports, now_ms, TrackingLimits())
    return Batch(reporter, now_ms, TrackingLimits(), fixes, refused)
