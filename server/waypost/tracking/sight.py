"""Who may no longer see a trip does not go on hearing it: it has another receiver now, or another driver."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.telemetry import log
from waypost.realtime.hub import Hub
from waypost.realtime.service import parts_of
from waypost.tracking.wire import TripGone
from waypost.trips.domain import Sight, may_see
from waypost.trips.service import Trips

LOOKS = 3  # after a change: who is just joining may have been let in before it
ASKED_AT_ONCE, ROOMS_AT_ONCE = 2_000, 200

Pair = tuple[UUID, UUID]  # the organisation that watches, the trip


class Seen(NamedTuple):
    """What decided at the last look who sees a trip, and in how many more its members are gone through."""

    sight: Sight | None
    looks: int


@dataclass(slots=True)
class SightWatch:
    """Looks after the trips' rooms of one node."""

    hub: Hub
    trips: Trips
    clock: Clock
    seen: dict[str, Seen] = field(default_factory=dict)

    async def run(self, every_s: float) -> None:
        """Look for ever."""
        while True:
            await self.clock.sleep(every_s)
            try:
                await self.look()
            except Unavailable:
                log.warning("sight_unknown", reason="database away")
            except Exception:  # noqa: BLE001 - it must outlive whatever one look runs into
                log.exception("sight_unknown")

    async def look(self) -> None:
        """Put out who may not stay. Members are gone through only where what decides has changed."""
        rooms = [(room, pair) for room in list(self.hub.index.members) if (pair := _pair(room)) is not None]
        seen: dict[str, Seen] = {}
        for first in range(0, len(rooms), ASKED_AT_ONCE):
            some = rooms[first : first + ASKED_AT_ONCE]
            sights = await self.trips.sights([pair for _, pair in some])
            for number, (room, pair) in enumerate(some):
                seen[room] = self._looked(room, sights.get(pair))
                if seen[room].looks:
                    self._put_out(room, pair, seen[room].sight)
                if number % ROOMS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        self.seen = seen

    def _looked(self, room: str, sight: Sight | None) -> Seen:
        before = self.seen.get(room)
        if before is None or before.sight != sight:
            return Seen(sight, LOOKS)
        return Seen(sight, max(0, before.looks - 1))

    def _put_out(self, room: str, pair: Pair, sight: Sight | None) -> None:
        for sid in list(self.hub.index.members.get(room, ())):
            connection = self.hub.door.connections.get(sid)
            if connection is None or (sight is not None and may_see(connection.principal, sight)):
                continue
            self.hub.rooms.leave(sid, room)
            self.hub.tell(sid, "trip:gone", TripGone(pair[1]))


def _pair(room: str) -> Pair | None:
    org_id, _, trip_id = parts_of(room)
    return (org_id, trip_id) if trip_id is not None else None
