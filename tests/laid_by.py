"""Laybys of an organisation, made through the services, and what was kept and told of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from tests.factories import Org
from waypost.laybys import account, dues
from waypost.laybys.deal import Deal, NewItem, NewLayby
from waypost.laybys.domain import Layby, Rhythm
from waypost.laybys.storage_read import Whole
from waypost.payments.domain import Method
from waypost.payments.till import Taken
from waypost.platform.database import SYSTEM

_names = count(1)

BICYCLE = NewItem("BIKE-1", "A bicycle", 1, 80_00)
LAMP = NewItem("LAMP-2", "A lamp", 2, 10_00)


async def customer(org: Org, name: str | None = None) -> UUID:
    """Somebody new."""
    return await org.services.directory.add_customer(org.owner, name=name or f"Chipo {next(_names)}")


async def layby(
    org: Org,
    *,
    items: Sequence[NewItem] = (BICYCLE, LAMP),
    deposit: int = 40_00,
    customer_id: UUID | None = None,
    told_before: bool = True,
    reference: str | None = None,
    **deal: Any,
) -> Whole:
    """Goods of 100.00, of which 40.00 is paid; the rest in two fortnightly instalments, or as ``deal`` says."""
    usual: dict[str, Any] = {
        "rhythm": Rhythm.FORTNIGHTLY,
        "instalments": 2,
        "currency": "USD",
        "trade": "clothing",
    }
    deal = usual | deal
    wanted = NewLayby(
        customer_id or await customer(org), Deal(items=items, **deal), told_before=told_before, reference=reference
    )
    opened = await org.services.money.opening.open(org.owner, wanted, Taken(deposit, Method.CASH))
    return opened.found


async def pay(org: Org, layby_id: UUID, amount: int) -> None:
    """Cash at the counter."""
    await org.services.money.payments.take(org.owner, layby_id, Taken(amount, Method.CASH))


async def whole(org: Org, layby_id: UUID) -> Whole:
    return await org.services.money.laybys.find(org.owner, layby_id)


async def today(org: Org) -> date:
    return await org.services.money.desk.today(org.org_id)


async def default(org: Org, layby_id: UUID, after_days: int = 200) -> Layby:
    """What a sweep does to it when so many days have gone by."""
    ground, day = org.services.money.desk.ground, await today(org) + timedelta(days=after_days)
    async with org.services.database.transaction(SYSTEM) as conn:
        locked = await account.lock(conn, org.org_id, layby_id)
        return await dues.default(ground, conn, locked, day)


async def charge(org: Org, layby_id: UUID, after_days: int) -> Layby:
    """The late fees that are due when so many days have gone by, as a sweep charges them."""
    ground, day = org.services.money.desk.ground, await today(org) + timedelta(days=after_days)
    async with org.services.database.transaction(SYSTEM) as conn:
        locked = await account.lock(conn, org.org_id, layby_id)
        return await dues.charge_late_fees(ground, conn, locked, day)


@dataclass(frozen=True, slots=True)
class Books:
    """What an organisation's tables say."""

    org: Org

    async def _rows(self, query: str, *arguments: object) -> list[Any]:
        async with self.org.services.database.transaction(SYSTEM) as conn:
            return list(await conn.fetch(query, self.org.org_id, *arguments))

    async def stock(self, layby_id: UUID) -> list[tuple[int, str, int, int]]:
        """What was said of its goods: item, kind, round, how many."""
        rows = await self._rows(
            "SELECT item_n, kind, round, quantity FROM stock_events WHERE org_id = $1 AND layby_id = $2"
            " ORDER BY id, item_n",
            layby_id,
        )
        return [tuple(row) for row in rows]

    async def promised(self, prefix: str = "layby") -> list[str]:
        """The keys of outbox rows that begin so, in order."""
        rows = await self._rows(
            "SELECT key FROM outbox WHERE org_id = $1 AND key LIKE $2 || '%' ORDER BY id", f"{prefix}:"
        )
        return [row["key"] for row in rows]

    async def told(self, kind: str) -> list[dict[str, str]]:
        """The facts of every notice of that kind."""
        rows = await self._rows("SELECT payload FROM outbox WHERE org_id = $1 AND kind = $2 ORDER BY id", kind)
        return [json.loads(row["payload"])["facts"] for row in rows]

    async def events(self, layby_id: UUID) -> list[tuple[str, Any]]:
        """What is kept of it, oldest first."""
        rows = await self._rows(
            "SELECT kind, data FROM layby_events WHERE org_id = $1 AND layby_id = $2 ORDER BY id", layby_id
        )
        return [(row["kind"], json.loads(row["data"])) for row in rows]

    async def balances(self) -> dict[str, int]:
        """Every account that is not at zero; debits are positive."""
        rows = await self._rows(
            "SELECT a.code, sum(p.amount_minor)::bigint AS balance FROM postings p"
            " JOIN accounts a ON a.org_id = p.org_id AND a.id = p.account_id WHERE p.org_id = $1 GROUP BY a.code"
        )
        return {row["code"]: row["balance"] for row in rows if row["balance"]}

    async def orders(self, layby_id: UUID) -> list[tuple[str, bool]]:
        """Its orders' numbers, and whether each holds."""
        rows = await self._rows(
            "SELECT number, voided_at FROM layby_orders WHERE org_id = $1 AND layby_id = $2 ORDER BY id", layby_id
        )
        return [(row["number"], row["voided_at"] is None) for row in rows]

    async def check(self) -> None:
        """What holds whatever happened: sums of rows are the laybys', entries balance, one order holds at most."""
        wrong = await self._rows(
            "SELECT l.id FROM laybys l WHERE l.org_id = $1 AND l.paid_minor <> (SELECT coalesce(sum(applied_minor), 0)"
            " FROM payments p WHERE p.org_id = l.org_id AND p.layby_id = l.id)"
        )
        assert wrong == []
        unbalanced = await self._rows(
            "SELECT entry_id FROM postings WHERE org_id = $1 GROUP BY entry_id, currency HAVING sum(amount_minor) <> 0"
        )
        assert unbalanced == []
        orders = await self._rows(
            "SELECT l.id FROM laybys l LEFT JOIN layby_orders o ON o.org_id = l.org_id AND o.layby_id = l.id"
            " AND o.voided_at IS NULL WHERE l.org_id = $1 GROUP BY l.id, l.status"
            " HAVING count(o.id) <> CASE WHEN l.status = 'completed' THEN 1 ELSE 0 END"
        )
        assert orders == []
        stock = await self.org.services.money.laybys.stock(self.org.owner, 200, None, product=None, differing=True)
        assert list(stock.data) == []
