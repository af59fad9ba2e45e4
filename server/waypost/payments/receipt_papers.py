"""Receipts of payments, to look at and to print."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from waypost.identity.service import settings_of
from waypost.kernel.clock import Clock
from waypost.kernel.principal import WATCHERS, Principal
from waypost.laybys import desk
from waypost.laybys.domain import Layby
from waypost.payments import storage, storage_receipt
from waypost.payments.domain import Payment, PaymentNotFound
from waypost.payments.receipt_paper import Receipt, receipt
from waypost.payments.receipt_words import LANGUAGES
from waypost.platform.database import Connection, Database
from waypost.platform.papers.model import Paper
from waypost.platform.papers.pen import pen_for


@dataclass(frozen=True, slots=True)
class Receipts:
    """For staff."""

    database: Database
    clock: Clock

    async def receipt(self, principal: Principal, payment_id: UUID, language: str | None) -> Paper:
        """Of a payment, a refund, a reversal, or of credit that was used. ``PaymentNotFound``.

        ``language``: a BCP 47 tag, None: the customer's own, or the organisation's.
        """
        principal.require(WATCHERS)
        org_id = principal.org_id
        async with self.database.transaction(org_id, snapshot=True) as conn:
            payment = await storage.find(conn, org_id, payment_id)
            if payment is None:
                raise PaymentNotFound
            layby = await _layby_then(conn, payment)
            customer_id = payment.customer_id or (layby.customer_id if layby else None)
            payer = await storage_receipt.payer(conn, org_id, customer_id)
            settings = await settings_of(conn, org_id)
        selling = settings.selling
        pen = pen_for(LANGUAGES, language or payer.locale or selling.locale, payment.currency, settings.time_zone)
        to = [line for line in (payer.name, payer.phone, payer.email) if line]
        return receipt(Receipt(payment, layby, payer.org_name, to), selling, pen)


async def _layby_then(conn: Connection, payment: Payment) -> Layby | None:
    """The layby as it was right after the payment: what was paid by then, and the late fees that there were."""
    if payment.layby_id is None:
        return None
    layby = (await desk.whole(conn, payment.org_id, payment.layby_id)).layby
    if payment.balance_minor is None:
        return layby
    paid = await storage_receipt.paid_then(conn, payment.org_id, layby.id, payment.id)
    return replace(layby, paid_minor=paid, late_fees_minor=max(0, payment.balance_minor + paid - layby.payable_minor))
