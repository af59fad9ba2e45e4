"""Reading the books: lines with the balance at each, filters, who may; and that it is the index which answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.factories import Org, organisation
from tests.fakes.clock import NOON, FakeClock
from tests.freight import as_owner, balances, entry, post, vacuum
from tests.servers import Servers
from waypost.kernel.errors import Denied
from waypost.kernel.paging import BadCursor, encode_cursor
from waypost.kernel.principal import Role
from waypost.ledger import posting, storage_books
from waypost.ledger.domain import Account, BookLine, Lines, account_id, moved
from waypost.ledger.upkeep import LedgerUpkeep
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

ANY, DAY = Lines(), timedelta(days=1)


async def all_lines(services: Services, org: Org, account: UUID, wanted: Lines = ANY, limit: int = 7) -> list[BookLine]:
    """Page by page."""
    found: list[BookLine] = []
    cursor = None
    while True:
        page = await services.money.ledger.entries(org.owner, account, wanted, limit, cursor)
        found += page.data
        if (cursor := page.next_cursor) is None:
            return found


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.OWNER, Role.ACCOUNTANT}], ids=str)
async def test_only_owners_and_accountants_read_the_books(services: Services, org: Org, role: Role):
    person, _ = await org.person(role)
    with pytest.raises(Denied):
        await services.money.ledger.accounts(person, 10, None)
    with pytest.raises(Denied):
        await services.money.ledger.entries(person, uuid4(), Lines(), 10, None)


async def test_each_line_says_what_the_account_came_to_with_it_however_it_is_paged_and_snapshot(
    services: Services, org: Org
):
    clock, customers = FakeClock(NOON - 4 * DAY), [uuid4(), uuid4()]
    node = replace(services, clock=clock)
    expected: list[tuple[int, int, UUID]] = []
    balance = 0
    for n in range(40):
        await clock.advance(2 * 3600)
        customer, amount = customers[n % 3 == 0], 100 + n if n % 4 else -250
        lines = moved(amount, debit=Account.CASH, credit=Account.DEPOSITS_HELD)
        await post(node, org.org_id, entry(lines, at=clock.now(), customer_id=customer))
        balance += amount
        expected.append((amount, balance, customer))
    expected.reverse()
    cash = account_id(org.org_id, Account.CASH, "KES")
    for _ in range(2):  # without, then with snapshots
        found = await all_lines(services, org, cash)
        assert [(line.amount_minor, line.balance_minor, line.customer_id) for line in found] == expected
        for customer in customers:
            theirs = await all_lines(services, org, cash, Lines(customer_id=customer), limit=3)
            assert [(line.amount_minor, line.balance_minor, line.customer_id) for line in theirs] == [
                each for each in expected if each[2] == customer
            ]
        assert await balances(services, org) == {("cash", "KES"): balance, ("deposits-held", "KES"): -balance}
        upkeep = LedgerUpkeep(services.database, FakeClock(clock.now() + DAY))
        for day in range(4):
            await upkeep.snapshots(org.org_id, (NOON - (4 - day) * DAY).date())
    async with services.database.transaction(SYSTEM) as conn:
        assert await conn.fetchval("SELECT count(*) FROM account_snapshots") == 8
    since, until = NOON - 3 * DAY, NOON - 2 * DAY
    within = await all_lines(services, org, cash, Lines(since=since, until=until))
    assert len(within) == 12
    assert all(since <= line.at < until for line in within)
    for customer in customers:
        mine = await all_lines(services, org, cash, Lines(customer, since, until), limit=2)
        assert mine == [line for line in within if line.customer_id == customer]


async def test_a_customers_part_of_an_account_is_theirs_alone(services: Services, org: Org):
    one, other = uuid4(), uuid4()
    for customer, amount in ((one, 500), (other, 70), (one, -200), (None, 9)):
        lines = moved(amount, debit=Account.CASH, credit=Account.CUSTOMER_CREDIT)
        await post(services, org.org_id, entry(lines, at=NOON, customer_id=customer))
    async with services.database.transaction(org.org_id) as conn:
        of = [
            await posting.customer_balance(conn, org.org_id, Account.CUSTOMER_CREDIT, "KES", each)
            for each in (one, other)
        ]
        assert of == [-300, -70]
        assert await posting.balance(conn, org.org_id, Account.CUSTOMER_CREDIT, "KES") == -379


@pytest.mark.parametrize(
    "key",
    [("a", "b"), ("a\0", "KES", uuid4()), ("cash", "KES\0", uuid4()), ("x" * 101, "KES", uuid4()), 7],
    ids=["short", "nul-in-code", "nul-in-currency", "long", "number"],
)
async def test_a_cursor_of_somebodys_own_making_is_refused(services: Services, org: Org, key: object):
    with pytest.raises(BadCursor):
        await services.money.ledger.accounts(org.owner, 10, encode_cursor(key))


@pytest.mark.parametrize("n", [-1, 2**15, 2**40], ids=str)
async def test_a_cursor_of_lines_beyond_all_lines_is_refused(services: Services, org: Org, n: int):
    await post(services, org.org_id, entry(moved(1, debit=Account.CASH, credit=Account.SALES), at=NOON))
    cash = account_id(org.org_id, Account.CASH, "KES")
    with pytest.raises(BadCursor):
        await services.money.ledger.entries(org.owner, cash, ANY, 10, encode_cursor((uuid4(), n)))


# -- plans --

ENTRIES, PER_DAY, PAGE = 40_000, 400, 51
# Of two organisations, a hundred days of entries between two accounts; each fiftieth of one customer.
FILL = """
WITH made AS MATERIALIZED (
    SELECT n, uuidv7(make_interval(secs => -216.0 * ($4 - n) - 3600)) AS id FROM generate_series(1, $4) n),
