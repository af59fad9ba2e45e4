"""A test message by one account: a delivery as all others, so that what becomes of it is seen as with them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec

from waypost.identity import audit
from waypost.identity.domain import normal_phone
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.errors import invalid_field
from waypost.kernel.ids import new_id
from waypost.kernel.principal import Principal
from waypost.notifications import storage_providers as storage
from waypost.notifications.addresses import ChannelName, facts_of, is_address
from waypost.notifications.kinds import KINDS, PROVIDER_TEST
from waypost.notifications.providers.accounts import MessageProviderNotFound, ProviderAccount
from waypost.notifications.providers_register import OWNERS, MessageProviderArchived, MessageProviders
from waypost.notifications.states import MAX_ATTEMPTS
from waypost.platform.database import Database
from waypost.platform.telemetry import request_id


@dataclass(frozen=True, slots=True)
class Trial:
    """What was made: look there for what became of it."""

    notification_id: UUID
    delivery_id: UUID


@dataclass(frozen=True, slots=True)
class ProviderTrials:
    """For owners."""

    database: Database
    clock: Clock
    providers: MessageProviders
    rules: Rules

    async def send(self, principal: Principal, provider_id: UUID, to: str | None) -> Trial:
        """``to``: a phone number or an e-mail address; None only where the account itself says whom it reaches."""
        principal.require(OWNERS)
        country = (await self.rules.of(principal.org_id)).selling.country
        trial, now = Trial(new_id(self.clock), new_id(self.clock)), self.clock.now()
        async with self.database.transaction(principal.org_id) as conn:
            account = await self.providers.account(conn, principal.org_id, provider_id)
            if account is None:
                raise MessageProviderNotFound
            if account.archived_at is not None:
                raise MessageProviderArchived
            await storage.add_test(
                conn, account, trial.notification_id, trial.delivery_id, kind=PROVIDER_TEST,
                facts=msgspec.json.encode(facts_of(None) | {"provider": account.name}).decode(),
                address=_address(account, to, country), budget=MAX_ATTEMPTS,
                valid_until=now + KINDS[PROVIDER_TEST].validity, request_id=request_id.get(), now=now,
            )  # fmt: skip
            await audit.record(
                conn, principal, self.clock, action="message-provider.tested", subject_kind="message-provider",
                subject_id=provider_id, detail={"notificationId": str(trial.notification_id)},
            )  # fmt: skip
        return trial

    async def outcome(self, principal: Principal, trial: Trial) -> tuple[str, str | None]:
        """Its state by now, and why."""
        principal.require(OWNERS)
        async with self.database.transaction(principal.org_id) as conn:
            return await storage.state_of(conn, principal.org_id, trial.delivery_id)


def _address(account: ProviderAccount, to: str | None, country: str | None) -> str:
    if account.channel is ChannelName.OTHER:
        return str(account.id)
    address = (to or "").strip()
    if account.channel is ChannelName.SMS:
        address = normal_phone(address, country) or ""
    if not address or not is_address(account.channel, address):
        what = "a phone number" if account.channel is ChannelName.SMS else "an e-mail address"
        raise invalid_field("to", what)
    return address
