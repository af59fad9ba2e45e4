"""What clients are told by the hub itself."""

from __future__ import annotations

from typing import Final

from waypost.realtime.catalogue import Hearers, Told
from waypost.realtime.wire import AuthExpiring, OwnGap, ServerDrain, TripWatchers, Trouble

TOLD: Final = (
    Told(
        "trip:watchers",
        TripWatchers,
        (Hearers.TRIP_STAFF,),
        "Who watches the trip now, of your own organisation, on whatever server: after a join, and when it has "
        "changed. At most once a second.",
        counted=False,
    ),
    Told(
        "own:gap",
        OwnGap,
        (Hearers.STAFF, Hearers.PERSON),
        "Something was missed in a room of your own, or its counter began anew: send `own:join` with `since`.",
    ),
    Told(
        "auth:expiring",
        AuthExpiring,
        (Hearers.CONNECTION,),
        "The connection's token is about to expire. Send `auth:refresh` with a new one, or the connection ends.",
        counted=False,
    ),
    Told(
        "server:drain",
        ServerDrain,
        (Hearers.CONNECTION,),
        "This server is about to stop. Disconnect after so long, and connect again.",
        counted=False,
    ),
    Told("error", Trouble, (Hearers.CONNECTION,), "Why the connection is about to be ended.", counted=False),
)
