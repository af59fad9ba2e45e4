"""Questions about data quality read what they are about, not the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.factories import Org
from tests.servers import Servers
from waypost.platform.database import SYSTEM, System
from waypost.tracking import storage_quality, storage_rejections
from waypost.tracking.quality_reports import GAP, GAP_M
from waypost.wiring import Services

DEVICES = 400
PAGE = 51
SEED = """
INSERT INTO devices (org_id, id, name, driver_id, token_hash, created_at)
SELECT $1, uuidv7(), 'd', $2, uuid_send(uuidv4()), now() FROM generate_series(1, $3::int);
"""
QUALITY = """
INSERT INTO device_quality (org_id, device_id, source, heard_at, heard)
SELECT org_id, id, 'api', now(), 1 FROM devices WHERE org_id = $1
"""
DAYS = """
INSERT INTO device_quality_days (org_id, device_id, day)
SELECT org_id, id, current_date - n FROM devices, generate_series(1, 40) n WHERE org_id = $1
"""
COUNTS = """
INSERT INTO device_quality_counts (org_id, device_id, day, kind, what, count)
SELECT org_id, id, current_date - n, 'flag', 'mock', 1 FROM devices, generate_series(1, 40) n WHERE org_id = $1
"""
REJECTIONS = """
INSERT INTO fix_rejections (org_id, device_id, id, received_at, source, reason, detail, record)
SELECT org_id, id, uuidv7(), now(), 'api', 'future', '', '' FROM devices, generate_series(1, 50) n WHERE org_id = $1
"""
FIXES = """
INSERT INTO fixes (org_id, device_id, vehicle_id, raw_at, recorded_at, received_at, latitude_e7, longitude_e7)
SELECT d.org_id, d.id, d.id, t, t, t, 1, 1
  FROM devices d, generate_series(now() - interval '1 day', now(), interval '20 minutes') t WHERE d.org_id = $1
"""


@pytest.fixture
async def device(services: Services, org: Org, servers: Servers) -> UUID:
    """One of many, with its own share of everything."""
    phone = await org.phone(running=False)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(SEED, org.org_id, phone.driver_id, DEVICES)
        for statement in (QUALITY, DAYS, COUNTS, REJECTIONS, FIXES):
            await conn.execute(statement, org.org_id)
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        await owner.execute("ANALYZE")
    finally:
        await owner.close()
    return phone.device_id


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def test_each_reads_its_own_devices_by_an_index(services: Services, org: Org, device: UUID):
    now = datetime.now(UTC)
    today, week = now.date(), now - timedelta(days=7)
    first, one = storage_quality.FIRST_ID, (org.org_id, device)
    asked: list[tuple[UUID | System, str, tuple[object, ...], int]] = [
        (org.org_id, storage_quality.LIST_SEEN, (org.org_id, today, first, True, PAGE), 4 * PAGE),
        (org.org_id, storage_quality.FIND_SEEN, (org.org_id, today, device), 2),
        (org.org_id, storage_quality.DAYS, (*one, week.date()), 8),
        (org.org_id, storage_quality.COUNTS, (*one, week.date()), 8),
        (org.org_id, storage_quality.GAPS, (*one, week, now, GAP, GAP_M), 80),
        (org.org_id, storage_rejections.REJECTIONS, (*one, None, PAGE), PAGE),
        (SYSTEM, storage_rejections.TRIM_REJECTIONS, ([org.org_id], [device], 40), 50),
    ]
    big = {"devices", "device_quality", "device_quality_days", "device_quality_counts", "fix_rejections"}
    for scope, statement, arguments, most in asked:
        async with services.database.transaction(scope) as conn:
            text = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
        for node in nodes(json.loads(text)[0]["Plan"]):
            name = str(node.get("Relation Name", ""))
            if name not in big and not name.startswith("fixes_"):
                continue
            read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            if read == 0:
                continue  # a week without fixes
            assert read <= most, f"{statement}\n{node}"
            assert node["Node Type"] != "Seq Scan", f"{statement}\n{node}"
