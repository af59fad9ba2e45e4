"""Asking a provider whether it has a message that is in doubt: a worker's turn at one delivery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.notifications import storage
from waypost.notifications import storage_lookups as lookups
from waypost.notifications.announce import Announcer
from waypost.notifications.looking import Doubt, Settled, judge
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.providers.twilio_lists import Found
from waypost.notifications.providers_register import MessageProviders
from waypost.notifications.storage_lookups import Wake
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import Publisher

# The newest messages to a number, and whether there are older ones; None: it could not be asked. The worker's.
ListMessages: TypeAlias = Callable[[ProviderAccount, str], Awaitable[tuple[Sequence[Found], bool] | None]]
AGAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class LookUpDues:
    """What a relay does for it."""

    clock: Clock
    again_s: float = AGAIN_S

    async def due(self, conn: Connection, limit: int) -> Sequence[Wake]:
        """In the system scope."""
        return await lookups.due(conn, self.clock.now(), limit, self.again_s)

    async def untold(self, conn: Connection, wakes: Sequence[Wake]) -> None:
        """No worker could be told of these."""
        await lookups.untold(conn, wakes)


@dataclass(frozen=True, slots=True)
class LookUps:
    """What a worker does."""

    database: Database
    clock: Clock
    publisher: Publisher
    providers: MessageProviders
    list_messages: ListMessages

    async def look_up(self, org_id: UUID, delivery_id: UUID) -> None:
        """Ask once. Safe to call twice, late, for nothing, and from two workers at once."""
        async with self.database.transaction(SYSTEM) as conn:
            doubt = await lookups.find(conn, org_id, delivery_id)
            account = await self.providers.account(conn, org_id, doubt.provider_id) if doubt else None
        if doubt is None or account is None:
            return
        listed = await self.list_messages(account, doubt.address)  # no connection to the database is held meanwhile
        if listed is None:
            log.warning("look_up_unanswered", delivery_id=str(delivery_id))
            return
        found, more = listed
        await self._settle(doubt, found, more=more)

    async def _settle(self, before: Doubt, found: Sequence[Found], *, more: bool) -> None:
        """It may have been settled, or tried again, while we asked."""
        async with self.database.transaction(SYSTEM) as conn:
            others = await lookups.others(conn, before, [each.sid for each in found])
            doubt = await lookups.find(conn, before.org_id, before.id)
            if doubt is None or doubt.last_at != before.last_at:
                return
            now = self.clock.now()
            verdict = judge(doubt, found, others, more=more, now=now)
            if not isinstance(verdict, Settled):
                return
            state = await storage.report(
                conn, doubt.org_id, doubt.id, verdict.event, reason=verdict.reason, now=now,
                provider_ref=verdict.reference,
            )  # fmt: skip
            if state is not None and (delivery := await storage.lock(conn, doubt.org_id, doubt.id)) is not None:
                await Announcer(self.publisher, self.clock).changed(conn, [delivery])
        log.info("looked_up", delivery_id=str(before.id), found=str(verdict.event), state=str(state))
