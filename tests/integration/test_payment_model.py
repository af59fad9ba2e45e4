"""Money in any order, and twice each, against a model in plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import organisation
from tests.money_model import DEPOSIT, PRICE, Agreement, Model, Refused
from tests.money_model import Money as Coins
from tests.servers import Servers
from tests.tills import Shop
from waypost.kernel.errors import Conflict, Invalid
from waypost.payments.domain import Disposition, Method
from waypost.payments.storage import group_of, rows_of
from waypost.payments.till import Taken
from waypost.payments.ways import Way
from waypost.settings import Settings
from waypost.wiring import Services, open_services

CASH = Way(Method.CASH, None, "model")
# What is common in life is common here; amounts that meet a balance to the unit are, too.
STEPS = st.tuples(
    st.sampled_from(
        ["pay"] * 5 + ["till", "till", "pay_unknown", "pay_unknown", "assign", "assign", "use_credit", "use_credit"]
        + ["hold", "reactivate", "reactivate", "collect", "cancel", "reverse", "reverse", "reverse", "refund", "refund"]
        + ["refund_layby", "refund_layby", "open"]
    ),
    st.integers(0, 11),
    st.sampled_from([1, 5_00, 10_00, 35_00, 69_99, 70_00, 70_01, 95_00]),
    st.booleans(),
)  # fmt: skip
Work = Callable[[Services], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Run:
    """The same deeds, done to the model and to the real thing."""

    shop: Shop
    customers: list[UUID]
    model: Model = field(default_factory=Model)
    laybys: list[UUID] = field(default_factory=list)
    roots: list[UUID] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    done: int = 0

    async def step(self, name: str, n: int, amount: int, twice: bool) -> None:
        self.done += 1
        for _ in range(2 if twice else 1):
            await getattr(self, f"_{name}")(n, amount)
        await self.check()

    async def both(self, told: Callable[[], None], real: Coroutine[Any, Any, Any]) -> Any:
        """Both do it, or both refuse it."""
        try:
            told()
        except Refused:
            with pytest.raises((Conflict, Invalid)):
                await real
            return None
        return await real

    def layby(self, n: int) -> tuple[Agreement, UUID]:
        n %= len(self.laybys)
        return self.model.laybys[n], self.laybys[n]

    def coins(self, n: int) -> tuple[Coins, UUID]:
        n = len(self.roots) - 1 - n % len(self.roots)
        return self.model.money[n], self.roots[n]

    async def _open(self, n: int, _amount: int) -> None:
        who = n % len(self.customers)
        self.model.open(who)
        opened = await self.shop.layby(price=PRICE, deposit=DEPOSIT, customer=self.customers[who])
        self.laybys.append(opened.id)
        (deposit,) = await self.shop.rows(layby_id=opened.id)
        self.roots.append(deposit.id)
        self.receipts.append("")

    async def _pay(self, n: int, amount: int) -> None:
        told, layby_id = self.layby(n)
        self.model.pay(told, amount)
        report = self.shop.report(await self.shop.read(layby_id), amount)
        row = (await self.shop.book(report)).payment
        assert (await self.shop.book(report)).disposition is Disposition.DUPLICATE
        self.roots.append(row.id)
        self.receipts.append(row.receipt)

    async def _pay_unknown(self, _n: int, amount: int) -> None:
        self.model.pay_unknown(amount)
        row = await self.shop.pay("ZZZZZZZ", amount)
        self.roots.append(row.id)
        self.receipts.append(row.receipt)

    async def _till(self, n: int, amount: int) -> None:
        told, layby_id = self.layby(n)
        taking = self.shop.services.money.payments.take(self.shop.owner, layby_id, Taken(amount, Method.CASH))
        if (row := await self.both(lambda: self.model.till(told, amount), taking)) is not None:
            self.roots.append(row.id)
            self.receipts.append("")

    async def _assign(self, n: int, _amount: int) -> None:
        told, layby_id = self.layby(n)
        unknown = [each.n for each in self.model.money if each.unknown]
        which = unknown[n % len(unknown)] if unknown else 0
        assigning = self.shop.services.money.unmatched.assign(self.shop.owner, self.roots[which], layby_id=layby_id)
        await self.both(lambda: self.model.assign(self.model.money[which], told), assigning)

    async def _use_credit(self, n: int, _amount: int) -> None:
        told, layby_id = self.layby(n)
        using = self.shop.services.money.credit.apply(self.shop.owner, layby_id, None)
        await self.both(lambda: self.model.use_credit(told), using)

    async def _hold(self, n: int, _amount: int) -> None:
        told, layby_id = self.layby(n)
        await self.both(lambda: self.model.hold(told), self.shop.hold(layby_id))

    async def _reactivate(self, n: int, _amount: int) -> None:
        told, layby_id = self.layby(n)
        await self.both(lambda: self.model.reactivate(told), self.shop.reactivate(layby_id))

    async def _collect(self, n: int, _amount: int) -> None:
        told, layby_id = self.layby(n)
        await self.both(lambda: self.model.collect(told), self.shop.collect(layby_id))

    async def _cancel(self, n: int, _amount: int) -> None:
        told, layby_id = self.layby(n)
        await self.both(lambda: self.model.cancel(told), self.shop.cancel(layby_id))

    async def _reverse(self, n: int, amount: int) -> None:
        """Of what a provider reported; each reversal is reported twice."""
        reported = [k for k, receipt in enumerate(self.receipts) if receipt]
        if not reported:
            return
        k = reported[len(reported) - 1 - n % len(reported)]
        part = None if amount % 2 else amount  # 1, 69.99 and 70.01: all of it
        receipt = f"REV{self.done}-{len(self.roots)}-{k}-{self.model.money[k].taken_back}"
        try:
            self.model.reverse(self.model.money[k], part)
            expected = [Disposition.REVERSED, Disposition.DUPLICATE]
        except Refused:
            expected = [Disposition.REVIEW, Disposition.REVIEW]
        for disposition in expected:
            booked = await self.shop.reverse(self.receipts[k], receipt, part)
            assert booked is not None
            assert booked.disposition is disposition

    async def _refund(self, n: int, amount: int) -> None:
        told, root_id = self.coins(n)
        giving = self.shop.services.money.refunds.of_payment(self.shop.owner, root_id, amount, CASH)
        await self.both(lambda: self.model.refund(told, amount), giving)

    async def _refund_layby(self, n: int, amount: int) -> None:
        told, layby_id = self.layby(n)
        part = None if amount % 2 else amount
        giving = self.shop.services.money.refunds.of_layby(self.shop.owner, layby_id, part, CASH)
        await self.both(lambda: self.model.refund_layby(told, part), giving)

    async def check(self) -> None:
        """Every layby and every payment is where the model has it, and all of it adds up."""
        for told, layby_id in zip(self.model.laybys, self.laybys, strict=True):
            real = await self.shop.read(layby_id)
            found = Agreement(told.n, told.who, str(real.status), real.paid_minor, real.refund_due_minor)
            found.released = real.released_at is not None
            assert found == told
        async with self.shop.services.database.transaction(self.shop.org.org_id) as conn:
            for coins, root_id in zip(self.model.money, self.roots, strict=True):
                group = group_of(await rows_of(conn, self.shop.org.org_id, root_id))
                lies = {self.laybys.index(p.layby_id): p.applied_minor for p in group.places if p.layby_id}
                assert (group.credit_minor, group.suspense_minor) == (coins.credit, coins.suspense)
                assert {n: left for n, left in lies.items() if left} == {n: v for n, v in coins.lies.items() if v}
        await self.shop.check()


@pytest.fixture
def in_a_world(servers: Servers) -> Iterator[Callable[[Work], None]]:
    """Runs coroutines on one loop and over one database, since hypothesis knows no async."""
    with asyncio.Runner() as runner:
        name = runner.run(servers.create_database())
        opening = open_services(Settings.from_env(servers.environment(name)))
        services = runner.run(opening.__aenter__())
        try:
            yield lambda work: runner.run(work(services))
        finally:
            runner.run(opening.__aexit__(None, None, None))
            runner.run(servers.drop_database(name))


@pytest.mark.timeout(900)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=10, max_size=30))
def test_money_in_any_order_and_twice_each_is_where_the_model_has_it(
    in_a_world: Callable[[Work], None], steps: list[tuple[str, int, int, bool]]
):
    async def run(services: Services) -> None:
        shop = await Shop.of(await organisation(services, "Model"))
        one = Run(shop, [await shop.customer() for _ in range(2)])
        for n in range(3):
            await one.step("open", n, 0, False)
        for step in steps:
            await one.step(*step)
        night = await services.money.reconciliation.run(shop.org.org_id, services.clock.now().date())
        assert night.differences == 0, await shop.alerts()

    in_a_world(run)
