"""Two at once on one layby: one wins, the other is told the status; whatever happens, everything still adds up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from tests.factories import Org
from tests.laid_by import Books, charge, customer, default, layby, pay, whole
from waypost.kernel.errors import AppError, Conflict, Invalid
from waypost.laybys.deal import Wish
from waypost.laybys.domain import CancelledBy, Layby, Status
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

ROUNDS = pytest.mark.parametrize("rounds", [30, pytest.param(1000, marks=pytest.mark.long)])
CANCEL = Wish(CancelledBy.CUSTOMER, "changed their mind")
EVERY = 10  # rounds between looks at all the books
Deed = Callable[[Org, UUID], Awaitable[object]]


async def complete(org: Org, layby_id: UUID) -> object:
    return await org.services.money.goods.complete(org.owner, layby_id, None)


async def cancel(org: Org, layby_id: UUID) -> object:
    return await org.services.money.cancelling.cancel(org.owner, layby_id, CANCEL)


async def hold(org: Org, layby_id: UUID) -> object:
    return await org.services.money.changes.hold(org.owner, layby_id, None)


async def extend(org: Org, layby_id: UUID) -> object:
    return await org.services.money.changes.extend(org.owner, layby_id, "more time", days=7)


async def collect(org: Org, layby_id: UUID) -> object:
    return await org.services.money.goods.collect(org.owner, layby_id)


async def pay_all(org: Org, layby_id: UUID) -> None:
    await pay(org, layby_id, 60_00)


async def pay_most(org: Org, layby_id: UUID) -> None:
    await pay(org, layby_id, 40_00)


async def charge_fees(org: Org, layby_id: UUID) -> object:
    return await charge(org, layby_id, 60)


async def end(org: Org, layby_id: UUID) -> object:
    return await default(org, layby_id, 60)


# Who meets; how the layby may stand afterwards.
RACES: dict[str, tuple[tuple[Deed, ...], set[Status]]] = {
    "two payments for one balance": ((pay_all, pay_all), {Status.COMPLETED}),
    "two payments that are together too much": ((pay_most, pay_most), {Status.ACTIVE}),
    "payment against cancel": ((pay_all, cancel), {Status.COMPLETED, Status.CANCELLED}),
    "payment against hold": ((pay_all, hold), {Status.COMPLETED, Status.ON_HOLD}),
    "payment against a late fee": ((pay_all, charge_fees), {Status.COMPLETED, Status.ACTIVE}),
    "payment against a default": ((pay_all, end), {Status.COMPLETED}),
    "two cancels": ((cancel, cancel), {Status.CANCELLED}),
    "two sweeps": ((charge_fees, charge_fees, end, end), {Status.DEFAULTED}),
    "cancel, hold and extend": ((cancel, hold, extend), {Status.CANCELLED, Status.ON_HOLD}),
    "everybody": (
        (pay_all, pay_most, cancel, hold, charge_fees, end, extend, complete),
        {Status.COMPLETED, Status.CANCELLED, Status.ON_HOLD, Status.DEFAULTED, Status.ACTIVE},
    ),
}


async def meet(nodes: list[Org], layby_id: UUID, deeds: tuple[Deed, ...]) -> list[AppError]:
    """All at once, on two nodes in turn; what they were refused with. Whatever else is raised is a failure."""
    asked = (deed(nodes[n % len(nodes)], layby_id) for n, deed in enumerate(deeds))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, BaseException)]
    for each in refused:
        assert isinstance(each, (Conflict, Invalid)), repr(each)
    return [each for each in refused if isinstance(each, AppError)]


async def add_up(org: Org, layby_id: UUID) -> Layby:
    """What must hold of one layby after every round."""
    found, books = await whole(org, layby_id), Books(org)
    made = found.layby
    async with org.services.database.transaction(SYSTEM) as conn:
        applied = await conn.fetchval(
            "SELECT sum(applied_minor)::bigint FROM payments WHERE org_id = $1 AND layby_id = $2", org.org_id, layby_id
        )
    assert made.paid_minor == applied
    assert sum(i.late_fee_minor for i in made.instalments) == made.late_fees_minor
    assert (found.order is not None) == (made.status is Status.COMPLETED)
    assert len(await books.orders(layby_id)) <= 1
    sold = [kind for _, kind, _, _ in await books.stock(layby_id)]
    assert sold.count("sold") + sold.count("released") == (2 if found.order or made.status is Status.CANCELLED else 0)
    return made


@ROUNDS
@pytest.mark.parametrize("race", RACES)
@pytest.mark.timeout(1800)
async def test_whoever_meets_everything_adds_up(
    services: Services, environment: dict[str, str], org: Org, race: str, rounds: int
):
    deeds, ends = RACES[race]
    somebody = await customer(org)
    async with open_services(Settings.from_env(environment)) as other:
        nodes = [org, Org(other, org.org_id, org.owner, org.owner_phone)]
        for number in range(rounds):
            made = (await layby(org, customer_id=somebody)).layby
            await meet(nodes, made.id, deeds)
            after = await add_up(org, made.id)
            assert after.status in ends
            if number % EVERY == 0:
                await Books(org).check()
        await Books(org).check()


@ROUNDS
@pytest.mark.timeout(1800)
async def test_of_two_who_complete_at_once_one_does_and_there_is_one_order(
    services: Services, environment: dict[str, str], org: Org, rounds: int
):
    """At balance 0 by a late fee that was forgiven, so that only staff may complete it."""
    somebody = await customer(org)
    async with open_services(Settings.from_env(environment)) as other:
        nodes = [org, Org(other, org.org_id, org.owner, org.owner_phone)]
        for _ in range(rounds):
            made = (await layby(org, customer_id=somebody)).layby
            await _forgive(org, made)
            refused = await meet(nodes, made.id, (complete, complete, cancel))
            assert len(refused) == 2
            assert all("laybyStatus" in error.extra for error in refused)
            found = await whole(org, made.id)
            assert found.layby.status in {Status.COMPLETED, Status.CANCELLED}
            assert len(await Books(org).orders(made.id)) == (found.layby.status is Status.COMPLETED)


async def _forgive(org: Org, made: Layby) -> None:
    """Lower the price to what is paid: nothing is owed, and no payment has completed it."""
    async with org.services.database.transaction(SYSTEM) as conn:
        await conn.execute(
            "UPDATE laybys SET items_minor = paid_minor WHERE org_id = $1 AND id = $2", org.org_id, made.id
        )


@ROUNDS
@pytest.mark.timeout(1800)
async def test_of_two_who_give_out_the_goods_one_does(
    services: Services, environment: dict[str, str], org: Org, rounds: int
):
    somebody = await customer(org)
    async with open_services(Settings.from_env(environment)) as other:
        nodes = [org, Org(other, org.org_id, org.owner, org.owner_phone)]
        for _ in range(rounds):
            made = (await layby(org, customer_id=somebody)).layby
            await pay(org, made.id, 60_00)
            assert len(await meet(nodes, made.id, (collect, collect))) == 1
            kinds = [kind for kind, _ in await Books(org).events(made.id)]
            assert kinds.count("collected") == 1
