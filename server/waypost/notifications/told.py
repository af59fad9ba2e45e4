"""What clients are told of notifications."""

from __future__ import annotations

from typing import Final

from waypost.notifications import wire, wire_alerts
from waypost.realtime.catalogue import Hearers, Told

TOLD: Final = (
    Told(
        "notification:changed",
        wire.DeliveryChanged,
        (Hearers.STAFF,),
        "A delivery of a notification has moved. It names no address and says nothing of the words.",
    ),
    Told(
        "alert",
        wire_alerts.AlertMessage,
        (Hearers.STAFF,),
        "Something that staff must look at, such as money without a known reference; again when somebody resolved it.",
    ),
)
