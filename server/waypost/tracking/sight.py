"""Who may no longer see a trip does not go on hearing it: it has another receiver now, or another driver."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.kernel.principal import Principal
from waypost.platform.telemetry import log
from waypost.realtime.hub import Hub
from waypost.realtime.service import trip_of
from waypost.tracking.wire import TripGone
from waypost.trips.service import Trips


@dataclass(frozen=True, slots=True)
class Sight:
    """Looks after the trips' rooms of one node."""

    hub: Hub
    trips: Trips
    clock: Clock

    async def run(self, every_s: float) -> None:
        """Look for ever; one query, however many rooms there are."""
        while True:
            await self.clock.sleep(every_s)
            try:
                await self.look()
            except Unavailable:
                log.warning("sight_unknown", reason="database away")
            except Exception:  # noqa: BLE001 - it must outlive whatever one look runs into
                log.exception("sight_unknown")

    async def look(self) -> None:
        """Put out who may not stay."""
        watching: dict[tuple[Principal, UUID], list[tuple[str, str]]] = defaultdict(list)
        for room, sids in self.hub.index.members.items():
            if (trip_id := trip_of(room)) is not None:
                for sid in sids:
                    if (connection := self.hub.door.connections.get(sid)) is not None:
                        watching[connection.principal, trip_id].append((sid, room))
        if not watching:
            return
        for principal, trip_id in await self.trips.out_of_sight(watching):
            for sid, room in watching[principal, trip_id]:
                self.hub.rooms.leave(sid, room)
                self.hub.tell(sid, "trip:gone", TripGone(trip_id))
