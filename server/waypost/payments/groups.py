"""A payment and all that came of it, held still; what of it can still go back, and from where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.laybys import account, desk
from waypost.laybys.domain import Layby, Status
from waypost.ledger.domain import Account
from waypost.payments import storage
from waypost.payments.domain import Group, Payment, Place, Source
from waypost.platform.database import Connection


@dataclass(frozen=True, slots=True)
class Held:
    """A group under its lock, with the laybys in which its money lies under theirs."""

    group: Group
    laybys: Mapping[UUID, Layby]

    def layby_of(self, place: Place | None) -> Layby | None:
        return self.laybys.get(place.layby_id) if place is not None and place.layby_id is not None else None


async def lock_laybys(conn: Connection, org_id: UUID, layby_ids: Collection[UUID]) -> dict[UUID, Layby]:
    """Laybys in the one order that cannot come to a deadlock."""
    return {layby_id: await account.lock(conn, org_id, layby_id) for layby_id in sorted(layby_ids)}


async def hold(conn: Connection, org_id: UUID, root_id: UUID, also: Collection[UUID] = ()) -> Held:
    """Lock a group: the laybys of it (and ``also``) in the order of their ids, then its payment.

    Which laybys it has come to is only known for certain under the payment's lock. If there are more by then, all locks
    are let go and taken again in their order: who waited for a layby with the payment in hand would come to a deadlock.
    """
    wanted = _laybys(await storage.rows_of(conn, org_id, root_id)) | set(also)
    while True:
        await conn.execute("SAVEPOINT held")
        laybys = await lock_laybys(conn, org_id, wanted)
        await storage.lock_roots(conn, org_id, [root_id])
        group = storage.group_of(await storage.rows_of(conn, org_id, root_id))
        if group.laybys <= laybys.keys():
            await conn.execute("RELEASE SAVEPOINT held")
            return Held(group, laybys)
        await conn.execute("ROLLBACK TO SAVEPOINT held; RELEASE SAVEPOINT held")
        wanted |= group.laybys


async def look_at(conn: Connection, org_id: UUID, rows: Sequence[Payment]) -> Held:
    """A group as it is just now, of its rows, without a lock."""
    group = storage.group_of(rows)
    return Held(group, {layby_id: (await desk.whole(conn, org_id, layby_id)).layby for layby_id in group.laybys})


def _laybys(rows: Collection[Payment]) -> set[UUID]:
    return {row.layby_id for row in rows if row.layby_id is not None}


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
    if layby is None:  # an invoice: what was paid of it can be taken back at any time
        return Source(place, place.applied_minor, Account.RECEIVABLE)
    if layby.status is Status.CANCELLED:
        return Source(place, min(place.applied_minor, layby.refund_due_minor), Account.REFUNDS_PAYABLE)
    if layby.status is Status.COMPLETED and not (reopen and layby.released_at is None):
        return Source(place, 0)
    return Source(place, place.applied_minor)
