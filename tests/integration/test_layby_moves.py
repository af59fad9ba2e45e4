"""What may be done to a layby in each status, and what each deed leaves: dates, books, stock, words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.fakes.clock import FakeClock
from tests.laid_by import Books, charge, customer, default, layby, pay, today, whole
from waypost.kernel.errors import Invalid, Stale
from waypost.laybys import account
from waypost.laybys.changes import NoMoreExtensions, WindowClosed
from waypost.laybys.deal import NewItem, Wish
from waypost.laybys.domain import CancelledBy, LaybyMoveRefused, Status
from waypost.laybys.goods import BalanceOpen, HandOverRefused
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

DAY = 86_400
STATUSES = ("active", "on_hold", "completed", "cancelled", "defaulted")
BODIES: dict[str, Any] = {
    "hold": {},
    "reactivate": {},
    "extend": {"reason": "asked for", "days": 7},
    "reinstate": {"reason": "paid soon"},
    "complete": {},
    "collect": {},
    "hand-over": {"items": [{"n": 2, "quantity": 1}]},
    "cancel": {"by": "customer", "reason": "changed their mind"},
    "cancel/preview": {"by": "customer"},
    "trip": {},
    "PATCH": {"note": "by the window"},
}
# What each move leads to where it is allowed; the answer's code where something else forbids it. All others: 409.
AFTER = {
    ("active", "hold"): "on_hold",
    ("active", "extend"): "active",
    ("active", "complete"): "layby-balance-open",
    ("active", "hand-over"): "hand-over-refused",
    ("active", "cancel"): "cancelled",
    ("active", "cancel/preview"): "active",
    ("active", "PATCH"): "active",
    ("on_hold", "reactivate"): "active",
    ("on_hold", "cancel"): "cancelled",
    ("on_hold", "cancel/preview"): "on_hold",
    ("on_hold", "PATCH"): "on_hold",
    ("completed", "collect"): "completed",
    ("completed", "trip"): "completed",
    ("defaulted", "reinstate"): "active",
    ("defaulted", "cancel"): "cancelled",
    ("defaulted", "cancel/preview"): "defaulted",
    ("defaulted", "PATCH"): "defaulted",
}


async def in_status(org: Org, status: str, customer_id: UUID) -> UUID:
    money = org.services.money
    layby_id = (await layby(org, customer_id=customer_id)).layby.id
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "on_hold": lambda: money.changes.hold(org.owner, layby_id, None),
        "completed": lambda: pay(org, layby_id, 60_00),
        "cancelled": lambda: money.cancelling.cancel(org.owner, layby_id, Wish(CancelledBy.CUSTOMER)),
        "defaulted": lambda: default(org, layby_id, after_days=60),
    }
    if status in ways:
        await ways[status]()
    return layby_id


@pytest.mark.parametrize("status", STATUSES)
async def test_each_move_is_made_or_refused_with_the_present_status(api: Api, org: Org, status: str):
    call, somebody = api.as_(await org.token()), await customer(org)
    for move, body in BODIES.items():
        layby_id = await in_status(org, status, somebody)
        before = (await whole(org, layby_id)).layby
        path = f"/api/v1/laybys/{layby_id}"
        answer = await (call("PATCH", path, body) if move == "PATCH" else call("POST", f"{path}/{move}", body))
        after = (await whole(org, layby_id)).layby
        expected = AFTER.get((status, move))
        if expected in STATUSES:
            assert answer.status in {200, 201}, (move, answer)
            assert after.status == expected, move
            assert answer.json.get("status", after.status) == expected, move
        else:
            assert (answer.status, answer.json["code"]) == (409, expected or "layby-status"), (move, answer)
            assert expected or answer.json["laybyStatus"] == status, move
            assert after == before, move
    await Books(org).check()


@pytest.fixture
async def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def shop(environment: dict[str, str], clock: FakeClock) -> AsyncIterator[Org]:
    """An organisation whose days the test moves."""
    async with open_services(Settings.from_env(environment), clock) as services:
        await services.redis.flushall()
        yield await organisation(services)


async def test_a_hold_moves_the_open_dates_by_its_days_and_no_covered_one(shop: Org, clock: FakeClock):
    money, made = shop.services.money, (await layby(shop)).layby
    await pay(shop, made.id, 30_00)
    await money.changes.hold(shop.owner, made.id, "in hospital")
    await clock.advance(10 * DAY)
    after = (await money.changes.reactivate(shop.owner, made.id, None)).layby
    first, last = made.instalments
    assert [i.due_date for i in after.instalments] == [first.due_date, last.due_date + timedelta(days=10)]
    assert [i.agreed_date for i in after.instalments] == [first.agreed_date, last.agreed_date]
    assert (after.status, after.held_since) == (Status.ACTIVE, None)
    assert after.final_date == made.final_date + timedelta(days=10)
    books = Books(shop)
    (held, back) = [event for event in await books.events(made.id) if event[0] in {"on_hold", "reactivated"}]
    assert held == ("on_hold", {"reason": "in hospital"})
    assert (back[1]["days"], [moved["n"] for moved in back[1]["dates"]]) == (10, [2])
    assert [len(await books.told(kind)) for kind in ("layby_on_hold", "layby_reactivated")] == [1, 1]


async def test_extensions_are_counted_and_their_history_is_kept(shop: Org):
    money, made = shop.services.money, (await layby(shop)).layby
    day = await today(shop)
    once = (await money.changes.extend(shop.owner, made.id, "school fees", days=7)).layby
    assert [i.due_date for i in once.instalments] == [i.due_date + timedelta(days=7) for i in made.instalments]
    dates = [day + timedelta(days=25), day + timedelta(days=50)]
    twice = (await money.changes.extend(shop.owner, made.id, "again", to=dates)).layby
    assert ([i.due_date for i in twice.instalments], twice.extensions, twice.final_date) == (dates, 2, dates[-1])
    with pytest.raises(NoMoreExtensions):
        await money.changes.extend(shop.owner, made.id, "and again", days=1)
    kept = [data for kind, data in await Books(shop).events(made.id) if kind == "extended"]
    assert [data["extension"] for data in kept] == [1, 2]
    assert [moved["from"] for moved in kept[1]["dates"]] == [str(i.due_date) for i in once.instalments]


BEYOND: dict[str, tuple[int | None, tuple[int, ...]]] = {
    "nothing": (None, ()),
    "too many days": (31, ()),
    "both": (5, (20, 30)),
    "too few dates": (None, (20,)),
    "today": (None, (0, 30)),
    "not rising": (None, (30, 20)),
    "too late": (None, (20, 200)),
    "earlier than it was": (None, (13, 28)),
}


async def test_an_extension_beyond_the_rules_is_refused(shop: Org):
    made, day = (await layby(shop)).layby, await today(shop)
    for case, (days, dates) in BEYOND.items():
        to = [day + timedelta(days=n) for n in dates]
        with pytest.raises(Invalid):
            await shop.services.money.changes.extend(shop.owner, made.id, "more time", days=days, to=to)
        assert (await whole(shop, made.id)).layby == made, case


async def test_a_defaulted_layby_comes_back_within_its_window_with_dates_from_today(shop: Org, clock: FakeClock):
    money, made = shop.services.money, (await layby(shop)).layby
    await clock.advance(40 * DAY)
    out = await default(shop, made.id, after_days=0)
    assert (out.status, out.reinstate_until) == (Status.DEFAULTED, await today(shop) + timedelta(days=30))
    back = (await money.changes.reinstate(shop.owner, made.id, "promised")).layby
    day = await today(shop)
    assert [i.due_date for i in back.instalments] == [day, day + timedelta(days=14)]
    assert (back.status, back.defaulted_at, back.reinstate_until) == (Status.ACTIVE, None, None)


async def test_after_its_window_a_defaulted_layby_stays_so(shop: Org, clock: FakeClock):
    money, made = shop.services.money, (await layby(shop)).layby
    await clock.advance(40 * DAY)
    await default(shop, made.id, after_days=0)
    await clock.advance(31 * DAY)
    with pytest.raises(WindowClosed):
        await money.changes.reinstate(shop.owner, made.id, "promised")


async def test_a_payment_brings_a_defaulted_layby_back(shop: Org, clock: FakeClock):
    made = (await layby(shop)).layby
    await clock.advance(40 * DAY)
    await default(shop, made.id, after_days=0)
    await pay(shop, made.id, 60_00)
    back = await whole(shop, made.id)
    assert (back.layby.status, back.layby.reinstate_until, back.order is None) == (Status.COMPLETED, None, False)
    assert len(await Books(shop).told("layby_reinstated")) == 1
    await Books(shop).check()


async def test_a_defaulted_layby_takes_part_payments_and_comes_back_when_nothing_is_past_due(
    shop: Org, clock: FakeClock
):
    made = (await layby(shop, instalments=3)).layby
    await clock.advance(29 * DAY)
    out = await default(shop, made.id, after_days=0)
    for amount, status, paid in (
        (1, Status.DEFAULTED, 40_01),
        (39_98, Status.DEFAULTED, 79_99),
        (1, Status.ACTIVE, 80_00),
    ):
        await pay(shop, made.id, amount)
        back = (await whole(shop, made.id)).layby
        assert (back.status, back.paid_minor) == (status, paid)
    assert (await default(shop, made.id, after_days=0)).status is Status.ACTIVE
    assert [len(await Books(shop).told(f"layby_{kind}")) for kind in ("defaulted", "reinstated")] == [1, 1]
    assert out.reinstate_until == await today(shop) + timedelta(days=30)
    await clock.advance(30 * DAY)
    again = await default(shop, made.id, after_days=0)
    assert (again.status, again.reinstate_until) == (Status.DEFAULTED, out.reinstate_until)
    await Books(shop).check()


async def test_late_fees_that_are_past_due_are_paid_before_it_comes_back(shop: Org, clock: FakeClock):
    made = (await layby(shop)).layby
    await clock.advance(40 * DAY)
    await charge(shop, made.id, after_days=0)
    await default(shop, made.id, after_days=0)
    await pay(shop, made.id, 60_00)
    back = (await whole(shop, made.id)).layby
    assert (back.status, back.balance_minor) == (Status.DEFAULTED, 10_00)
    await pay(shop, made.id, 10_00)
    assert (await whole(shop, made.id)).layby.status is Status.COMPLETED
    await Books(shop).check()


async def test_a_late_fee_is_charged_once_an_instalment_and_paid_last(shop: Org, clock: FakeClock):
    made = (await layby(shop)).layby
    await clock.advance(15 * DAY)
    for _ in range(3):
        await charge(shop, made.id, after_days=0)
    late = (await whole(shop, made.id)).layby
    assert (late.late_fees_minor, late.balance_minor) == (5_00, 65_00)
    assert [i.late_fee_minor for i in late.instalments] == [5_00, 0]
    books = Books(shop)
    assert len(await books.told("late_fee_applied")) == 1
    memo = {"late-fees-receivable": 5_00, "late-fees-deferred": -5_00}
    assert await books.balances() == {"cash": 40_00, "deposits-held": -40_00} | memo
    await pay(shop, made.id, 60_00)
    assert (await whole(shop, made.id)).layby.status is Status.ACTIVE
    await pay(shop, made.id, 5_00)
    assert (await whole(shop, made.id)).layby.status is Status.COMPLETED
    assert await books.balances() == {"cash": 105_00, "sales": -100_00, "fee-income": -5_00}
    await books.check()


async def test_a_completion_makes_one_order_sells_the_goods_and_earns_the_money(org: Org):
    made = (await layby(org)).layby
    await pay(org, made.id, 60_00)
    done, books = await whole(org, made.id), Books(org)
    assert await books.orders(made.id) == [(f"O-{made.reference}", True)]
    assert await books.stock(made.id) == [
        (1, "reserved", 0, 1),
        (2, "reserved", 0, 2),
        (1, "sold", 0, 1),
        (2, "sold", 0, 2),
    ]
    assert await books.balances() == {"cash": 100_00, "sales": -100_00}
    assert done.layby.collect_by == await today(org) + timedelta(days=14)
    (facts,) = await books.told("layby_completed")
    assert facts["order"] == f"O-{made.reference}"
    with pytest.raises(LaybyMoveRefused):
        await org.services.money.goods.complete(org.owner, made.id, None)


async def take_back(org: Org, layby_id: UUID, amount: int) -> None:
    """What a reversal does to the layby; its own row and books are the payments room's."""
    ground, day = org.services.money.desk.ground, await today(org)
    async with org.services.database.transaction(SYSTEM) as conn:
        locked = await account.lock(conn, org.org_id, layby_id)
        await account.take_back(ground, conn, locked, amount, day, reopen=True)


