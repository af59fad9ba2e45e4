"""What becomes of a few lines of a statement, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import msgspec

from waypost.kernel.ids import new_id
from waypost.notifications.alert_domain import PAYMENT_REVIEW
from waypost.notifications.alerts import alert
from waypost.payments import storage_callbacks
from waypost.payments import storage_statements as storage
from waypost.payments.booking import Bookings
from waypost.payments.callback_domain import STATEMENT, Callback, alert_key
from waypost.payments.domain import Disposition, Method, Report
from waypost.payments.providers.accounts import ProviderAccount, ProviderName
from waypost.payments.statement_lines import Line, MoneyIn, MoneyOut, NoMoney
from waypost.payments.storage_statements import Known, Outcome, StatementLine
from waypost.platform.database import Connection

Numbered: TypeAlias = tuple[int, Line]
BOOKED_AS = {Disposition.UNMATCHED: Outcome.UNMATCHED}  # every other is BOOKED


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines of one statement. At most one of them takes something back: that wants a transaction of its own."""

    conn: Connection
    bookings: Bookings
    account: ProviderAccount
    statement_id: UUID

    async def work(self, lines: Sequence[Numbered]) -> list[StatementLine]:
        """What became of each. What is new is booked as a confirmation of the provider would be."""
        receipts = [line.receipt for _, line in lines if line.receipt is not None]
        known = await storage.known(self.conn, self.account.org_id, self.account.key, receipts)
        new = [line for _, line in lines if isinstance(line, MoneyIn) and line.receipt not in known]
        await self.bookings.hold(self.conn, self.account.org_id, [self._report(line) for line in new])
        done = [await self._one(n, line, known) for n, line in sorted(lines, key=lambda each: each[1].receipt or "")]
        return sorted(done, key=lambda line: line.n)

    async def _one(self, n: int, line: Line, known: dict[str, Known]) -> StatementLine:
        if isinstance(line, MoneyIn):
            there = known.get(line.receipt)
            return await (self._book(n, line) if there is None else self._compare(n, line, line.amount_minor, there))
        if isinstance(line, MoneyOut):
            return await self._out(n, line, known.get(line.receipt))
        outcome = Outcome.IGNORED if isinstance(line, NoMoney) else Outcome.UNREADABLE
        return StatementLine(n, outcome, line.receipt, detail=line.why)

    async def _book(self, n: int, line: MoneyIn) -> StatementLine:
        booked = await self.bookings.book(self.conn, self.account.org_id, self._report(line))
        row = booked.payment
        if booked.disposition is Disposition.DUPLICATE:  # the same receipt once more, or by another road just now
            there = Known(row.id, str(row.kind), row.currency, row.amount_minor)
            return await self._compare(n, line, line.amount_minor, there)
        outcome = BOOKED_AS.get(booked.disposition, Outcome.BOOKED)
        return StatementLine(n, outcome, line.receipt, line.amount_minor, line.at, row.id, str(booked.disposition))

    async def _out(self, n: int, line: MoneyOut, there: Known | None) -> StatementLine:
        """A charge has its payment's receipt; what takes nothing back is the organisation's own affair."""
        amount = -line.amount_minor
        if line.linked in (None, line.receipt) and (there is None or there.amount_minor > 0):
            why = "money went out" if there is None else "a charge"
            return StatementLine(n, Outcome.IGNORED, line.receipt, amount, line.at, detail=why)
        if there is not None:
            return await self._compare(n, line, amount, there)
        booked = await self.bookings.reverse(
            self.conn, self.account.org_id, provider=self.account.key, original_receipt=line.linked or "",
            receipt=line.receipt, amount_minor=line.amount_minor, at=line.at, callback_id=None,
        )  # fmt: skip
        if booked is None:
            return await self._review(n, line, amount, None, f"takes back {line.linked}, which is not known here")
        if booked.disposition is Disposition.REVIEW:
            why = f"takes back more than is left of {line.linked}, or what a refund has noted already"
            return await self._review(n, line, amount, booked.payment.id, why)
        matched = booked.disposition is Disposition.DUPLICATE
        outcome = Outcome.MATCHED if matched else Outcome.REVERSED
        return StatementLine(n, outcome, line.receipt, amount, line.at, booked.payment.id)

    async def _compare(self, n: int, line: MoneyIn | MoneyOut, amount: int, there: Known) -> StatementLine:
        if (there.amount_minor, there.currency) == (amount, self.account.currency):
            return StatementLine(n, Outcome.MATCHED, line.receipt, amount, line.at, there.id)
        why = f"here it is {there.amount_minor} {there.currency}"
        return await self._review(n, line, amount, there.id, why)

    async def _review(
        self, n: int, line: MoneyIn | MoneyOut, amount: int, payment_id: UUID | None, why: str
    ) -> StatementLine:
        """A person has to look: a question beside those of callbacks, and an alert, once for each receipt."""
        facts = {
            "statementId": str(self.statement_id),
            "line": str(n),
            "receipt": line.receipt,
            "amountMinor": str(amount),
            "currency": self.account.currency,
            "why": why,
        }
        now = self.bookings.clock.now()
        row = Callback(
            org_id=self.account.org_id,
            id=new_id(self.bookings.clock),
            provider_id=self.account.id,
            prompt_id=None,
            road=STATEMENT,
            body=msgspec.json.encode(facts),
            address=None,
            received_at=line.at,
            due_at=now,
            detail=why,
            event_id=f"{STATEMENT}:{line.receipt}",
            receipt=line.receipt,
            account_ref=line.account_ref if isinstance(line, MoneyIn) else line.linked,
            amount_minor=amount,
            payment_id=payment_id,
        )
        if await storage_callbacks.add_question(self.conn, row):
            await alert(
                self.conn, self.bookings.publisher, self.bookings.clock, row.org_id, kind=PAYMENT_REVIEW,
                key=alert_key(row.id), subject_kind="callback", subject_id=row.id, facts=facts,
            )  # fmt: skip
        return StatementLine(n, Outcome.REVIEW, line.receipt, amount, line.at, payment_id, why)

    def _report(self, line: MoneyIn) -> Report:
        mobile = self.account.provider is ProviderName.DARAJA
        return Report(
            provider=self.account.key,
            receipt=line.receipt,
            method=Method.MOBILE if mobile else Method.OTHER,
            currency=self.account.currency,
            amount_minor=line.amount_minor,
            paid_at=line.at,
            account_ref=line.account_ref,
            payer=line.payer,
        )
