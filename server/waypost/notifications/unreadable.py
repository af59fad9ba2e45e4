"""Accounts whose secret cannot be read: the staff hear of each, once, until its secret is set anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.sealed import Lost, Unreadable
from waypost.notifications.addresses import ChannelName
from waypost.notifications.alert_domain import PROVIDER_DOWN
from waypost.notifications.alerts import alert, over
from waypost.notifications.deciding import Accounts
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher


@dataclass(frozen=True, slots=True)
class ToldAccounts:
    """The same ``accounts``, for who sends by them; in the system scope."""

    accounts: Accounts
    publisher: Publisher
    clock: Clock

    async def of(self, conn: Connection, org_id: UUID, channel: ChannelName) -> Sequence[ProviderAccount]:
        """Those of a channel that are not archived; those that cannot be read too, which are as ones that are out."""
        found = await self.accounts.of(conn, org_id, channel)
        for account in found:
            if isinstance(account.config, Lost):
                await self._tell(conn, account, account.config)
        return found

    async def _tell(self, conn: Connection, account: ProviderAccount, lost: Lost) -> None:
        await alert(
            conn, self.publisher, self.clock, account.org_id, kind=PROVIDER_DOWN, key=_key(account, lost),
            subject_kind="message_provider", subject_id=account.id,
            facts={"name": account.name, "channel": str(account.channel), "reason": Unreadable.code},
        )  # fmt: skip


async def settled(
    conn: Connection, publisher: Publisher, clock: Clock, before: ProviderAccount, *, by: UUID | None, resolution: str
) -> None:
    """Nobody waits any more for the settings of ``before``, if they could not be read."""
    if isinstance(before.config, Lost):
        key = _key(before, before.config)
        await over(conn, publisher, clock, before.org_id, key=key, by=by, resolution=resolution)


def _key(account: ProviderAccount, lost: Lost) -> str:
    return f"{PROVIDER_DOWN}:{account.id}:{lost.mark}"
