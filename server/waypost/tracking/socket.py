"""Socket.IO edge of tracking: reports, and joining the rooms where positions are told."""

from __future__ import annotations

from dataclasses import dataclass

from waypost.kernel.principal import WATCHERS, Principal
from waypost.platform import codec
from waypost.realtime.catalogue import Command
from waypost.realtime.hub import Hub
from waypost.realtime.limits import Rate
from waypost.realtime.recovery import since_of
from waypost.realtime.service import fleet_room, trip_room
from waypost.tracking import answers, wire
from waypost.tracking.batches import decode_socket
from waypost.tracking.compact import TooManyLocations
from waypost.tracking.service import OnlyDevices, Tracking
from waypost.tracking.shares import DeviceTooFast, Overloaded
from waypost.tracking.wire_batches import FixBatch, PackedBatch
from waypost.trips.domain import TripNotFound
from waypost.trips.service import Trips

FLEET_RATE = Rate(2, 30)  # its snapshot is the largest answer there is


@dataclass(frozen=True, slots=True)
class TrackingEvents:
    """Handlers of the events that clients send; each result is an ack."""

    hub: Hub
    tracking: Tracking
    trips: Trips

    def commands(self) -> list[Command]:
        """What clients may send."""
        return [
            Command(
                "tracking:ping",
                self.ping,
                takes=FixBatch,
                gives=wire.Outcomes,
                binary=PackedBatch,
                errors=(OnlyDevices, DeviceTooFast, Overloaded, TooManyLocations, TripNotFound),
            ),
            Command(
                "trip:join", self.join_trip, takes=wire.Join, gives=wire.TripJoined, joins=True, errors=(TripNotFound,)
            ),
            Command("trip:leave", self.leave_trip, takes=wire.Join),
            Command(
                "fleet:join",
                self.join_fleet,
                takes=wire.FleetJoin,
                gives=wire.FleetJoined,
                joins=True,
                rate=FLEET_RATE,
            ),
            Command("fleet:leave", self.leave_fleet, takes=wire.FleetJoin),
        ]

    async def ping(self, principal: Principal, _sid: str, data: object) -> wire.Outcomes:
        """Store a device's batch; the ack is the answer of `POST /api/v1/tracking/ping`."""
        self.tracking.knock(principal)
        batch = decode_socket(data)
        return answers.outcomes(
            await self.tracking.report(
                principal, batch.reports, batch.trip_id, stream=batch.stream, sent_at=batch.sent_at
            )
        )

    async def join_trip(self, principal: Principal, sid: str, data: object) -> wire.TripJoined:
        """Hear a trip, from a snapshot on or from where the client stood.

        Room first, snapshot after: what happens between the two comes twice, never not at all.
        """
        asked = codec.convert(data, wire.Join)
        async with self.hub.door.turn(sid):
            trip = await self.trips.find(principal, asked.trip_id)
        room = trip_room(principal.org_id, trip.id)
        async with self.hub.rooms.joining(sid, room, since_of(asked.since)) as entered:
            if entered.recovered:
                return answers.trip_recovered(trip, entered)
            async with self.hub.door.turn(sid):
                return answers.trip_joined(*await self.tracking.trip_snapshot(principal, trip.id), entered)

    async def leave_trip(self, principal: Principal, sid: str, data: object) -> dict[str, object]:
        """Hear a trip no more; also one that one may no longer see, which is of one's own organisation in any case."""
        self.hub.rooms.leave(sid, trip_room(principal.org_id, codec.convert(data, wire.Join).trip_id))
        return {}

    async def join_fleet(self, principal: Principal, sid: str, data: object) -> wire.FleetJoined:
        """Hear every vehicle of the organisation, from a snapshot on or from where the client stood."""
        principal.require(WATCHERS)
        since = since_of(codec.convert(data, wire.FleetJoin).since)
        async with self.hub.rooms.joining(sid, fleet_room(principal.org_id), since) as entered:
            if entered.recovered:
                return answers.fleet_recovered(entered)
            async with self.hub.door.turn(sid):
                return answers.fleet_joined(await self.tracking.fleet_snapshot(principal), entered)

    async def leave_fleet(self, principal: Principal, sid: str, _data: object) -> dict[str, object]:
        """Hear the fleet no more."""
        self.hub.rooms.leave(sid, fleet_room(principal.org_id))
        return {}
