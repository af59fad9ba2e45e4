"""Two organisations that do business, and their books, for the tests of ledger and invoices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from tests.factories import Org, organisation
from tests.servers import Servers
from tests.waiting import until
from waypost.invoices.domain import Invoice, Line
from waypost.invoices.service import NewInvoice
from waypost.ledger import posting
from waypost.ledger import storage as ledger_storage
from waypost.ledger.domain import Account, Entry, moved
from waypost.ledger.domain import Line as Posting
from waypost.platform.database import SYSTEM
from waypost.trips.service import NewTrip
from waypost.wiring import Services

SUMS = """
SELECT a.code, a.currency, a.counterparty_org_id, sum(p.amount_minor)::bigint AS minor
  FROM postings p JOIN accounts a ON a.org_id = p.org_id AND a.id = p.account_id
 WHERE p.org_id = $1 GROUP BY 1, 2, 3
"""
PAIRS = """
SELECT r.org_id, r.counterparty_org_id, r.currency,
       (SELECT coalesce(sum(amount_minor), 0) FROM postings WHERE org_id = r.org_id AND account_id = r.id)
       + coalesce((SELECT sum(amount_minor)
                     FROM postings x JOIN accounts b ON b.org_id = x.org_id AND b.id = x.account_id
                    WHERE b.org_id = r.counterparty_org_id AND b.code = 'payable' AND b.currency = r.currency
                      AND b.counterparty_org_id = r.org_id), 0) AS minor
  FROM accounts r WHERE r.code = 'receivable'
"""


def entry(lines: Sequence[Posting], *, at: datetime, key: str | None = None, currency: str = "KES", **of: Any) -> Entry:
    """One with a key of its own."""
    return Entry(key or f"test:{uuid4()}", "test", "test", uuid4(), currency, lines, at, **of)


async def post(services: Services, org_id: UUID, *entries: Entry) -> list[bool]:
    """Book them, in one transaction."""
    async with services.database.transaction(org_id) as conn:
        return [await posting.post(conn, org_id, each, services.clock) for each in entries]


async def post_many(services: Services, org_id: UUID, ids: Sequence[UUID], **of: Any) -> None:
    """A cent from deposits to cash under each of these ids."""
    lines = moved(1, debit=Account.CASH, credit=Account.DEPOSITS_HELD)
    async with services.database.transaction(org_id) as conn:
        for each in ids:
            await ledger_storage.post(conn, org_id, each, entry(lines, at=services.clock.now(), **of), lines)


async def balances(services: Services, org: Org) -> dict[tuple[str, str], int]:
    """As the list of accounts says them, by code and currency."""
    page = await services.money.ledger.accounts(org.owner, 200, None)
    return {(each.code, each.currency): each.balance_minor for each in page.data}


async def sums(services: Services, org_id: UUID) -> Mapping[tuple[str, UUID | None], int]:
    """What each account comes to, from its postings."""
    async with services.database.transaction(SYSTEM) as conn:
        rows = await conn.fetch(SUMS, org_id)
    return {(row["code"], row["counterparty_org_id"]): row["minor"] for row in rows if row["minor"]}


async def pairs(services: Services) -> list[int]:
    """Of everybody who has to get something, that and what the other has to pay: together nothing."""
    async with services.database.transaction(SYSTEM) as conn:
        return [row["minor"] for row in await conn.fetch(PAIRS)]


@asynccontextmanager
async def as_owner(services: Services, servers: Servers) -> AsyncIterator[Any]:
    """A connection of the tables' owner, which may do what no role at run time may."""
    async with services.database.transaction(SYSTEM) as conn:
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(servers.stack.database_dsn(user="waypost_owner", database=name))
    try:
        yield owner
    finally:
        await owner.close()


ALL_VISIBLE = "SELECT bool_and(relallvisible = relpages) FROM pg_class WHERE oid = ANY($1::regclass[])"


async def vacuum(owner: Any, *tables: str) -> None:
    """So that an index may answer alone, with fresh statistics.

    Again until it is so: what was committed asynchronously counts as uncertain until its WAL is written, up to 0.6 s
    later, and what any open transaction may still see otherwise (an autoanalyze's is one) is left too.
    """

    async def is_all_visible() -> bool:
        await owner.execute(f"VACUUM ANALYZE {', '.join(tables)}")
        return bool(await owner.fetchval(ALL_VISIBLE, tables))

    await until(is_all_visible, within_s=30)


@dataclass(frozen=True, slots=True)
class Business:
    """A carrier that works for a shop."""

    services: Services
    carrier: Org
    shop: Org

    async def trip(self) -> UUID:
        """The carrier's, for the shop."""
        new = NewTrip(destination_org_id=self.shop.org_id)
        return (await self.services.trips.create(self.carrier.owner, new)).id

    async def draft(self, price_minor: int = 10_000, *, tax_bp: int = 0, currency: str = "USD", **of: Any) -> Invoice:
        lines = of.pop("lines", [Line("Harare - Bulawayo", 1_000, price_minor, tax_bp, of.pop("trip_id", None))])
        new = NewInvoice(self.shop.org_id, currency, lines=lines, **of)
        return await self.services.money.invoices.create(self.carrier.owner, new)

    async def issued(self, price_minor: int = 10_000, **of: Any) -> Invoice:
        draft = await self.draft(price_minor, **of)
        return await self.services.money.issuing.issue(self.carrier.owner, draft.id)


async def business(services: Services, carrier: Org) -> Business:
    """With a trip each way: they may bill each other."""
    shop = await organisation(services, "Bulawayo Bazaar")
    await services.trips.create(carrier.owner, NewTrip(destination_org_id=shop.org_id))
    await services.trips.create(shop.owner, NewTrip(destination_org_id=carrier.org_id))
    return Business(services, carrier, shop)
