"""Money of a payment goes back: the rows, the books, and what it does to the laybys in which it lay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from waypost.invoices import account as billing
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal
from waypost.laybys import account
from waypost.laybys.domain import Layby
from waypost.laybys.ports import Ground
from waypost.ledger.domain import Account
from waypost.notifications import alert_domain as kinds
from waypost.payments import notices, storage, telling
from waypost.payments.days import today_of
from waypost.payments.domain import Part, Payment, ReceiptTaken
from waypost.payments.entries import post_row
from waypost.payments.groups import Held
from waypost.platform.database import Connection


@dataclass(frozen=True, slots=True)
class Given:
    """Rows by which money went back, the first for the whole as far as a receipt goes; ``layby``: the last one that it
    was taken out of, as it is then.
    """

    rows: Sequence[Payment]
    layby: Layby | None = None

    @property
    def whole(self) -> Payment:
        """The first row with the amount of all: what a customer is told of."""
        return replace(self.rows[0], amount_minor=sum(row.amount_minor for row in self.rows))


async def give_back(
    ground: Ground,
    conn: Connection,
    held: Held,
    parts: Sequence[Part],
    like: Payment,
    *,
    actor: Principal | None = None,
    reopen: bool,
) -> Given | None:
    """Write a row for each part, in the form of ``like`` and of the group of ``held``, and do what follows from it.

    None, and nothing done, when the receipt of ``like`` is known. ``reopen``: a completed layby is opened again.
    """
    rows = [_row(ground, held, part, like, n) for n, part in enumerate(parts)]
    layby: Layby | None = None
    for part, row in zip(parts, rows, strict=True):
        if not await storage.add(conn, row):
            if row is rows[0]:
                return None
            raise ReceiptTaken
        layby = await _undo(ground, conn, held, part, actor, reopen=reopen) or layby
        await post_row(conn, ground.clock, row, part.out_of, held.invoice_of(part.place))
        await telling.changed(ground, conn, row)
    if held.group.suspense_minor and held.group.suspense_minor == sum(part.suspense_minor for part in parts):
        by = actor.user_id if actor is not None else None
        if await storage.settle(conn, like.org_id, held.group.root.id, ground.clock.now(), by):
            await telling.settled(ground, conn, held.group.root, by, str(like.disposition))
    return Given(rows, layby)


async def tell_of_reversal(ground: Ground, conn: Connection, held: Held, parts: Sequence[Part], given: Given) -> None:
    """Its customer, if it has one; the staff, where nothing was left to take."""
    root, whole = held.group.root, given.whole
    if whole.customer_id is not None:
        layby = given.layby or next(iter(held.laybys.values()), None)
        await telling.notify(ground, conn, whole, notices.reversed_(layby, whole, root.receipt))
    if any(part.owed_minor for part in parts):
        await telling.look_at(ground, conn, whole, kinds.REVERSAL_AFTER_COLLECTION)


def _row(ground: Ground, held: Held, part: Part, like: Payment, n: int) -> Payment:
    """What nobody can be asked for any more is owed by the customer; of an unknown one it stays in suspense."""
    known = held.group.customer_id is not None
    layby, invoice = held.layby_of(part.place), held.invoice_of(part.place)
    before = layby.balance_minor if layby else invoice.open_minor if invoice else None
    return replace(
        like,
        id=new_id(ground.clock),
        root_id=held.group.root.id,
        receipt=f"{like.receipt}:{n + 1}" if n else like.receipt,
        amount_minor=-part.amount_minor,
        applied_minor=-part.applied_minor,
        credit_minor=-part.credit_minor - (part.owed_minor if known else 0),
        suspense_minor=-part.suspense_minor - (0 if known else part.owed_minor),
        balance_minor=before + part.applied_minor if before is not None else None,
        layby_id=part.place.layby_id if part.place else None,
        invoice_id=part.place.invoice_id if part.place else None,
        customer_id=held.group.customer_id,
    )


async def _undo(
    ground: Ground, conn: Connection, held: Held, part: Part, actor: Principal | None, *, reopen: bool
) -> Layby | None:
    layby, invoice = held.layby_of(part.place), held.invoice_of(part.place)
    if invoice is not None:
        await billing.take_back(billing.Ground(ground.clock, ground.publisher), conn, invoice, part.applied_minor)
    if layby is None or not part.applied_minor:
        return layby
    if part.out_of is Account.REFUNDS_PAYABLE:
        return await account.refunded(ground, conn, layby, part.applied_minor, actor=actor)
    today = await today_of(conn, layby.org_id, ground.clock)
    return await account.take_back(ground, conn, layby, part.applied_minor, today, actor=actor, reopen=reopen)
