"""What an organisation has paid too much: it waits, pays the next invoice to it, and goes back where it came from."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.freight import Business, business, pairs, sums
from tests.tills import Shop
from waypost.invoices.domain import Invoice, InvoiceMoveRefused
from waypost.payments.domain import Method, Payment
from waypost.payments.till import Taken
from waypost.payments.ways import Way
from waypost.wiring import Services

CURRENCY = "KES"


@pytest.fixture
async def trade(services: Services, org: Org) -> Business:
    return await business(services, org)


def _bank(minor: int, currency: str = CURRENCY) -> Taken:
    return Taken(minor, Method.BANK, currency=currency, reference="TRF 9")


async def overpaid(trade: Business, by_minor: int, currency: str = CURRENCY) -> Payment:
    """An invoice of 100.00 is paid, and so much more."""
    invoice = await trade.issued(100_00, currency=currency)
    taken = _bank(100_00 + by_minor, currency)
    return await trade.services.money.bills.take(trade.carrier.owner, invoice.id, taken, on_account=True)


async def seen(trade: Business, invoice: Invoice) -> tuple[str, int, int]:
    """As who got it sees it."""
    found = await trade.services.money.invoices.find(trade.shop.owner, invoice.id)
    return str(found.status), found.paid_minor, found.open_minor


async def left(trade: Business, payment: Payment) -> int:
    """What of a payment is on account."""
    return (await trade.services.money.payments.find(trade.carrier.owner, payment.id)).group.credit_minor


async def agrees(trade: Business) -> None:
    """Rows, invoices and the books of both say the same."""
    assert set(await pairs(trade.services)) == {0}
    today = trade.services.clock.now().date()
    for org in (trade.carrier, trade.shop):
        night = await trade.services.money.reconciliation.run(org.org_id, today)
        assert night.differences == 0, night.sums


async def test_what_is_too_much_waits_in_the_books_and_pays_the_next_invoice(services: Services, trade: Business):
    row = await overpaid(trade, 30_00)
    assert (row.disposition, row.applied_minor, row.credit_minor, row.balance_minor) == ("overpaid", 100_00, 30_00, 0)
    assert (await sums(services, trade.carrier.org_id))["customer-credit", None] == -30_00
    await agrees(trade)
    small = await trade.issued(20_00, currency=CURRENCY)
    assert (small.status, small.paid_minor) == ("paid", 20_00)
    big = await trade.issued(50_00, currency=CURRENCY)
    assert await seen(trade, big) == ("part_paid", 10_00, 40_00)
    assert await left(trade, row) == 0
    own, theirs = await sums(services, trade.carrier.org_id), await sums(services, trade.shop.org_id)
    assert (own["receivable", trade.shop.org_id], own.get(("customer-credit", None), 0)) == (40_00, 0)
    assert (theirs["bank", None], theirs["payable", trade.carrier.org_id]) == (-130_00, -40_00)
    await agrees(trade)
    untouched = await trade.issued(5_00, currency=CURRENCY)
    assert await seen(trade, untouched) == ("issued", 0, 5_00)


async def test_it_pays_no_invoice_in_another_currency_nor_to_another_organisation(services: Services, trade: Business):
    row = await overpaid(trade, 30_00)
    assert (await trade.issued(20_00, currency="USD")).paid_minor == 0
    other = await business(services, trade.carrier)
    assert (await other.issued(20_00, currency=CURRENCY)).paid_minor == 0
    back = Business(services, trade.shop, trade.carrier)  # what they send us is another matter
    assert (await back.issued(20_00, currency=CURRENCY)).paid_minor == 0
    assert await left(trade, row) == 30_00


async def test_an_organisation_may_want_it_to_wait(services: Services, trade: Business):
    row, owner = await overpaid(trade, 30_00), trade.carrier.owner
    change = services.organisations.change
    await change(owner, name=None, time_zone=None, selling={"use_money_on_account": False})
    assert (await trade.issued(20_00, currency=CURRENCY)).paid_minor == 0
    assert await left(trade, row) == 30_00


async def test_it_is_not_taken_without_being_asked_for(trade: Business, api: Api):
    invoice, call = await trade.issued(100_00, currency=CURRENCY), api.as_(await trade.carrier.token())
    path = f"/api/v1/invoices/{invoice.id}/payments"
    body = {"currency": CURRENCY, "method": "bank", "amountMinor": 100_01}
    assert (await call("POST", path, body)).json["code"] == "amount-too-large"
    done = await call("POST", path, body | {"onAccount": True})
    assert (done.status, done.json["appliedMinor"], done.json["creditMinor"]) == (201, 100_00, 1)


async def test_a_reversal_takes_it_out_of_where_it_went(services: Services, trade: Business):
    invoice, shop, owner = await trade.issued(100_00, currency=CURRENCY), Shop(trade.carrier), trade.carrier.owner
    lost = await shop.pay("INV-1", 130_00)
    await services.money.unmatched.assign(owner, lost.id, invoice_id=invoice.id, on_account=True)
    assert await left(trade, lost) == 30_00
    other = await trade.issued(20_00, currency=CURRENCY)
    await agrees(trade)
    await shop.reverse(lost, "REV1", 25_00)  # 10 that wait, then 15 of the newest invoice
    assert (await seen(trade, other), await left(trade, lost)) == (("part_paid", 5_00, 15_00), 0)
    assert await seen(trade, invoice) == ("paid", 100_00, 0)
    await shop.reverse(lost, "REV2")
    assert (await seen(trade, other), await seen(trade, invoice)) == (("issued", 0, 20_00), ("issued", 0, 100_00))
    await agrees(trade)


async def test_what_waits_can_be_given_back(services: Services, trade: Business):
    row, owner = await overpaid(trade, 30_00), trade.carrier.owner
    given = await services.money.refunds.of_payment(owner, row.id, 30_00, Way(Method.BANK, "TRF 10", "too much"))
    assert [each.credit_minor for each in given.rows] == [-30_00]
    assert (await trade.issued(20_00, currency=CURRENCY)).paid_minor == 0
    await agrees(trade)


async def test_a_credit_note_puts_it_back_and_takes_no_other_money(services: Services, trade: Business):
    row, owner = await overpaid(trade, 30_00), trade.carrier.owner
    mistake = await trade.issued(50_00, currency=CURRENCY)
    await services.money.issuing.void(owner, mistake.id)
    assert (await seen(trade, mistake), await left(trade, row)) == (("voided", 0, 0), 30_00)
    await agrees(trade)
    again = await trade.issued(50_00, currency=CURRENCY)
    assert again.paid_minor == 30_00
    await services.money.bills.take(owner, again.id, _bank(1))
    with pytest.raises(InvoiceMoveRefused):
        await services.money.issuing.void(owner, again.id)
    assert (await seen(trade, again), await left(trade, row)) == (("part_paid", 30_01, 19_99), 0)
    await agrees(trade)


async def test_of_invoices_that_are_issued_and_voided_at_once_none_uses_it_twice(services: Services, trade: Business):
    row, issuing, owner = await overpaid(trade, 30_00), services.money.issuing, trade.carrier.owner
    drafts = [await trade.draft(20_00, currency=CURRENCY) for _ in range(6)]
    early = await issuing.issue(owner, drafts.pop().id)

    await asyncio.gather(*(issuing.issue(owner, each.id) for each in drafts), issuing.void(owner, early.id))
    found = [await services.money.invoices.find(owner, each.id) for each in drafts]
    assert sum(each.paid_minor for each in found) + await left(trade, row) == 30_00
    await agrees(trade)


async def test_who_is_billed_is_told_what_is_left_to_pay(services: Services, trade: Business):
    await overpaid(trade, 30_00)
    await trade.issued(50_00, currency=CURRENCY)
    told = [facts for kind, facts in await Shop(trade.carrier).told() if kind == "invoice_issued"]
    assert [(each["totalMinor"], each["openMinor"]) for each in told] == [("10000", "10000"), ("5000", "2000")]
