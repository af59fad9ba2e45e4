"""HTTP edge of payments, refunds, credit, and of a layby's opening, which takes its deposit."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.directory.domain import CustomerNotFound
from waypost.invoices.domain import InvoiceMoveRefused, InvoiceNotFound
from waypost.kernel.errors import invalid_field
from waypost.kernel.money import CurrencyMismatch
from waypost.kernel.principal import MONEY, TELLERS, WATCHERS
from waypost.laybys import wire as laybys_wire
from waypost.laybys.domain import LaybyMoveRefused, LaybyNotFound
from waypost.laybys.opening import ReferenceTaken
from waypost.payments import wire
from waypost.payments.bills import BillPayments
from waypost.payments.credit import Credit
from waypost.payments.domain import (
    AlreadySettled,
    NothingToGive,
    PaymentNotFound,
    ReceiptTaken,
    TooMuch,
)
from waypost.payments.opening import Opened, Opening
from waypost.payments.refunds import Refunds
from waypost.payments.returning import Given
from waypost.payments.reversal_domain import ReversalOpen
from waypost.payments.service import Payments, Whole
from waypost.payments.unmatched import Unmatched
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Route
from waypost.platform.web import (
    PRINCIPAL,
    path_id,
    read_body,
    read_optional_body,
    read_query,
    reply,
    reply_page,
    reply_versioned,
)

PATH = "/api/v1/payments"
LAYBYS = "/api/v1/laybys"


@dataclass(frozen=True, slots=True)
class PaymentRoutes:
    """Payments of an organisation."""

    payments: Payments
    opening: Opening
    refunds: Refunds
    credit: Credit
    unmatched: Unmatched
    bills: BillPayments

    def routes(self) -> list[Route]:
        return [
            Route("POST", LAYBYS, self.open, status=201, answer=laybys_wire.Layby, body=wire.NewLayby, roles=TELLERS,
                  errors=(CustomerNotFound, ReferenceTaken, ReceiptTaken), idempotent=True, versioned=True),
            Route("POST", LAYBYS + "/{layby_id}/payments", self.take, status=201, answer=wire.Payment,
                  body=wire.NewPayment, roles=TELLERS, idempotent=True,
                  errors=(LaybyNotFound, LaybyMoveRefused, TooMuch, CurrencyMismatch, ReceiptTaken)),
            Route("POST", LAYBYS + "/{layby_id}/refunds", self.refund_layby, status=201, answer=wire.Refunded,
                  body=wire.LaybyRefund, roles=MONEY, idempotent=True,
                  errors=(LaybyNotFound, NothingToGive, TooMuch, ReversalOpen)),
            Route("POST", LAYBYS + "/{layby_id}/credit", self.use_credit, answer=laybys_wire.Layby, body=wire.UseCredit,
                  body_optional=True, roles=TELLERS, idempotent=True, versioned=True,
                  errors=(LaybyNotFound, LaybyMoveRefused, NothingToGive, TooMuch)),
            Route("GET", PATH, self.list_payments, answer=wire.Payment, listing=True, query=wire.PaymentsQuery,
                  roles=WATCHERS),
            Route("GET", PATH + "/refunds-due", self.list_refunds_due, answer=wire.RefundDue, listing=True,
                  query=PageQuery, roles=WATCHERS),
            Route("GET", PATH + "/{payment_id}", self.get, answer=wire.PaymentWhole, roles=WATCHERS,
                  errors=(PaymentNotFound,)),
            Route("POST", PATH + "/{payment_id}/refund", self.refund, status=201, answer=wire.Refunded,
                  body=wire.Refund, roles=MONEY, idempotent=True, errors=(PaymentNotFound, TooMuch, ReversalOpen)),
            Route("GET", PATH + "/{payment_id}/suggestions", self.suggest, answer=wire.Suggestions, roles=TELLERS,
                  errors=(PaymentNotFound,)),
            Route("POST", PATH + "/{payment_id}/assign", self.assign, answer=wire.Payment, body=wire.Assignment,
                  roles=MONEY, idempotent=True,
                  errors=(PaymentNotFound, LaybyNotFound, InvoiceNotFound, AlreadySettled, CurrencyMismatch, TooMuch)),
            Route("POST", "/api/v1/invoices/{invoice_id}/payments", self.pay_invoice, status=201, answer=wire.Payment,
                  body=wire.NewInvoicePayment, roles=MONEY, idempotent=True,
                  errors=(InvoiceNotFound, InvoiceMoveRefused, TooMuch, CurrencyMismatch, ReceiptTaken)),
            Route("GET", "/api/v1/customers/{customer_id}/credit", self.customer_credit, answer=wire.CustomerCredit,
                  roles=WATCHERS, errors=(CustomerNotFound,)),
        ]  # fmt: skip

    async def open(self, request: web.Request) -> web.Response:
        """Open a layby with its deposit: goods reserved, schedule made, money booked, in one step or not at all."""
        body = await read_body(request, wire.NewLayby)
        opened = await self.opening.open(request[PRINCIPAL], body.to_domain(), body.deposit.to_domain())
        return _reply_layby(opened, status=201)

    async def take(self, request: web.Request) -> web.Response:
        """Take a payment at the counter. What cannot be applied is refused, and the answer says the balance."""
        layby_id = path_id(request, "layby_id", LaybyNotFound)
        body = await read_body(request, wire.NewPayment)
        payment = await self.payments.take(request[PRINCIPAL], layby_id, body.to_domain())
        return reply(wire.Payment.from_domain(payment), status=201)

    async def refund_layby(self, request: web.Request) -> web.Response:
        """Say that the refund of a cancelled layby, or a part of it, has gone out: its customer is told."""
        layby_id = path_id(request, "layby_id", LaybyNotFound)
        body = await read_body(request, wire.LaybyRefund)
        given = await self.refunds.of_layby(request[PRINCIPAL], layby_id, body.amount_minor, body.to_domain())
        return _reply_given(given)

    async def use_credit(self, request: web.Request) -> web.Response:
        """Use the customer's credit for a layby, the oldest first."""
        layby_id = path_id(request, "layby_id", LaybyNotFound)
        body = await read_optional_body(request, wire.UseCredit)
        return _reply_layby(await self.credit.apply(request[PRINCIPAL], layby_id, body.amount_minor))

    async def list_payments(self, request: web.Request) -> web.Response:
        """Payments, refunds, reversals and what moved no money, newest first."""
        query = read_query(request, wire.PaymentsQuery)
        page = await self.payments.list(request[PRINCIPAL], query.to_domain(), query.limit, query.cursor)
        return reply_page(request, page, wire.Payment.from_domain)

    async def list_refunds_due(self, request: web.Request) -> web.Response:
        """Cancelled laybys whose refund has not gone out yet, the oldest layby first."""
        query = read_query(request, PageQuery)
        page = await self.refunds.due(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire.RefundDue.from_domain)

    async def get(self, request: web.Request) -> web.Response:
        """One payment, with all that came of it."""
        found = await self.payments.find(request[PRINCIPAL], path_id(request, "payment_id", PaymentNotFound))
        return reply(_whole(found))

    async def refund(self, request: web.Request) -> web.Response:
        """Give back money of a payment: its credit first, then what was applied (the layby's balance rises)."""
        payment_id = path_id(request, "payment_id", PaymentNotFound)
        body = await read_body(request, wire.Refund)
        return _reply_given(
            await self.refunds.of_payment(request[PRINCIPAL], payment_id, body.amount_minor, body.to_domain())
        )

    async def suggest(self, request: web.Request) -> web.Response:
        """For which layby money without a known reference may be; nothing is matched by this."""
        payment_id = path_id(request, "payment_id", PaymentNotFound)
        found = await self.unmatched.suggestions(request[PRINCIPAL], payment_id)
        return reply(wire.Suggestions([wire.Suggestion.from_domain(each) for each in found]))

    async def assign(self, request: web.Request) -> web.Response:
        """Say, once, for which layby or invoice money without a known reference was."""
        payment_id = path_id(request, "payment_id", PaymentNotFound)
        body = await read_body(request, wire.Assignment)
        if (body.layby_id is None) == (body.invoice_id is None):
            raise invalid_field("laybyId", "give either laybyId or invoiceId")
        row = await self.unmatched.assign(
            request[PRINCIPAL], payment_id, layby_id=body.layby_id, invoice_id=body.invoice_id,
            on_account=body.on_account,
        )  # fmt: skip
        return reply(wire.Payment.from_domain(row))

    async def pay_invoice(self, request: web.Request) -> web.Response:
        """Book what another organisation has paid of an invoice, in the books of both."""
        invoice_id = path_id(request, "invoice_id", InvoiceNotFound)
        body = await read_body(request, wire.NewInvoicePayment)
        payment = await self.bills.take(request[PRINCIPAL], invoice_id, body.to_domain(), on_account=body.on_account)
        return reply(wire.Payment.from_domain(payment), status=201)

    async def customer_credit(self, request: web.Request) -> web.Response:
        """What is kept for a customer, by currency; below zero: what they owe."""
        customer_id = path_id(request, "customer_id", CustomerNotFound)
        parts = await self.credit.of_customer(request[PRINCIPAL], customer_id)
        return reply(wire.CustomerCredit.of(customer_id, parts))


def _reply_layby(opened: Opened, status: int = 200) -> web.Response:
    body = laybys_wire.Layby.of(opened.found, opened.today)
    return reply_versioned(body, opened.found.layby.version, status)


def _reply_given(given: Given) -> web.Response:
    whole, layby = given.whole, given.layby
    body = wire.Refunded(
        amount_minor=-whole.amount_minor,
        currency=whole.currency,
        receipt=whole.receipt,
        rows=[wire.Payment.from_domain(row) for row in given.rows],
        layby_id=layby.id if layby else None,
        balance_minor=layby.balance_minor if layby else None,
        refund_due_minor=layby.refund_due_minor if layby else None,
    )
    return reply(body, status=201)


def _whole(found: Whole) -> wire.PaymentWhole:
    own = wire.Payment.from_domain(found.payment)
    return wire.PaymentWhole(
        **{name: getattr(own, name) for name in own.__struct_fields__},
        remaining_minor=found.group.amount_minor,
        remaining_credit_minor=found.group.credit_minor,
        remaining_suspense_minor=found.group.suspense_minor,
        refundable_minor=found.refundable_minor,
        rows=[wire.Payment.from_domain(row) for row in found.rows],
    )
