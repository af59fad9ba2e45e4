"""A worker's turn at a prompt: ask the customer's phone, or ask the provider how it stands.

The provider is asked outside of any transaction. What nobody knows the end of is never asked a second time: the
customer could pay twice. What is written afterwards is fenced by the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.ids import new_id
from waypost.laybys import desk
from waypost.payments import storage_callbacks, storage_prompts
from waypost.payments.callback_domain import QUERY, Callback, Close, Fail
from waypost.payments.callback_work import CallbackWork
from waypost.payments.domain import Disposition
from waypost.payments.ports import Checkpoint, PromptProvider, pass_by
from waypost.payments.prompt_domain import SILENCE, Prompt, PromptState, next_query, next_try
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers.daraja import Road
from waypost.payments.providers.daraja_requests import callback_url
from waypost.payments.providers.prompting import (
    Accepted,
    Busy,
    InDoubt,
    Push,
    PushAnswer,
    Refused,
    StatusAnswer,
    StatusFailed,
    StatusPaid,
    StatusUnknown,
)
from waypost.payments.providers_register import ProviderRegister
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox, Unreadable
from waypost.platform.telemetry import log

NO_ADDRESS: Final = "WAYPOST_PUBLIC_URL is not set, so the provider could not call back"
UNREADABLE: Final = "the account's settings cannot be read any more: give them anew, then ask again"


@dataclass(frozen=True, slots=True)
class Asking:
    """The use cases of a worker that asks. ``public_url``: where the provider reaches us; ``lease``: longer than a try
    takes.
    """

    database: Database
    clock: Clock
    box: SecretBox
    register: ProviderRegister
    work: CallbackWork
    provider: PromptProvider
    public_url: str | None
    lease: timedelta
    checkpoint: Checkpoint = field(default=pass_by)

    async def ask(self, org_id: UUID, prompt_id: UUID) -> None:
        """Do what is due for a prompt. Safe to call twice, and from two workers at once."""
        self.checkpoint("before_claim")
        async with self.database.transaction(org_id) as conn:
            prompt = await storage_prompts.claim(conn, org_id, prompt_id, self.clock.now(), self.lease)
            if prompt is None:
                return
            account = await self.register.of(conn, org_id, prompt.provider_id)
            reference = (await desk.whole(conn, org_id, prompt.layby_id)).layby.reference
        self.checkpoint("after_claim")
        if account is None:
            raise LookupError(prompt.provider_id)  # there is a foreign key
        if prompt.state is PromptState.ASKING:
            answer = await self._push(prompt, account, reference)
            self.checkpoint("after_answer")
            waiting = await self._keep(prompt, answer)
        elif prompt.may_have_been_lost and not prompt.is_silent(self.clock.now()):
            waiting = await self._wait(prompt)
        else:
            status = await self._status(prompt, account)
            self.checkpoint("after_answer")
            waiting = await self._keep_status(prompt, status)
        for callback_id in waiting:
            await self._finish(org_id, callback_id, account)

    async def _wait(self, prompt: Prompt) -> list[UUID]:
        """Its worker died while it asked: a callback may tell what became of it."""
        now = self.clock.now()
        async with self.database.transaction(prompt.org_id) as conn:
            await storage_prompts.doubted(conn, prompt, (prompt.asked_at or now) + SILENCE, now, "the worker was lost")
        return []

    async def _push(self, prompt: Prompt, account: ProviderAccount, reference: str) -> PushAnswer:
        if self.public_url is None:
            return Refused("no-public-url", NO_ADDRESS)
        try:
            account.check_readable()
            url = callback_url(self.public_url, self.box.open(prompt.sealed).decode(), Road.STK)
        except Unreadable as error:
            return Refused(error.code, UNREADABLE)
        return await self.provider.push(
            account, Push(prompt.phone, prompt.amount_minor, prompt.currency, reference, url)
        )

    async def _status(self, prompt: Prompt, account: ProviderAccount) -> StatusAnswer:
        """Of a prompt that has no name at the provider's nothing can be asked."""
        if prompt.request_id is None:
            return StatusUnknown("never-accepted")
        if not account.is_readable:
            return StatusUnknown(Unreadable.code)
        return await self.provider.status(account, prompt.request_id)

    async def _keep(self, prompt: Prompt, answer: PushAnswer) -> list[UUID]:
        """Write what became of the push; the callbacks that waited for it."""
        now = self.clock.now()
        log.info("prompt_pushed", prompt_id=str(prompt.id), answer=type(answer).__name__)
        async with self.database.transaction(prompt.org_id) as conn:
            match answer:
                case Accepted():
                    return await self._taken(conn, prompt, answer, now)
                case Busy() if (again_at := next_try(prompt.tries, now)) is not None:
                    await storage_prompts.again(conn, prompt, again_at, now)
                case Busy():
                    await self._refused(conn, prompt, Refused(answer.code, "the provider stayed busy"), now)
                case Refused():
                    await self._refused(conn, prompt, answer, now)
                case InDoubt():
                    await storage_prompts.doubted(conn, prompt, now + SILENCE, now, answer.why)
        return []

    async def _taken(self, conn: Connection, prompt: Prompt, answer: Accepted, now: datetime) -> list[UUID]:
        ask_at = next_query(0, now) or now + SILENCE
        if not await storage_prompts.taken(conn, prompt, answer.request_id, answer.merchant_request_id, now, ask_at):
            return []
        return await storage_callbacks.waiting_for(conn, prompt.org_id, prompt.id, answer.request_id, now)

    async def _refused(self, conn: Connection, prompt: Prompt, answer: Refused, now: datetime) -> None:
        """The phone was never asked: staff see why, and the customer hears nothing."""
        locked = await self._locked(conn, prompt)
        if locked is not None and locked.state is PromptState.ASKING:
            state = PromptState.FAILED
            await storage_prompts.ended(conn, locked, state, now, code=answer.code, text=answer.text)

    async def _keep_status(self, prompt: Prompt, status: StatusAnswer) -> list[UUID]:
        """Write what the provider said; the callbacks that waited for it."""
        now = self.clock.now()
        said = {StatusPaid: "0", StatusFailed: getattr(status, "code", None)}.get(type(status))
        ask_at = None if isinstance(status, StatusFailed) else self._next(prompt, now)
        last = ask_at is None
        log.info("prompt_asked_about", prompt_id=str(prompt.id), answer=type(status).__name__, last=last)
        async with self.database.transaction(prompt.org_id) as conn:
            status_at = now if said is not None or last else None
            if not await storage_prompts.asked_about(conn, prompt, said, status_at, ask_at, now):
                return []
            waiting = []
            if status_at is not None:
                waiting = await storage_callbacks.waiting_for(conn, prompt.org_id, prompt.id, prompt.request_id, now)
            if last and not waiting:
                await self._end(conn, prompt, status, now)
        return waiting

    def _next(self, prompt: Prompt, now: datetime) -> datetime | None:
        return next_query(prompt.queries + 1, now) if prompt.request_id is not None else None

    async def _end(self, conn: Connection, prompt: Prompt, status: StatusAnswer, now: datetime) -> None:
        """Nothing more is asked: it failed, as the provider says or has said before; or nobody knows."""
        locked = await self._locked(conn, prompt)
        if locked is None or not locked.state.is_open:
            return
        if isinstance(status, StatusFailed):
            await self.work.fail(conn, Fail(locked, status.code, status.text))
        elif locked.result_code is not None and not isinstance(status, StatusPaid):
            await self.work.fail(conn, Fail(locked, locked.result_code, locked.result_text or ""))
        else:
            await self._give_up(conn, locked, status, now)

    async def _give_up(self, conn: Connection, prompt: Prompt, status: StatusAnswer, now: datetime) -> None:
        """A question for a person; the payment itself, if there is one, comes with a statement at the latest."""
        is_paid = isinstance(status, StatusPaid)
        why = "the provider says that it is paid, and no receipt came" if is_paid else "nothing was heard of it"
        body = status.body if isinstance(status, StatusUnknown) else b""
        await storage_prompts.ended(conn, prompt, PromptState.REVIEW, now, code=None, text=why)
        row = Callback(
            org_id=prompt.org_id,
            id=new_id(self.clock),
            provider_id=prompt.provider_id,
            prompt_id=prompt.id,
            road=QUERY,
            body=body,
            address=None,
            received_at=now,
            due_at=now,
            detail=why,
            amount_minor=prompt.amount_minor,
            checkout_request_id=prompt.request_id,
        )
        await storage_callbacks.add_question(conn, row)
        await self.work.raise_alert(conn, row, Close(Disposition.REVIEW, why, amount_minor=prompt.amount_minor))

    async def _locked(self, conn: Connection, prompt: Prompt) -> Prompt | None:
        return await storage_prompts.find(conn, prompt.org_id, prompt.id, lock=True)

    async def _finish(self, org_id: UUID, callback_id: UUID, account: ProviderAccount) -> None:
        try:
            await self.work.finish(org_id, callback_id, account)
        except Unavailable as error:  # the sweep comes to it
            log.info("callback_left_to_sweep", callback_id=str(callback_id), reason=error.code)
