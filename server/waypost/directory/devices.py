"""What a device's token opens, and how every node forgets a withdrawn one within five seconds.

A token found valid is remembered for ``REMEMBER_S``, so that a phone's every batch does not cost a look-up. A node
also asks the database every ``revocation_poll_s`` which of the devices that it remembers, or that hold a socket here,
were withdrawn; it forgets their tokens and cuts their sockets. This needs no Redis, and no two clocks that agree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
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

    async def withdrawn_of(self, devices: Iterable[UUID]) -> set[UUID]:
        """Ask once which of these devices, and of those remembered here, were withdrawn; forget their tokens."""
        asked = {*devices, *(p.device_id for p, _ in self.known.values() if p.device_id)}
        if not asked:
            return set()
        async with self.database.transaction(SYSTEM) as conn:
            withdrawn = await storage.revoked_of(conn, asked)
        for hashed in [h for h, (principal, _) in self.known.items() if principal.device_id in withdrawn]:
            del self.known[hashed]
        return withdrawn

    async def watch(
        self, every_s: float, connected: Callable[[], Iterable[UUID]], cut: Callable[[set[UUID]], Awaitable[None]]
    ) -> None:
        """Ask for ever, about the devices that are ``connected``; ``cut`` ends what the withdrawn ones hold."""
        while True:
            try:
                if withdrawn := await self.withdrawn_of(connected()):
                    await cut(withdrawn)
            except Unavailable:
                log.warning("revocations_unknown", reason="database away")
            except Exception:  # noqa: BLE001 - the watch must outlive whatever one look runs into
                log.exception("revocations_unknown")
            await self.clock.sleep(every_s)
