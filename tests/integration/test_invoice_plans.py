"""Every list of invoices reads about a page of them by its own index, however many there are."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.factories import Org
from tests.freight import Business, as_owner, business, vacuum
from tests.integration.test_ledger_reading import nodes, plan_of, rows_of
from tests.servers import Servers
from waypost.invoices import storage, storage_lists
from waypost.invoices.domain import Direction
from waypost.wiring import Services

PAGE, INVOICES, SHOPS = 51, 60_000, 40
# Of one carrier to many shops: a third open and overdue, a sixth open and not due yet, some drafts, the rest paid.
FILL = """
INSERT INTO invoices (org_id, id, counterparty_org_id, status, year, serial, number, currency, net_minor, total_minor,
                      paid_minor, issue_date, due_date, created_at, updated_at)
SELECT $1, uuidv7(make_interval(secs => n - $4)), ($2::uuid[])[1 + n % cardinality($2::uuid[])],
       CASE WHEN n % 50 = 0 THEN 'draft' WHEN n % 6 = 1 THEN 'part_paid' WHEN n % 3 = 0 THEN 'issued' ELSE 'paid' END,
       2026, n, CASE WHEN n % 50 <> 0 THEN 'X' || n END, 'USD', 100, 100,
       CASE WHEN n % 50 = 0 THEN 0 WHEN n % 6 = 1 THEN 50 WHEN n % 3 = 0 THEN 0 ELSE 100 END,
       $3::date, $3::date + n % 400 - 200, now(), now()
  FROM generate_series(1, $4) n
"""


@pytest.fixture
async def shelf(services: Services, org: Org, servers: Servers) -> Business:
    """60,000 invoices from one carrier, and as many among its shops."""
    trade = await business(services, org)
    shops = [await services.identity.add_organisation(f"Shop {n}") for n in range(SHOPS)]
    today = services.clock.now().date()
    async with as_owner(services, servers) as owner:
        await owner.execute(FILL, org.org_id, [trade.shop.org_id, *shops], today, INVOICES)
        await owner.execute(FILL, shops[0], [trade.shop.org_id, *shops[1:]], today, INVOICES)
        await vacuum(owner, "invoices")
    return trade


BY = ["", "status", "other", "status and other"]


@pytest.mark.parametrize("deep", [False, True], ids=["first", "deep"])
async def test_a_page_of_any_list_reads_about_a_page(services: Services, shelf: Business, *, deep: bool):
    """With two filters, or the other side's alone, what is read is bounded by that other's invoices."""
    today, last = services.clock.now().date(), storage_lists.LAST_ID
    for direction in Direction:
        who, other = shelf.carrier, shelf.shop.org_id
        if direction is Direction.RECEIVED:
            who, other = shelf.shop, shelf.carrier.org_id
        before = await _middle(services, who, direction) if deep else last
        for by, name in zip(storage_lists.FILTERS, BY, strict=True):
            values = [*(["part_paid"] if by[0] else []), *([other] if by[1] else [])]
            most = INVOICES // SHOPS if by[0] and by[1] else 2 * PAGE
            plan = await plan_of(services, who, storage_lists.LISTS[direction, *by], who.org_id, before, PAGE, *values)
            assert rows_of(plan, "invoices") <= most, f"{direction} {name}: {plan}"
            assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"], f"{direction} {name}"
            after = (today - timedelta(days=100) if deep else storage_lists.FIRST_DAY[0], storage_lists.FIRST_DAY[1])
            plan = await plan_of(
                services, who, storage_lists.OVERDUE[direction, *by], who.org_id, *after, today, PAGE, *values
            )
            assert rows_of(plan, "invoices") <= INVOICES // SHOPS, f"overdue {direction} {name}: {plan}"
            assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"], f"overdue {direction} {name}"


async def _middle(services: Services, who: Org, direction: Direction) -> UUID:
    async with services.database.transaction(who.org_id) as conn:
        rows = await conn.fetch(
            storage_lists.LISTS[direction, False, False], who.org_id, storage_lists.LAST_ID, INVOICES // SHOPS
        )
    found: UUID = rows[-1]["id"]
    return found


async def test_one_invoice_and_those_open_of_a_counterparty_are_found_by_an_index(services: Services, shelf: Business):
    one = await _middle(services, shelf.carrier, Direction.SENT)
    asked = [
        (shelf.carrier, storage.FIND, (shelf.carrier.org_id, one), 1),
        (shelf.shop, storage.FIND_RECEIVED, (shelf.shop.org_id, one), 1),
        (shelf.carrier, storage.LOCK, (shelf.carrier.org_id, one), 1),
        (shelf.carrier, storage.LOCK_OPEN, (shelf.carrier.org_id, shelf.shop.org_id, "USD"), 2 * INVOICES // SHOPS),
        (shelf.carrier, storage.BILLED, (shelf.carrier.org_id, [one], one), 1),
    ]
    for who, statement, arguments, most in asked:
        plan = await plan_of(services, who, statement, *arguments)
        assert rows_of(plan, "invoices") <= most, statement
        assert not [
            node for node in nodes(plan) if node.get("Relation Name") == "invoices" and node["Node Type"] == "Seq Scan"
        ]
