"""How every node lets go, within five seconds, of who may no longer be connected.

A token found good is remembered for a few seconds (``kernel/remembered.py``), so requests need no more than that. An
open socket was let in once and for all: so a node asks the database every ``revocation_poll_s`` which of those that
hold a connection here do not stand as they stood (signed out, removed, another role, withdrawn, another driver or
truck), and cuts their sockets; clients connect again as what they are now. This needs no Redis, and no two clocks that
agree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.principal import Principal
from waypost.platform.telemetry import log

SEEN_EVERY_S = 60.0


class Keeper(Protocol):
    """What knows whether principals of its kind still stand: sessions of people, devices."""

    async def lost(self, connected: Collection[Principal]) -> set[Principal]:
        """Those of its kind among ``connected`` that do not stand as they did."""
        ...

    async def note_seen(self, connected: Collection[Principal]) -> None:
        """Keep that these, and who asked for something since the last time, are about."""
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """One for a process."""

    keepers: Sequence[Keeper]
    clock: Clock

    async def run(
        self,
        every_s: float,
        connected: Callable[[], Collection[Principal]],
        cut: Callable[[Callable[[Principal], bool]], Awaitable[None]],
    ) -> None:
        """Ask for ever, about the principals that are ``connected``; ``cut`` ends what the chosen ones hold."""
        seen_at = self.clock.monotonic()
        while True:
            try:
                if lost := await self.lost(connected()):
                    await cut(lost.__contains__)
                if self.clock.monotonic() >= seen_at + SEEN_EVERY_S:
                    seen_at = self.clock.monotonic()
                    await self.note_seen(connected())
            except Unavailable:
                log.warning("revocations_unknown", reason="database away")
            except Exception:  # noqa: BLE001 - the watch must outlive whatever one look runs into
                log.exception("revocations_unknown")
            await self.clock.sleep(every_s)

    async def lost(self, connected: Collection[Principal]) -> set[Principal]:
        """Who of them does not stand as they did, of whatever kind."""
        found: set[Principal] = set()
        for keeper in self.keepers:
            found |= await keeper.lost(connected)
        return found

    async def note_seen(self, connected: Collection[Principal]) -> None:
        """Keep when they were last about; a minute's precision is enough."""
        for keeper in self.keepers:
            await keeper.note_seen(connected)