async def test_a_reversal_before_collection_opens_it_again_and_voids_the_order(org: Org):
    made, books = (await layby(org)).layby, Books(org)
    await pay(org, made.id, 60_00)
    await take_back(org, made.id, 60_00)
    again = await whole(org, made.id)
    assert (again.layby.status, again.layby.balance_minor, again.order) == (Status.ACTIVE, 60_00, None)
    assert (await books.stock(made.id))[-2:] == [(1, "reserved", 1, 1), (2, "reserved", 1, 2)]
    assert await books.balances() == {"cash": 100_00, "deposits-held": -100_00}
    await pay(org, made.id, 60_00)
    assert await books.orders(made.id) == [(f"O-{made.reference}", False), (f"O-{made.reference}-2", True)]
    keys = [key for key in await books.promised() if "completed" in key]
    assert keys == [f"layby:{made.id}:completed:{n}" for n in (1, 2)]
    assert len(set(await books.promised("stock"))) == 8


WEEK = timedelta(days=7)


async def test_who_owes_again_what_was_paid_in_time_has_a_week_before_it_is_past_due(shop: Org, clock: FakeClock):
    made, books = (await layby(shop)).layby, Books(shop)
    await pay(shop, made.id, 60_00)
    await clock.advance(100 * DAY)
    await take_back(shop, made.id, 60_00)
    again, day = (await whole(shop, made.id)).layby, await today(shop)
    dates = [day + WEEK, day + 3 * WEEK]
    assert ([i.due_date for i in again.instalments], again.final_date) == (dates, dates[-1])
    assert [i.agreed_date for i in again.instalments] == [i.agreed_date for i in made.instalments]
    for days in range(8):
        assert await charge(shop, made.id, days) == again == await default(shop, made.id, days)
    ((_, kept),) = [event for event in await books.events(made.id) if event[0] == "taken_back"]
    assert [(moved["n"], moved["to"]) for moved in kept["dates"]] == [(1, str(dates[0])), (2, str(dates[1]))]
    assert (await charge(shop, made.id, 8)).late_fees_minor == 5_00


