"""Money over invoices, as the payments room moves it: paid in parts, too much, over several, taken back, in races."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from tests.factories import Org
from tests.fakes.clock import NOON
from tests.freight import Business, business, pairs, sums
from waypost.invoices import account, books
from waypost.invoices.account import Ground
from waypost.invoices.domain import Invoice, InvoiceMoveRefused, Status
from waypost.kernel.ids import new_id
from waypost.wiring import Services


@pytest.fixture
async def trade(services: Services, org: Org) -> Business:
    return await business(services, org)


def ground(services: Services) -> Ground:
    return Ground(services.clock, services.realtime)


async def pay(services: Services, trade: Business, invoice: Invoice, minor: int) -> account.Applied:
    """As the payments room does it."""
    async with services.database.transaction(trade.carrier.org_id) as conn:
        locked = await account.lock(conn, trade.carrier.org_id, invoice.id)
        applied = await account.pay(ground(services), conn, locked, minor)
        payment = new_id(services.clock)
        assert await books.post_payment(
            conn, services.clock, locked, payment, minor, key=f"payment:{payment}", at=services.clock.now()
        )
        return applied


async def test_an_invoice_is_part_paid_then_paid_and_what_is_too_much_stays_on_account(
    services: Services, trade: Business
):
    issued = await trade.issued(1_000)
    first = await pay(services, trade, issued, 400)
    assert (first.applied_minor, first.on_account_minor, first.invoice.status) == (400, 0, Status.PART_PAID)
    last = await pay(services, trade, issued, 700)
    assert (last.applied_minor, last.on_account_minor, last.invoice.status) == (600, 100, Status.PAID)
    assert last.invoice.paid_at is not None
    carrier, shop = trade.carrier.org_id, trade.shop.org_id
    assert await sums(services, carrier) == {
        ("receivable", shop): -100, ("bank", None): 1_100, ("freight-income", None): -1_000,
    }  # fmt: skip
    assert (await sums(services, shop))["payable", carrier] == 100
    assert await pairs(services) == [0]
    found = await services.money.invoices.find(trade.shop.owner, issued.id)
    assert (found.status, found.paid_minor, found.open_minor, found.version) == (Status.PAID, 1_000, 0, 4)
    with pytest.raises(InvoiceMoveRefused, match="paid"):
        await pay(services, trade, issued, 1)
    with pytest.raises(InvoiceMoveRefused, match="paid"):
        await services.money.issuing.void(trade.carrier.owner, issued.id)


async def test_payments_at_once_never_pay_more_than_is_open(services: Services, trade: Business):
    for _ in range(5):
        issued = await trade.issued(1_000)
        found = await asyncio.gather(*(pay(services, trade, issued, 300) for _ in range(6)), return_exceptions=True)
        applied = [each.applied_minor for each in found if isinstance(each, account.Applied)]
        assert sorted(applied) == [100, 300, 300, 300]
        assert [type(each) for each in found if not isinstance(each, account.Applied)] == [InvoiceMoveRefused] * 2
        assert (await services.money.invoices.find(trade.carrier.owner, issued.id)).status is Status.PAID
    assert await pairs(services) == [0]


async def test_of_a_payment_and_a_void_at_once_one_wins(services: Services, trade: Business):
    for _ in range(10):
        issued = await trade.issued(1_000)
        found = await asyncio.gather(
            pay(services, trade, issued, 300), services.money.issuing.void(trade.carrier.owner, issued.id),
            return_exceptions=True,
        )  # fmt: skip
        assert [type(each) for each in found].count(InvoiceMoveRefused) == 1
    assert await pairs(services) == [0]
    assert await services.money.ledger_upkeep.check(trade.carrier.org_id) == []


async def test_money_of_a_counterparty_goes_to_its_oldest_invoices_of_that_currency(
    services: Services, trade: Business
):
    other = await business(services, trade.carrier)
    younger = await trade.draft(1_000)  # drafted first, issued last
    oldest, second = await trade.issued(300), await trade.issued(500)
    paid, voided = await trade.issued(50), await trade.issued(70)
    dollars, elsewhere = await trade.issued(400, currency="ZAR"), await other.issued(400)
    await pay(services, trade, paid, 50)
    await services.money.issuing.void(trade.carrier.owner, voided.id)
    await services.money.issuing.issue(trade.carrier.owner, younger.id)
    async with services.database.transaction(trade.carrier.org_id) as conn:
        found = await account.allocate(ground(services), conn, trade.carrier.org_id, trade.shop.org_id, "USD", 900)
    parts = [(part.invoice.id, part.applied_minor, part.invoice.status) for part in found.parts]
    assert parts == [
        (oldest.id, 300, Status.PAID), (second.id, 500, Status.PAID), (younger.id, 100, Status.PART_PAID),
    ]  # fmt: skip
    assert found.on_account_minor == 0
    for untouched in (dollars, elsewhere):
        assert (await services.money.invoices.find(trade.carrier.owner, untouched.id)).paid_minor == 0
    async with services.database.transaction(trade.carrier.org_id) as conn:
        rest = await account.allocate(ground(services), conn, trade.carrier.org_id, trade.shop.org_id, "USD", 1_000)
    assert [part.applied_minor for part in rest.parts] == [900]
    assert rest.on_account_minor == 100


async def test_money_spread_by_many_at_once_is_spread_once(services: Services, trade: Business):
    for n in range(4):
        await trade.issued(100 * (n + 1))

    async def spread() -> account.Allocation:
        async with services.database.transaction(trade.carrier.org_id) as conn:
            return await account.allocate(ground(services), conn, trade.carrier.org_id, trade.shop.org_id, "USD", 150)

    found = await asyncio.gather(*(spread() for _ in range(8)))
    assert sum(part.applied_minor for each in found for part in each.parts) == 1_000
    assert sum(each.on_account_minor for each in found) == 200


async def test_money_that_was_taken_back_opens_the_invoice_again(services: Services, trade: Business):
    issued = await trade.issued(1_000)
    await pay(services, trade, issued, 1_000)
    for minor, status in ((300, Status.PART_PAID), (700, Status.ISSUED)):
        async with services.database.transaction(trade.carrier.org_id) as conn:
            locked = await account.lock(conn, trade.carrier.org_id, issued.id)
            after = await account.take_back(ground(services), conn, locked, minor)
            await books.post_payment(
                conn, services.clock, locked, uuid4(), -minor, key=f"back:{minor}", at=NOON, kind="refund"
            )
        assert (after.status, after.paid_at) == (status, None)
    assert (await sums(services, trade.carrier.org_id))["receivable", trade.shop.org_id] == 1_000
    assert await pairs(services) == [0]
    with pytest.raises(ValueError, match="cannot be paid"):
        async with services.database.transaction(trade.carrier.org_id) as conn:
            await account.take_back(ground(services), conn, await account.lock(conn, issued.org_id, issued.id), 1)
