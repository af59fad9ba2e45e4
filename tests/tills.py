"""A shop that takes money, for tests: customers, laybys, a provider's reports, and what must add up after all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from tests.factories import Org
from waypost.identity.domain import AuditEntry
from waypost.kernel.principal import Principal, Role
from waypost.laybys.cancelling import Cancelling
from waypost.laybys.changes import Changes
from waypost.laybys.deal import Deal, NewItem, NewLayby, Wish
from waypost.laybys.desk import Desk
from waypost.laybys.domain import CancelledBy, Layby
from waypost.laybys.goods import Goods
from waypost.laybys.ports import Ground
from waypost.laybys.storage_read import whole
from waypost.notifications.alert_domain import AlertFilter
from waypost.payments.domain import Booked, Method, Payment, Report
from waypost.payments.storage import Filter
from waypost.payments.till import Taken
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

CURRENCY = "KES"
DARAJA = "daraja"
_numbers = count(1)

LAYBYS = "SELECT id, status, currency, paid_minor, balance_minor, refund_due_minor FROM laybys WHERE org_id = $1"
APPLIED = """
SELECT layby_id, sum(applied_minor)::bigint FROM payments WHERE org_id = $1 AND layby_id IS NOT NULL GROUP BY layby_id
"""
CREDIT = """
SELECT customer_id, currency, sum(credit_minor)::bigint FROM payments
 WHERE org_id = $1 AND customer_id IS NOT NULL GROUP BY customer_id, currency HAVING sum(credit_minor) <> 0
"""
BOOK_CREDIT = """
SELECT p.customer_id, p.currency, -sum(p.amount_minor)::bigint FROM postings p
  JOIN accounts a ON a.org_id = p.org_id AND a.id = p.account_id
 WHERE p.org_id = $1 AND a.code = 'customer-credit' GROUP BY p.customer_id, p.currency HAVING sum(p.amount_minor) <> 0
"""
BALANCES = """
SELECT a.code, sum(p.amount_minor)::bigint
  FROM postings p JOIN accounts a ON a.org_id = p.org_id AND a.id = p.account_id
 WHERE p.org_id = $1 AND p.currency = $2 GROUP BY a.code
"""
UNBALANCED = "SELECT entry_id FROM postings WHERE org_id = $1 GROUP BY entry_id, currency HAVING sum(amount_minor) <> 0"
SUMS = """
SELECT coalesce(sum(amount_minor), 0)::bigint AS amount, coalesce(sum(suspense_minor), 0)::bigint AS suspense
  FROM payments WHERE org_id = $1 AND currency = $2
"""
# What was paid with a payment is never given back twice, and no layby holds less than nothing of it.
OVERDRAWN = """
SELECT root_id FROM payments WHERE org_id = $1 AND layby_id IS NOT NULL
 GROUP BY root_id, layby_id HAVING sum(applied_minor) < 0
