"""The catalogue of events: what clients may send and what they are told, each once.

The hub's handlers, the description of the events and the tests that compare both with what is really sent read these
rows, so an event cannot be answered or told and left undescribed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from waypost.kernel.errors import AppError, Denied, Invalid, Malformed, Unauthenticated
from waypost.platform.database import DatabaseAway, DatabaseBusy
from waypost.realtime.bus import RedisAway
from waypost.realtime.commands import NotAnObject, SocketHandler
from waypost.realtime.events import LATEST
from waypost.realtime.limits import Rate, TooManyEvents, TooManyFailedJoins, TooManyRooms

# What any command may be answered, and what any that joins a room may be beside it.
ALWAYS = (AppError, Malformed, Invalid, NotAnObject, Unauthenticated, TooManyEvents, DatabaseAway, DatabaseBusy)
JOINING = (Denied, TooManyFailedJoins, TooManyRooms, RedisAway)


class Hearers(Enum):
    """Who hears an event: a channel of the description; the value says it in words."""

    TRIP = "who has joined the trip"
    TRIP_STAFF = "the staff among those who have joined the trip"
    FLEET = "who has joined the organisation's fleet"
    STAFF = "every connection of the organisation's staff"
    PERSON = "every connection of one person"
    CONNECTION = "one connection"


@dataclass(frozen=True, slots=True)
class Command:
    """An event that clients send; its ack is ``gives`` and `ok`.

    ``takes`` and ``gives``: msgspec structs of ``wire.py``; ``gives`` None: nothing but `ok`. ``binary``: what the
    argument may hold as msgpack, where it may be bytes. ``joins``: refusals are counted, so that nobody searches for
    rooms. ``rate``: its own, where it costs more than others. ``errors``: its own, beside those of every command.
    """

    name: str
    handler: SocketHandler
    takes: Any
    gives: Any = None
    binary: Any = None
    joins: bool = False
    rate: Rate | None = None
    errors: tuple[type[AppError], ...] = ()

    @property
    def words(self) -> str:
        """What it does, as its handler says it."""
        return " ".join((self.handler.__doc__ or "").split())

    @property
    def refusals(self) -> list[type[AppError]]:
        """Every expected error."""
        return list(dict.fromkeys([*ALWAYS, *(JOINING if self.joins else ()), *self.errors]))


@dataclass(frozen=True, slots=True)
class Told:
    """An event that clients are told; ``body``: its struct. ``counted``: it has its room's `epoch` and `seq`."""

    name: str
    body: Any
    hearers: tuple[Hearers, ...]
    words: str
    counted: bool = True

    @property
    def is_latest(self) -> bool:
        """Only the newest counts: who is behind gets several as one, which says `from`."""
        return self.name in LATEST

    @property
    def spans(self) -> bool:
        """May one say `from`, the first number that it stands for?"""
        return self.is_latest or self.name == "own:gap"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every event of every feature."""

    commands: tuple[Command, ...]
    told: tuple[Told, ...]

    @classmethod
    def of(cls, commands: Iterable[Command], told: Iterable[Told]) -> Catalogue:
        """``ValueError`` where two rows have one name."""
        found = cls(tuple(commands), tuple(told))
        names = [*(row.name for row in found.commands), *(row.name for row in found.told)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"described twice: {', '.join(sorted(twice))}")
        return found