e AS (
    INSERT INTO journal_entries (org_id, id, key, kind, source_kind, source_id, at)
    SELECT $1, id, 'k' || n, 'x', 'x', id, now() FROM made RETURNING 1)
INSERT INTO postings (org_id, entry_id, n, account_id, currency, amount_minor, customer_id)
SELECT $1, id, side, CASE side WHEN 1 THEN $2::uuid ELSE $3::uuid END, 'KES', CASE side WHEN 1 THEN n ELSE -n END,
       CASE WHEN n % 50 = 0 THEN $5::uuid END
  FROM made CROSS JOIN generate_series(1, 2) side
"""


@pytest.fixture
async def hundred_days(services: Services, org: Org, servers: Servers) -> UUID:
    """Books of 40,000 entries with snapshots of all days but the last two; a customer of each fiftieth."""
    customer, other = uuid4(), (await organisation(services)).org_id
    for org_id in (org.org_id, other):
        await post(services, org_id, entry(moved(1, debit=Account.CASH, credit=Account.DEPOSITS_HELD), at=NOON))
        async with as_owner(services, servers) as owner:
            await owner.execute("ALTER TABLE postings DISABLE TRIGGER USER")
            cash, held = (account_id(org_id, each, "KES") for each in (Account.CASH, Account.DEPOSITS_HELD))
            await owner.execute(FILL, org_id, cash, held, ENTRIES, customer)
            await owner.execute("ALTER TABLE postings ENABLE TRIGGER USER")
    upkeep, today = LedgerUpkeep(services.database, services.clock), services.clock.now().date()
    for ago in range(102, 1, -1):
        await upkeep.snapshots(org.org_id, today - ago * DAY)
    assert await upkeep.check(org.org_id) == []
    async with as_owner(services, servers) as owner:
        await vacuum(owner, "journal_entries", "postings", "accounts", "account_snapshots")
    return customer


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def rows_of(plan: dict[str, Any], table: str) -> float:
    """How many rows of a table were looked at."""
    read = [node for node in nodes(plan) if node.get("Relation Name") == table]
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    rows = [(node["Actual Rows"] + sum(node.get(key, 0) for key in removed)) * node["Actual Loops"] for node in read]
    return float(sum(rows))


def indexes_of(plan: dict[str, Any], table: str) -> set[str]:
    """By which indexes a table's rows were found, through a bitmap or not; a scan of the whole table stands among them.

    Which kind of scan it is depends on statistics, which come of a random sample.
    """
    found: set[str] = set()
    for node in nodes(plan):
        if node.get("Relation Name") == table:
            of = [below["Index Name"] for below in nodes(node) if "Index Name" in below]
            found |= set(of or [node["Node Type"]])
    return found


async def plan_of(services: Services, org: Org, statement: str, *arguments: object) -> dict[str, Any]:
    """Of the seventh time, when it may be a plan for any arguments."""
    async with services.database.transaction(org.org_id) as conn:
        texts = [await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments) for _ in range(7)]
    plan: dict[str, Any] = json.loads(texts[-1])[0]["Plan"]
    return plan


async def test_balances_come_from_the_index_of_postings_alone_and_from_the_last_days(
    services: Services, org: Org, hundred_days: UUID
):
    cash, first = account_id(org.org_id, Account.CASH, "KES"), ("", "", storage_books.FIRST_ID)
    for statement, arguments, accounts in (
        (storage_books.ACCOUNTS, (org.org_id, *first, 50), 2),
        (storage_books.BALANCE, (org.org_id, cash), 1),
    ):
        plan = await plan_of(services, org, statement, *arguments)
        of_postings = [node for node in nodes(plan) if node.get("Relation Name") == "postings"]
        assert {(node["Node Type"], node.get("Index Name")) for node in of_postings} == {
            ("Index Only Scan", "postings_account")
        }
        assert rows_of(plan, "postings") <= accounts * (3 * PER_DAY + 1)
        assert rows_of(plan, "account_snapshots") <= accounts


@pytest.mark.parametrize("days_ago", [0, 50, 99])
async def test_a_page_of_lines_reads_a_page_and_a_day_however_deep(
    services: Services, org: Org, hundred_days: UUID, days_ago: int
):
    cash, before = account_id(org.org_id, Account.CASH, "KES"), storage_books.LAST_ID
    if days_ago:
        page = await services.money.ledger.entries(
            org.owner, cash, Lines(until=services.clock.now() - days_ago * DAY), 1, None
        )
        before = page.data[0].entry_id
    plan = await plan_of(services, org, storage_books.LINES, org.org_id, cash, before, 0, storage_books.FIRST_ID, PAGE)
    assert indexes_of(plan, "postings") == {"postings_account"}
    assert rows_of(plan, "postings") <= 3 * PER_DAY + 2 * PAGE
    assert rows_of(plan, "journal_entries") <= PAGE


async def test_a_page_of_a_customers_lines_reads_theirs_and_a_day_for_each(
    services: Services, org: Org, hundred_days: UUID
):
    cash = account_id(org.org_id, Account.CASH, "KES")
    plan = await plan_of(
        services, org, storage_books.LINES_OF_CUSTOMER, org.org_id, cash, storage_books.LAST_ID, 0,
        storage_books.FIRST_ID, PAGE, hundred_days,
    )  # fmt: skip
    assert indexes_of(plan, "postings") == {"postings_customer", "postings_account"}
    assert rows_of(plan, "postings") <= PAGE * (PER_DAY + 1) + 3 * PER_DAY
    plan = await plan_of(services, org, storage_books.CUSTOMER_BALANCE, org.org_id, hundred_days, cash)
    assert indexes_of(plan, "postings") == {"postings_customer"}
