"""A worker's turn at telling a provider our addresses. To tell it twice does no harm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.payments import storage_registrations as storage
from waypost.payments.asking import NO_ADDRESS, UNREADABLE
from waypost.payments.ports import AddressProvider
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers.prompting import Refused, RegisterAnswer
from waypost.payments.providers_register import ProviderRegister
from waypost.payments.registration_domain import Turn, verdict
from waypost.platform.database import Database
from waypost.platform.secretbox import SecretBox, Unreadable
from waypost.platform.telemetry import log


@dataclass(frozen=True, slots=True)
class Registering:
    """The use case of a worker. ``public_url``: where the provider reaches us; ``lease``: longer than a try takes."""

    database: Database
    clock: Clock
    box: SecretBox
    register: ProviderRegister
    provider: AddressProvider
    public_url: str | None
    lease: timedelta

    async def tell(self, org_id: UUID, provider_id: UUID) -> None:
        """Do what is due. Safe to call twice, and from two workers at once."""
        async with self.database.transaction(org_id) as conn:
            turn = await storage.claim(conn, org_id, provider_id, self.clock.now(), self.lease)
            account = await self.register.of(conn, org_id, provider_id) if turn else None
        if turn is None or account is None:
            return
        now = self.clock.now()
        became = verdict(await self._tell(turn, account), turn.tries, now)
        log.info("addresses_told", provider_id=str(provider_id), state=str(became.state))
        async with self.database.transaction(org_id) as conn:
            await storage.keep(conn, turn, became.state, became.text, now, became.again_at)

    async def _tell(self, turn: Turn, account: ProviderAccount) -> RegisterAnswer:
        if self.public_url is None:
            return Refused("no-public-url", NO_ADDRESS)
        try:
            account.check_readable()
            token = self.box.open(turn.sealed).decode()
        except Unreadable as error:
            return Refused(error.code, UNREADABLE)
        return await self.provider.register(account, self.public_url, token)
