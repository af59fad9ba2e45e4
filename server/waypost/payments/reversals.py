"""The use cases of requests for a reversal: for staff, and for the relay that wakes workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from waypost.identity import audit
from waypost.identity.domain import token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.ids import new_id
from waypost.kernel.principal import MONEY, WATCHERS, Principal
from waypost.payments import groups, storage
from waypost.payments import storage_reversals as requests
from waypost.payments.domain import Payment, PaymentNotFound
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers_register import ProviderRegister, new_token
from waypost.payments.reversal_domain import (
    NotReversible,
    ReversalNotFound,
    ReversalNotSetUp,
    ReversalOpen,
    ReversalRequest,
    ReversalState,
    Wake,
    check_payment,
    missing_setting,
)
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox
from waypost.platform.telemetry import request_id

POKE_AGAIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Reversals:
    """Requests for a reversal. The provider itself is asked by a worker: here are the rows."""

    database: Database
    clock: Clock
    box: SecretBox
    register: ProviderRegister

    async def create(self, principal: Principal, payment_id: UUID, reason: str) -> ReversalRequest:
        """Ask that a whole payment be taken back. ``ReversalOpen`` when that is asked already; ``NotReversible``,
        ``AmountNotWhole`` where it cannot be; ``ReversalNotSetUp``. A refund that is noted meanwhile waits for the
        payment's lock, and then is refused.
        """
        principal.require(MONEY)
        org_id = principal.org_id
        async with self.database.transaction(org_id) as conn:
            payment = await self._held(conn, org_id, payment_id)
            account = await self._account(conn, payment)
            token = new_token()
            request = self._new(principal, payment, account, reason, token)
            if not await requests.add(conn, request, token_hash(token)):
                raise ReversalOpen(reversalId=str(await requests.open_of(conn, org_id, [payment.id])))
            await audit.record(
                conn, principal, self.clock, action="payment.reversal-asked", subject_kind="payment",
                subject_id=payment.id, why=reason,
                detail={"reversalId": str(request.id), "receipt": payment.receipt, "amountMinor": payment.amount_minor},
            )  # fmt: skip
        return request

    async def find(self, principal: Principal, payment_id: UUID) -> ReversalRequest:
        """The newest request for a payment."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id) as conn:
            if await storage.find(conn, principal.org_id, payment_id) is None:
                raise PaymentNotFound
            request = await requests.newest_of(conn, principal.org_id, payment_id)
        if request is None:
            raise ReversalNotFound
        return request

    async def due(self, conn: Connection, limit: int) -> Sequence[Wake]:
        """For the relay: requests that a worker is to look after; as ``Prompts.due_prompts``."""
        return await requests.due(conn, self.clock.now(), POKE_AGAIN, limit)

    async def untold(self, conn: Connection, wakes: Sequence[Wake]) -> None:
        """For the relay: the queue could not be told of these; they are due as before."""
        await requests.untold(conn, wakes)

    async def _held(self, conn: Connection, org_id: UUID, payment_id: UUID) -> Payment:
        found = await storage.find(conn, org_id, payment_id)
        if found is None:
            raise PaymentNotFound
        await groups.hold(conn, org_id, found.root_id)
        check_payment(found, await storage.rows_of(conn, org_id, found.root_id))
        return found

    async def _account(self, conn: Connection, payment: Payment) -> ProviderAccount:
        """By which the payment came."""
        provider_id = await requests.account_of(conn, payment)
        account = await self.register.of(conn, payment.org_id, provider_id) if provider_id else None
        if account is None or account.archived_at is not None:
            raise NotReversible("The account with the provider by which this payment came is archived.")
        if (setting := missing_setting(account)) is not None:
            raise ReversalNotSetUp(f"The payment provider's {setting} is missing.", setting=setting)
        return account

    def _new(
        self, principal: Principal, payment: Payment, account: ProviderAccount, reason: str, token: str
    ) -> ReversalRequest:
        now = self.clock.now()
        return ReversalRequest(
            org_id=payment.org_id,
            id=new_id(self.clock),
            provider_id=account.id,
            payment_id=payment.id,
            receipt=payment.receipt,
            currency=payment.currency,
            amount_minor=payment.amount_minor,
            reason=reason,
            sealed=self.box.seal(token.encode()),
            state=ReversalState.QUEUED,
            created_at=now,
            updated_at=now,
            due_at=now,
            caused_by=request_id.get(),
            created_by=principal.user_id,
        )
