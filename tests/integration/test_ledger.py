"""What is booked: once for its key, balanced, and never changed; by the database itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.factories import Org, organisation
from tests.fakes.clock import NOON
from tests.freight import balances, entry, post, sums
from waypost.ledger import posting
from waypost.ledger.domain import Account, AccountNotFound, Line, Lines, account_id, moved
from waypost.platform.database import SYSTEM, Connection, System
from waypost.wiring import Services

CASH_IN = moved(500, debit=Account.CASH, credit=Account.DEPOSITS_HELD)


async def test_an_entry_is_booked_once_for_its_key_however_many_post_it_at_once(services: Services, org: Org):
    one = entry(CASH_IN, at=NOON, key="payment:1")
    done = await asyncio.gather(*(post(services, org.org_id, replace(one, source_id=uuid4())) for _ in range(30)))
    assert sorted(booked for (booked,) in done) == [False] * 29 + [True]
    assert await sums(services, org.org_id) == {("cash", None): 500, ("deposits-held", None): -500}


async def test_first_entries_of_new_accounts_at_once_wait_for_each_other_and_never_in_a_circle(services: Services):
    for _ in range(10):
        org_id = (await organisation(services)).org_id
        there = [entry(CASH_IN, at=NOON) for _ in range(6)]
        back = [entry(moved(500, debit=Account.DEPOSITS_HELD, credit=Account.CASH), at=NOON) for _ in range(6)]
        assert await asyncio.gather(*(post(services, org_id, each) for each in [*there, *back])) == [[True]] * 12
        assert await sums(services, org_id) == {}


async def test_transactions_that_book_several_first_entries_in_any_order_never_wait_in_a_circle(services: Services):
    """As a statement with a part payment and a payment in full does, beside another payment in full."""
    sold = moved(500, debit=Account.DEPOSITS_HELD, credit=Account.SALES)
    fees = moved(500, debit=Account.CASH, credit=Account.FEE_INCOME)
    for _ in range(3):
        org_id = (await organisation(services)).org_id
        begun, crossed = asyncio.Event(), asyncio.Event()

        async def there(org_id: UUID = org_id, begun: asyncio.Event = begun, crossed: asyncio.Event = crossed) -> None:
            async with services.database.transaction(org_id) as conn:
                await posting.post(conn, org_id, entry(fees, at=NOON), services.clock)
                begun.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(crossed.wait(), 0.2)
                await posting.post(conn, org_id, entry(sold, at=NOON), services.clock)

        async def back(org_id: UUID = org_id, begun: asyncio.Event = begun, crossed: asyncio.Event = crossed) -> None:
            await begun.wait()
            async with services.database.transaction(org_id) as conn:
                await posting.post(conn, org_id, entry(sold, at=NOON), services.clock)
                crossed.set()
                await posting.post(conn, org_id, entry(fees, at=NOON), services.clock)

        await asyncio.gather(there(), back())
        assert await sums(services, org_id) == {
            ("cash", None): 1000, ("deposits-held", None): 1000, ("sales", None): -1000, ("fee-income", None): -1000,
        }  # fmt: skip


async def test_only_what_was_posted_to_is_an_account_to_whoever_reads(services: Services, org: Org):
    await post(services, org.org_id, entry(CASH_IN, at=NOON), entry(CASH_IN, at=NOON, currency="USD"))
    page = await services.money.ledger.accounts(org.owner, 3, None)
    rest = await services.money.ledger.accounts(org.owner, 3, page.next_cursor)
    assert [(each.code, each.currency) for each in [*page.data, *rest.data]] == [
        ("cash", "KES"), ("cash", "USD"), ("deposits-held", "KES"), ("deposits-held", "USD"),
    ]  # fmt: skip
    with pytest.raises(AccountNotFound):
        await services.money.ledger.entries(org.owner, account_id(org.org_id, Account.SALES, "KES"), Lines(), 10, None)


async def test_an_entry_that_comes_to_nothing_is_none(services: Services, org: Org):
    nothing = entry([Line(Account.CASH, 5), Line(Account.CASH, -5)], at=NOON)
    assert await post(services, org.org_id, nothing) == [False]
    assert await balances(services, org) == {}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE postings SET amount_minor = amount_minor + 1",
        "DELETE FROM postings",
        "UPDATE journal_entries SET note = 'x'",
        "DELETE FROM journal_entries",
        "UPDATE accounts SET code = 'x'",
        "DELETE FROM accounts",
        "UPDATE account_snapshots SET balance_minor = 0",
        "TRUNCATE postings",
    ],
)
@pytest.mark.parametrize("scope", ["app", "system"])
async def test_no_role_at_run_time_changes_or_deletes_what_is_booked(
    services: Services, org: Org, statement: str, scope: str
):
    await post(services, org.org_id, entry(CASH_IN, at=NOON))
    role: UUID | Literal[System.SYSTEM] = org.org_id if scope == "app" else SYSTEM
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with services.database.transaction(role) as conn:
            await conn.execute(statement)
    assert await sums(services, org.org_id) == {("cash", None): 500, ("deposits-held", None): -500}


ADD_ENTRY = """
INSERT INTO journal_entries (org_id, id, key, kind, source_kind, source_id, at)
VALUES ($1, $2, $2::uuid::text, 'x', 'x', $2, now()) ON CONFLICT DO NOTHING
"""
ADD_POSTING = """
INSERT INTO postings (org_id, entry_id, n, account_id, currency, amount_minor) VALUES ($1, $2, $3, $1, $4, $5)
"""


async def write(conn: Connection, org_id: UUID, entry_id: UUID, lines: Sequence[tuple[int, str, int]]) -> None:
    """Lines (number, currency, amount), past all of our code."""
    await conn.execute(ADD_ENTRY, org_id, entry_id)
    for line in lines:
        await conn.execute(ADD_POSTING, org_id, entry_id, *line)


async def write_own(services: Services, org_id: UUID, entry_id: UUID, *lines: tuple[int, str, int]) -> None:
    async with services.database.transaction(org_id) as conn:
        await write(conn, org_id, entry_id, lines)


async def count(services: Services) -> int:
    async with services.database.transaction(SYSTEM) as conn:
        return int(await conn.fetchval("SELECT count(*) FROM postings"))


@pytest.mark.parametrize(
    "lines",
    [[(1, "KES", 5), (2, "KES", -4)], [(1, "KES", 5)], [(1, "KES", 5), (2, "USD", -5)]],
    ids=["one-short", "one-line", "two-currencies"],
)
async def test_the_database_refuses_an_entry_that_does_not_sum_to_zero_in_each_currency(
    services: Services, org: Org, lines: Sequence[tuple[int, str, int]]
):
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await write_own(services, org.org_id, uuid4(), *lines)
    assert refused.value.constraint_name == "postings_balance"
    assert await count(services) == 0
    await write_own(services, org.org_id, uuid4(), (1, "KES", 5), (2, "KES", -5), (3, "USD", 7), (4, "USD", -7))
    assert await count(services) == 4


async def test_a_line_that_is_added_later_to_an_entry_is_refused_too(services: Services, org: Org):
    one = uuid4()
    await write_own(services, org.org_id, one, (1, "KES", 5), (2, "KES", -5))
    with pytest.raises(asyncpg.CheckViolationError):
        await write_own(services, org.org_id, one, (3, "KES", 1))
    assert await count(services) == 2


async def test_what_another_role_wrote_in_a_unit_of_work_is_checked_as_well(services: Services, org: Org):
    """The check runs at the commit, under a role that does not see the other organisation's rows."""
    other = (await organisation(services)).org_id

    async def unit() -> None:
        async with services.database.unit(org.org_id), services.database.transaction(SYSTEM) as conn:
            await write(conn, other, uuid4(), [(1, "KES", 5)])

    with pytest.raises(asyncpg.CheckViolationError):
        await unit()
    assert await count(services) == 0


async def intrude(services: Services, org: Org, other: Org) -> None:
    async with services.database.transaction(org.org_id) as conn:
        await posting.post(conn, other.org_id, entry(CASH_IN, at=NOON), services.clock)


async def test_an_organisation_can_neither_read_nor_write_anothers_books(services: Services, org: Org):
    other = await organisation(services)
    await post(services, other.org_id, entry(CASH_IN, at=NOON))
    cash = account_id(other.org_id, Account.CASH, "KES")
    async with services.database.transaction(org.org_id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM postings") == 0
        assert await posting.balance(conn, other.org_id, Account.CASH, "KES") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await intrude(services, org, other)
    with pytest.raises(AccountNotFound):
        await services.money.ledger.entries(org.owner, cash, Lines(), 10, None)
