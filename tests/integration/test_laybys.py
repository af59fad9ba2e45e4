"""A layby begins: what it comes to, what is written, what is refused; and how it is found again."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from tests.factories import Org, organisation
from tests.laid_by import BICYCLE, LAMP, Books, customer, layby, today
from waypost.directory.domain import CustomerNotFound
from waypost.kernel.errors import AppError, Invalid
from waypost.kernel.principal import Role
from waypost.laybys import storage_stock
from waypost.laybys.deal import Deal, NewItem, NewLayby
from waypost.laybys.domain import LaybyNotFound, Rhythm, Status
from waypost.laybys.opening import ReferenceTaken, open_layby
from waypost.laybys.references import is_well_formed
from waypost.laybys.storage_lists import Beginning, Filter
from waypost.wiring import Services

TABLES = (
    "laybys",
    "layby_items",
    "layby_instalments",
    "layby_events",
    "stock_events",
    "outbox",
    "payments",
    "postings",
)


async def count_rows(org: Org) -> dict[str, int]:
    async with org.services.database.transaction(org.org_id) as conn:
        return {name: await conn.fetchval(f"SELECT count(*) FROM {name}") for name in TABLES}


async def test_a_layby_begins_with_everything_that_it_needs(org: Org):
    books, start = Books(org), await today(org)
    found = await layby(org)
    made = found.layby
    assert (made.status, made.items_minor, made.payable_minor) == (Status.ACTIVE, 100_00, 100_00)
    assert (made.deposit_minor, made.paid_minor, made.balance_minor) == (40_00, 40_00, 60_00)
    assert is_well_formed(made.reference)
    dates = [start + timedelta(days=14), start + timedelta(days=28)]
    assert [(i.n, i.due_date, i.amount_minor) for i in made.instalments] == [(1, dates[0], 30_00), (2, dates[1], 30_00)]
    assert (made.final_date, made.terms.rules.trade, made.told_before_at is not None) == (dates[1], "clothing", True)
    assert [(i.n, i.product, i.quantity, i.total_minor) for i in found.items] == [
        (1, "BIKE-1", 1, 80_00),
        (2, "LAMP-2", 2, 20_00),
    ]
    assert await books.stock(made.id) == [(1, "reserved", 0, 1), (2, "reserved", 0, 2)]
    assert await books.promised("stock") == [f"stock:{made.id}:{n}:reserved:0" for n in (1, 2)]
    assert await books.promised() == [f"layby:{made.id}:created"]
    (facts,) = await books.told("layby_created")
    assert (facts["balanceMinor"], facts["nextDueMinor"], facts["receipt"] != "") == ("6000", "3000", True)
    assert [kind for kind, _ in await books.events(made.id)] == ["created", "paid"]
    assert await books.balances() == {"cash": 40_00, "deposits-held": -40_00}
    await books.check()


async def test_fees_are_percent_of_the_goods_and_go_on_top(org: Org):
    found = await layby(org, trade="hardware", items=[NewItem("H", "Hinge", 3, 33_33)], deposit=50_00)
    made = found.layby
    assert (made.items_minor, made.service_fee_minor, made.admin_fee_minor) == (99_99, 1_00, 5_00)
    assert sum(i.amount_minor for i in made.instalments) == made.balance_minor == 55_99


async def test_a_deposit_of_everything_completes_at_once(org: Org):
    rules = (await org.services.money.rule_book.of(org.owner, "clothing")).rules
    await org.services.money.rule_book.change(org.owner, msgspec.structs.replace(rules, deposit_max_bp=100_00))
    done = await layby(org, deposit=100_00)
    assert (done.layby.status, done.layby.balance_minor, list(done.layby.instalments)) == (Status.COMPLETED, 0, [])
    assert done.order is not None
    assert await Books(org).promised() == [f"layby:{done.layby.id}:{what}" for what in ("created", "completed:1")]
    await Books(org).check()


async def test_what_is_left_out_follows_from_the_rules(org: Org):
    found = await layby(org, rhythm=None, instalments=None, trade="grocery", deposit=30_00)
    made = found.layby
    assert (made.rhythm, len(made.instalments)) == (Rhythm.WEEKLY, 4)
    assert made.final_date == made.start_date + timedelta(days=28)


async def test_dates_of_its_own_are_kept_as_they_are(org: Org):
    start = await today(org)
    days = [start + timedelta(days=n) for n in (3, 30, 31)]
    found = await layby(org, rhythm=None, instalments=None, dates=days)
    assert (found.layby.rhythm, [i.due_date for i in found.layby.instalments]) == (Rhythm.CUSTOM, days)
    assert [i.amount_minor for i in found.layby.instalments] == [20_00, 20_00, 20_00]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a deposit below its bounds": ({"deposit": 19_99}, "depositMinor"),
    "a deposit above its bounds": ({"deposit": 80_01}, "depositMinor"),
    "beyond the longest term": ({"instalments": 7}, "instalments"),
    "no such trade": ({"trade": "boats"}, "trade"),
    "no such currency": ({"currency": "XYZ"}, "currency"),
    "a start in the past": ({"start_date": date(2020, 1, 1)}, "startDate"),
    "dates without the rhythm": ({"dates": [date(2090, 1, 1)]}, "dates"),
    "goods for nothing": ({"items": [NewItem("X", "X", 1, 0)], "deposit": 0}, "items"),
    "too many items": ({"items": [LAMP] * 31}, "items"),
    "more than an amount can be": ({"items": [NewItem("X", "X", 10**6, 10**15)]}, "items"),
    "a reference of two characters": ({"reference": "A--B"}, "reference"),
}


async def test_what_the_rules_refuse_leaves_nothing_behind(org: Org):
    somebody = await customer(org)
    before = await count_rows(org)
    for case, (wanted, field) in REFUSED.items():
        with pytest.raises(Invalid) as refused:
            await layby(org, customer_id=somebody, **wanted)
        errors: Any = refused.value.extra["errors"]
        assert field in [error["field"] for error in errors], case
        assert await count_rows(org) == before, case


async def test_an_archived_or_unknown_customer_has_no_new_layby(org: Org, services: Services):
    somebody = await customer(org)
    await services.directory.customers.archive(org.owner, somebody)
    for customer_id in (somebody, await customer(await organisation(services, "Bulawayo Bulk"))):
        before = await count_rows(org)
        with pytest.raises(CustomerNotFound):
            await layby(org, customer_id=customer_id)
        assert await count_rows(org) == before


async def test_a_reference_that_is_taken_is_made_anew(org: Org, services: Services):
    bits = iter([5, 5, 5, 6])
    new = NewLayby(await customer(org), Deal(items=[BICYCLE], currency="USD"))
    made = []
    for _ in range(2):
        async with services.database.transaction(org.org_id) as conn:
            ground = services.money.desk.ground
            made.append(await open_layby(ground, conn, org.owner, new, 30_00, randbits=lambda _: next(bits)))
    assert len({each.reference for each in made}) == 2
    assert next(bits, None) is None


async def test_a_reference_that_was_brought_along_is_kept_in_its_normal_form_and_once(org: Org, services: Services):
    found = await layby(org, reference="old-i07")
    assert found.layby.reference == "01D107"
    with pytest.raises(ReferenceTaken):
        await layby(org, reference="OLD IO7")
    other = await organisation(services, "Bulawayo Bulk")
    assert (await layby(other, reference="OLD IO7")).layby.reference == "01D107"


async def test_a_plan_stores_nothing_and_is_what_the_layby_becomes(org: Org):
    somebody, before = await customer(org), await count_rows(org)
    deal = Deal(items=[BICYCLE, LAMP], currency="USD", trade="clothing", rhythm=Rhythm.FORTNIGHTLY, instalments=2)
    plan = await org.services.money.laybys.plan(org.owner, deal, 40_00)
    assert await count_rows(org) == before
    found = await layby(org, customer_id=somebody)
    assert plan.instalments == found.layby.instalments
    assert plan.payable_minor == found.layby.payable_minor
    usual = await org.services.money.laybys.plan(org.owner, deal, None)
    assert (usual.deposit_minor, usual.deposit_bounds) == (20_00, (20_00, 80_00))


async def test_who_may_open_and_read(org: Org):
    made = await layby(org)
    for role in Role:
        person, _ = await org.person(role)
        may_read = role in {Role.OWNER, Role.DISPATCHER, Role.ACCOUNTANT, Role.VIEWER}
        try:
            await org.services.money.laybys.find(person, made.layby.id)
            could_read = True
        except AppError:
            could_read = False
        assert could_read == may_read, role


async def test_nobody_finds_the_laybys_of_another_organisation(org: Org, services: Services):
    made = await layby(org)
    other = await organisation(services, "Bulawayo Bulk")
    money = services.money
    with pytest.raises(LaybyNotFound):
        await money.laybys.find(other.owner, made.layby.id)
    with pytest.raises(LaybyNotFound):
        await money.laybys.events(other.owner, made.layby.id, 10, None)
    with pytest.raises(LaybyNotFound):
        await money.changes.hold(other.owner, made.layby.id, None)
    assert (await money.laybys.list(other.owner, lambda _: Filter(), 10, None)).data == []
    assert (await money.laybys.stock(other.owner, 10, None, product=None, differing=False)).data == []


async def test_each_filter_finds_its_own_and_all_of_them_together(org: Org, services: Services):
    money, rudo = services.money, await customer(org, "Rudo Moyo")
    first = (await layby(org, customer_id=rudo)).layby
    second = (await layby(org, items=[LAMP, NewItem("LAMP-2", "Another lamp", 1, 80_00)], customer_id=rudo)).layby
    third = (await layby(org, items=[NewItem("SOFA", "A sofa", 1, 100_00)], rhythm=Rhythm.WEEKLY)).layby
    await money.changes.hold(org.owner, second.id, None)
    day = await today(org)

    async def found(**wanted: Any) -> list[str]:
        page = await money.laybys.list(org.owner, lambda _: Filter(**wanted), 50, None)
        return [row.reference for row in page.data]

    references = [first.reference, second.reference, third.reference]
    assert await found() == references[::-1]
    assert await found(status=Status.ON_HOLD) == [second.reference]
    assert await found(customer_id=rudo) == [second.reference, first.reference]
    assert await found(product="LAMP-2") == [second.reference, first.reference]
    assert await found(product="LAMP-2", status=Status.ACTIVE) == [first.reference]
    assert await found(text=Beginning("?", "rud")) == [second.reference, first.reference]
    assert await found(text=Beginning(first.reference[:5], "?"), customer_id=rudo) == [first.reference]
    assert await found(due_to=day + timedelta(days=30)) == [third.reference, first.reference]
    assert await found(due_from=day + timedelta(days=8), due_to=day + timedelta(days=30)) == [first.reference]
    assert await found(due_to=day + timedelta(days=30), product="SOFA", text=Beginning(third.reference, "?")) == [
        third.reference
    ]
    assert await found(due_from=day, customer_id=rudo, status=Status.ON_HOLD) == []


@pytest.mark.parametrize("wanted", [{}, {"due_from": date(2020, 1, 1)}], ids=["newest first", "by what falls due"])
async def test_pages_hold_every_layby_once(org: Org, services: Services, wanted: dict[str, Any]):
    made = {(await layby(org, rhythm=rhythm)).layby.id for rhythm in [Rhythm.WEEKLY, Rhythm.FORTNIGHTLY] * 3}
    seen, cursor = [], None
    while True:
        page = await services.money.laybys.list(org.owner, lambda _: Filter(**wanted), 2, cursor)
        seen += [row.id for row in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)


async def test_the_stock_report_shows_what_does_not_fit(org: Org, services: Services):
    made = (await layby(org)).layby
    lines = (await services.money.laybys.stock(org.owner, 10, None, product=None, differing=False)).data
    assert [(line.product, line.out, line.held) for line in lines] == [("BIKE-1", 1, 1), ("LAMP-2", 2, 2)]
    async with services.database.transaction(org.org_id) as conn:  # as if it had not been told
        await conn.execute("UPDATE layby_items SET quantity = 3 WHERE layby_id = $1 AND n = 2", made.id)
    lines = (await services.money.laybys.stock(org.owner, 10, None, product=None, differing=True)).data
    assert [(line.product, line.out, line.held) for line in lines] == [("LAMP-2", 2, 3)]


async def test_the_stock_report_is_read_page_by_page_and_looks_on_for_what_differs(
    org: Org, services: Services, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(storage_stock, "PRODUCTS_AT_ONCE", 2)
    products = [f"P-{n}" for n in range(7)]
    made = (await layby(org, items=[NewItem(name, "A thing", 1, 20_00) for name in products], deposit=50_00)).layby
    async with services.database.transaction(org.org_id) as conn:  # as if it had not been told of two of them
        await conn.execute("UPDATE layby_items SET quantity = 2 WHERE layby_id = $1 AND n IN (4, 7)", made.id)

    async def pages(*, differing: bool) -> list[list[str]]:
        found, cursor = [], None
        while True:
            page = await services.money.laybys.stock(org.owner, 2, cursor, product=None, differing=differing)
            found.append([line.product for line in page.data])
            if (cursor := page.next_cursor) is None:
                return found

    assert await pages(differing=False) == [["P-0", "P-1"], ["P-2", "P-3"], ["P-4", "P-5"], ["P-6"]]
    assert await pages(differing=True) == [["P-3", "P-6"]]
