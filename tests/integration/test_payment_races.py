"""Money at once: whatever meets whatever, rows, laybys and books agree to the minor unit, and nobody sees a fault."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from tests.factories import Org
from tests.tills import Shop
from waypost.kernel.errors import Conflict, Invalid
from waypost.laybys.domain import Layby, LaybyMoveRefused
from waypost.payments.domain import (
    AlreadySettled,
    Booked,
    Method,
    NothingToGive,
    Payment,
    TooMuch,
)
from waypost.payments.till import Taken
from waypost.payments.ways import Way
from waypost.settings import Settings
from waypost.wiring import open_services

pytestmark = pytest.mark.timeout(1800)
ROUNDS = pytest.mark.parametrize("rounds", [30, pytest.param(1000, marks=pytest.mark.long)])
CASH = Way(Method.CASH, None, "a race")


@pytest.fixture
async def environment(environment: dict[str, str]) -> dict[str, str]:
    """Hundreds wait for twenty connections here, on a machine that may be busy: for as long as may be."""
    return environment | {"WAYPOST_POOL_WAIT_S": "30"}


@pytest.fixture
async def shop(org: Org) -> Shop:
    return await Shop.of(org)


@pytest.fixture
async def shops(shop: Shop, environment: dict[str, str]) -> AsyncIterator[tuple[Shop, Shop]]:
    """The same shop on two nodes."""
    async with open_services(Settings.from_env(environment)) as other:
        yield shop, Shop(Org(other, shop.org.org_id, shop.owner, shop.org.owner_phone))


async def at_once(*calls: Coroutine[Any, Any, Any]) -> Counter[str]:
    """What became of calls that began together: a disposition, "done", or the name of what was refused.

    Anything but an expected refusal (a deadlock is a 503) is raised.
    """
    found: Counter[str] = Counter()
    for each in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(each, BaseException):
            if not isinstance(each, Conflict | Invalid):
                raise each
            found[type(each).__name__] += 1
        else:
            found[str(each.disposition) if isinstance(each, Booked) else "done"] += 1
    return found


@ROUNDS
async def test_one_report_a_hundred_times_at_once_is_booked_once(shops: tuple[Shop, Shop], rounds: int):
    for _ in range(max(1, rounds // 10)):
        layby = await shops[0].layby()
        report = shops[0].report(layby, 25_00)
        found = await at_once(*(shops[n % 2].book(report) for n in range(100)))
        assert found == {"applied": 1, "duplicate": 99}
        assert (await shops[0].read(layby.id)).balance_minor == 45_00
    await shops[0].check()


@ROUNDS
async def test_one_report_for_two_laybys_at_once_is_booked_for_one(shops: tuple[Shop, Shop], rounds: int):
    one, two = await shops[0].layby(price=9_000_00, deposit=3_000_00), await shops[0].layby()
    for n in range(rounds):
        found = await at_once(
            shops[0].book(shops[0].report(one, 1, f"X{n}")),
            shops[1].book(shops[1].report(two, 1, f"X{n}")),
            shops[1].book(shops[1].report("ZZZZZZZ", 1, f"X{n}")),
        )
        assert found["duplicate"] == 2
    await shops[0].check()


@ROUNDS
async def test_of_two_payments_for_one_balance_one_pays_it_and_the_other_is_credit(
    shops: tuple[Shop, Shop], rounds: int
):
    for _ in range(rounds):
        layby = await shops[0].layby()
        found = await at_once(*(shop.book(shop.report(layby, 70_00)) for shop in shops))
        assert found == {"applied": 1, "credit": 1}
        after = await shops[0].read(layby.id)
        assert (after.status, after.completions) == ("completed", 1)
    await shops[0].check()


@ROUNDS
async def test_of_two_tills_one_takes_the_balance_and_the_other_is_refused(shops: tuple[Shop, Shop], rounds: int):
    for _ in range(rounds):
        layby = await shops[0].layby()
        taken = Taken(70_00, Method.CASH)
        found = await at_once(*(shop.services.money.payments.take(shop.owner, layby.id, taken) for shop in shops))
        assert found == {"done": 1, "LaybyMoveRefused": 1}
    await shops[0].check()


@ROUNDS
async def test_a_payment_against_a_cancellation_is_applied_before_it_or_credit_after_it(
    shops: tuple[Shop, Shop], rounds: int
):
    for _ in range(rounds):
        layby = await shops[0].layby()
        found = await at_once(shops[0].book(shops[0].report(layby, 20_00)), shops[1].cancel(layby.id))
        assert found["done"] == 1
        after = await shops[0].read(layby.id)
        paid = 50_00 if found["applied"] else 30_00
        assert (after.status, after.paid_minor) == ("cancelled", paid)
    await shops[0].check()


@ROUNDS
async def test_credit_is_used_once_by_two_laybys_at_once(shops: tuple[Shop, Shop], rounds: int):
    customer = await shops[0].customer()
    held = await shops[0].layby(customer=customer)
    await shops[0].hold(held.id)
    for _ in range(rounds):
        await shops[0].pay(held, 15_00)
        laybys = [await shops[0].layby(customer=customer) for _ in range(2)]
        pairs = list(zip(shops, laybys, strict=True))
        found = await at_once(*(s.services.money.credit.apply(s.owner, layby.id, None) for s, layby in pairs))
        assert found == {"done": 1, "NothingToGive": 1}
        assert await shops[0].services.money.credit.of_customer(shops[0].owner, customer) == []
    await shops[0].check()


@ROUNDS
async def test_credit_that_is_used_while_its_payment_is_reversed_is_neither_lost_nor_doubled(
    shops: tuple[Shop, Shop], rounds: int
):
    customer = await shops[0].customer()
    held = await shops[0].layby(customer=customer)
    await shops[0].hold(held.id)
    for n in range(rounds):
        paid = await shops[0].pay(held, 15_00)
        layby = await shops[0].layby(customer=customer)
        await at_once(
            _reverse(shops[0], paid, f"REV{n}"), shops[1].services.money.credit.apply(shops[1].owner, layby.id, None)
        )
        assert (await shops[0].read(layby.id)).paid_minor == 30_00
        assert await shops[0].services.money.credit.of_customer(shops[0].owner, customer) == []
    await shops[0].check()


async def _reverse(shop: Shop, paid: Payment, receipt: str) -> Booked:
    booked = await shop.reverse(paid, receipt)
    assert booked is not None
    return booked


@ROUNDS
async def test_a_refund_asked_for_twice_at_once_goes_out_as_far_as_there_is_money(
    shops: tuple[Shop, Shop], rounds: int
):
    for _ in range(rounds):
        layby = await shops[0].layby()
        paid = await shops[0].pay(layby, 20_00)
        found = await at_once(*(s.services.money.refunds.of_payment(s.owner, paid.id, 15_00, CASH) for s in shops))
        assert found == {"done": 1, TooMuch.__name__: 1}
        await shops[0].cancel(layby.id)
        found = await at_once(*(s.services.money.refunds.of_layby(s.owner, layby.id, None, CASH) for s in shops))
        assert found == {"done": 1, NothingToGive.__name__: 1}
    await shops[0].check()


@ROUNDS
async def test_unknown_money_is_assigned_by_one_of_two(shops: tuple[Shop, Shop], rounds: int):
    laybys = [await shops[0].layby(price=9_000_00, deposit=3_000_00) for _ in range(2)]
    for _ in range(rounds):
        lost = await shops[0].pay("ZZZZZZZ", 1_00)
        pairs = list(zip(shops, laybys, strict=True))
        found = await at_once(
            *(s.services.money.unmatched.assign(s.owner, lost.id, layby_id=each.id) for s, each in pairs)
        )
        assert found == {"done": 1, AlreadySettled.__name__: 1}
    await shops[0].check()


@ROUNDS
async def test_a_reversal_a_refund_and_an_assignment_of_one_payment_at_once_share_what_there_is(
    shops: tuple[Shop, Shop], rounds: int
):
    layby = await shops[0].layby(price=9_000_00, deposit=3_000_00)
    for n in range(rounds):
        lost = await shops[0].pay("ZZZZZZZ", 10_00)
        money = shops[1].services.money
        await at_once(
            _reverse(shops[0], lost, f"REV{n}"),
            _reverse(shops[1], lost, f"REV{n}"),
            money.refunds.of_payment(shops[1].owner, lost.id, 4_00, CASH),
            money.unmatched.assign(shops[0].owner, lost.id, layby_id=layby.id),
        )
    await shops[0].check()


async def test_a_hundred_tills_at_once_give_a_hundred_numbers(shops: tuple[Shop, Shop]):
    layby = await shops[0].layby(price=1_000_00, deposit=300_00)
    taken = Taken(1_00, Method.CASH)
    rows = await asyncio.gather(
        *(shops[n % 2].services.money.payments.take(shops[0].owner, layby.id, taken) for n in range(100))
    )
    assert len({row.receipt for row in rows}) == 100
    assert (await shops[0].read(layby.id)).balance_minor == 600_00
    await shops[0].check()


# The reference's prototype: 60 laybys, four payments of each reported twice at once, every third cancelled meanwhile.
@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.long)])
async def test_480_calls_at_once_with_cancels_between_all_count(shops: tuple[Shop, Shop], rounds: int):
    for _ in range(rounds):
        laybys: list[Layby] = [await shops[0].layby() for _ in range(60)]
        calls: list[Coroutine[Any, Any, Any]] = []
        for n, layby in enumerate(laybys):
            for _ in range(4):
                report = shops[0].report(layby, 20_00)
                calls += [shop.book(report) for shop in shops]
            if n % 3 == 0:
                calls.append(shops[n % 2].cancel(layby.id))
        found = await at_once(*calls)
        booked = sum(found[name] for name in ("applied", "overpaid", "credit"))
        assert (booked, found["duplicate"]) == (240, 240)
        assert found["done"] + found[LaybyMoveRefused.__name__] == 20
        for layby in laybys:
            rows = await shops[0].rows(layby_id=layby.id, disposition=None)
            assert sum(row.amount_minor for row in rows) == 110_00
        await shops[0].check()


@ROUNDS
async def test_everything_at_once_on_a_few_laybys_of_one_customer(shops: tuple[Shop, Shop], rounds: int):
    customer = await shops[0].customer()
    for n in range(max(1, rounds // 3)):
        laybys = [await shops[0].layby(customer=customer) for _ in range(3)]
        paid = [await shops[0].pay(layby, 20_00) for layby in laybys]
        lost = await shops[0].pay("ZZZZZZZ", 60_00)
        await shops[0].hold(laybys[2].id)
        credit = await shops[0].pay(laybys[2], 30_00)
        one, two = shops[0].services.money, shops[1].services.money
        owner = shops[0].owner
        await at_once(
            shops[0].book(shops[0].report(laybys[0], 60_00)),
            shops[1].book(shops[1].report(laybys[1], 10_00)),
            shops[1].reactivate(laybys[2].id),
            shops[0].cancel(laybys[1].id),
            _reverse(shops[0], paid[0], f"A{n}"),
            _reverse(shops[1], paid[1], f"B{n}"),
            _reverse(shops[0], credit, f"C{n}"),
            one.credit.apply(owner, laybys[1].id, None),
            two.credit.apply(owner, laybys[0].id, None),
            one.refunds.of_payment(owner, paid[2].id, 5_00, CASH),
            two.refunds.of_payment(owner, paid[1].id, 5_00, CASH),
            two.unmatched.assign(owner, lost.id, layby_id=laybys[0].id),
            one.refunds.of_layby(owner, laybys[1].id, None, CASH),
        )
        await shops[0].check()
