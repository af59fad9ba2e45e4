"""Bodies of what the hub itself tells, and of what a join says of what was missed."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

# Anything may be sent as that: what is no such place is a join from the beginning.
Since = Annotated[Any, Meta(description="`{epoch, seq}`: where you stand in the room")]


class Missed(msgspec.Struct):
    """An event that was missed: its name, and what it said."""

    event: str
    data: dict[str, Any]


class Watcher(msgspec.Struct, rename="camel"):
    """A person who watches a trip."""

    user_id: UUID
    name: str


class TripWatchers(msgspec.Struct, rename="camel"):
    """`trip:watchers`: all who watch a trip now, of the hearer's own organisation."""

    trip_id: UUID
    watchers: list[Watcher]


class OwnGap(msgspec.Struct):
    """`own:gap`: something was missed of a room that the connection is in from the beginning; `own:join` says what."""

    room: Literal["person", "staff"]


class Trouble(msgspec.Struct):
    """`error`: why the connection is about to be ended. ``retry``: connecting again may help."""

    code: str
    detail: str
    retry: bool
