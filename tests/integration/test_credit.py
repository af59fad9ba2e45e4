"""A customer's credit: a sum over rows, used once, oldest first, for their own laybys only."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.factories import Org
from tests.tills import Shop
from waypost.directory.domain import CustomerNotFound
from waypost.laybys.domain import LaybyMoveRefused
from waypost.payments.domain import Kind, NothingToGive, TooMuch


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


async def _credit(shop: Shop, customer: UUID, *amounts: int) -> None:
    """Money that came for a layby that took none."""
    layby = await shop.layby(customer=customer)
    await shop.hold(layby.id)
    for amount in amounts:
        await shop.pay(layby, amount)


async def test_credit_is_the_sum_of_what_is_left_of_payments(shop: Shop):
    customer = await shop.customer()
    assert await shop.services.money.credit.of_customer(shop.owner, customer) == []
    await _credit(shop, customer, 5_00, 7_00)
    left = await shop.services.money.credit.of_customer(shop.owner, customer)
    assert [(each.currency.strip(), each.credit_minor) for each in left] == [("KES", 5_00), ("KES", 7_00)]
    with pytest.raises(CustomerNotFound):
        await shop.services.money.credit.of_customer(shop.owner, UUID(int=7))


async def test_credit_is_used_oldest_first_and_once(shop: Shop):
    customer = await shop.customer()
    await _credit(shop, customer, 5_00, 7_00)
    layby = await shop.layby(customer=customer)
    apply = shop.services.money.credit.apply
    await apply(shop.owner, layby.id, 6_00)
    rows = [row for row in await shop.rows(layby_id=layby.id) if row.kind is Kind.CREDIT]
    assert [(row.applied_minor, row.credit_minor, row.amount_minor) for row in rows] == [
        (5_00, -5_00, 0),
        (1_00, -1_00, 0),
    ]
    assert [row.balance_minor for row in rows] == [65_00, 64_00]
    await apply(shop.owner, layby.id, None)
    assert (await shop.read(layby.id)).paid_minor == 42_00
    with pytest.raises(NothingToGive):
        await apply(shop.owner, layby.id, None)
    assert await shop.services.money.credit.of_customer(shop.owner, customer) == []
    await shop.check()


async def test_credit_may_complete_a_layby_and_the_rest_stays(shop: Shop):
    customer = await shop.customer()
    await _credit(shop, customer, 80_00)
    layby = await shop.layby(customer=customer)
    used = await shop.services.money.credit.apply(shop.owner, layby.id, None)
    assert used.found.layby.status == "completed"
    (left,) = await shop.services.money.credit.of_customer(shop.owner, customer)
    assert left.credit_minor == 10_00
    await shop.check()


async def test_no_more_is_used_than_there_is_or_than_the_layby_takes(shop: Shop):
    customer = await shop.customer()
    await _credit(shop, customer, 10_00, 90_00)
    layby = await shop.layby(customer=customer)
    apply = shop.services.money.credit.apply
    with pytest.raises(TooMuch) as balance:
        await apply(shop.owner, layby.id, 70_01)
    assert balance.value.extra["mostMinor"] == 70_00
    await apply(shop.owner, layby.id, None)
    with pytest.raises(LaybyMoveRefused):
        await apply(shop.owner, layby.id, 1)
    await shop.check()


async def test_another_customers_credit_and_another_currencys_is_not_used(shop: Shop):
    customer, other = await shop.customer(), await shop.customer()
    await _credit(shop, other, 10_00)
    layby = await shop.layby(customer=customer, currency="UGX")
    await shop.hold(layby.id)
    await shop.pay(layby, 5_00, currency="UGX")
    mine = await shop.layby(customer=customer)
    with pytest.raises(NothingToGive):
        await shop.services.money.credit.apply(shop.owner, mine.id, None)
    await shop.check()
    await shop.check("UGX")


async def test_waiting_credit_is_applied_when_a_layby_goes_on(shop: Shop):
    layby = await shop.layby()
    await shop.hold(layby.id)
    await shop.pay(layby, 25_00)
    assert (await shop.read(layby.id)).paid_minor == 30_00
    await shop.reactivate(layby.id)
    after = await shop.read(layby.id)
    assert (after.status, after.paid_minor) == ("active", 55_00)
    await shop.check()


async def test_waiting_credit_that_covers_all_completes_a_layby_that_goes_on(shop: Shop):
    layby = await shop.layby()
    await shop.hold(layby.id)
    await shop.pay(layby, 80_00)
    await shop.reactivate(layby.id)
    assert (await shop.read(layby.id)).status == "completed"
    await shop.check()


async def test_who_owes_has_no_credit_to_use(shop: Shop):
    customer = await shop.customer()
    gone = await shop.layby(customer=customer)
    paid = await shop.pay(gone, 70_00)
    await shop.collect(gone.id)
    await shop.reverse(paid, "REV1")
    await _credit(shop, customer, 50_00)
    layby = await shop.layby(customer=customer)
    with pytest.raises(NothingToGive):
        await shop.services.money.credit.apply(shop.owner, layby.id, None)
    await _credit(shop, customer, 30_00)
    await shop.services.money.credit.apply(shop.owner, layby.id, None)
    assert (await shop.read(layby.id)).paid_minor == 40_00
    await shop.check()


async def test_a_reversal_finds_the_money_where_credit_took_it(shop: Shop):
    customer = await shop.customer()
    first = await shop.layby(customer=customer)
    await shop.hold(first.id)
    paid = await shop.pay(first, 40_00)
    second = await shop.layby(customer=customer)
    await shop.services.money.credit.apply(shop.owner, second.id, 30_00)
    await shop.reverse(paid, "REV1")
    assert (await shop.read(second.id)).paid_minor == 30_00
    assert await shop.services.money.credit.of_customer(shop.owner, customer) == []
    await shop.check()