async def test_a_part_that_is_taken_back_moves_only_the_dates_that_were_covered_and_what_follows(
    shop: Org, clock: FakeClock
):
    made = (await layby(shop, instalments=3)).layby
    await pay(shop, made.id, 40_00)
    await clock.advance(30 * DAY)
    await take_back(shop, made.id, 10_00)
    after, day = (await whole(shop, made.id)).layby, await today(shop)
    first, second, third = made.instalments
    by = day + WEEK - second.due_date
    assert [i.due_date for i in after.instalments] == [first.due_date, day + WEEK, third.due_date + by]
    await take_back(shop, made.id, 1_00)
    assert (await whole(shop, made.id)).layby.instalments == after.instalments


async def test_a_date_that_is_more_than_a_week_off_does_not_move(shop: Org, clock: FakeClock):
    made = (await layby(shop)).layby
    await pay(shop, made.id, 30_00)
    await clock.advance(7 * DAY)
    await take_back(shop, made.id, 30_00)
    assert (await whole(shop, made.id)).layby.instalments == made.instalments


async def test_what_is_taken_back_on_hold_falls_due_a_week_after_it_goes_on(shop: Org, clock: FakeClock):
    money, made = shop.services.money, (await layby(shop)).layby
    await pay(shop, made.id, 30_00)
    await clock.advance(20 * DAY)
    await money.changes.hold(shop.owner, made.id, None)
    await clock.advance(20 * DAY)
    await take_back(shop, made.id, 30_00)
    after = (await money.changes.reactivate(shop.owner, made.id, None)).layby
    assert after.instalments[0].due_date == await today(shop) + WEEK


