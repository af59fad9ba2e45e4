"""A page of laybys reads about a page, with every filter and however deep, beside many other organisations' rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.factories import Org
from tests.freight import as_owner
from tests.servers import Servers
from waypost.laybys import storage_lists, storage_read, storage_stock
from waypost.laybys.domain import Status
from waypost.laybys.jurisdictions import JURISDICTIONS
from waypost.laybys.rules import Terms, default_rules
from waypost.laybys.storage_lists import Beginning, Filter
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

OWN, OTHERS, LIMIT = 20_000, 100, 50
SEED = f"""
INSERT INTO organisations (org_id, name, created_at)
SELECT uuidv7(), 'o' || i, now() FROM generate_series(1, {OTHERS}) i;
INSERT INTO customers (org_id, id, name, created_at)
SELECT org_id, uuidv7(), 'Customer ' || i, now()
  FROM organisations, generate_series(1, CASE WHEN name ~ '^o' THEN 5 ELSE {OWN // 2} END) i;
INSERT INTO laybys (org_id, id, reference, customer_id, status, trade, jurisdiction, currency, items_minor,
                    service_fee_minor, admin_fee_minor, deposit_minor, paid_minor, rhythm, start_date, final_date,
                    next_due_n, next_due_date, next_due_minor, terms, held_since, completed_at, collect_by, created_at,
                    updated_at)
SELECT org_id, uuidv7(), 'A' || to_char(i, 'FM000000'), customers[1 + i % cardinality(customers)], status, 'other',
       'NONE', 'USD', 10000, 0, 0, 2000, 2000, 'weekly', '2026-11-01', '2026-12-30', 1, date '2026-01-01' + i % 700,
       2000, '{{terms}}', CASE WHEN status = 'on_hold' THEN date '2026-11-02' END, now(), '2026-12-30', now(), now()
  FROM (SELECT org_id, array_agg(id) AS customers FROM customers GROUP BY org_id) shops,
       generate_series(1, CASE WHEN cardinality(customers) = 5 THEN 50 ELSE {OWN} END) i,
       LATERAL (SELECT CASE WHEN i % 500 = 0 THEN 'on_hold' WHEN i % 3 = 0 THEN 'active'
                            ELSE 'completed' END AS status);
INSERT INTO layby_items (org_id, layby_id, n, product, name, quantity, unit_price_minor)
SELECT org_id, id, n, 'P-' || right(reference, 2), 'A thing', 1, 5000 FROM laybys, generate_series(1, 2) n;
"""
FILTERS: dict[str, Filter] = {
    "nothing": Filter(),
    "a common status": Filter(status=Status.COMPLETED),
    "a rare status": Filter(status=Status.ON_HOLD),
    "a product": Filter(product="P-07"),
    "a product and a status": Filter(product="P-07", status=Status.ACTIVE),
    "a whole reference": Filter(text=Beginning("A000777", "a000777")),
    "a span of dates": Filter(due_from=date(2026, 5, 1), due_to=date(2026, 9, 1)),
    "overdue": Filter(due_to=date(2026, 3, 1)),
    "a name": Filter(text=Beginning("?", "customer 77")),
}


@pytest.fixture
async def filled(services: Services, org: Org, servers: Servers) -> None:
    terms = msgspec.json.encode(Terms(default_rules("other", "USD"), JURISDICTIONS["NONE"])).decode()
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(SEED.replace("{terms}", terms.replace("'", "''")), timeout=300)
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        await owner.execute("ANALYZE")
    finally:
        await owner.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def test_a_page_of_laybys_reads_about_a_page_with_every_filter_and_however_deep(
    services: Services, org: Org, filled: None
):
    async with services.database.transaction(org.org_id) as conn:
        deep: Any = await conn.fetchrow(
            "SELECT id, next_due_date, customer_id FROM laybys WHERE org_id = $1 ORDER BY id LIMIT 1 OFFSET $2",
            org.org_id,
            OWN // 2,
        )
        customer = Filter(customer_id=deep["customer_id"])
        for name, wanted in {**FILTERS, "a customer": customer}.items():
            for beginning in (None, deep):
                if wanted.by_due:
                    after = (beginning["next_due_date"], beginning["id"]) if beginning else None
                    statement, arguments = storage_lists.asked_by_due(org.org_id, wanted, after, LIMIT)
                else:
                    statement, arguments = storage_lists.asked(
                        org.org_id, wanted, beginning["id"] if beginning else None, LIMIT
                    )
                await look(conn, name, statement, arguments)
        await look(conn, "whole", storage_read.WHOLE, [org.org_id, deep["id"]])


PRODUCTS = """
INSERT INTO layby_items (org_id, layby_id, n, product, name, quantity, unit_price_minor)
SELECT org_id, id, 3, 'R-' || reference, 'A thing of its own', 1, 5000 FROM laybys;
INSERT INTO stock_events (org_id, id, layby_id, item_n, kind, round, product, quantity, at)
SELECT org_id, uuidv7(), layby_id, n, 'reserved', 0, product, quantity, now() FROM layby_items WHERE n = 3;
"""


async def test_a_page_of_the_stock_report_reads_about_its_own_products(
    services: Services, org: Org, servers: Servers, filled: None
):
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute(PRODUCTS, timeout=300)
    async with as_owner(services, servers) as owner:
        await owner.execute("ANALYZE layby_items, stock_events")
    async with services.database.transaction(org.org_id) as conn:
        for name, after, product in (("first", "Q", None), ("deep", "R-A010000", None), ("one", "", "R-A000777")):
            await look(conn, f"stock: {name}", storage_stock.REPORT, [org.org_id, after, product, LIMIT + 1])


async def look(conn: Any, name: str, statement: str, arguments: list[Any]) -> None:
    plan = json.loads(await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments))[0]["Plan"]
    for node in nodes(plan):
        read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        assert read <= 8 * LIMIT, f"{name}: {node}"
        assert not read or node["Node Type"] != "Seq Scan", f"{name}: {node}"
