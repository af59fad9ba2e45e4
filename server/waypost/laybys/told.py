"""What clients are told of laybys."""

from __future__ import annotations

from typing import Final

from waypost.laybys import wire_told
from waypost.realtime.catalogue import Hearers, Told

TOLD: Final = (
    Told(
        "layby:changed",
        wire_told.LaybyChanged,
        (Hearers.STAFF,),
        "A layby was opened, paid, held, extended, completed, cancelled, collected or otherwise changed. `version` is "
        "that of its ETag: an older one than you have is no news.",
    ),
)
