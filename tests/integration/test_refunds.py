"""Money that goes back by the shop's own hand: never more than came, out of the right place, told when it leaves."""

from __future__ import annotations

import pytest

from tests.factories import Org
from tests.tills import Shop
from waypost.kernel.errors import Denied
from waypost.kernel.principal import Role
from waypost.laybys.domain import CancelledBy
from waypost.payments.domain import Disposition, Kind, Method, NothingToGive, PaymentNotFound, TooMuch
from waypost.payments.ways import Way

CASH = Way(Method.CASH, "till 2", "brought back")


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


async def test_a_refund_takes_credit_first_then_what_was_applied(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 20_00)
    await shop.hold(layby.id)
    credit = await shop.pay(layby, 15_00)
    first = await shop.services.money.refunds.of_payment(shop.owner, credit.id, 15_00, CASH)
    assert [(row.applied_minor, row.credit_minor) for row in first.rows] == [(0, -15_00)]
    second = await shop.services.money.refunds.of_payment(shop.owner, paid.id, 5_00, CASH)
    (row,) = second.rows
    assert (row.kind, row.disposition, row.root_id) == (Kind.REFUND, Disposition.REFUNDED, paid.id)
    assert (row.amount_minor, row.applied_minor, row.balance_minor) == (-5_00, -5_00, 55_00)
    assert (row.account_ref, row.note) == ("till 2", "brought back")
    assert (await shop.read(layby.id)).balance_minor == 55_00
    kind, facts = (await shop.told())[-1]
    assert (kind, facts["amountMinor"], facts["method"]) == ("refund_issued", "500", "cash")
    assert (await shop.balances())["cash"] == 10_00
    await shop.check()


async def test_no_more_is_given_back_of_a_payment_than_is_left_of_it(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 20_00)
    give = shop.services.money.refunds.of_payment
    await give(shop.owner, paid.id, 12_00, CASH)
    with pytest.raises(TooMuch) as much:
        await give(shop.owner, paid.id, 8_01, CASH)
    assert much.value.extra["mostMinor"] == 8_00
    await give(shop.owner, paid.id, 8_00, CASH)
    with pytest.raises(TooMuch):
        await give(shop.owner, paid.id, 1, CASH)
    await shop.check()


async def test_what_a_completed_layby_has_earned_is_not_given_back_but_its_credit_is(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 75_00)
    with pytest.raises(TooMuch) as much:
        await shop.services.money.refunds.of_payment(shop.owner, paid.id, 5_01, CASH)
    assert much.value.extra["mostMinor"] == 5_00
    await shop.services.money.refunds.of_payment(shop.owner, paid.id, 5_00, CASH)
    assert (await shop.read(layby.id)).status == "completed"
    await shop.check()


async def test_money_that_nobody_knows_goes_back_where_it_came_from_and_is_settled(shop: Shop):
    lost = await shop.pay("ZZZZZZZ", 20_00)
    give = shop.services.money.refunds.of_payment
    await give(shop.owner, lost.id, 5_00, CASH)
    assert len(await shop.rows(unsettled=True)) == 1
    await give(shop.owner, lost.id, 15_00, Way(Method.MOBILE, "B2C1", "sent by mistake"))
    assert await shop.rows(unsettled=True) == []
    assert "refund_issued" not in [kind for kind, _ in await shop.told()]
    await shop.check()


async def test_the_refund_of_a_cancellation_waits_on_a_list_until_it_has_gone_out(shop: Shop):
    layby, refunds = await shop.layby(), shop.services.money.refunds
    await shop.pay(layby, 20_00)
    last = await shop.pay(layby, 10_00)
    await shop.cancel(layby.id)
    (due,) = (await refunds.due(shop.owner, 10, None)).data
    assert (due.layby_id, due.refund_due_minor) == (layby.id, 54_00)
    assert "refund_issued" not in [kind for kind, _ in await shop.told()]
    part = await refunds.of_layby(shop.owner, layby.id, 15_00, CASH)
    assert (part.rows[0].root_id, part.rows[0].amount_minor) == (last.id, -10_00)
    assert part.layby is not None
    assert part.layby.refund_due_minor == 39_00
    whole = await refunds.of_layby(shop.owner, layby.id, None, CASH)
    assert -whole.whole.amount_minor == 39_00
    assert (await refunds.due(shop.owner, 10, None)).data == []
    told = [facts["amountMinor"] for kind, facts in await shop.told() if kind == "refund_issued"]
    assert told == ["1500", "3900"]
    after = await shop.read(layby.id)
    assert (after.paid_minor, after.refund_due_minor) == (after.cancellation_fee_minor, 0)
    balances = await shop.balances()
    assert (balances["fee-income"], balances.get("refunds-payable", 0)) == (-6_00, 0)
    with pytest.raises(NothingToGive):
        await refunds.of_layby(shop.owner, layby.id, None, CASH)
    await shop.check()


