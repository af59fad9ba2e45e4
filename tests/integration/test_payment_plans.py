"""Lists of payments read a page, not the organisation, by each of their filters and however deep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.factories import Org
from tests.servers import Servers
from tests.tills import Shop
from waypost.payments import storage, storage_credit, storage_suggestions
from waypost.payments.domain import Disposition, Kind, Method
from waypost.payments.storage import Filter
from waypost.platform.database import SYSTEM, Connection

OTHERS, OWN, PAGE = 100, 30_000, 51
SINCE = datetime(2025, 1, 1, tzinfo=UTC)
# Of every organisation some, of one many; what is rare among them is one in hundreds.
SEED = """
INSERT INTO organisations (org_id, name, created_at)
SELECT uuidv7(), 'o' || i, now() FROM generate_series(1, {others}) i;
INSERT INTO payments (org_id, id, root_id, kind, method, provider, receipt, disposition, currency, amount_minor,
                      applied_minor, credit_minor, suspense_minor, paid_at, created_at, customer_id, payer_mark,
                      settled_at)
SELECT r.org_id, r.id, r.id,
       CASE WHEN n % 500 = 0 THEN 'refund' ELSE 'payment' END, CASE WHEN n % 400 = 0 THEN 'card' ELSE 'mobile' END,
       CASE WHEN n % 300 = 0 THEN 'signed:1' ELSE 'daraja' END, r.id::text,
       CASE WHEN n % 600 = 0 THEN 'unmatched' WHEN n % 700 = 0 THEN 'credit' ELSE 'reversed' END, 'KES',
       CASE WHEN n % 500 = 0 THEN -1 ELSE 1 END, 0, CASE WHEN n % 900 = 0 THEN 1 ELSE 0 END,
       CASE WHEN n % 500 = 0 THEN -1 ELSE 1 END - CASE WHEN n % 900 = 0 THEN 1 ELSE 0 END,
       '{since}'::timestamptz + n * interval '1 minute', now(),
       CASE WHEN n % 900 = 0 AND r.org_id = '{org}' THEN '{customer}'::uuid END,
       CASE WHEN n % 800 = 0 THEN '\\x01'::bytea ELSE uuid_send(r.id) END, CASE WHEN n % 1200 = 0 THEN now() END
  FROM (SELECT org_id, uuidv7() AS id, n FROM (
            SELECT org_id, n FROM organisations, generate_series(1, 30) n WHERE org_id <> '{org}'
             UNION ALL SELECT '{org}', n FROM generate_series(1, {own}) n) o) r;
"""


@dataclass(frozen=True, slots=True)
class Books:
    """An organisation with many payments beside many with few."""

    shop: Shop
    customer: UUID


@pytest.fixture
async def books(org: Org, servers: Servers) -> Books:
    shop = await Shop.of(org)
    customer = await shop.customer()
    async with org.services.database.transaction(SYSTEM) as conn:
        seed = SEED.format(others=OTHERS, own=OWN, org=org.org_id, customer=customer, since=SINCE.isoformat())
        await conn.execute(seed)
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        await owner.execute("ANALYZE")
    finally:
        await owner.close()
    return Books(shop, customer)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def reads(conn: Connection, statement: str, *arguments: object) -> int:
    """How many rows of ``payments`` the widest step reads; a scan of the whole table counts as all."""
    text = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
    most = 0
    for node in nodes(json.loads(text)[0]["Plan"]):
        assert not (node["Node Type"] == "Seq Scan" and node.get("Relation Name") == "payments"), node
        most = max(most, (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
    return int(most)


FILTERS = {
    "everything": Filter(),
    "receipt": Filter(receipt="X"),
    "disposition": Filter(disposition=Disposition.CREDIT),
    "kind": Filter(kind=Kind.REFUND),
    "provider": Filter(provider="signed:1"),
    "method": Filter(method=Method.CARD),
    "unsettled": Filter(unsettled=True),
    "paid": Filter(paid_from=datetime(2025, 1, 3, tzinfo=UTC), paid_until=datetime(2025, 1, 9, tzinfo=UTC)),
    "layby": Filter(layby_id=uuid4()),
    "customer": Filter(customer_id=uuid4()),
}


async def test_a_page_of_payments_reads_about_a_page_with_every_filter_and_however_deep(books: Books):
    org_id = books.shop.org.org_id
    async with books.shop.services.database.transaction(org_id) as conn:
        deep = await conn.fetchrow("SELECT paid_at, id FROM payments ORDER BY id OFFSET $1 LIMIT 1", OWN // 5)
        assert deep is not None
        for name, each in FILTERS.items():
            wanted = replace(each, customer_id=books.customer) if name == "customer" else each
            for after in (None, (deep["paid_at"], deep["id"])):
                statement, arguments = storage.list_statement(wanted, after)
                assert await reads(conn, statement, org_id, PAGE, *arguments) <= 3 * PAGE, (name, after)


async def test_credit_suggestions_and_receipts_are_found_by_their_indexes(books: Books):
    org_id = books.shop.org.org_id
    async with books.shop.services.database.transaction(org_id) as conn:
        assert await reads(conn, storage_credit.CREDIT, org_id, books.customer) <= 2 * OWN // 900 + 2
        arguments = ("KES", ["7K3MQ96"], b"\x01", 1)
        assert await reads(conn, storage_suggestions.SUGGESTIONS, org_id, *arguments) <= 3 * PAGE
        assert await reads(conn, storage.FIND_BY_RECEIPT, org_id, "daraja", "X") <= 1
        assert await reads(conn, storage.GROUP, org_id, uuid4()) <= 1
