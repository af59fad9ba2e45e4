"""What clients are told of positions."""

from __future__ import annotations

from typing import Final

import msgspec

from waypost.realtime.catalogue import Hearers, Told
from waypost.tracking import wire
from waypost.tracking.wire import TripGone


class FleetPositions(msgspec.Struct, rename="camel"):
    """`fleet:positions`: the newest position of each vehicle that moved within the tick."""

    positions: list[wire.LivePosition]


TOLD: Final = (
    Told(
        "trip:location",
        wire.TripLocations,
        (Hearers.TRIP,),
        "Good fixes of a trip, newer than all before, oldest first. One without locations only says where the room is.",
    ),
    Told(
        "fleet:positions",
        FleetPositions,
        (Hearers.FLEET,),
        "The newest position of each vehicle that moved within the tick, sent and received trips alike.",
    ),
    Told(
        "trip:gone",
        TripGone,
        (Hearers.CONNECTION,),
        "You may not see this trip any more: it has another receiver now, or another driver. You are out of its room.",
        counted=False,
    ),
)