async def test_no_more_goes_out_than_a_cancellation_left_to_be_paid(shop: Shop):
    layby = await shop.layby()
    await shop.cancel(layby.id)
    with pytest.raises(TooMuch) as much:
        await shop.services.money.refunds.of_layby(shop.owner, layby.id, 27_01, CASH)
    assert much.value.extra["mostMinor"] == 27_00
    await shop.check()


async def test_a_payment_of_a_cancelled_layby_gives_back_what_is_due_and_no_more(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 50_00)
    await shop.cancel(layby.id)  # 80 paid, 72 due
    refunds = shop.services.money.refunds
    await refunds.of_payment(shop.owner, paid.id, 50_00, CASH)
    assert (await shop.read(layby.id)).refund_due_minor == 22_00
    await refunds.of_layby(shop.owner, layby.id, None, CASH)
    await shop.check()


async def test_of_a_layby_that_runs_no_refund_is_due(shop: Shop):
    layby = await shop.layby()
    with pytest.raises(NothingToGive):
        await shop.services.money.refunds.of_layby(shop.owner, layby.id, None, CASH)


async def test_goods_that_are_gone_cost_the_customer_nothing(shop: Shop):
    layby = await shop.layby()
    await shop.cancel(layby.id, CancelledBy.GOODS_GONE)
    given = await shop.services.money.refunds.of_layby(shop.owner, layby.id, None, CASH)
    assert given.whole.amount_minor == -30_00
    assert await shop.balances() == {}
    await shop.check()


async def test_a_reversal_after_the_refund_was_paid_is_what_the_customer_owes(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 50_00)
    await shop.cancel(layby.id)
    await shop.services.money.refunds.of_layby(shop.owner, layby.id, None, CASH)
    await shop.reverse(paid, "REV1")
    assert (await shop.balances())["customer-credit"] == 50_00
    assert "reversal_after_collection" in await shop.alerts()
    await shop.check()


async def test_a_refund_of_a_payment_whose_money_lies_in_two_laybys_takes_the_last_place_first(shop: Shop):
    customer = await shop.customer()
    first, second = await shop.layby(customer=customer), await shop.layby(customer=customer)
    await shop.hold(first.id)
    paid = await shop.pay(first, 60_00)
    await shop.services.money.credit.apply(shop.owner, second.id, 25_00)
    await shop.reactivate(first.id)
    given = await shop.services.money.refunds.of_payment(shop.owner, paid.id, 40_00, CASH)
    assert [(row.layby_id, row.amount_minor) for row in given.rows] == [(first.id, -35_00), (second.id, -5_00)]
    assert (await shop.read(first.id)).paid_minor == 30_00
    assert (await shop.read(second.id)).paid_minor == 50_00
    await shop.check()


async def test_money_leaves_by_the_hands_of_owners_and_accountants_only(shop: Shop):
    layby = await shop.layby()
    (deposit,) = await shop.rows(layby_id=layby.id)
    refunds = shop.services.money.refunds
    for role in (Role.DISPATCHER, Role.VIEWER, Role.DRIVER):
        person = await shop.person(role)
        with pytest.raises(Denied):
            await refunds.of_payment(person, deposit.id, 1_00, CASH)
        with pytest.raises(Denied):
            await refunds.of_layby(person, layby.id, None, CASH)
    accountant = await shop.person(Role.ACCOUNTANT)
    await refunds.of_payment(accountant, deposit.id, 1_00, CASH)
    deed = await shop.newest_deed()
    assert (deed.action, deed.actor_id, deed.why) == ("payment.refunded", accountant.user_id, "brought back")
    with pytest.raises(PaymentNotFound):
        await refunds.of_payment(accountant, layby.id, 1_00, CASH)
    await shop.check()


async def test_credit_is_not_given_back_while_the_customer_owes_as_much_of_another_payment(shop: Shop):
    customer = await shop.customer()
    first, second = await shop.layby(customer=customer), await shop.layby(customer=customer)
    paid = await shop.pay(first, 70_00)
    await shop.collect(first.id)
    await shop.reverse(paid, "REV1", 40_00)  # the goods are out: 40 are owed
    await shop.hold(second.id)
    credit = await shop.pay(second, 50_00)
    money = shop.services.money
    assert (await money.payments.find(shop.owner, credit.id)).refundable_minor == 10_00
    with pytest.raises(TooMuch) as much:
        await money.refunds.of_payment(shop.owner, credit.id, 10_01, CASH)
    assert much.value.extra["mostMinor"] == 10_00
    await money.refunds.of_payment(shop.owner, credit.id, 10_00, CASH)
    assert sum(each.credit_minor for each in await money.credit.of_customer(shop.owner, customer)) == 0
    with pytest.raises(TooMuch):
        await money.refunds.of_payment(shop.owner, credit.id, 1, CASH)
    await shop.check()
