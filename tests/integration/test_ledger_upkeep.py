"""Snapshots of balances, and the look whether the books add up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import Org, organisation
from tests.fakes.clock import NOON, FakeClock
from tests.freight import as_owner, balances, entry, post, post_many
from tests.servers import Servers
from waypost.kernel.ids import uuid7
from waypost.kernel.zones import zone_named
from waypost.ledger.domain import Account, Difference, Line, Wrong, account_id, moved
from waypost.ledger.upkeep import LedgerUpkeep, TooEarly
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

CASH_IN = moved(500, debit=Account.CASH, credit=Account.DEPOSITS_HELD)
TODAY, DAY = NOON.date(), timedelta(days=1)


async def test_snapshots_are_made_once_however_often_and_at_once_and_only_where_something_moved(
    services: Services, org: Org
):
    clock = FakeClock(NOON)
    node, upkeep = replace(services, clock=clock), LedgerUpkeep(services.database, clock)
    await post(node, org.org_id, entry(CASH_IN, at=NOON), entry(CASH_IN, at=NOON, currency="USD"))
    await clock.advance(DAY.total_seconds())
    assert sum(await asyncio.gather(*(upkeep.snapshots(org.org_id, TODAY) for _ in range(5)))) == 4
    assert await upkeep.snapshots(org.org_id, TODAY) == 0
    await post(node, org.org_id, entry(CASH_IN, at=NOON))
    await clock.advance(DAY.total_seconds())
    assert await upkeep.snapshots(org.org_id, TODAY + DAY) == 2, "the accounts in dollars have not moved"
    assert await balances(services, org) == {
        ("cash", "KES"): 1000, ("cash", "USD"): 500, ("deposits-held", "KES"): -1000, ("deposits-held", "USD"): -500,
    }  # fmt: skip
    assert await upkeep.check(org.org_id) == []


async def test_a_day_is_closed_an_hour_after_its_end_by_the_local_clock_and_no_sooner(services: Services, org: Org):
    zone, clock = zone_named("Africa/Harare"), FakeClock(datetime(2026, 11, 22, 22, 59, 59, tzinfo=UTC))
    upkeep = LedgerUpkeep(services.database, clock)  # 00:59:59 on the 23rd there
    ids = [
        uuid7(datetime(2026, 11, 22, 21, 59, 59, tzinfo=UTC), 1),
        uuid7(datetime(2026, 11, 22, 22, 0, tzinfo=UTC), 1),
    ]
    await post_many(services, org.org_id, ids)
    with pytest.raises(TooEarly):
        await upkeep.snapshots(org.org_id, date(2026, 11, 22), zone)
    await clock.advance(1)
    assert await upkeep.snapshots(org.org_id, date(2026, 11, 22), zone) == 2
    async with services.database.transaction(SYSTEM) as conn:
        kept = await conn.fetch("SELECT balance_minor FROM account_snapshots ORDER BY 1")
    assert [row["balance_minor"] for row in kept] == [-1, 1], (
        "the entry of the second before midnight, and no later one"
    )
    assert (await balances(services, org))["cash", "KES"] == 2


async def test_days_that_were_left_out_are_in_the_next_snapshot(services: Services, org: Org):
    await post_many(services, org.org_id, [uuid7(NOON - n * DAY, n) for n in range(5)])
    upkeep = LedgerUpkeep(services.database, FakeClock(NOON + 2 * DAY))
    await upkeep.snapshots(org.org_id, TODAY - 3 * DAY)
    await upkeep.snapshots(org.org_id, TODAY)
    await upkeep.snapshots(org.org_id, TODAY - DAY)  # one that comes late
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch("SELECT day, balance_minor FROM account_snapshots WHERE balance_minor > 0 ORDER BY day")
    assert [tuple(row) for row in rows] == [(TODAY - 3 * DAY, 2), (TODAY - DAY, 4), (TODAY, 5)]
    assert await upkeep.check(org.org_id) == []


async def test_a_snapshot_that_is_one_cent_off_is_found_and_named(services: Services, org: Org, servers: Servers):
    await post_many(services, org.org_id, [uuid7(NOON - n * DAY, n) for n in range(4)])
    upkeep = LedgerUpkeep(services.database, FakeClock(NOON + 2 * DAY))
    for n in range(3, -1, -1):
        await upkeep.snapshots(org.org_id, TODAY - n * DAY)
    assert await upkeep.check(org.org_id) == []
    cash = account_id(org.org_id, Account.CASH, "KES")
    async with as_owner(services, servers) as owner:
        await owner.execute(
            "UPDATE account_snapshots SET balance_minor = balance_minor + 1 WHERE account_id = $1 AND day = $2",
            cash, TODAY - 2 * DAY,
        )  # fmt: skip
    assert await upkeep.check(org.org_id) == [Difference(Wrong.SNAPSHOT, cash, "KES", 2, 3, TODAY - 2 * DAY)]


async def test_an_entry_that_somebody_spoilt_is_found_and_named(services: Services, org: Org, servers: Servers):
    await post_many(services, org.org_id, [uuid7(NOON, n) for n in range(5)])
    upkeep, spoilt = LedgerUpkeep(services.database, FakeClock(NOON)), uuid7(NOON, 3)
    async with as_owner(services, servers) as owner:
        await owner.execute("UPDATE postings SET amount_minor = 2 WHERE entry_id = $1 AND amount_minor = 1", spoilt)
    assert await upkeep.check(org.org_id) == [Difference(Wrong.ENTRY, spoilt, "KES", 0, 1)]
    assert await upkeep.check((await organisation(services)).org_id) == []


async def test_what_one_has_to_get_and_the_other_need_not_pay_is_found(services: Services, org: Org):
    other = (await organisation(services)).org_id
    lines = [Line(Account.RECEIVABLE, 700, other), Line(Account.FREIGHT_INCOME, -700)]
    theirs = [Line(Account.PAYABLE, -650, org.org_id), Line(Account.FREIGHT_EXPENSE, 650)]
    await post(services, org.org_id, entry(lines, at=NOON))
    await post(services, other, entry(theirs, at=NOON))
    upkeep = LedgerUpkeep(services.database, services.clock)
    own = account_id(org.org_id, Account.RECEIVABLE, "KES", other)
    assert await upkeep.check(org.org_id) == [Difference(Wrong.PAIR, own, "KES", 650, 700)]
    pay = account_id(other, Account.PAYABLE, "KES", org.org_id)
    assert await upkeep.check(other) == [Difference(Wrong.PAIR, pay, "KES", -700, -650)]


async def test_the_look_goes_through_all_of_them_a_few_at_a_time(services: Services, org: Org, servers: Servers):
    for currency in ("KES", "USD", "ZAR"):
        ids = [uuid7(NOON - DAY, ord(currency[0]) * 10 + n) for n in range(4)]
        await post_many(services, org.org_id, ids, currency=currency)
    upkeep = LedgerUpkeep(services.database, FakeClock(NOON), accounts_at_a_time=2, entries_at_a_time=3)
    assert await upkeep.snapshots(org.org_id, TODAY - DAY) == 6
    assert await upkeep.check(org.org_id) == []
    async with as_owner(services, servers) as owner:
        await owner.execute("UPDATE account_snapshots SET balance_minor = balance_minor + 5")
        await owner.execute("UPDATE postings SET amount_minor = 2 WHERE amount_minor = 1")
    wrong = [each.wrong for each in await upkeep.check(org.org_id)]
    assert wrong == [Wrong.SNAPSHOT] * 6 + [Wrong.ENTRY] * 12


@pytest.fixture
def in_a_database(servers: Servers) -> Iterator[Callable[[Callable[[Services], Coroutine[Any, Any, None]]], None]]:
    """Runs coroutines on one loop and over one database, since hypothesis knows no async."""
    with asyncio.Runner() as runner:
        name = runner.run(servers.create_database())
        opening = open_services(Settings.from_env(servers.environment(name)))
        opened = runner.run(opening.__aenter__())
        try:
            yield lambda of: runner.run(of(opened))
        finally:
            runner.run(opening.__aexit__(None, None, None))
            runner.run(servers.drop_database(name))


CURRENCIES = ("KES", "USD", "JPY")
PARTS = st.tuples(
    st.sampled_from([Account.CASH, Account.CLEARING, Account.DEPOSITS_HELD, Account.CUSTOMER_CREDIT, Account.SALES]),
    st.integers(-(10**12), 10**12),
)
HOURS = st.integers(0, 72)
ENTRIES = st.lists(st.tuples(st.sampled_from(CURRENCIES), st.lists(PARTS, min_size=1, max_size=4), HOURS), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=ENTRIES)
def test_after_any_entries_balances_are_their_sums_and_come_to_zero_in_each_currency(
    in_a_database: Callable[[Callable[[Services], Coroutine[Any, Any, None]]], None], entries: list[Any]
):
    async def run(services: Services) -> None:
        org = await organisation(services)
        upkeep = LedgerUpkeep(services.database, FakeClock(NOON + 10 * DAY))
        expected: dict[tuple[str, str], int] = {}
        for currency, parts, hours in entries:
            lines = [*(Line(*part) for part in parts), Line(Account.BANK, -sum(minor for _, minor in parts))]
            node = replace(services, clock=FakeClock(NOON + timedelta(hours=hours)))
            await post(node, org.org_id, entry(lines, at=NOON, currency=currency))
            for line in lines:
                place = (str(line.account), currency)
                expected[place] = expected.get(place, 0) + line.amount_minor
        for day in range(-1, 5):  # before any snapshot, then with one day's more each time
            if day >= 0:
                await upkeep.snapshots(org.org_id, TODAY + day * DAY)
            found = await balances(services, org)
            assert {place: minor for place, minor in found.items() if minor} == {k: v for k, v in expected.items() if v}
            for each in CURRENCIES:
                assert sum(minor for (_, currency), minor in found.items() if currency == each) == 0
        assert await upkeep.check(org.org_id) == []

    in_a_database(run)
