"""What clients are told of trips."""

from __future__ import annotations

from typing import Final

from waypost.realtime.catalogue import Hearers, Told
from waypost.trips import wire

TOLD: Final = (
    Told(
        "trip:event",
        wire.TripEventMessage,
        (Hearers.TRIP, Hearers.FLEET),
        "Something happened on a trip. Who has joined both the trip and the fleet gets it twice, with one `eventId`; "
        "`room` says whose `seq` it has.",
    ),
)
