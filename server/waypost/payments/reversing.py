"""A worker's turn at a request for a reversal: ask the provider, once.

The provider is asked outside of any transaction. What nobody knows the end of is never asked a second time: the result
that it sends settles it, or a person. What is written afterwards is fenced by the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.laybys.ports import Ground
from waypost.notifications.alert_domain import PAYMENT_REVIEW
from waypost.notifications.alerts import alert
from waypost.payments import reversal_ends, storage_reversals
from waypost.payments.asking import NO_ADDRESS, UNREADABLE
from waypost.payments.callback_domain import REVERSAL, alert_key
from waypost.payments.ports import Checkpoint, ReversalProvider, pass_by
from waypost.payments.prompt_domain import next_try
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers.daraja import Road
from waypost.payments.providers.daraja_requests import callback_url
from waypost.payments.providers.prompting import Accepted, Busy, InDoubt, PushAnswer, Refused, TakeBack
from waypost.payments.providers_register import ProviderRegister
from waypost.payments.reversal_domain import SILENCE, ReversalRequest, ReversalState, missing_setting
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox, Unreadable
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

LOST, SILENT = "the worker was lost", "nothing was heard of it"


@dataclass(frozen=True, slots=True)
class Reversing:
    """The use case of a worker that asks for reversals. ``public_url``: where the provider reaches us; ``lease``:
    longer than a try takes.
    """

    database: Database
    clock: Clock
    publisher: Publisher
    box: SecretBox
    register: ProviderRegister
    provider: ReversalProvider
    public_url: str | None
    lease: timedelta
    checkpoint: Checkpoint = field(default=pass_by)

    async def ask(self, org_id: UUID, request_id: UUID) -> None:
        """Do what is due for a request. Safe to call twice, and from two workers at once."""
        self.checkpoint("before_claim")
        async with self.database.transaction(org_id) as conn:
            request = await storage_reversals.claim(conn, org_id, request_id, self.clock.now(), self.lease)
            account = await self.register.of(conn, org_id, request.provider_id) if request else None
        if request is None:
            return
        if account is None:
            raise LookupError(request.provider_id)  # there is a foreign key
        self.checkpoint("after_claim")
        if request.state is ReversalState.ASKING:
            answer = await self._ask(request, account)
            self.checkpoint("after_answer")
            await self._keep(request, answer)
        else:
            await self._look_after(request)

    async def _ask(self, request: ReversalRequest, account: ProviderAccount) -> PushAnswer:
        if self.public_url is None:
            return Refused("no-public-url", NO_ADDRESS)
        try:
            setting, token = missing_setting(account), self.box.open(request.sealed).decode()
        except Unreadable as error:
            return Refused(error.code, UNREADABLE)
        if setting is not None:
            return Refused("not-set-up", f"{setting} is missing")
        result, timeout = (callback_url(self.public_url, token, road) for road in (Road.REVERSAL, Road.TIMEOUT))
        what = TakeBack(request.receipt, request.amount_minor, request.currency, request.reason, result, timeout)
        return await self.provider.reverse(account, what)

    async def _keep(self, request: ReversalRequest, answer: PushAnswer) -> None:
        """Write what became of the call."""
        now = self.clock.now()
        log.info("reversal_asked", reversal_id=str(request.id), answer=type(answer).__name__)
        async with self.database.transaction(request.org_id) as conn:
            match answer:
                case Accepted():
                    names = answer.request_id, answer.merchant_request_id
                    await storage_reversals.taken(conn, request, names, now, now + SILENCE)
                case Busy() if (again_at := next_try(request.tries, now)) is not None:
                    await storage_reversals.again(conn, request, again_at, now)
                case Busy():
                    await self._refused(conn, request, Refused(answer.code, "the provider stayed busy"))
                case Refused():
                    await self._refused(conn, request, answer)
                case InDoubt():
                    await storage_reversals.doubted(conn, request, now + SILENCE, now, answer.why)

    async def _refused(self, conn: Connection, request: ReversalRequest, answer: Refused) -> None:
        locked = await self._locked(conn, request)
        if locked is not None and locked.state is ReversalState.ASKING:
            await reversal_ends.failed(Ground(self.clock, self.publisher), conn, locked, answer.code, answer.text)

    async def _look_after(self, request: ReversalRequest) -> None:
        """Its worker died while it asked, or its result did not come: after a while that is a person's."""
        now = self.clock.now()
        async with self.database.transaction(request.org_id) as conn:
            if not request.is_silent(now):
                due_at = (request.asked_at or now) + SILENCE
                await storage_reversals.doubted(conn, request, due_at, now, LOST)
                return
            locked = await self._locked(conn, request)
            if locked is not None and locked.state.is_open:
                await self._give_up(conn, locked)

    async def _give_up(self, conn: Connection, request: ReversalRequest) -> None:
        """A question for a person; a result that comes after all still settles it."""
        now, callback_id = self.clock.now(), new_id(self.clock)
        why = f"asked to take it back: {request.result_text or SILENT}"
        await storage_reversals.ended(conn, request, ReversalState.REVIEW, now, code=None, text=why)
        await storage_reversals.add_question(conn, request, callback_id, now, why)
        facts = {"why": why, "road": REVERSAL, "receipt": request.receipt, "amountMinor": str(request.amount_minor)}
        await alert(
            conn, self.publisher, self.clock, request.org_id, kind=PAYMENT_REVIEW, key=alert_key(callback_id),
            subject_kind="callback", subject_id=callback_id, facts=facts,
        )  # fmt: skip

    async def _locked(self, conn: Connection, request: ReversalRequest) -> ReversalRequest | None:
        """As it stands, if nobody has begun another attempt."""
        found = await storage_reversals.find(conn, request.org_id, request.id, lock=True)
        return found if found is not None and found.attempt == request.attempt else None
