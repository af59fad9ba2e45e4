"""Money without a known reference: suggested, never matched by itself, assigned once by a person."""

from __future__ import annotations

import pytest

from tests.factories import Org
from tests.tills import Shop
from waypost.kernel.errors import Denied
from waypost.kernel.money import CurrencyMismatch
from waypost.kernel.principal import Role
from waypost.laybys.domain import LaybyNotFound
from waypost.laybys.references import ALPHABET
from waypost.payments.domain import AlreadySettled, Kind, Method, PaymentNotFound
from waypost.payments.storage_suggestions import Suggestion
from waypost.payments.ways import Way


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


def _mistyped(reference: str) -> str:
    """One wrong character."""
    wrong = ALPHABET[(ALPHABET.index(reference[2]) + 1) % len(ALPHABET)]
    return reference[:2] + wrong + reference[3:]


def _reasons(found: Suggestion) -> list[str]:
    return [name for name in ("reference", "payer", "amount") if getattr(found, f"by_{name}")]


async def test_suggestions_rank_a_slip_of_the_pen_over_the_payer_over_the_amount(shop: Shop):
    meant, same_amount, same_payer = (
        await shop.layby(),
        await shop.layby(price=50_00, deposit=20_00),
        await shop.layby(),
    )
    await shop.pay(same_payer, 1_00, payer="254711111111")
    await shop.layby()
    lost = await shop.pay(_mistyped(meant.reference), 30_00, payer="254711111111")
    found = await shop.services.money.unmatched.suggestions(shop.owner, lost.id)
    assert [(each.layby_id, _reasons(each)) for each in found] == [
        (meant.id, ["reference"]),
        (same_payer.id, ["payer"]),
        (same_amount.id, ["amount"]),
    ]
    assert (await shop.read(meant.id)).paid_minor == 30_00  # nothing is matched by itself


async def test_nothing_is_suggested_of_other_currencies_or_of_laybys_that_have_ended(shop: Shop):
    foreign, ended = await shop.layby(currency="UGX"), await shop.layby()
    await shop.cancel(ended.id)
    for layby in (foreign, ended):
        lost = await shop.pay(_mistyped(layby.reference), 35_00)
        assert await shop.services.money.unmatched.suggestions(shop.owner, lost.id) == []


async def test_an_assignment_applies_the_money_and_tells_its_customer(shop: Shop):
    layby = await shop.layby()
    lost = await shop.pay("ZZZZZZZ", 20_00)
    row = await shop.services.money.unmatched.assign(shop.owner, lost.id, layby_id=layby.id)
    assert (row.kind, row.root_id, row.amount_minor) == (Kind.ASSIGNMENT, lost.id, 0)
    assert (row.applied_minor, row.suspense_minor, row.balance_minor) == (20_00, -20_00, 50_00)
    assert (await shop.read(layby.id)).balance_minor == 50_00
    kind, facts = (await shop.told())[-1]
    assert (kind, facts["amountMinor"], facts["receipt"]) == ("payment_received", "2000", lost.receipt)
    assert await shop.balances() == {"cash": 30_00, "clearing": 20_00, "deposits-held": -50_00}
    assert await shop.rows(unsettled=True) == []
    assert await shop.open_alerts() == []
    assert await shop.services.money.unmatched.suggestions(shop.owner, lost.id) == []
    await shop.check()


async def test_money_is_assigned_once(shop: Shop):
    layby, other = await shop.layby(), await shop.layby()
    lost = await shop.pay("ZZZZZZZ", 20_00)
    assign = shop.services.money.unmatched.assign
    await assign(shop.owner, lost.id, layby_id=layby.id)
    with pytest.raises(AlreadySettled):
        await assign(shop.owner, lost.id, layby_id=other.id)
    known = await shop.pay(layby, 5_00)
    with pytest.raises(AlreadySettled):
        await assign(shop.owner, known.id, layby_id=other.id)
    await shop.check()


async def test_what_is_too_much_of_an_assignment_is_credit(shop: Shop):
    layby = await shop.layby()
    lost = await shop.pay("ZZZZZZZ", 90_00)
    row = await shop.services.money.unmatched.assign(shop.owner, lost.id, layby_id=layby.id)
    assert (row.applied_minor, row.credit_minor) == (70_00, 20_00)
    assert (await shop.read(layby.id)).status == "completed"
    assert await shop.alerts() == ["payment_unmatched", "payment_credit"]
    await shop.check()


async def test_money_assigned_to_a_layby_that_takes_none_is_its_customers_credit(shop: Shop):
    layby = await shop.layby()
    await shop.cancel(layby.id)
    lost = await shop.pay("ZZZZZZZ", 20_00)
    row = await shop.services.money.unmatched.assign(shop.owner, lost.id, layby_id=layby.id)
    assert (row.applied_minor, row.credit_minor) == (0, 20_00)
    assert (await shop.told())[-1][0] == "payment_received_credit"
    await shop.check()


async def test_only_what_is_left_of_it_is_assigned(shop: Shop):
    layby = await shop.layby()
    lost = await shop.pay("ZZZZZZZ", 20_00)
    await shop.services.money.refunds.of_payment(shop.owner, lost.id, 5_00, Way(Method.CASH, None, "asked for it"))
    row = await shop.services.money.unmatched.assign(shop.owner, lost.id, layby_id=layby.id)
    assert row.applied_minor == 15_00
    await shop.check()


async def test_an_assignment_that_cannot_be_leaves_the_money_where_it_was(shop: Shop):
    foreign = await shop.layby(currency="UGX")
    lost = await shop.pay("ZZZZZZZ", 20_00)
    assign = shop.services.money.unmatched.assign
    with pytest.raises(CurrencyMismatch):
        await assign(shop.owner, lost.id, layby_id=foreign.id)
    with pytest.raises(LaybyNotFound):
        await assign(shop.owner, lost.id, layby_id=lost.id)
    with pytest.raises(PaymentNotFound):
        await assign(shop.owner, foreign.id, layby_id=foreign.id)
    dispatcher = await shop.person(Role.DISPATCHER)
    with pytest.raises(Denied):
        await assign(dispatcher, lost.id, layby_id=foreign.id)
    assert len(await shop.rows(unsettled=True)) == 1
    await shop.check()


async def test_a_reversal_takes_assigned_money_out_of_its_layby(shop: Shop):
    layby = await shop.layby()
    lost = await shop.pay("ZZZZZZZ", 20_00)
    await shop.services.money.unmatched.assign(shop.owner, lost.id, layby_id=layby.id)
    await shop.reverse(lost, "REV1")
    assert (await shop.read(layby.id)).balance_minor == 70_00
    await shop.check()
