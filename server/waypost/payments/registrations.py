"""The use cases of telling providers our addresses: for owners, and for the relay that wakes workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from waypost.identity import audit
from waypost.identity.domain import token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.principal import Principal
from waypost.payments import storage_registrations as storage
from waypost.payments.providers.accounts import ProviderAccount, ProviderName
from waypost.payments.providers_register import OWNERS, ProviderRegister, new_token
from waypost.payments.registration_domain import NothingToRegister, Wake
from waypost.platform.database import Connection, Database
from waypost.platform.secretbox import SecretBox

__all__ = ["NothingToRegister", "Registrations"]

POKE_AGAIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Registrations:
    """The provider itself is told by a worker. The addresses have a token of their own: one that is replaced later does
    not touch them, since the provider takes addresses once.
    """

    database: Database
    clock: Clock
    box: SecretBox
    register: ProviderRegister

    async def create(self, principal: Principal, provider_id: UUID) -> ProviderAccount:
        """Have it told; may be repeated. ``NothingToRegister`` where that is no call of the provider's."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            account = await self.register.locked(conn, principal, provider_id)
            if account.provider is not ProviderName.DARAJA:
                raise NothingToRegister
            token = new_token()
            sealed = self.box.seal(token.encode())
            await storage.add(conn, account.org_id, account.id, token_hash(token), sealed, self.clock.now())
            await audit.record(
                conn, principal, self.clock, action="payment-provider.urls-registered",
                subject_kind="payment-provider", subject_id=provider_id, detail={},
            )  # fmt: skip
            return await self.register.locked(conn, principal, provider_id)

    async def due(self, conn: Connection, limit: int) -> Sequence[Wake]:
        """For the relay: as ``Prompts.due_prompts``."""
        return await storage.due(conn, self.clock.now(), POKE_AGAIN, limit)

    async def untold(self, conn: Connection, wakes: Sequence[Wake]) -> None:
        """For the relay: the queue could not be told of these; they are due as before."""
        await storage.untold(conn, wakes)
