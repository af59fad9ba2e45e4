"""Every list of notices and deliveries reads about a page by an index, however many an organisation has."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.factories import Org
from tests.freight import as_owner, vacuum
from tests.integration.test_ledger_reading import nodes, plan_of, rows_of
from tests.servers import Servers
from waypost.notifications import storage_seen
from waypost.notifications.storage_seen import LAST_ID
from waypost.wiring import Services

NOTICES, PAGE = 40_000, 51
# Of one organisation: each four-hundredth is one customer's and about one trip, and dead; the others were sent.
FILL = """
INSERT INTO notifications (org_id, id, kind, dedupe_key, customer_id, recipient, locale, subject_kind, subject_id,
                           facts, valid_until, created_at)
SELECT $1, uuidv7(make_interval(secs => n - $4)), 'trip_started', 'k' || n,
       CASE WHEN n % 400 = 0 THEN $2::uuid ELSE uuidv7() END, 'C', 'en', 'trip',
       CASE WHEN n % 400 = 0 THEN $3::uuid ELSE uuidv7() END, '{}', now(), now() FROM generate_series(1, $4) n
"""
FILL_DELIVERIES = """
INSERT INTO deliveries (org_id, id, notification_id, channel, address, queue, state, reason, attempt, budget, due_at,
                        created_at, updated_at)
SELECT org_id, id, id, 'sms', CASE WHEN subject_id = $2 THEN '+1' ELSE id::text END, 'urgent',
       CASE WHEN subject_id = $2 THEN 'dead' ELSE 'sent' END, NULL, 1, 8, now(), created_at, now()
  FROM notifications WHERE org_id = $1
"""


@pytest.fixture
async def trip(services: Services, org: Org, servers: Servers) -> tuple[UUID, UUID]:
    """40,000 notices; the customer and the trip of which some are."""
    customer, trip = uuid4(), uuid4()
    async with as_owner(services, servers) as owner:
        await owner.execute(FILL, org.org_id, customer, trip, NOTICES)
        await owner.execute(FILL_DELIVERIES, org.org_id, trip)
        await vacuum(owner, "notifications")
        await vacuum(owner, "deliveries")
    return customer, trip


async def test_a_page_of_any_list_reads_about_a_page(services: Services, org: Org, trip: tuple[UUID, UUID]):
    customer, about = trip
    async with services.database.transaction(org.org_id) as conn:
        deep = await conn.fetchval("SELECT id FROM notifications ORDER BY id LIMIT 1 OFFSET $1", NOTICES // 2)
    for after in (LAST_ID, deep):
        none, free = (org.org_id, after, *[None] * 6, PAGE), (org.org_id, after, *[None] * 5, PAGE)
        for statement, arguments in (
            (storage_seen.LIST, none),
            (storage_seen.LIST_OF_SUBJECTS, (*none, [about], None)),
            (storage_seen.LIST_OF_CUSTOMER, (*none, customer)),
            (storage_seen.LIST_DELIVERIES, (*free, None)),
            (storage_seen.LIST_DELIVERIES_IN_STATE, (*free, None, "dead")),
            (storage_seen.LIST_DELIVERIES_TO, (*free, "sms", "+1", None)),
        ):
            plan = await plan_of(services, org, statement, *arguments)
            for table in ("notifications", "deliveries"):
                assert rows_of(plan, table) <= 3 * PAGE, f"{statement}\n{plan}"
            assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"], statement


async def test_a_span_of_time_of_a_trails_deliveries_is_a_range_of_ids(
    services: Services, org: Org, trip: tuple[UUID, UUID]
):
    """Figures read the days that were asked for, and the trail its own notices' deliveries."""
    async with services.database.transaction(org.org_id) as conn:
        ids = [row["id"] for row in await conn.fetch("SELECT id FROM notifications ORDER BY id DESC LIMIT $1", PAGE)]
    plan = await plan_of(services, org, storage_seen.DELIVERIES_OF, org.org_id, ids)
    assert rows_of(plan, "deliveries") <= 2 * PAGE
    plan = await plan_of(services, org, storage_seen.FIGURES, org.org_id, ids[-1], LAST_ID, "UTC")
    assert rows_of(plan, "deliveries") <= 2 * PAGE
    plan = await plan_of(services, org, storage_seen.TO_REPLAY, org.org_id, "dead", *[None] * 5, PAGE, None)
    assert rows_of(plan, "deliveries") <= 3 * PAGE