async def test_a_refund_of_a_defaulted_layby_moves_no_date_so_that_a_cent_does_not_bring_it_back(
    shop: Org, clock: FakeClock
):
    made = (await layby(shop, instalments=4, trade="clothing")).layby
    await pay(shop, made.id, 15_00)
    await clock.advance(50 * DAY)
    await default(shop, made.id, after_days=0)
    await take_back(shop, made.id, 15_00)
    await pay(shop, made.id, 1)
    after = (await whole(shop, made.id)).layby
    assert (after.status, after.instalments) == (Status.DEFAULTED, made.instalments)


async def test_a_deposit_of_everything_that_is_taken_back_is_owed_a_week_later(shop: Org, clock: FakeClock):
    rules = (await shop.services.money.rule_book.of(shop.owner, "clothing")).rules
    await shop.services.money.rule_book.change(shop.owner, msgspec.structs.replace(rules, deposit_max_bp=100_00))
    made = (await layby(shop, deposit=100_00)).layby
    await clock.advance(60 * DAY)
    await take_back(shop, made.id, 100_00)
    again = (await whole(shop, made.id)).layby
    assert (again.status, again.final_date) == (Status.ACTIVE, await today(shop) + WEEK)
    assert await default(shop, made.id, after_days=21) == again
    assert (await default(shop, made.id, after_days=22)).status is Status.DEFAULTED


