"""The part of the assembly that has to do with money: laybys, payments, books, invoices."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from waypost.analytics.service import LaybyFigures
from waypost.identity.logos import Logos
from waypost.identity.rules import Rules
from waypost.invoices.issuing import Issuing
from waypost.invoices.overdue import OverdueInvoices
from waypost.invoices.papers import InvoicePapers
from waypost.invoices.service import Invoices
from waypost.kernel.clock import Clock
from waypost.laybys.cancelling import Cancelling
from waypost.laybys.changes import Changes
from waypost.laybys.desk import Desk
from waypost.laybys.goods import Goods
from waypost.laybys.orders import Orders
from waypost.laybys.ports import Ground as LaybyGround
from waypost.laybys.rule_book import RuleBook
from waypost.laybys.service import Laybys
from waypost.laybys.statement import LaybyPapers
from waypost.laybys.sweeps import Sweeps
from waypost.ledger.service import Ledger
from waypost.ledger.upkeep import LedgerUpkeep
from waypost.notifications.alerts import Alerts
from waypost.payments.bills import BillPayments
from waypost.payments.booking import Bookings
from waypost.payments.callback_sweep import callback_sweep
from waypost.payments.callback_work import CallbackWork
from waypost.payments.callbacks import Callbacks
from waypost.payments.credit import Credit
from waypost.payments.days import Days
from waypost.payments.doors import Doors
from waypost.payments.on_account import OnAccount
from waypost.payments.opening import Opening
from waypost.payments.ports import Reader
from waypost.payments.prompts import Prompts
from waypost.payments.providers import daraja, signed
from waypost.payments.providers.accounts import ProviderName
from waypost.payments.providers_register import ProviderRegister
from waypost.payments.receipt_papers import Receipts
from waypost.payments.reconcile import Reconciliation, Reconciliations
from waypost.payments.refunds import Refunds
from waypost.payments.registrations import Registrations
from waypost.payments.reversals import Reversals
from waypost.payments.reviews import Reviews
from waypost.payments.service import Payments
from waypost.payments.statement_reader import StatementReader
from waypost.payments.statements import Statements
from waypost.payments.storage_callbacks import Due as DueCallback
from waypost.payments.unmatched import Unmatched
from waypost.platform.database import Database
from waypost.platform.papers.press import Press
from waypost.platform.secretbox import SecretBox
from waypost.platform.sweeping import Sweep
from waypost.realtime.service import Publisher
from waypost.trips.service import Trips

# What reads the callbacks of each kind of provider.
READERS: Mapping[ProviderName, Reader] = {ProviderName.DARAJA: daraja.read, ProviderName.SIGNED: signed.read}


@dataclass(frozen=True, slots=True, repr=False)  # it would go through the whole house
class Footing:
    """What all of them stand on."""

    database: Database
    clock: Clock
    publisher: Publisher
    rules: Rules
    box: SecretBox
    signing_key: str
    payment_roots: frozenset[str]
    trips: Trips
    figures: LaybyFigures


@dataclass(frozen=True, slots=True, repr=False)  # it would go through the whole house
class Money:
    """The use cases of money."""

    figures: LaybyFigures
    ledger: Ledger
    ledger_upkeep: LedgerUpkeep
    invoices: Invoices
    issuing: Issuing
    overdue_invoices: OverdueInvoices
    rule_book: RuleBook
    sweeps: Sweeps
    desk: Desk
    laybys: Laybys
    changes: Changes
    goods: Goods
    cancelling: Cancelling
    orders: Orders
    bookings: Bookings
    opening: Opening
    payments: Payments
    refunds: Refunds
    credit: Credit
    unmatched: Unmatched
    bills: BillPayments
    providers: ProviderRegister
    statements: Statements
    statement_reader: StatementReader
    reconciliation: Reconciliation
    reconciliations: Reconciliations
    callback_work: CallbackWork
    callback_sweep: Sweep[DueCallback]
    callbacks: Callbacks
    reviews: Reviews
    prompts: Prompts
    reversals: Reversals
    registrations: Registrations
    alerts: Alerts
    layby_papers: LaybyPapers
    invoice_papers: InvoicePapers
    receipts: Receipts
    press: Press


def money_over(ground: Footing) -> Money:
    """Assemble them. The publisher is one by which kept figures are forgotten with each change that it tells of."""
    database, clock, rules = ground.database, ground.clock, ground.rules
    publisher = ground.publisher
    bookings = Bookings(clock, publisher, _marks(ground.signing_key), Days(clock))
    register = ProviderRegister(database, clock, ground.box, ground.payment_roots)
    invoices = Invoices(database, clock, publisher, rules)
    desk = Desk(database, LaybyGround(clock, publisher), rules)
    credit = Credit(database, clock, publisher)
    ledger_upkeep = LedgerUpkeep(database, clock)
    work = CallbackWork(database, clock, publisher, bookings, register, READERS)
    return Money(
        figures=ground.figures,
        ledger=Ledger(database),
        ledger_upkeep=ledger_upkeep,
        invoices=invoices,
        issuing=Issuing(invoices, OnAccount(clock, publisher)),
        overdue_invoices=OverdueInvoices(database, clock, rules),
        rule_book=RuleBook(database, clock, rules),
        sweeps=Sweeps(database, clock, publisher),
        desk=desk,
        laybys=Laybys(desk),
        changes=Changes(desk, credit.use),
        goods=Goods(desk),
        cancelling=Cancelling(desk),
        orders=Orders(desk, ground.trips),
        bookings=bookings,
        opening=Opening(database, clock, publisher, bookings),
        payments=Payments(database, clock, bookings),
        refunds=Refunds(database, clock, publisher),
        credit=credit,
        unmatched=Unmatched(database, clock, publisher),
        bills=BillPayments(database, clock, publisher),
        providers=register,
        statements=Statements(database, clock, register),
        statement_reader=StatementReader(database, clock, register, bookings),
        reconciliation=Reconciliation(database, clock, publisher, register, ledger_upkeep),
        reconciliations=Reconciliations(database),
        callback_work=work,
        callback_sweep=callback_sweep(work),
        callbacks=Callbacks(database, clock, Doors(register, clock), work),
        reviews=Reviews(database, clock, bookings, register),
        prompts=Prompts(database, clock, ground.box),
        reversals=Reversals(database, clock, ground.box, register),
        registrations=Registrations(database, clock, ground.box, register),
        alerts=Alerts(database, clock, publisher),
        layby_papers=LaybyPapers(database, clock),
        invoice_papers=InvoicePapers(invoices, rules, clock),
        receipts=Receipts(database, clock),
        press=Press(pictures=Logos(database, clock, rules).png),
    )


@dataclass(frozen=True, slots=True)
class Marks:
    """What is kept of a payer's phone where only "the same as before" matters: it cannot be guessed back without the
    installation's own key.
    """

    key: bytes

    def __call__(self, payer: str) -> bytes:
        return hmac.digest(self.key, payer.encode(errors="replace"), "sha256")


def _marks(signing_key: str) -> Marks:
    return Marks(hashlib.blake2b(signing_key.encode(), person=b"waypost payers", digest_size=32).digest())
