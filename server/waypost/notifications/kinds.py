"""The one registry of what customers are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Queue


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
SOME_VALIDITY = timedelta(hours=24)  # of a kind that only a newer version knows


def validity_of(kind: str) -> timedelta:
    """How long a notice of that kind may be sent after it was due, or after a person has decided that it shall be."""
    return KINDS[kind].validity if kind in KINDS else SOME_VALIDITY