async def test_after_the_goods_are_out_nothing_changes_any_more(org: Org):
    money, made = org.services.money, (await layby(org)).layby
    await pay(org, made.id, 60_00)
    out = await money.goods.collect(org.owner, made.id, received_by="Chipo")
    assert (out.layby.released_at is not None, [i.handed_over for i in out.items]) == (True, [1, 2])
    for deed in (
        lambda: take_back(org, made.id, 60_00),
        lambda: money.goods.collect(org.owner, made.id),
        lambda: money.cancelling.cancel(org.owner, made.id, Wish(CancelledBy.SHOP)),
    ):
        with pytest.raises(LaybyMoveRefused):
            await deed()
    assert await whole(org, made.id) == out


CANCELLATIONS: dict[str, tuple[dict[str, Any], Wish, tuple[int, int]]] = {
    "by the customer, ten percent of what is paid": ({}, Wish(CancelledBy.CUSTOMER), (4_00, 36_00)),
    "by the shop, without a fee": ({}, Wish(CancelledBy.SHOP), (0, 40_00)),
    "goods gone, without a fee": ({}, Wish(CancelledBy.GOODS_GONE), (0, 40_00)),
    "one percent of the price where the law says so": ({"jurisdiction": "ZA"}, Wish(CancelledBy.CUSTOMER), (40, 39_60)),
    "no fee on a death there": ({"jurisdiction": "ZA"}, Wish(CancelledBy.CUSTOMER, None, "death"), (0, 40_00)),
    "no fee where it was not told before": (
        {"jurisdiction": "ZA", "told_before": False},
        Wish(CancelledBy.CUSTOMER),
        (0, 40_00),
    ),
}  # fmt: skip


async def test_a_cancellation_is_shown_before_and_kept_after_with_its_working(services: Services):
    for case, (terms, wish, expected) in CANCELLATIONS.items():
        await cancelled(await organisation(services, case), dict(terms), wish, *expected)


