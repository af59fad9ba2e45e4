"""The use cases of prompts: for staff, and for the relay that wakes workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from waypost.identity import audit
from waypost.identity.domain import normal_phone, token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.errors import invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import TELLERS, WATCHERS, Principal
from waypost.laybys import desk
from waypost.laybys import domain as laybys
from waypost.laybys.domain import Layby, Move
from waypost.payments import storage_prompts as storage
from waypost.payments.days import today_of
from waypost.payments.domain import TooMuch
from waypost.payments.prompt_domain import (
    NoPhone,
    NoPromptProvider,
    NothingOwed,
    Prompt,
    PromptFilter,
    PromptNotFound,
    PromptOpen,
    PromptState,
    Wake,
)
from waypost.payments.providers.daraja_requests import whole_units
from waypost.payments.providers_register import new_token
from waypost.payments.till import check_open
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox
from waypost.platform.telemetry import request_id

POKE_AGAIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a phone is to be asked for; None: the customer's own phone, what is due next."""

    layby_id: UUID
    phone: str | None = None
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts. The provider itself is asked by a worker: here are the rows."""

    database: Database
    clock: Clock
    box: SecretBox

    async def create(self, principal: Principal, asked: Asked) -> Prompt:
        """Ask for money by the customer's phone. ``PromptOpen`` when it is being asked for this layby."""
        principal.require(TELLERS)
        org_id = principal.org_id
        async with self.database.transaction(org_id) as conn:
            layby = (await desk.whole(conn, org_id, asked.layby_id)).layby
            laybys.check_move(Move.PAY, layby.status)
            if layby.balance_minor <= 0:
                raise NothingOwed
            check_open(layby, await today_of(conn, org_id, self.clock))
            provider_id = await storage.account_for(conn, org_id, layby.currency)
            if provider_id is None:
                raise NoPromptProvider
            phone = await self._phone(conn, layby, asked.phone)
            token = new_token()
            prompt = self._new(principal, layby, provider_id, phone, _amount(layby, asked.amount_minor), token)
            if not await storage.add(conn, prompt, token_hash(token)):
                raise PromptOpen(promptId=str(await storage.open_of(conn, org_id, layby.id)))
            await audit.record(
                conn, principal, self.clock, action="prompt.asked", subject_kind="prompt", subject_id=prompt.id,
                detail={"laybyId": str(layby.id), "amountMinor": prompt.amount_minor},
            )  # fmt: skip
        return prompt

    async def _phone(self, conn: Connection, layby: Layby, given: str | None) -> str:
        """In E.164."""
        phone = given or await storage.phone_of(conn, layby.org_id, layby.customer_id)
        if phone is None:
            raise NoPhone(errors=[{"field": "phone", "detail": "the customer has none"}])
        normal = normal_phone(phone)
        if normal is None:
            raise invalid_field("phone", "not a phone number; give it with + and the country's code")
        return normal

    def _new(
        self, principal: Principal, layby: Layby, provider_id: UUID, phone: str, amount_minor: int, token: str
    ) -> Prompt:
        now = self.clock.now()
        return Prompt(
            org_id=layby.org_id,
            id=new_id(self.clock),
            provider_id=provider_id,
            layby_id=layby.id,
            phone=phone,
            currency=layby.currency,
            amount_minor=amount_minor,
            sealed=self.box.seal(token.encode()),
            state=PromptState.QUEUED,
            created_at=now,
            updated_at=now,
            due_at=now,
            caused_by=request_id.get(),
            created_by=principal.user_id,
        )

    async def find(self, principal: Principal, prompt_id: UUID) -> Prompt:
        """One prompt."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            prompt = await storage.find(conn, principal.org_id, prompt_id)
        if prompt is None:
            raise PromptNotFound
        return prompt

    async def list(self, principal: Principal, wanted: PromptFilter, limit: int, cursor: str | None) -> Page[Prompt]:
        """Newest first."""
        principal.require(WATCHERS)
        after = decode_cursor(cursor, UUID) if cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage.list_prompts(conn, principal.org_id, wanted, after, limit)
        return page_of(rows, limit, lambda prompt: prompt.id)

    async def due_prompts(self, conn: Connection, limit: int) -> Sequence[Wake]:
        """For the relay: prompts that a worker is to look after, each named once in a while until one does.

        ``conn`` is of the system scope. Commit before telling the queue: what gets lost in between is named again.
        """
        return await storage.due(conn, self.clock.now(), POKE_AGAIN, limit)

    async def untold(self, conn: Connection, wakes: Sequence[Wake]) -> None:
        """For the relay: the queue could not be told of these; they are due as before."""
        await storage.untold(conn, wakes)


def _amount(layby: Layby, given: int | None) -> int:
    """What is due next, unless another amount is given; in whole units, rounded up: what is too much becomes credit."""
    if given is not None and given > layby.balance_minor:
        raise TooMuch(
            f"Only {layby.balance_minor} is owed.", [{"field": "amountMinor", "detail": "more than the balance"}],
            balanceMinor=layby.balance_minor,
        )  # fmt: skip
    due = laybys.next_due(layby)
    return whole_units(given or (due.open_minor if due else layby.balance_minor), layby.currency)
