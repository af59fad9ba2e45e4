"""How many messages in which time: to one address, of one organisation, by one provider.

Counted in Redis over all workers; an emptied Redis forgets a count, never a message. Only what goes out is counted, so
these are asked last; and the address last of them, since its count is the one that takes an hour to come back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from waypost.identity.domain import Telling
from waypost.notifications.domain import Due
from waypost.notifications.kinds import Kind
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.platform.limits import Limit, Limiter, RateLimited, Share

ORGANISATION, ADDRESS = "held_organisation_rate", "held_address_rate"
AN_HOUR: Final = 60
SOME_WAIT_S: Final = 60.0
Held = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Throttles:
    """``roll``: in [0, 1), so that those that wait do not come back all at once."""

    limiter: Limiter
    roll: Callable[[], float]

    async def ask(self, due: Due, kind: Kind, telling: Telling) -> Held | None:
        """Count it; or why it is held, and for how many seconds. Money and what is required is never held back for
        the sake of its address.
        """
        org = Share(Limit("telling", telling.a_minute), str(due.org_id))
        if (wait_s := await self._spend(org)) is not None:
            return ORGANISATION, wait_s
        if kind.required:
            return None
        limit = Limit("telling-address", telling.an_hour_to_one, AN_HOUR)
        wait_s = await self._spend(Share(limit, f"{due.org_id}:{due.channel}:{due.address}"))
        return None if wait_s is None else (ADDRESS, wait_s)

    async def provider(self, account: ProviderAccount) -> float | None:
        """Count it against the provider's own limit; else how many seconds to wait."""
        if account.a_minute is None:
            return None
        return await self._spend(Share(Limit("telling-provider", account.a_minute), str(account.id)))

    async def _spend(self, share: Share) -> float | None:
        try:
            await self.limiter.spend([share])
        except RateLimited as error:
            return (error.retry_after_s or SOME_WAIT_S) * (1 + self.roll())
        return None
