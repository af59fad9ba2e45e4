"""While Redis is away a node goes on serving its own members, with an epoch and counters of its own.

What it tells them then is told nowhere else. Once Redis is back, all who were served so join anew, and on every node
the room's next event leaves a number out: who is there sees the gap.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from waypost.realtime.events import Event, Outgoing, Place, outgoing
from waypost.realtime.live import LiveRooms
from waypost.realtime.rooms import nothing_said
from waypost.realtime.scripts import partition_of

ALONE_AFTER_S: Final = 3.0  # a shorter break is waited out, so that nothing is told twice over it
KEYS_KNOWN: Final = 10_000


def _new_epoch() -> str:
    return secrets.token_hex(8)


@dataclass(slots=True)
class Alone:
    """``away``: by partition since when its server answers on no connection; without ``run`` of the bus nobody says."""

    live: LiveRooms
    away: dict[int, float] = field(default_factory=dict)
    epoch: str = field(default_factory=_new_epoch)
    counters: dict[str, int] = field(default_factory=dict)  # of rooms that are live here
    told: dict[tuple[str, str], None] = field(default_factory=dict)  # rooms and keys
    gaps: set[str] = field(default_factory=set)  # rooms of which something was told here only

    def lost(self, partitions: Iterable[int]) -> None:
        """Their server does not answer."""
        now = asyncio.get_running_loop().time()
        for partition in partitions:
            self.away.setdefault(partition, now)

    def found(self, partitions: Iterable[int]) -> None:
        """It does."""
        for partition in partitions:
            self.away.pop(partition, None)
        if not self.away and self.counters:
            self.epoch, self.counters, self.told = _new_epoch(), {}, {}

    def has(self, room: str) -> bool:
        """Is the room served here alone?"""
        since = self.away.get(partition_of(room)) if self.away else None
        return since is not None and asyncio.get_running_loop().time() - since > ALONE_AFTER_S

    def place(self, room: str) -> Place:
        """Where a member begins; it joins anew when Redis is back."""
        seq = self.counters.setdefault(room, 0)
        if (live := self.live.rooms.get(room)) is not None:
            live.is_astray = True
        return Place(self.epoch, seq)

    def tell(self, events: Sequence[Outgoing]) -> list[Outgoing]:
        """To the members here; what has a key, and so must be told to all, is left to be sent once Redis is back."""
        for event in events:
            if event.key is None:
                self.gaps.add(event.room)
            elif (event.room, event.key) in self.told:
                continue
            else:
                self._know(event.room, event.key)
            if event.room in self.live.rooms:
                seq = self.place(event.room).seq + 1
                self.counters[event.room] = seq
                self.live.hand_over(Event(event, Place(self.epoch, seq)))
        return [event for event in events if event.key is not None]

    def _know(self, room: str, key: str) -> None:
        self.told[room, key] = None
        if len(self.told) > KEYS_KNOWN:
            del self.told[next(iter(self.told))]

    def with_gaps(self, events: Sequence[Outgoing]) -> list[Outgoing]:
        """A number is left out before the first of a room that was told something here only; one with a key may be
        known, and make no gap.
        """
        done: set[str] = set()
        marked = []
        for event in events:
            has_gap = event.room in self.gaps and event.room not in done
            marked.append(event._replace(skip=max(event.skip, 1)) if has_gap else event)
            if has_gap and event.key is None:
                done.add(event.room)
        return marked

    def gaps_to_say(self, most: int) -> list[Outgoing]:
        """Once Redis is back: for rooms that are told nothing again by themselves an event that only shows the gap."""
        rooms = [room for room, _ in zip(self.gaps, range(most), strict=False) if not self.has(room)]
        return [outgoing(room, *nothing_said(room)) for room in rooms]

    def sent(self, event: Outgoing) -> None:
        """It has its number, and so has the gap before it."""
        if event.skip:
            self.gaps.discard(event.room)
