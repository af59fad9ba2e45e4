"""The hub's figures for `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from waypost.realtime.fanout import Counts
from waypost.realtime.hub import Hub

FRESH_S = 0.25


class Figure(NamedTuple):
    """A gauge, read when somebody asks."""

    name: str
    words: str
    read: Callable[[], float]


# Of ``Stack.counts``; those that only grow count from the process's start.
COUNTS: Final = (
    ("waypost_sockets", "Socket connections.", "connections"),
    ("waypost_sockets_busy", "Sockets that cannot take at once what they are told.", "busy_members"),
    ("waypost_socket_backlog_bytes", "What waits for them.", "backlog_bytes"),
    ("waypost_frames_made", "Frames made for a room's members, each once.", "framed"),
    ("waypost_deliveries_written", "Events written to a member at once.", "written"),
    ("waypost_deliveries_queued", "Events that had to wait for their member.", "queued"),
    ("waypost_deliveries_conflated", "Events that went out as part of a newer one to who was behind.", "conflated"),
    ("waypost_deliveries_dropped", "Events that waited for a member when it was cut or left.", "dropped"),
    ("waypost_slow_clients_cut", "Sockets that were cut because they read too slowly.", "cut"),
    ("waypost_packets_refused", "Packets that were none; each ended its socket.", "refused"),
)


@dataclass(slots=True)
class Snapshot:
    """The stack's counts, taken once for all figures that are read at one time: it looks at every connection."""

    hub: Hub
    counts: Counts = field(default_factory=Counts)
    taken_at: float = -1.0

    def read(self, name: str) -> float:
        now = self.hub.clock.monotonic()
        if not 0 <= now - self.taken_at < FRESH_S:
            self.counts, self.taken_at = self.hub.stack.counts, now
        return float(getattr(self.counts, name))


def figures(hub: Hub) -> Iterator[Figure]:
    """Every figure of a node."""
    snapshot = Snapshot(hub)
    for name, words, of in COUNTS:
        yield Figure(name, words, partial(snapshot.read, of))
    yield Figure("waypost_rooms", "Rooms with a member here.", lambda: len(hub.index.members))
    yield Figure(
        "waypost_fan_out_waiting", "Events that wait to be written to their rooms.", lambda: len(hub.broadcast.incoming)
    )
    yield Figure(
        "waypost_fan_out_dropped",
        "Events that came faster than they could be written; their members joined anew.",
        lambda: hub.broadcast.dropped,
    )
