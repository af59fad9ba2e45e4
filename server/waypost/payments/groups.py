"""A payment and all that came of it, held still; what of it can still go back, and from where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from waypost.invoices import account as billing
from waypost.invoices.domain import Invoice
from waypost.laybys import account, desk
from waypost.laybys.domain import Layby, Status
from waypost.ledger.domain import Account
from waypost.payments import storage, storage_credit
from waypost.payments.domain import Group, Payment, Place, Source
from waypost.platform.database import Connection


@dataclass(frozen=True, slots=True)
class Held:
    """A group under its lock, with the laybys and invoices in which its money lies under theirs."""

    group: Group
    laybys: Mapping[UUID, Layby]
    invoices: Mapping[UUID, Invoice] = field(default_factory=dict)

    def layby_of(self, place: Place | None) -> Layby | None:
        return self.laybys.get(place.layby_id) if place is not None and place.layby_id is not None else None

    def invoice_of(self, place: Place | None) -> Invoice | None:
        return self.invoices.get(place.invoice_id) if place is not None and place.invoice_id is not None else None


async def lock_laybys(conn: Connection, org_id: UUID, layby_ids: Collection[UUID]) -> dict[UUID, Layby]:
    """Laybys in the one order that cannot come to a deadlock."""
    return {layby_id: await account.lock(conn, org_id, layby_id) for layby_id in sorted(layby_ids)}


async def hold(
    conn: Connection,
    org_id: UUID,
    root_id: UUID,
    *,
    laybys: Collection[UUID] = (),
    invoices: Collection[UUID] = (),
    roots: Collection[UUID] = (),
) -> Held:
    """Lock a group: its laybys (and ``laybys``), its invoices (and ``invoices``), then its payment (and ``roots``): of
    each in the order of their ids.

    Which of them it has come to is only known for certain under the payment's lock. If there are more by then, all are
    let go and taken again in their order: who waited for a layby with the payment in hand would come to a deadlock.
    """
    seen = storage.group_of(await storage.rows_of(conn, org_id, root_id))
    of_laybys, of_invoices = seen.laybys | set(laybys), seen.invoices | set(invoices)
    while True:
        await conn.execute("SAVEPOINT held")
        found = await lock_laybys(conn, org_id, of_laybys)
        bills = {invoice_id: await billing.lock(conn, org_id, invoice_id) for invoice_id in sorted(of_invoices)}
        await storage.lock_roots(conn, org_id, {root_id, *roots})
        group = storage.group_of(await storage.rows_of(conn, org_id, root_id))
        if group.laybys <= of_laybys and group.invoices <= of_invoices:
            await conn.execute("RELEASE SAVEPOINT held")
            return Held(group, found, bills)
        await conn.execute("ROLLBACK TO SAVEPOINT held; RELEASE SAVEPOINT held")
        of_laybys, of_invoices = of_laybys | group.laybys, of_invoices | group.invoices


async def look_at(conn: Connection, org_id: UUID, rows: Sequence[Payment]) -> Held:
    """A group as it is just now, of its rows, without a lock."""
    group = storage.group_of(rows)
    return Held(group, {layby_id: (await desk.whole(conn, org_id, layby_id)).layby for layby_id in group.laybys})


async def less_debt(conn: Connection, held: Held) -> Held:
    """With no more credit than its customer has in all: what they owe of other payments is taken off. Organisations
    owe nothing so.
    """
    group = held.group
    if group.credit_minor <= 0 or group.customer_id is None:
        return held
    left = await storage_credit.in_currency(conn, group.root.org_id, group.customer_id, group.root.currency)
    net = max(0, sum(each.credit_minor for each in left))
    return replace(held, group=replace(group, credit_minor=min(group.credit_minor, net)))


def reversible(held: Held) -> list[Source]:
    """What of a group's applied money a reversal takes out: of a layby whose goods are not out all (a completed one is
    opened again), of a cancelled one no more than is still to be paid back.
    """
    return [_source(place, held, reopen=True) for place in held.group.places]


def refundable(held: Held) -> list[Source]:
    """The same for a refund: a layby that is completed stays so."""
    return [_source(place, held, reopen=False) for place in held.group.places]


def _source(place: Place, held: Held, *, reopen: bool) -> Source:
    layby = held.layby_of(place)
    if layby is None:  # an invoice: nothing that is paid of it is voided, so it can be taken back at any time
        return Source(place, place.applied_minor, Account.RECEIVABLE)
    if layby.status is Status.CANCELLED:
        return Source(place, min(place.applied_minor, layby.refund_due_minor), Account.REFUNDS_PAYABLE)
    if layby.status is Status.COMPLETED and not (reopen and not layby.is_out):
        return Source(place, 0)
    return Source(place, place.applied_minor)
