"""What clients are told of payments."""

from __future__ import annotations

from typing import Final

from waypost.payments import wire
from waypost.realtime.catalogue import Hearers, Told

TOLD: Final = (
    Told(
        "payment:changed",
        wire.PaymentChanged,
        (Hearers.STAFF,),
        "Money came, went, or found its place. It names no payer; of a phone the last three digits.",
    ),
)
