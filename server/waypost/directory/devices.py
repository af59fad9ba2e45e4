"""What a device's token opens, and how every node forgets a withdrawn one within five seconds.

A token found valid is remembered for ``REMEMBER_S``, so that a phone's every batch does not cost a look-up. A node
also asks the database every ``revocation_poll_s`` which devices were withdrawn lately, forgets their tokens, and
tells its listener (the hub, which cuts their sockets). This needs no Redis.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from waypost.directory import storage
from waypost.identity.domain import TokenInvalid, token_hash
from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.principal import Principal
from waypost.platform.database import SYSTEM, Database
from waypost.platform.telemetry import log

REMEMBER_S = 2.0
REMEMBER_AT_MOST = 20_000
LOOK_BACK = timedelta(seconds=60)  # longer than any poll that was held up


@dataclass(frozen=True, slots=True)
class Devices:
    """Device tokens of this process. ``known``: hash -> (principal, until when, monotonic)."""

    database: Database
    clock: Clock
    known: OrderedDict[bytes, tuple[Principal, float]] = field(default_factory=OrderedDict)

    async def authenticate(self, token: str) -> Principal:
        """The device's principal; ``TokenInvalid`` when the token is unknown or withdrawn."""
        hashed = token_hash(token)
        remembered = self.known.get(hashed)
        if remembered is not None and remembered[1] > self.clock.monotonic():
            return remembered[0]
        async with self.database.transaction(SYSTEM) as conn:
            principal = await storage.principal_by_token(conn, hashed)
        if principal is None:
            self.known.pop(hashed, None)
            raise TokenInvalid
        self._remember(hashed, principal)
        return principal

    def _remember(self, hashed: bytes, principal: Principal) -> None:
        self.known[hashed] = (principal, self.clock.monotonic() + REMEMBER_S)
        self.known.move_to_end(hashed)
        while len(self.known) > REMEMBER_AT_MOST:
            self.known.popitem(last=False)

    async def forget_withdrawn(self) -> set[UUID]:
        """Ask once which devices were withdrawn lately, and forget their tokens."""
        async with self.database.transaction(SYSTEM) as conn:
            withdrawn = set(await storage.revoked_since(conn, LOOK_BACK))
        for hashed in [h for h, (principal, _) in self.known.items() if principal.device_id in withdrawn]:
            del self.known[hashed]
        return withdrawn

    async def watch(self, every_s: float, tell: Callable[[set[UUID]], Awaitable[None]]) -> None:
        """Ask for ever. ``tell`` gets the withdrawn devices, the same ones for as long as they look recent."""
        while True:
            try:
                withdrawn = await self.forget_withdrawn()
                if withdrawn:
                    await tell(withdrawn)
            except Unavailable:
                log.warning("revocations_unknown", reason="database away")
            await self.clock.sleep(every_s)
