"""What a person makes of callbacks that leave a question open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from waypost.identity import audit
from waypost.kernel.clock import Clock
from waypost.kernel.errors import invalid_field
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import MONEY, Principal
from waypost.laybys import account, desk
from waypost.notifications.alerts import over
from waypost.payments import reversal_ends, storage_prompts
from waypost.payments import storage_callbacks as storage
from waypost.payments.booking import Bookings
from waypost.payments.callback_domain import (
    OPEN_QUESTIONS,
    VALIDATION,
    Callback,
    CallbackNotFound,
    Filter,
    NothingToSettle,
    PerhapsBooked,
    alert_key,
)
from waypost.payments.domain import AlreadySettled, Booked, Disposition, Method, PaymentNotFound, Report
from waypost.payments.prompt_domain import Prompt, PromptState
from waypost.payments.providers.accounts import ProviderAccount, ProviderNotFound
from waypost.payments.providers_register import ProviderRegister
from waypost.platform.database import Connection, Database

SAME_MONEY: Final = timedelta(days=1)  # after a prompt: money of its amount may be its money
CLOCKS: Final = timedelta(minutes=10)  # by which a provider's may be behind


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a person says of it. ``dismiss``: no money moved; else it did: what is None is as the callback has it.
    ``another``: it is not what else was booked of that amount.
    """

    reason: str
    dismiss: bool = False
    layby_id: UUID | None = None
    amount_minor: int | None = None
    receipt: str | None = None
    another: bool = False