async def cancelled(org: Org, terms: dict[str, Any], wish: Wish, fee: int, refund: int) -> None:
    selling = {"jurisdiction": terms.pop("jurisdiction", "NONE")}
    await org.services.organisations.change(org.owner, name=None, time_zone=None, selling=selling)
    money, made, books = org.services.money, (await layby(org, **terms)).layby, Books(org)
    working, currency = await money.cancelling.preview(org.owner, made.id, wish)
    assert (working.fee_minor, working.refund_minor, currency) == (fee, refund, "USD")
    assert (await whole(org, made.id)).layby == made
    done = (await money.cancelling.cancel(org.owner, made.id, wish)).layby
    assert (done.status, done.cancellation_fee_minor, done.refund_due_minor) == (Status.CANCELLED, fee, refund)
    assert done.cancellation["lines"] == list(msgspec.to_builtins(working)["lines"])
    assert await books.balances() == {
        code: amount
        for code, amount in {"cash": 40_00, "refunds-payable": -refund, "fee-income": -fee}.items()
        if amount
    }
    assert (await books.stock(made.id))[-2:] == [(1, "released", 0, 1), (2, "released", 0, 2)]
    (facts,) = await books.told("layby_cancelled")
    assert (facts["feeMinor"], facts["refundMinor"], facts["paidMinor"]) == (str(fee), str(refund), "4000")
    await books.check()


async def test_a_cancelled_layby_forgets_its_late_fees(shop: Org, clock: FakeClock):
    made = (await layby(shop)).layby
    await clock.advance(20 * DAY)
    await charge(shop, made.id, after_days=0)
    await shop.services.money.cancelling.cancel(shop.owner, made.id, Wish(CancelledBy.SHOP))
    assert await Books(shop).balances() == {"cash": 40_00, "refunds-payable": -40_00}


async def test_goods_go_out_in_parts_up_to_what_is_paid_where_the_rules_say_so(org: Org):
    money = org.services.money
    goods = [NewItem("NAIL", "Nails", 10, 5_00), NewItem("SAW", "A saw", 1, 50_00)]
    made = (await layby(org, trade="hardware", items=goods, deposit=50_00)).layby
    out = await money.goods.hand_over(org.owner, made.id, {1: 8}, received_by="Chipo")
    assert [i.handed_over for i in out.items] == [8, 0]
    for counts in ({1: 3}, {2: 1}, {9: 1}):
        with pytest.raises((HandOverRefused, Invalid)):
            await money.goods.hand_over(org.owner, made.id, counts)
    done = (await money.cancelling.cancel(org.owner, made.id, Wish(CancelledBy.SHOP))).layby
    assert (done.refund_due_minor, done.cancellation["handedOverMinor"]) == (10_00, 40_00)
    books = Books(org)
    assert sorted((await books.stock(made.id))[-3:]) == [
        (1, "released", 0, 2),
        (1, "sold", 0, 8),
        (2, "released", 0, 1),
    ]
    assert await books.balances() == {"cash": 50_00, "sales": -40_00, "refunds-payable": -10_00}
    await books.check()


async def test_goods_of_other_trades_are_not_handed_over_in_parts(org: Org):
    made = (await layby(org)).layby
    with pytest.raises(HandOverRefused):
        await org.services.money.goods.hand_over(org.owner, made.id, {2: 1})


async def test_what_is_owed_must_be_paid_before_staff_complete_it(org: Org):
    made = (await layby(org)).layby
    with pytest.raises(BalanceOpen) as refused:
        await org.services.money.goods.complete(org.owner, made.id, None)
    assert refused.value.extra["balanceMinor"] == 60_00


async def test_a_change_that_has_seen_an_older_version_is_stale(org: Org):
    money, made = org.services.money, (await layby(org)).layby
    noted = (await money.changes.note(org.owner, made.id, "by the window", expected=made.version)).layby
    assert (noted.note, noted.version) == ("by the window", made.version + 1)
    with pytest.raises(Stale):
        await money.changes.hold(org.owner, made.id, None, expected=made.version)
