"""What clients are told of jobs."""

from __future__ import annotations

from typing import Final

from waypost.jobs import wire
from waypost.realtime.catalogue import Hearers, Told

TOLD: Final = (
    Told(
        "job:progress",
        wire.JobProgress,
        (Hearers.PERSON,),
        "How far a job of yours is, once a second at most. The last one of a job says how it ended.",
    ),
)