@dataclass(frozen=True, slots=True)
class Reviews:
    """Callbacks, for those who look after money."""

    database: Database
    clock: Clock
    bookings: Bookings
    register: ProviderRegister

    async def list(self, principal: Principal, wanted: Filter, limit: int, cursor: str | None) -> Page[Callback]:
        """Newest first."""
        principal.require(MONEY)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_callbacks(conn, principal.org_id, wanted, after, limit)
        return page_of(rows, limit, lambda row: row.id)

    async def find(self, principal: Principal, callback_id: UUID) -> Callback:
        """One, with what came."""
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            return await self._found(conn, principal, callback_id)

    async def settle(self, principal: Principal, callback_id: UUID, said: Settlement) -> Callback:
        """End its question: book what it is about, or nothing. ``AlreadySettled`` when somebody was first;
        ``PerhapsBooked`` where it came by another road, as it seems.
        """
        principal.require(MONEY)
        async with self.database.transaction(principal.org_id) as conn:
            row, prompt = await self._locked(conn, principal, callback_id)
            booked = None if said.dismiss else await self._book(conn, row, prompt, said)
            await self._end_prompt(conn, prompt, booked)
            await reversal_ends.settled(self.bookings.ground, conn, row, booked)
            payment_id = booked.payment.id if booked else None
            await storage.settle(conn, row, self.clock.now(), principal.user_id, payment_id)
            await over(
                conn, self.bookings.publisher, self.clock, row.org_id, key=alert_key(row.id), by=principal.user_id,
                resolution=said.reason,
            )  # fmt: skip
            became = str(booked.disposition) if booked else "dismissed"
            await audit.record(
                conn, principal, self.clock, action="callback.settled", subject_kind="callback", subject_id=row.id,
                why=said.reason, detail={"became": became, "paymentId": str(payment_id) if payment_id else None},
            )  # fmt: skip
            return await self._found(conn, principal, callback_id)

    async def _locked(
        self, conn: Connection, principal: Principal, callback_id: UUID
    ) -> tuple[Callback, Prompt | None]:
        """An open question and its prompt. The prompt first, as by whoever answers the question meanwhile; and no
        callback that is still worked on, whose prompt comes second.
        """
        row = await self._found(conn, principal, callback_id)
        if row.disposition not in OPEN_QUESTIONS:
            raise NothingToSettle
        prompt = None
        if row.prompt_id is not None:
            prompt = await storage_prompts.find(conn, row.org_id, row.prompt_id, lock=True)
        row = await self._found(conn, principal, callback_id, lock=True)
        if row.settled_at is not None:
            raise AlreadySettled
        return row, prompt

    async def _found(
        self, conn: Connection, principal: Principal, callback_id: UUID, *, lock: bool = False
    ) -> Callback:
        row = await storage.find(conn, principal.org_id, callback_id, lock=lock)
        if row is None:
            raise CallbackNotFound
        return row

    async def _book(self, conn: Connection, row: Callback, prompt: Prompt | None, said: Settlement) -> Booked:
        if row.road == VALIDATION:
            raise invalid_field("dismiss", "a validation only asks, it is no money; it can only be dismissed")
        provider = await self.register.of(conn, row.org_id, row.provider_id)
        if provider is None:
            raise ProviderNotFound
        receipt = said.receipt or row.receipt
        if receipt is None:
            raise invalid_field("receipt", "the callback has none; give the one that the provider shows")
        if row.takes_back:
            return await self._undo(conn, row, provider, said, receipt)
        amount = said.amount_minor or row.amount_minor
        if amount is None:
            raise invalid_field("amountMinor", "the callback has none; give the one that the provider shows")
        if said.layby_id is not None:
            await desk.whole(conn, row.org_id, said.layby_id)
        if row.receipt is None and prompt is not None and not said.another:
            await self._check_new(conn, prompt, said.layby_id or prompt.layby_id, amount, receipt)
        report = Report(
            provider=provider.key,
            receipt=receipt,
            method=Method.MOBILE,
            currency=provider.currency,
            amount_minor=amount,
            paid_at=row.received_at,
            account_ref=row.account_ref,
            layby_id=said.layby_id or (prompt.layby_id if prompt else None),
            prompt_id=row.prompt_id,
            callback_id=row.id,
        )
        return await self.bookings.book(conn, row.org_id, report)

    async def _check_new(self, conn: Connection, prompt: Prompt, layby_id: UUID, amount: int, receipt: str) -> None:
        """Of what has no receipt of its own, a person's typing would make a second payment of the same money. The layby
        is held: nothing is booked for it meanwhile.
        """
        await account.lock(conn, prompt.org_id, layby_id)
        since = prompt.created_at - CLOCKS
        same = await storage.perhaps_booked(conn, prompt, layby_id, amount, since, since + SAME_MONEY)
        if same and receipt not in same:
            known, payment_id = next(iter(same.items()))
            raise PerhapsBooked(receipt=known, paymentId=str(payment_id))

    async def _undo(
        self, conn: Connection, row: Callback, provider: ProviderAccount, said: Settlement, receipt: str
    ) -> Booked:
        """``PaymentNotFound`` when there is no payment that it could undo, or less of it than it says."""
        undone = row.account_ref or await reversal_ends.asked_back(conn, row)
        if undone is None:
            raise invalid_field("dismiss", "the callback does not say what is undone; give the money back by hand")
        if receipt == undone:
            raise invalid_field(
                "receipt", "it is the payment's own; give the one that the provider shows of its reversal"
            )
        booked = await self.bookings.reverse(
            conn,
            row.org_id,
            provider=provider.key,
            original_receipt=undone,
            receipt=receipt,
            amount_minor=said.amount_minor or abs(row.amount_minor or 0) or None,
            at=row.received_at,
            callback_id=row.id,
            by_person=True,
        )
        if booked is None:
            raise PaymentNotFound
        if booked.disposition is Disposition.REVIEW:
            raise invalid_field("amountMinor", "more than is left of the payment, or the receipt is something else's")
        return booked

    async def _end_prompt(self, conn: Connection, prompt: Prompt | None, booked: Booked | None) -> None:
        if prompt is None or prompt.state is not PromptState.REVIEW:
            return
        now = self.clock.now()
        if booked is not None:
            await storage_prompts.paid(conn, prompt, booked.payment.id, now, None)
        else:
            text = "nothing was paid, as a person found"
            await storage_prompts.ended(conn, prompt, PromptState.FAILED, now, code=None, text=text)
