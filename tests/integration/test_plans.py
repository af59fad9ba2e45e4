"""Lists read a page, not the organisation: plans on a table that many organisations share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.factories import Org
from tests.servers import Servers
from waypost.platform.database import SYSTEM
from waypost.trips import storage
from waypost.trips.storage import LAST_ID
from waypost.wiring import Services

OTHERS, OWN = 300, 20_000
PAGE = 51
SEED = """
INSERT INTO organisations (org_id, name, created_at)
SELECT uuidv7(), 'o' || i, now() FROM generate_series(1, {others}) i;
INSERT INTO trips (org_id, id, reference, status, created_at, updated_at)
SELECT o.org_id, uuidv7(), 'T', CASE WHEN i % 500 = 0 THEN 'cancelled' ELSE 'planned' END, now(), now()
  FROM organisations o, generate_series(1, 20) i WHERE o.org_id <> '{org}';
INSERT INTO trips (org_id, id, reference, status, driver_id, created_at, updated_at, cancelled_at)
SELECT '{org}', uuidv7(), 'T', CASE WHEN i % 500 = 0 THEN 'cancelled' ELSE 'planned' END,
       CASE WHEN i % 400 = 0 THEN '{driver}'::uuid END, now(), now(), now()
  FROM generate_series(1, {own}) i;
"""


@pytest.fixture
async def driver(services: Services, org: Org, servers: Servers) -> UUID:
    """A driver of an organisation with many trips beside many with few."""
    driver = (await services.directory.add_driver(org.owner, name="D")).id
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            SEED.format(others=OTHERS, own=OWN, org=org.org_id, driver=driver).replace("trips (", "trips (")
        )
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        await owner.execute("ANALYZE")
    finally:
        await owner.close()
    return driver


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def test_a_page_of_trips_reads_about_a_page_with_every_filter_and_however_deep(
    services: Services, org: Org, driver: UUID
):
    async with services.database.transaction(org.org_id) as conn:
        deep = await conn.fetchval("SELECT id FROM trips ORDER BY id LIMIT 1 OFFSET $1", OWN // 2)
        for statement, arguments in (
            (storage.LIST, []),
            (storage.LIST_BY_STATUS, ["cancelled"]),
            (storage.LIST_BY_DRIVER, [driver]),
            (storage.LIST_BY_BOTH, [driver, "planned"]),
        ):
            for after in (LAST_ID, deep):
                text = await conn.fetchval(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", org.org_id, after, PAGE, *arguments
                )
                for node in nodes(json.loads(text)[0]["Plan"]):
                    read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
                    assert read <= 3 * PAGE, f"{statement}\n{node}"
                    assert node["Node Type"] not in {"Seq Scan", "BitmapOr"} or node.get("Relation Name") != "trips"
