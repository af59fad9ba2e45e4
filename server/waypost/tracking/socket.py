"""Socket.IO edge of tracking: reports, and joining the rooms where positions are told."""

from __future__ import annotations

from dataclasses import dataclass

from waypost.kernel.principal import WATCHERS, Principal
from waypost.platform import codec
from waypost.realtime.hub import Hub
from waypost.realtime.service import fleet_room, trip_room
from waypost.tracking import answers, wire
from waypost.tracking.batches import decode_socket
from waypost.tracking.service import Tracking
from waypost.trips.service import Trips


@dataclass(frozen=True, slots=True)
class TrackingEvents:
    """Handlers of the events that clients send; each result is an ack."""

    hub: Hub
    tracking: Tracking
    trips: Trips

    def register(self) -> None:
        self.hub.on("tracking:ping", self.ping, binary=True)
        self.hub.on("trip:join", self.join_trip)
        self.hub.on("trip:leave", self.leave_trip)
        self.hub.on("fleet:join", self.join_fleet)

    async def ping(self, principal: Principal, _sid: str, data: object) -> wire.Outcomes:
        self.tracking.knock(principal)
        batch = decode_socket(data)
        return answers.outcomes(
            await self.tracking.report(
                principal, batch.reports, batch.trip_id, stream=batch.stream, sent_at=batch.sent_at
            )
        )

    async def join_trip(self, principal: Principal, sid: str, data: object) -> wire.TripJoined:
        """Room first, snapshot after: what happens between the two comes twice, never not at all."""
        trip = await self.trips.find(principal, codec.convert(data, wire.Join).trip_id)
        async with self.hub.joining(sid, trip_room(principal.org_id, trip.id)) as (epoch, seq):
            return answers.trip_joined(*await self.tracking.trip_snapshot(principal, trip.id), epoch, seq)

    async def leave_trip(self, principal: Principal, sid: str, data: object) -> dict[str, object]:
        """Also of a trip that one may no longer see: the room is of one's own organisation in any case."""
        await self.hub.leave(sid, trip_room(principal.org_id, codec.convert(data, wire.Join).trip_id))
        return {}

    async def join_fleet(self, principal: Principal, sid: str, _data: object) -> wire.FleetJoined:
        principal.require(WATCHERS)
        async with self.hub.joining(sid, fleet_room(principal.org_id)) as (epoch, seq):
            return answers.fleet_joined(*await self.tracking.fleet_snapshot(principal), epoch, seq)
