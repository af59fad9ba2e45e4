"""How many messages in which time: to one address, of one organisation, by one provider.

Counted in Redis over all workers; an emptied Redis forgets a count, never a message. Only what goes out is counted, so
these are asked last, and what one of them counted is given back if another one holds the message; the address is asked
last of them, so that a count of an hour is the one that is least often given back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from waypost.identity.domain import Telling
from waypost.notifications.domain import Due
from waypost.notifications.kinds import Kind
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.platform.limits import Limit, Limiter, RateLimited, Share, Spent

ORGANISATION, ADDRESS = "held_organisation_rate", "held_address_rate"
OF_ORGANISATION, OF_ADDRESS, OF_PROVIDER = "telling", "telling-address", "telling-provider"  # limits' names
AN_HOUR: Final = 60
SOME_WAIT_S: Final = 60.0
Counted = tuple[Spent, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Not now, and for how many seconds. Nothing was counted."""

    reason: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class Throttles:
    """``roll``: in [0, 1), so that those that wait do not come back all at once."""

    limiter: Limiter
    roll: Callable[[], float]

    async def ask(self, due: Due, kind: Kind, telling: Telling) -> Counted | Held:
        """Count it, or say why it is held. Money and what is required is never held for the sake of its address."""
        shares = [Share(Limit(OF_ORGANISATION, telling.a_minute), str(due.org_id))]
        if not kind.required:
            limit = Limit(OF_ADDRESS, telling.an_hour_to_one, AN_HOUR)
            shares.append(Share(limit, f"{due.org_id}:{due.channel}:{due.address}"))
        try:
            return await self.limiter.spend(shares)
        except RateLimited as error:
            return Held(ADDRESS if error.extra["limit"] == OF_ADDRESS else ORGANISATION, self._wait_s(error))

    async def provider(self, account: ProviderAccount) -> Counted | float:
        """Count it against the provider's own limit; else how many seconds to wait."""
        if account.a_minute is None:
            return ()
        try:
            return await self.limiter.spend([Share(Limit(OF_PROVIDER, account.a_minute), str(account.id))])
        except RateLimited as error:
            return self._wait_s(error)

    async def give_back(self, counted: Counted) -> None:
        """It does not go out after all."""
        await self.limiter.give_back(counted)

    def _wait_s(self, error: RateLimited) -> float:
        return (error.retry_after_s or SOME_WAIT_S) * (1 + self.roll())
