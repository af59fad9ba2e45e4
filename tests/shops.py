"""A shop with laybys and a clock of its own, for tests of what time brings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from typing import Any
from uuid import UUID

from tests.factories import Org
from tests.fakes.clock import FakeClock
from waypost.laybys import account
from waypost.laybys.deal import Deal, NewItem, NewLayby
from waypost.laybys.domain import Layby, Rhythm
from waypost.laybys.opening import open_layby
from waypost.laybys.ports import Ground
from waypost.laybys.sweeps import Sweeps
from waypost.wiring import Services

_numbers = count(1)
Sweep = Callable[[UUID, datetime], Awaitable[int]]

# Laybys by the thousand: 100.00 each, 20.00 of it paid, four instalments of 20.00 a week apart, the first on $4.
FILL = """
WITH made AS (
    INSERT INTO laybys (org_id, id, reference, customer_id, trade, jurisdiction, currency, items_minor,
                        service_fee_minor, admin_fee_minor, deposit_minor, paid_minor, rhythm, start_date, final_date,
                        next_due_n, next_due_date, next_due_minor, terms, created_at, updated_at)
    SELECT $1, uuidv7(), 'R' || $6 || lpad(i::text, 7, '0'), $2, 'clothing', 'NONE', 'USD', 10000, 0, 0, 2000, 2000,
           'weekly', $4::date - 7, $4::date + 21, 1, $4, 2000, $5, now(), now()
      FROM generate_series(1, $3) i RETURNING id)
INSERT INTO layby_instalments (org_id, layby_id, n, agreed_date, due_date, amount_minor)
SELECT $1, m.id, n, $4::date + (n - 1) * 7, $4::date + (n - 1) * 7, 2000 FROM made m, generate_series(1, 4) n
"""
END_AND_GIVE_TERMS = """
UPDATE laybys SET status = 'cancelled', cancelled_at = now(), cancelled_by = 'shop' WHERE id = $1 RETURNING terms
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """One organisation whose clock the test moves."""

    services: Services
    clock: FakeClock
    org: Org

    @property
    def sweeps(self) -> Sweeps:
        return self.services.money.sweeps

    @property
    def ground(self) -> Ground:
        return Ground(self.clock, self.services.realtime)

    async def at(self, moment: datetime) -> None:
        """Move the clock there."""
        await self.clock.advance((moment - self.clock.now()).total_seconds())

    async def customer(self) -> UUID:
        name = f"Customer {next(_numbers)}"
        return await self.services.directory.add_customer(self.org.owner, name=name, email="chipo@example.com")

    async def open(
        self, *, n: int = 2, rhythm: Rhythm = Rhythm.WEEKLY, price: int = 10_000, deposit: int = 2_000, **of: Any
    ) -> Layby:
        """Opened today with its deposit: 100.00 of clothing, 20.00 paid, two weekly instalments of 40.00."""
        deal = Deal([NewItem("P-1", "Coat", 1, price)], "clothing", rhythm=rhythm, instalments=n, **of)
        async with self.services.database.transaction(self.org.org_id) as conn:
            customer = await self.customer()
            layby = await open_layby(
                self.ground, conn, self.org.owner, NewLayby(customer, deal, told_before=True), deposit
            )
        return await self.pay(layby.id, deposit)

    async def pay(self, layby_id: UUID, amount_minor: int, today: date | None = None) -> Layby:
        """Apply money to it, whatever its rows of payments."""
        async with self.services.database.transaction(self.org.org_id) as conn:
            layby = await account.lock(conn, self.org.org_id, layby_id)
            paid = await account.pay(self.ground, conn, layby, amount_minor, today or self.clock.now().date())
        return paid.layby

    async def find(self, layby_id: UUID) -> Layby:
        async with self.services.database.transaction(self.org.org_id) as conn:
            return await account.lock(conn, self.org.org_id, layby_id)

    async def sql(self, statement: str, *arguments: object) -> Sequence[Any]:
        async with self.services.database.transaction(self.org.org_id) as conn:
            return await conn.fetch(statement, *arguments)

    async def said(self, *kinds: str) -> list[tuple[str, str]]:
        """Kind and key (without the layby) of the notices that are promised, in the order of their rows."""
        rows = await self.sql("SELECT kind, key FROM outbox WHERE kind = ANY ($1) ORDER BY id", list(kinds))
        return [(row["kind"], row["key"].split(":", 2)[2]) for row in rows]

    async def fill(self, many: int, due: date, tag: str = "") -> None:
        """So many laybys whose first instalment is due then."""
        layby = await self.open()
        async with self.services.database.transaction(self.org.org_id) as conn:
            terms = await conn.fetchval(END_AND_GIVE_TERMS, layby.id)
            await conn.execute(FILL, self.org.org_id, layby.customer_id, many, due, terms, tag, timeout=300)
