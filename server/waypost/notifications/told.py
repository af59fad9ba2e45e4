"""What clients are told of notifications."""

from __future__ import annotations

from typing import Final

from waypost.notifications import wire
from waypost.realtime.catalogue import Hearers, Told

TOLD: Final = (
    Told(
        "notification:changed",
        wire.DeliveryChanged,
        (Hearers.STAFF,),
        "A delivery of a notification has moved. It names no address and says nothing of the words.",
    ),
)
