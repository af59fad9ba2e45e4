"""What is made of a callback that is stored: read, decided, booked, in one transaction. May be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.laybys import desk
from waypost.notifications import outbox
from waypost.notifications.alert_domain import CALLBACK_QUARANTINED, CALLBACK_STUCK, PAYMENT_REVIEW
from waypost.notifications.alerts import alert, over
from waypost.payments import (
    callback_domain,
    notices,
    reversal_ends,
    storage_callbacks,
    storage_prompts,
)
from waypost.payments import storage as storage_payments
from waypost.payments.booking import Bookings
from waypost.payments.callback_domain import (
    STK,
    VALIDATION,
    Book,
    Callback,
    Case,
    Close,
    Decision,
    Fail,
    FailLater,
    Hold,
    Park,
    Undo,
    alert_key,
    stuck_key,
)
from waypost.payments.domain import Disposition
from waypost.payments.ports import Checkpoint, Reader, pass_by
from waypost.payments.prompt_domain import SOON, Prompt, PromptState
from waypost.payments.providers.accounts import ProviderAccount, ProviderName
from waypost.payments.providers.daraja import reason_of
from waypost.payments.providers.outcomes import Doubtful, Failed, Outcome, Paid
from waypost.payments.providers_register import ProviderRegister
from waypost.payments.validation import judge
from waypost.platform.database import Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

FIRST_LOOK, LONGEST_LOOK = timedelta(seconds=2), timedelta(seconds=15)
HELD: Final = timedelta(minutes=30)  # at the latest; the answer of the status makes it due at once
PATIENCE_MS: Final = 2_000  # of a sweep with a lock


class AccountGone(Exception):
    """A mistake of ours: a callback of a provider's account that is not there."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a callback. ``detail``: why; of a refused validation the provider's code."""

    disposition: Disposition
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CallbackWork:
    """Finishes callbacks, each in its own transaction. Locks: the callback, its prompt, the layby, the receipt."""

    database: Database
    clock: Clock
    publisher: Publisher
    bookings: Bookings
    register: ProviderRegister
    readers: Mapping[ProviderName, Reader]
    checkpoint: Checkpoint = field(default=pass_by)

    async def finish(
        self, org_id: UUID, callback_id: UUID, account: ProviderAccount | None = None, *, patience_ms: int = PATIENCE_MS
    ) -> Ended | None:
        """What became of it; None: it stays open for now, is done already, or somebody is at it.

        ``patience_ms``: how long it may wait for a lock; then ``Unavailable``, and it stays open.
        """
        async with self.database.transaction(org_id, lock_timeout_ms=patience_ms) as conn:
            row = await storage_callbacks.take(conn, org_id, callback_id)
            if row is None:
                return None
            self.checkpoint("taken")
            account = account or await self._account(conn, row)
            outcome = self.readers[account.provider](row.road, row.body, account, row.received_at).outcome
            work = self._answered if row.road == VALIDATION else self._worked
            ended = await work(conn, row, account, outcome)
            if ended is not None and row.reversal_request_id is not None:
                row = replace(row, detail=ended.detail)
                ground = self.bookings.ground
                await reversal_ends.heard(ground, conn, row, account.key, outcome, ended.disposition)
            self.checkpoint("booked")
        self.checkpoint("committed")
        if ended is not None:
            log.info("callback_done", callback_id=str(callback_id), road=row.road, disposition=str(ended.disposition))
        return ended

    async def _account(self, conn: Connection, row: Callback) -> ProviderAccount:
        found = await self.register.of(conn, row.org_id, row.provider_id)
        if found is None:
            raise AccountGone(row.provider_id)
        return found

    async def _answered(self, conn: Connection, row: Callback, account: ProviderAccount, outcome: Outcome) -> Ended:
        """A validation: nothing is booked, whatever the answer."""
        case = Case(row, None, account, self.clock.now())
        return await self._end(conn, case, await judge(conn, self.clock, account, outcome))

    async def _worked(
        self, conn: Connection, row: Callback, account: ProviderAccount, outcome: Outcome
    ) -> Ended | None:
        request_id = outcome.request_id if isinstance(outcome, Paid | Failed | Doubtful) else None
        prompt = await self._prompt(conn, row, request_id)
        row = replace(row, checkout_request_id=request_id, prompt_id=prompt.id if prompt else row.prompt_id)
        case = Case(row, prompt, account, self.clock.now(), await reversal_ends.asked_back(conn, row))
        decision = callback_domain.decide(case, outcome)
        if isinstance(decision, Close) and decision.disposition is Disposition.REVIEW:
            decision = await self._unless_known(conn, case, decision)
        if isinstance(outcome, Failed) and isinstance(decision, Close) and outcome.receipt is not None:
            decision = await self._unless_paid(conn, case, outcome.receipt, decision)
        return await self._do(conn, case, decision)

    async def _prompt(self, conn: Connection, row: Callback, request_id: str | None) -> Prompt | None:
        """The prompt that it is about, locked: by the token of its address, or by the provider's name of it."""
        if row.road != STK:
            return None
        if row.prompt_id is not None:
            return await storage_prompts.find(conn, row.org_id, row.prompt_id, lock=True)
        return await storage_prompts.lock_by_request(conn, row.org_id, request_id) if request_id else None

    async def _unless_known(self, conn: Connection, case: Case, review: Close) -> Close:
        """Of money that is booked already, by whatever road, nothing is left to ask."""
        if review.receipt is None or case.row.road == callback_domain.REVERSAL:
            return review
        known = await storage_payments.find_by_receipt(conn, case.row.org_id, case.account.key, review.receipt)
        if known is None or review.amount_minor not in (None, known.amount_minor):
            return review
        return replace(review, disposition=Disposition.DUPLICATE)

    async def _unless_paid(self, conn: Connection, case: Case, receipt: str, failure: Close) -> Close:
        """Success outranks failure, in whatever order they come."""
        known = await storage_payments.find_by_receipt(conn, case.row.org_id, case.account.key, receipt)
        return failure if known is None else replace(failure, disposition=Disposition.IGNORED)

    async def _do(self, conn: Connection, case: Case, decision: Decision) -> Ended | None:
        match decision:
            case Book():
                return await self._book(conn, case, decision)
            case Undo():
                return await self._undo(conn, case, decision)
            case Fail():
                await self.fail(conn, decision, case.row.checkout_request_id)
                said = f"{decision.code} {decision.text}".strip()
                return await self._close(conn, case.row, Close(Disposition.FAILED, said))
            case FailLater():
                return await self._fail_later(conn, case, decision)
            case Hold():
                await storage_prompts.ask_now(conn, decision.prompt, case.now, case.row.checkout_request_id)
                await storage_callbacks.put_off(conn, case.row, case.now + HELD, "the status is asked first")
            case Park():
                await self._park(conn, case, decision)
            case Close():
                return await self._end(conn, case, decision)
        return None

    async def _book(self, conn: Connection, case: Case, decision: Book) -> Ended:
        report, prompt, now = decision.report, case.prompt, case.now
        booked = await self.bookings.book(conn, case.row.org_id, report)
        if prompt is not None and prompt.state is not PromptState.PAID:
            await storage_prompts.paid(conn, prompt, booked.payment.id, now, case.row.checkout_request_id)
            if prompt.state is PromptState.REVIEW:
                await self._answer(conn, prompt, booked.payment.id)
        how = Close(booked.disposition, "", report.receipt, report.amount_minor, report.account_ref)
        return await self._close(conn, case.row, how, booked.payment.id)

    async def _undo(self, conn: Connection, case: Case, decision: Undo) -> Ended | None:
        reversal = decision.reversal
        booked = await self.bookings.reverse(
            conn,
            case.row.org_id,
            provider=case.account.key,
            original_receipt=reversal.original_receipt,
            receipt=reversal.receipt,
            amount_minor=reversal.amount_minor,
            at=reversal.at,
            callback_id=case.row.id,
        )
        how = callback_domain.undone(case, reversal, booked.disposition if booked else None)
        if isinstance(how, Park):
            await self._park(conn, case, how)
            return None
        return await self._end(conn, case, how, booked.payment.id if booked else None)

    async def _fail_later(self, conn: Connection, case: Case, decision: FailLater) -> Ended:
        prompt, said = decision.prompt, f"{decision.code} {decision.text}".strip()
        ask_at, request_id = case.now + SOON, case.row.checkout_request_id
        await storage_prompts.noted(conn, prompt, decision.code, decision.text, ask_at, case.now, request_id)
        return await self._close(conn, case.row, Close(Disposition.FAILED, f"{said}; the status is asked"))

    async def fail(self, conn: Connection, decision: Fail, request_id: str | None = None) -> None:
        """The locked prompt was not paid: its customer is told, once."""
        prompt, now = decision.prompt, self.clock.now()
        state, code = PromptState.FAILED, decision.code
        await storage_prompts.ended(conn, prompt, state, now, code=code, text=decision.text, request_id=request_id)
        if prompt.state is PromptState.REVIEW:
            await self._answer(conn, prompt, None)
        layby = (await desk.whole(conn, prompt.org_id, prompt.layby_id)).layby
        promise = notices.failed(layby, prompt.id, prompt.amount_minor, reason_of(code))
        await outbox.add_all(conn, prompt.org_id, [promise], self.clock)

    async def _answer(self, conn: Connection, prompt: Prompt, payment_id: UUID | None) -> None:
        """What a person was to find out of a prompt, its provider has said."""
        for callback_id in await storage_callbacks.answered(conn, prompt, self.clock.now(), payment_id):
            await over(
                conn, self.publisher, self.clock, prompt.org_id, key=alert_key(callback_id), by=None,
                resolution="the provider has said what became of the prompt",
            )  # fmt: skip

    async def _park(self, conn: Connection, case: Case, decision: Park) -> None:
        wait = min(FIRST_LOOK * 2 ** min(case.row.tries, 5), LONGEST_LOOK)
        await storage_callbacks.put_off(conn, case.row, case.now + wait, decision.why)

    async def _end(self, conn: Connection, case: Case, how: Close, payment_id: UUID | None = None) -> Ended:
        """A person has to look at a REVIEW, and at what was not understood: they are alerted."""
        prompt, row = case.prompt, case.row
        if how.disposition is Disposition.REVIEW and prompt is not None and prompt.state is not PromptState.PAID:
            state, request_id = PromptState.REVIEW, row.checkout_request_id
            await storage_prompts.ended(conn, prompt, state, case.now, code="0", text=how.detail, request_id=request_id)
        if how.disposition in callback_domain.OPEN_QUESTIONS:
            await self.raise_alert(conn, row, how)
        return await self._close(conn, row, how, payment_id)

    async def tell_stuck(self, org_id: UUID, callback_id: UUID, tries: int) -> None:
        """Money may lie in one that cannot be finished: a person hears of it, once. It is tried on."""
        async with self.database.transaction(org_id) as conn:
            await alert(
                conn, self.publisher, self.clock, org_id, kind=CALLBACK_STUCK, key=stuck_key(callback_id),
                subject_kind="callback", subject_id=callback_id, facts={"tries": str(tries)},
            )  # fmt: skip

    async def raise_alert(self, conn: Connection, row: Callback, how: Close) -> None:
        """To the staff, once a callback."""
        kind = PAYMENT_REVIEW if how.disposition is Disposition.REVIEW else CALLBACK_QUARANTINED
        amount = str(how.amount_minor) if how.amount_minor is not None else ""
        facts = {"why": how.detail, "road": row.road, "receipt": how.receipt or "", "amountMinor": amount}
        await alert(
            conn, self.publisher, self.clock, row.org_id, kind=kind, key=alert_key(row.id), subject_kind="callback",
            subject_id=row.id, facts=facts,
        )  # fmt: skip

    async def _close(self, conn: Connection, row: Callback, how: Close, payment_id: UUID | None = None) -> Ended:
        await storage_callbacks.close(conn, row, how, payment_id, self.clock.now())
        if row.tries > callback_domain.STUCK:
            await over(
                conn, self.publisher, self.clock, row.org_id, key=stuck_key(row.id), by=None,
                resolution="it could be finished after all",
            )  # fmt: skip
        return Ended(how.disposition, how.detail)
