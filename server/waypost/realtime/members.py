"""Who is connected on this node: one table over both codecs and all transports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import socketio

from waypost.realtime import packets
from waypost.realtime.connection import Connection
from waypost.realtime.letters import Letter

MAIN = "/"


class Members(socketio.AsyncManager):  # type: ignore[misc]  # the library is untyped
    """The library's manager without rooms: every look-up is one of a dict, and to leave walks no rooms."""

    def __init__(self) -> None:
        super().__init__()
        self.main: dict[str, Connection] = {}  # sid -> connection, in the namespace "/"
        self.others: dict[str, tuple[str, Connection]] = {}

    def enter(self, sid: str, namespace: str, connection: Connection) -> None:
        """From now on it is found."""
        if namespace == MAIN:
            self.main[sid] = connection
            connection.main_sid = sid
            connection.show()
        else:
            self.others[sid] = (namespace, connection)

    def leave(self, sid: str) -> None:
        """From now on it is not; may be repeated."""
        connection = self.main.pop(sid, None)
        if connection is None:
            self.others.pop(sid, None)
        elif connection.main_sid == sid:
            connection.hide()
            connection.main_sid = None

    def find(self, sid: str) -> tuple[str, Connection] | None:
        """Its namespace and connection."""
        connection = self.main.get(sid)
        return (MAIN, connection) if connection is not None else self.others.get(sid)

    # What the library's own server asks.

    def get_namespaces(self) -> Iterable[str]:
        return {MAIN, *(namespace for namespace, _ in self.others.values())}

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """All of the namespace, or those that are named by their sids: rooms are the hub's."""
        wanted = {room} if isinstance(room, str) else room
        for sid, connection in self._of(namespace).items():
            if wanted is None or sid in wanted:
                yield sid, connection.sid

    def is_connected(self, sid: str, namespace: str) -> bool:
        return sid in self._of(namespace)

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        connection = self._of(namespace).get(sid)
        return connection.sid if connection is not None else None

    async def emit(
        self, event: str, data: object, namespace: str, room: Any = None, skip_sid: Any = None, to: Any = None, **_: Any
    ) -> None:
        """Encode once for each codec and hand it to every member."""
        values = list(data) if isinstance(data, tuple) else [] if data is None else [data]
        skipped = {skip_sid} if isinstance(skip_sid, str) else set(skip_sid or ())
        letters: dict[bool, Letter] = {}
        for sid, _eio_sid in list(self.get_participants(namespace, to or room)):
            if sid not in skipped and (found := self.find(sid)) is not None:
                packed = found[1].packed
                if packed not in letters:
                    letters[packed] = packets.write(packets.EVENT, namespace, [event, *values], packed=packed)
                found[1].put(letters[packed])

    def _of(self, namespace: str) -> Mapping[str, Connection]:
        if namespace == MAIN:
            return self.main
        return {sid: connection for sid, (its, connection) in self.others.items() if its == namespace}
