"""The one registry of what customers are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from waypost.notifications.domain import ChannelName, Queue


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice. ``channels``: those that carry it, in order; ``validity``: after it was due, it is not sent."""

    name: str
    channels: tuple[ChannelName, ...]
    queue: Queue
    validity: timedelta


TRIP_STARTED = "trip_started"
TRIP_COMPLETED = "trip_completed"

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(TRIP_STARTED, (ChannelName.EMAIL,), Queue.URGENT, timedelta(hours=6)),
        Kind(TRIP_COMPLETED, (ChannelName.EMAIL,), Queue.URGENT, timedelta(hours=24)),
    )
}
