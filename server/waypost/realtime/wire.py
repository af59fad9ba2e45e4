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


class Refresh(msgspec.Struct, rename="camel"):
    """`auth:refresh`: a new token for this connection."""

    token: str


class OwnJoin(msgspec.Struct, rename="camel"):
    """`own:join`. ``since``: where the client stood in each of its own rooms, by their kind: `person`, `staff`."""

    since: Any = None


class OwnRoom(msgspec.Struct, rename="camel"):
    """Where a room stands, and what the client missed of it; not ``recovered``: read anew what you show."""

    epoch: str
    seq: int
    recovered: bool
    missed: list[Missed]


class OwnJoined(msgspec.Struct, rename="camel"):
    """Ack of `own:join`: every connection of a person is in these rooms from the beginning; a device is in none."""

    rooms: dict[str, OwnRoom]


class AuthExpiring(msgspec.Struct, rename="camel"):
    """`auth:expiring`: send `auth:refresh` with a new token within ``in_ms``, or the connection ends."""

    in_ms: int


class Refreshed(msgspec.Struct, rename="camel"):
    """Ack of `auth:refresh`. ``expires_in_ms`` None: this token does not expire."""

    expires_in_ms: int | None


class ServerDrain(msgspec.Struct, rename="camel"):
    """`server:drain`: this server stops; leave it and connect anew after so long."""

    reconnect_in_ms: int
