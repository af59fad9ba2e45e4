"""Money that comes: booked once, applied as far as it can be, in the books, told; and taken back by its provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.factories import Org, organisation
from tests.tills import Shop
from waypost.kernel.money import CurrencyMismatch
from waypost.kernel.principal import Role
from waypost.laybys.domain import LaybyMoveRefused
from waypost.payments.domain import Disposition, Kind, Method, ReceiptTaken, TooMuch
from waypost.payments.receipts import receipt_of
from waypost.payments.till import Taken
from waypost.wiring import Services


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


async def test_a_layby_opens_with_its_deposit_in_the_rows_and_the_books(shop: Shop):
    layby = await shop.layby(price=100_00, deposit=30_00)
    assert (layby.paid_minor, layby.balance_minor) == (30_00, 70_00)
    (deposit,) = await shop.rows(layby_id=layby.id)
    assert (deposit.disposition, deposit.applied_minor, deposit.balance_minor) == (Disposition.APPLIED, 30_00, 70_00)
    assert deposit.receipt == receipt_of(deposit.id)
    assert await shop.balances() == {"cash": 30_00, "deposits-held": -30_00}
    ((kind, facts),) = await shop.told()
    assert (kind, facts["receipt"], facts["balanceMinor"]) == ("layby_created", deposit.receipt, "7000")
    await shop.check()


async def test_a_providers_payment_is_applied_and_its_customer_told(shop: Shop):
    layby = await shop.layby()
    booked = await shop.book(shop.report(layby, 25_00))
    row = booked.payment
    assert (booked.disposition, row.applied_minor, row.credit_minor) == (Disposition.APPLIED, 25_00, 0)
    assert (row.balance_minor, row.customer_id, row.payer_hint) == (45_00, layby.customer_id, "…149")
    after = await shop.read(layby.id)
    assert (after.paid_minor, after.version) == (55_00, layby.version + 1)
    assert await shop.balances() == {"cash": 30_00, "clearing": 25_00, "deposits-held": -55_00}
    kind, facts = (await shop.told())[-1]
    assert kind == "payment_received"
    told = {name: facts[name] for name in ("amountMinor", "currency", "receipt", "balanceMinor", "nextDueMinor")}
    assert told == {
        "amountMinor": "2500",
        "currency": "KES",
        "receipt": row.receipt,
        "balanceMinor": "4500",
        "nextDueMinor": "1000",
    }
    assert await shop.alerts() == []
    await shop.check()


@pytest.mark.parametrize("road", ["the same", "by another layby's reference", "with another amount"])
async def test_a_receipt_is_booked_once_whatever_comes_with_it_later(shop: Shop, road: str):
    layby, other = await shop.layby(), await shop.layby()
    report = shop.report(layby, 25_00, "RKT1")
    first = await shop.book(report)
    again = {
        "the same": report,
        "by another layby's reference": shop.report(other, 25_00, "RKT1"),
        "with another amount": shop.report(layby, 10_00, "RKT1"),
    }[road]
    repeat = await shop.book(again)
    assert (repeat.disposition, repeat.payment) == (Disposition.DUPLICATE, first.payment)
    assert (await shop.read(layby.id)).balance_minor == 45_00
    assert (await shop.read(other.id)).balance_minor == 70_00
    assert [kind for kind, _ in await shop.told()].count("payment_received") == 1
    await shop.check()


async def test_two_providers_may_give_the_same_receipt(shop: Shop):
    layby = await shop.layby()
    for provider in ("daraja", "signed:1"):
        assert (await shop.pay(layby, 10_00, "X1", provider=provider)).applied_minor == 10_00
    await shop.check()


async def test_the_last_payment_completes_once_and_what_is_too_much_is_credit(shop: Shop):
    layby = await shop.layby()
    booked = await shop.book(shop.report(layby, 75_50))
    row = booked.payment
    assert (booked.disposition, row.applied_minor, row.credit_minor) == (Disposition.OVERPAID, 70_00, 5_50)
    after = await shop.read(layby.id)
    assert (after.status, after.balance_minor, after.completions) == ("completed", 0, 1)
    kinds = dict(await shop.told())
    assert kinds["payment_received"]["creditMinor"] == "550"
    assert "layby_completed" in kinds
    assert await shop.alerts() == ["payment_credit"]
    balances = await shop.balances()
    assert (balances["customer-credit"], balances["sales"], "deposits-held" in balances) == (-5_50, -100_00, False)
    await shop.check()


async def _cancelled(shop: Shop, layby_id: UUID) -> None:
    await shop.cancel(layby_id)


async def _completed(shop: Shop, layby_id: UUID) -> None:
    await shop.pay(await shop.read(layby_id), 70_00)


async def _held(shop: Shop, layby_id: UUID) -> None:
    await shop.hold(layby_id)


@pytest.mark.parametrize("before", [_cancelled, _completed, _held], ids=["cancelled", "completed", "on hold"])
async def test_money_for_a_layby_that_takes_none_is_kept_as_credit(shop: Shop, before):
    layby = await shop.layby()
    await before(shop, layby.id)
    version = (await shop.read(layby.id)).version
    booked = await shop.book(shop.report(layby, 20_00))
    assert (booked.disposition, booked.payment.credit_minor) == (Disposition.CREDIT, 20_00)
    assert (await shop.read(layby.id)).version == version
    assert (await shop.told())[-1][0] == "payment_received_credit"
    assert await shop.alerts() == ["payment_credit"]
    await shop.check()


@pytest.mark.parametrize("typed", ["ZZZZZZZ", "", None], ids=["unknown", "empty", "none"])
async def test_money_without_a_known_reference_waits_in_suspense(shop: Shop, typed: str | None):
    booked = await shop.book(shop.report(typed, 20_00))
    assert (booked.disposition, booked.payment.suspense_minor) == (Disposition.UNMATCHED, 20_00)
    assert await shop.balances() == {"clearing": 20_00, "suspense": -20_00}
    assert (await shop.alerts(), await shop.told()) == (["payment_unmatched"], [])
    await shop.check()


async def test_a_reference_is_found_as_people_type_it(shop: Shop):
    layby = await shop.layby()
    typed = f" {layby.reference[:3].lower()}-{layby.reference[3:].replace('0', 'o').replace('1', 'l')} "
    assert (await shop.pay(typed, 10_00)).layby_id == layby.id


async def test_money_of_another_currency_is_never_mixed(shop: Shop):
    layby = await shop.layby()
    booked = await shop.book(shop.report(layby, 20_00, currency="UGX"))
    assert (booked.disposition, booked.payment.layby_id) == (Disposition.UNMATCHED, None)
    assert booked.payment.note == f"{layby.reference} is in KES"
    assert (await shop.read(layby.id)).balance_minor == 70_00
    assert await shop.balances("UGX") == {"clearing": 20_00, "suspense": -20_00}
    await shop.check()


async def test_an_organisations_reference_reaches_no_other_organisation(shop: Shop, services: Services):
    layby = await shop.layby()
    other = await Shop.of(await organisation(services, "Another"))
    assert (await other.pay(layby, 20_00)).disposition is Disposition.UNMATCHED
    assert (await shop.read(layby.id)).balance_minor == 70_00


async def test_a_prompts_layby_is_paid_whatever_was_typed(shop: Shop):
    layby = await shop.layby()
    assert (await shop.pay("ZZZZZZZ", 20_00, layby_id=layby.id)).layby_id == layby.id


async def test_many_reports_of_one_transaction_are_booked_in_order(shop: Shop):
    laybys = [await shop.layby() for _ in range(3)]
    reports = [shop.report(layby, 10_00) for layby in laybys] + [shop.report("ZZZZZZZ", 5_00)]
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        bookings = shop.services.money.bookings
        await bookings.hold(conn, shop.org.org_id, reports)
        booked = [await bookings.book(conn, shop.org.org_id, report) for report in reports]
    assert [each.disposition for each in booked] == [Disposition.APPLIED] * 3 + [Disposition.UNMATCHED]
    await shop.check()


# ---- the counter -----------------------------------------------------------------------------------------------------


async def test_a_till_books_what_it_takes_with_a_number_of_its_own(shop: Shop):
    layby, teller = await shop.layby(), await shop.person(Role.DISPATCHER)
    row = await shop.services.money.payments.take(teller, layby.id, Taken(25_00, Method.CARD, note="slip 7"))
    assert (row.provider, row.receipt, row.balance_minor) == ("counter", receipt_of(row.id), 45_00)
    assert row.created_by == teller.user_id
    assert (await shop.balances())["card"] == 25_00
    entry = await shop.newest_deed()
    assert (entry.action, entry.actor_id, entry.why) == ("payment.taken", teller.user_id, "slip 7")
    await shop.check()


async def test_what_staff_type_in_is_refused_when_it_cannot_be_applied_and_the_answer_says_the_balance(shop: Shop):
    layby, take = await shop.layby(), shop.services.money.payments.take
    with pytest.raises(TooMuch) as much:
        await take(shop.owner, layby.id, Taken(70_01, Method.CASH))
    assert much.value.extra["balanceMinor"] == 70_00
    with pytest.raises(CurrencyMismatch):
        await take(shop.owner, layby.id, Taken(10_00, Method.CASH, currency="USD"))
    await shop.hold(layby.id)
    with pytest.raises(LaybyMoveRefused) as held:
        await take(shop.owner, layby.id, Taken(10_00, Method.CASH))
    assert (held.value.extra["laybyStatus"], held.value.extra["balanceMinor"]) == ("on_hold", 70_00)
    assert len(await shop.rows()) == 1
    await shop.check()


async def test_a_tills_own_receipt_number_is_taken_once(shop: Shop):
    layby, take = await shop.layby(), shop.services.money.payments.take
    await take(shop.owner, layby.id, Taken(10_00, Method.CASH, "T-1"))
    with pytest.raises(ReceiptTaken):
        await take(shop.owner, layby.id, Taken(10_00, Method.CASH, "T-1"))
    assert (await shop.read(layby.id)).balance_minor == 60_00
    await shop.check()


async def test_a_deposit_with_a_receipt_that_is_taken_opens_nothing(shop: Shop):
    layby = await shop.layby()
    await shop.services.money.payments.take(shop.owner, layby.id, Taken(10_00, Method.CASH, "T-1"))
    told = await shop.told()
    from waypost.laybys.deal import Deal, NewItem, NewLayby

    new = NewLayby(layby.customer_id, Deal(items=[NewItem("S", "Sofa", 1, 50_00)]), told_before=True)
    with pytest.raises(ReceiptTaken):
        await shop.services.money.opening.open(shop.owner, new, Taken(20_00, Method.CASH, "T-1"))
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM laybys") == 1
    assert await shop.told() == told
    await shop.check()


async def test_a_payers_mark_is_keyed_and_the_same_for_the_same_phone(shop: Shop):
    layby = await shop.layby()
    rows = [await shop.pay(layby, 1_00, payer=payer) for payer in ("254700000001", "254700000001", "254700000002")]
    marks = [row.payer_mark for row in rows]
    assert marks[0] == marks[1] != marks[2]
    assert marks[0] is not None
    assert b"254700000001" not in marks[0]


# ---- lists -----------------------------------------------------------------------------------------------------------


async def test_the_list_finds_payments_by_each_of_its_filters(shop: Shop):
    layby, other = await shop.layby(), await shop.layby()
    paid = await shop.pay(layby, 10_00, "RKT1")
    lost = await shop.pay("ZZZZZZZ", 7_00, "RKT2")
    over = await shop.pay(other, 80_00, "RKT3")
    cases: list[tuple[dict[str, object], set[UUID]]] = [
        ({"receipt": "RKT2"}, {lost.id}),
        ({"disposition": Disposition.OVERPAID}, {over.id}),
        ({"unsettled": True}, {lost.id}),
        ({"method": Method.MOBILE}, {paid.id, lost.id, over.id}),
        ({"provider": "daraja", "layby_id": layby.id}, {paid.id}),
        ({"kind": Kind.PAYMENT, "customer_id": other.customer_id, "method": Method.MOBILE}, {over.id}),
        ({"kind": Kind.REFUND}, set()),
    ]
    for wanted, ids in cases:
        assert {row.id for row in await shop.rows(**wanted)} == ids, wanted


async def test_a_span_of_time_is_listed_by_when_it_was_paid_in_pages_without_gaps(shop: Shop, services: Services):
    layby = await shop.layby()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [await shop.pay(layby, 1_00, paid_at=start + timedelta(hours=7 * n % 5)) for n in range(10)]
    from waypost.payments.storage import Filter

    wanted = Filter(paid_from=start, paid_until=start + timedelta(hours=4))
    seen, cursor = [], None
    while True:
        page = await services.money.payments.list(shop.owner, wanted, 3, cursor)
        seen += [(row.paid_at, row.id) for row in page.data]
        if (cursor := page.next_cursor) is None:
            break
    expected = [(row.paid_at, row.id) for row in rows if row.paid_at < start + timedelta(hours=4)]
    assert seen == sorted(expected, reverse=True)


# ---- reversals -------------------------------------------------------------------------------------------------------


async def test_a_reversal_undoes_exactly_what_the_payment_did(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 25_00)
    booked = await shop.reverse(paid, "REV1")
    assert booked is not None
    row = booked.payment
    assert (booked.disposition, row.kind, row.root_id) == (Disposition.REVERSED, Kind.REVERSAL, paid.id)
    assert (row.amount_minor, row.applied_minor, row.balance_minor) == (-25_00, -25_00, 70_00)
    assert (await shop.read(layby.id)).balance_minor == 70_00
    assert await shop.balances() == {"cash": 30_00, "deposits-held": -30_00}
    kind, facts = (await shop.told())[-1]
    assert (kind, facts["amountMinor"], facts["balanceMinor"]) == ("payment_reversed", "2500", "7000")
    await shop.check()


async def test_a_reversal_comes_twice_and_is_booked_once(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 25_00)
    first = await shop.reverse(paid, "REV1")
    again = await shop.reverse(paid, "REV1")
    assert first is not None
    assert again is not None
    assert (again.disposition, again.payment.id) == (Disposition.DUPLICATE, first.payment.id)
    await shop.check()


async def test_a_reversal_of_what_never_came_says_so_and_one_of_more_than_came_is_for_a_person(shop: Shop):
    layby = await shop.layby()
    assert await shop.reverse("RKT-NEVER", "REV1") is None
    paid = await shop.pay(layby, 25_00)
    for receipt, amount in (("REV2", 25_01), ("REV3", 0)):
        booked = await shop.reverse(paid, receipt, amount)
        assert booked is not None
        assert booked.disposition is Disposition.REVIEW
    await shop.reverse(paid, "REV4")
    after = await shop.reverse(paid, "REV5")
    assert after is not None
    assert after.disposition is Disposition.REVIEW
    assert (await shop.read(layby.id)).balance_minor == 70_00
    await shop.check()


async def test_a_reversal_of_a_part_takes_credit_first(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 80_00)  # 70 applied and the layby completed, 10 credit
    booked = await shop.reverse(paid, "REV1", 12_00)
    assert booked is not None
    assert (booked.payment.credit_minor, booked.payment.applied_minor) == (-10_00, -2_00)
    after = await shop.read(layby.id)
    assert (after.status, after.balance_minor) == ("active", 2_00)
    await shop.check()


async def test_a_reversal_before_collection_opens_the_layby_again_and_voids_its_order(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 70_00)
    await shop.reverse(paid, "REV1")
    after = await shop.read(layby.id)
    assert (after.status, after.balance_minor) == ("active", 70_00)
    async with shop.services.database.transaction(shop.org.org_id) as conn:
        (voided,) = await conn.fetch("SELECT voided_at FROM layby_orders")
    assert voided["voided_at"] is not None
    assert (await shop.balances()).get("sales", 0) == 0
    await shop.check()
    await shop.pay(layby, 70_00)
    assert (await shop.read(layby.id)).completions == 2
    await shop.check()


async def test_a_reversal_after_collection_changes_no_layby_and_is_what_the_customer_owes(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 75_00)
    before = await shop.collect(layby.id)
    booked = await shop.reverse(paid, "REV1")
    assert booked is not None
    assert (booked.payment.applied_minor, booked.payment.credit_minor) == (0, -75_00)
    after = await shop.read(layby.id)
    assert (after.status, after.balance_minor, after.version) == ("completed", 0, before.version)
    assert (await shop.balances())["customer-credit"] == 70_00
    assert await shop.alerts() == ["payment_credit", "reversal_after_collection"]
    await shop.check()


async def test_a_reversal_after_a_cancellation_takes_what_was_still_to_be_paid_back(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 50_00)
    cancelled = await shop.cancel(layby.id)
    assert (cancelled.cancellation_fee_minor, cancelled.refund_due_minor) == (8_00, 72_00)
    await shop.reverse(paid, "REV1")
    after = await shop.read(layby.id)
    assert (after.refund_due_minor, after.paid_minor) == (22_00, 30_00)
    await shop.check()


async def test_a_reversal_of_unknown_money_takes_it_out_of_suspense_and_settles_it(shop: Shop):
    lost = await shop.pay("ZZZZZZZ", 20_00)
    await shop.reverse(lost, "REV1")
    assert await shop.balances() == {}
    assert await shop.rows(unsettled=True) == []
    await shop.check()


async def test_a_payment_is_shown_with_all_that_came_of_it(shop: Shop):
    layby = await shop.layby()
    paid = await shop.pay(layby, 75_00)
    await shop.reverse(paid, "REV1", 5_00)
    whole = await shop.services.money.payments.find(shop.owner, paid.id)
    assert [row.kind for row in whole.rows] == [Kind.PAYMENT, Kind.REVERSAL]
    assert (whole.group.amount_minor, whole.group.credit_minor, whole.refundable_minor) == (70_00, 0, 0)
