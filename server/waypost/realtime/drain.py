"""A planned stop: nobody new, everybody sent away at a pace that the other nodes can bear, nothing lost on the way.

Clients learn when to come back (``server:drain``) and stay until then; what they are told meanwhile, they get. A socket
that is still there after its time is closed in such a way that the official clients connect again by themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from waypost.kernel.clock import Clock
from waypost.platform.health import OK, Finding
from waypost.platform.telemetry import log
from waypost.realtime.hub import Hub
from waypost.realtime.wire import ServerDrain

RETURNS_PER_S = 500  # so many clients come back to the other nodes, or fewer
GROUPS = 16
SLACK_S = 0.5  # for who leaves at the very time
AT_ONCE = 100
ANSWERS_S, LOOK_S = 5.0, 0.05  # what was asked before is answered first


@dataclass(slots=True, repr=False)
class Drain:
    """Of one process. ``notice_s``: what a balancer needs to notice; ``sockets_s``: what sockets may take at most."""

    hub: Hub
    clock: Clock
    notice_s: float
    sockets_s: float
    begun: bool = False

    async def ready(self) -> Finding:
        """A probe: a process that stops wants no more requests."""
        return Finding("stopping" if self.begun else OK)

    async def run(self) -> None:
        """Send everybody away; returns when they have gone, or after the time that was set."""
        self.begun = True
        await self.clock.sleep(self.notice_s)
        self.hub.stack.refuse_new()
        sids = list(self.hub.door.connections)
        if not sids:
            return
        log.info("draining", connections=len(sids))
        spread_s = min(self.sockets_s, len(sids) / RETURNS_PER_S)
        groups = [sids[each::GROUPS] for each in range(min(GROUPS, len(sids)))]
        times_s = [spread_s * (n + 1) / len(groups) for n in range(len(groups))]
        for group, after_s in zip(groups, times_s, strict=True):
            for sid in group:
                self.hub.tell(sid, "server:drain", ServerDrain(int(after_s * 1000)))
        began = self.clock.monotonic()
        for group, after_s in zip(groups, times_s, strict=True):
            await self.clock.sleep(max(0.0, began + after_s + SLACK_S - self.clock.monotonic()))
            await self._hang_up(group)
        await self._hang_up(list(self.hub.door.connections))  # who was being let in as it began
        last = self.clock.monotonic() + ANSWERS_S
        while self.hub.door.connections and self.clock.monotonic() < last:
            await self.clock.sleep(LOOK_S)

    async def _hang_up(self, group: list[str]) -> None:
        for begin in range(0, len(group), AT_ONCE):
            for sid in group[begin : begin + AT_ONCE]:
                self.hub.stack.hang_up(sid)
            await asyncio.sleep(0)
