"""Bodies of what the hub itself tells."""

from __future__ import annotations

from uuid import UUID

import msgspec


class Watcher(msgspec.Struct, rename="camel"):
    """A person who watches a trip."""

    user_id: UUID
    name: str


class TripWatchers(msgspec.Struct, rename="camel"):
    """`trip:watchers`: all who watch a trip now, of the hearer's own organisation."""

    trip_id: UUID
    watchers: list[Watcher]


class Trouble(msgspec.Struct):
    """`error`: why the connection is about to be ended. ``retry``: connecting again may help."""

    code: str
    detail: str
    retry: bool
