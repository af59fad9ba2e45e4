"""What clients are told of invoices."""

from __future__ import annotations

from typing import Final

from waypost.invoices import wire
from waypost.realtime.catalogue import Hearers, Told

TOLD: Final = (
    Told(
        "invoice:changed",
        wire.InvoiceChanged,
        (Hearers.STAFF,),
        "An invoice of your organisation, sent or received, has changed. Of a draft only its own organisation is told.",
    ),
)
