"""Payments of invoices: in the rows, in the books of both sides, given back, and money that turns out to be for one."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.freight import Business, business, pairs, sums
from tests.tills import Shop
from waypost.invoices.domain import InvoiceMoveRefused, InvoiceNotFound
from waypost.kernel.money import CurrencyMismatch
from waypost.payments.domain import Method, TooMuch
from waypost.payments.till import Taken
from waypost.payments.ways import Way
from waypost.wiring import Services


@pytest.fixture
async def trade(services: Services, org: Org) -> Business:
    return await business(services, org)


def _bank(minor: int, currency: str = "KES") -> Taken:
    return Taken(minor, Method.BANK, currency=currency, reference="TRF 9")


async def test_a_payment_of_an_invoice_is_in_the_books_of_both_sides(services: Services, trade: Business):
    invoice = await trade.issued(100_00, currency="KES")
    owner = trade.carrier.owner
    row = await services.money.bills.take(owner, invoice.id, _bank(40_00))
    assert (row.invoice_id, row.applied_minor, row.balance_minor, row.account_ref) == (
        invoice.id,
        40_00,
        60_00,
        "TRF 9",
    )
    paid = await services.money.invoices.find(owner, invoice.id)
    assert (paid.status, paid.paid_minor) == ("part_paid", 40_00)
    own, theirs = await sums(services, owner.org_id), await sums(services, trade.shop.org_id)
    assert (own["bank", None], own["receivable", trade.shop.org_id]) == (40_00, 60_00)
    assert (theirs["bank", None], theirs["payable", owner.org_id]) == (-40_00, -60_00)
    assert set(await pairs(services)) == {0}


async def test_no_more_is_taken_than_is_open_and_only_in_its_currency(services: Services, trade: Business):
    owner, take = trade.carrier.owner, services.money.bills.take
    invoice, draft = await trade.issued(100_00, currency="KES"), await trade.draft(currency="KES")
    with pytest.raises(TooMuch) as much:
        await take(owner, invoice.id, _bank(100_01))
    assert much.value.extra["openMinor"] == 100_00
    with pytest.raises(CurrencyMismatch):
        await take(owner, invoice.id, _bank(1_00, "USD"))
    with pytest.raises(InvoiceMoveRefused):
        await take(owner, draft.id, _bank(1_00))
    with pytest.raises(InvoiceNotFound):
        await take(trade.shop.owner, invoice.id, _bank(1_00))
    done = await asyncio.gather(*(take(owner, invoice.id, _bank(60_00)) for _ in range(3)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Payment", "TooMuch", "TooMuch"]


async def test_a_refund_of_an_invoices_payment_opens_it_again(services: Services, trade: Business):
    invoice, owner = await trade.issued(100_00, currency="KES"), trade.carrier.owner
    row = await services.money.bills.take(owner, invoice.id, _bank(100_00))
    given = await services.money.refunds.of_payment(owner, row.id, 30_00, Way(Method.BANK, "TRF 10", "paid twice"))
    assert (given.rows[0].invoice_id, given.rows[0].balance_minor) == (invoice.id, 30_00)
    again = await services.money.invoices.find(owner, invoice.id)
    assert (again.status, again.paid_minor) == ("part_paid", 70_00)
    assert (await sums(services, owner.org_id))["receivable", trade.shop.org_id] == 30_00
    assert set(await pairs(services)) == {0}
    with pytest.raises(TooMuch):
        await services.money.refunds.of_payment(owner, row.id, 70_01, Way(Method.BANK, None, "more"))


async def test_unknown_money_is_assigned_to_an_invoice_and_may_still_be_reversed(services: Services, trade: Business):
    invoice, owner, shop = await trade.issued(100_00, currency="KES"), trade.carrier.owner, Shop(trade.carrier)
    much = await shop.pay("INV-1", 100_01)
    with pytest.raises(TooMuch):
        await services.money.unmatched.assign(owner, much.id, invoice_id=invoice.id)
    lost = await shop.pay("INV-1", 100_00)
    await services.money.unmatched.assign(owner, lost.id, invoice_id=invoice.id)
    assert (await services.money.invoices.find(owner, invoice.id)).status == "paid"
    assert await sums(services, owner.org_id) == {
        ("clearing", None): 200_01,
        ("suspense", None): -100_01,
        ("freight-income", None): -100_00,
    }
    await shop.reverse(lost, "REV1")
    assert (await services.money.invoices.find(owner, invoice.id)).status == "issued"
    assert set(await pairs(services)) == {0}


async def test_the_edge_takes_a_payment_of_an_invoice_and_says_what_is_open(api: Api, trade: Business):
    invoice, call = await trade.issued(100_00, currency="KES"), api.as_(await trade.carrier.token())
    path, body = f"/api/v1/invoices/{invoice.id}/payments", {"currency": "KES", "method": "bank", "reference": "TRF 9"}
    done = await call("POST", path, body | {"amountMinor": 40_00})
    assert (done.status, done.json["invoiceId"], done.json["balanceMinor"]) == (201, str(invoice.id), 60_00)
    much = await call("POST", path, body | {"amountMinor": 60_01})
    assert (much.status, much.json["code"], much.json["openMinor"]) == (422, "amount-too-large", 60_00)
    seen = (await call("GET", f"/api/v1/payments/{done.json['id']}")).json
    assert seen["refundableMinor"] == 40_00