"""
OPEN = ("active", "on_hold", "defaulted")
HELD = ("cash", "card", "bank", "clearing")


@dataclass(frozen=True, slots=True)
class Shop:
    """An organisation that sells on layby."""

    org: Org
    customers: list[UUID] = field(default_factory=list)

    @classmethod
    async def of(cls, org: Org, trade: str = "other") -> Shop:
        selling: dict[str, Any] = {"currency": CURRENCY, "trade": trade}
        await org.services.organisations.change(org.owner, name=None, time_zone=None, selling=selling)
        return cls(org)

    @property
    def services(self) -> Services:
        return self.org.services

    @property
    def owner(self) -> Principal:
        return self.org.owner

    async def person(self, role: Role) -> Principal:
        return (await self.org.person(role))[0]

    async def customer(self) -> UUID:
        number = next(_numbers)
        return await self.services.directory.add_customer(
            self.owner, name=f"Chipo {number}", email=f"chipo{number}@example.com"
        )

    async def layby(
        self, *, price: int = 100_00, deposit: int = 30_00, customer: UUID | None = None, currency: str | None = None
    ) -> Layby:
        """A new one of four instalments at most, its deposit paid in cash."""
        customer = customer or await self.customer()
        deal = Deal(items=[NewItem("SKU-1", "A bicycle", 1, price)], instalments=2, currency=currency)
        new = NewLayby(customer, deal, told_before=True)
        opened = await self.services.money.opening.open(self.owner, new, Taken(deposit, Method.CASH))
        return opened.found.layby

    async def read(self, layby_id: UUID) -> Layby:
        async with self.services.database.transaction(self.org.org_id) as conn:
            found = await whole(conn, self.org.org_id, layby_id)
        assert found is not None
        return found.layby

    def report(self, layby: Layby | str | None, amount: int, receipt: str | None = None, **fields: Any) -> Report:
        """What a provider says: money for a layby (its reference is typed), or for what somebody typed."""
        typed = layby.reference if isinstance(layby, Layby) else layby
        values: dict[str, Any] = {
            "provider": DARAJA,
            "receipt": receipt or f"RKT{next(_numbers):07}",
            "method": Method.MOBILE,
            "currency": CURRENCY,
            "amount_minor": amount,
            "paid_at": self.services.clock.now(),
            "account_ref": typed,
            "payer": "254708374149",
        }
        return Report(**values | fields)

    async def book(self, report: Report) -> Booked:
        """As a callback's worker does."""
        async with self.services.database.transaction(self.org.org_id) as conn:
            return await self.services.money.bookings.book(conn, self.org.org_id, report)

    async def pay(self, layby: Layby | str | None, amount: int, receipt: str | None = None, **fields: Any) -> Payment:
        """A provider's payment; its row."""
        return (await self.book(self.report(layby, amount, receipt, **fields))).payment

    async def reverse(self, original: Payment | str, receipt: str, amount: int | None = None) -> Booked | None:
        """A provider takes a payment back."""
        async with self.services.database.transaction(self.org.org_id) as conn:
            return await self.services.money.bookings.reverse(
                conn,
                self.org.org_id,
                provider=DARAJA,
                original_receipt=original if isinstance(original, str) else original.receipt,
                receipt=receipt,
                amount_minor=amount,
                at=self.services.clock.now() + timedelta(seconds=1),
                callback_id=None,
            )

    @property
    def desk(self) -> Desk:
        services = self.services
        return Desk(services.database, Ground(services.clock, services.realtime), services.rules)

    async def cancel(self, layby_id: UUID, by: CancelledBy = CancelledBy.CUSTOMER) -> Layby:
        return (await Cancelling(self.desk).cancel(self.owner, layby_id, Wish(by, "changed their mind"))).layby

    async def hold(self, layby_id: UUID) -> Layby:
        return (await self._changes.hold(self.owner, layby_id, None)).layby

    async def reactivate(self, layby_id: UUID) -> Layby:
        return (await self._changes.reactivate(self.owner, layby_id, None)).layby

    async def collect(self, layby_id: UUID) -> Layby:
        return (await Goods(self.desk).collect(self.owner, layby_id)).layby

    @property
    def _changes(self) -> Changes:
        return Changes(self.desk, self.services.money.credit.use)

    async def rows(self, **wanted: Any) -> Sequence[Payment]:
        """Payments, oldest first."""
        page = await self.services.money.payments.list(self.owner, Filter(**wanted), 200, None)
        return list(reversed(page.data))

    async def balances(self, currency: str = CURRENCY) -> dict[str, int]:
        """Every account's balance; debits are positive."""
        async with self.services.database.transaction(self.org.org_id) as conn:
            rows = await conn.fetch(BALANCES, self.org.org_id, currency)
        return {code: balance for code, balance in rows if balance}

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What customers are told, in order: kind and facts."""
        import msgspec

        async with self.services.database.transaction(SYSTEM) as conn:
            rows = await conn.fetch(
                "SELECT kind, payload FROM outbox WHERE org_id = $1 AND kind NOT LIKE 'stock%' ORDER BY id",
                self.org.org_id,
            )
        return [(row["kind"], msgspec.json.decode(row["payload"])["facts"]) for row in rows]

    async def alerts(self) -> list[str]:
        async with self.services.database.transaction(self.org.org_id) as conn:
            rows = await conn.fetch("SELECT kind FROM alerts WHERE org_id = $1 ORDER BY id", self.org.org_id)
        return [row["kind"] for row in rows]

    async def open_alerts(self) -> list[str]:
        page = await self.services.money.alerts.list(self.owner, AlertFilter(), 50, None)
        return [alert.kind for alert in page.data]

    async def newest_deed(self) -> AuditEntry:
        """The last entry of the audit log."""
        page = await self.services.audit.entries(self.owner, 1, None, subject_id=None, action=None)
        return page.data[0]

    async def check(self, currency: str = CURRENCY) -> None:
        """What holds after whatever happened: rows, laybys and books agree to the minor unit."""
        org_id = self.org.org_id
        async with self.services.database.transaction(org_id, snapshot=True) as conn:
            assert await conn.fetch(UNBALANCED, org_id) == []
            assert await conn.fetch(OVERDRAWN, org_id) == []
            laybys = await conn.fetch(LAYBYS, org_id)
            applied = {row[0]: row[1] for row in await conn.fetch(APPLIED, org_id)}
            credit = {(customer, money.strip()): sum_ for customer, money, sum_ in await conn.fetch(CREDIT, org_id)}
            booked = {
                (customer, money.strip()): sum_ for customer, money, sum_ in await conn.fetch(BOOK_CREDIT, org_id)
            }
            balances = {row[0]: row[1] for row in await conn.fetch(BALANCES, org_id, currency)}
            (sums,) = await conn.fetch(SUMS, org_id, currency)
        for layby in laybys:
            assert layby["paid_minor"] == applied.get(layby["id"], 0), layby["id"]
            assert layby["status"] != "active" or layby["balance_minor"] > 0, layby["id"]
            assert layby["status"] != "completed" or layby["balance_minor"] == 0, layby["id"]
        assert credit == booked
        own = [layby for layby in laybys if layby["currency"].strip() == currency]
        held = sum(layby["paid_minor"] for layby in own if layby["status"] in OPEN)
        assert -balances.get("deposits-held", 0) == held
        assert -balances.get("refunds-payable", 0) == sum(layby["refund_due_minor"] for layby in own)
        assert -balances.get("suspense", 0) == sums["suspense"]
        assert sum(balances.get(code, 0) for code in HELD) == sums["amount"]
