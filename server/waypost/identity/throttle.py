"""How often somebody may try to get in: per account, whether it exists or not, and per network address."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from waypost.platform.limits import Limit, Limiter, Share


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as the network says. ``address``: "unknown" for a socket file."""

    address: str
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Throttle:
    """``per_account``, ``per_address``: tries a minute."""

    limiter: Limiter
    per_account: int
    per_address: int

    async def sign_in(self, caller: Caller | None, account: str) -> None:
        """Count a try with a password. ``RateLimited`` says the same of an account that is not there.

        ``account``: phone number or e-mail address, normalised. ``caller`` None: no request (a command), not counted.
        """
        if caller is not None:
            mark = hashlib.sha256(account.encode()).hexdigest()[:32]
            await self.limiter.spend(self._of(caller, "sign-in"))  # alone: what the account refuses is a try, too
            await self.limiter.spend([Share(Limit("account", self.per_account), mark)])

    async def token(self, caller: Caller, what: str) -> None:
        """Count the use of a token (``what``: refresh, invitation) against the network address it comes from."""
        await self.limiter.spend(self._of(caller, what))

    def _of(self, caller: Caller, what: str) -> list[Share]:
        return [Share(Limit(f"{what}-address", self.per_address), caller.address)]
