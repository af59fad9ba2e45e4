"""The hub's Socket.IO side in its simple form: who is connected, joining rooms, handing events to their members.

The fast fan-out (one frame, a thousand writes), recovery and slow clients have an issue of their own; they replace
``_fan_out`` and what stands behind ``place``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from redis.asyncio import Redis
from socketio.exceptions import ConnectionRefusedError as Refused

from waypost.kernel.errors import AppError, Invalid, NotFound, TooMany, Unauthenticated, Unavailable
from waypost.kernel.principal import Principal
from waypost.platform import codec
from waypost.platform.telemetry import log
from waypost.realtime.bus import Incoming, RedisBus
from waypost.realtime.fanout import StrictPacket, StrictServer
from waypost.realtime.fleet import FleetView
from waypost.realtime.rooms import RoomIndex
from waypost.realtime.service import Outgoing, staff_room, user_room

MAX_ROOMS = 128
MAX_PAYLOAD_BYTES = 1024 * 1024
INCOMING_EVENTS = 10_000
CATCH_UP_AGAIN_S = 1.0
SocketHandler = Callable[[Principal, str, object], Awaitable[msgspec.Struct | dict[str, object]]]


class UnknownEvent(NotFound):
    """There is no such event."""

    code = "unknown-event"


class TooManyRooms(TooMany):
    """A connection may be in 128 rooms at once; leave some."""

    code = "too-many-rooms"
    retry = False


class NotAnObject(Invalid):
    """The event's argument is an object."""

    code = "not-an-object"


def own_rooms(principal: Principal) -> list[str]:
    """The rooms that a person's connection is in from the beginning: their own and, for staff, the organisation's."""
    if principal.user_id is None:
        return []
    own = user_room(principal.org_id, principal.user_id)
    return [own, staff_room(principal.org_id)] if principal.watches_everything else [own]


def refusal(error: AppError) -> dict[str, object]:
    """An ack that says no."""
    return {"ok": False, "error": {"code": error.code, "detail": error.detail, "retry": error.retry, **error.extra}}


@dataclass(slots=True)
class Hub:
    """Connections of this node. ``authenticate`` is the port that turns a token into a principal."""

    redis: Redis
    authenticate: Callable[[str], Awaitable[Principal]]
    sio: StrictServer = field(init=False)
    bus: RedisBus = field(init=False)
    index: RoomIndex = field(default_factory=RoomIndex)
    fleet: FleetView = field(default_factory=FleetView)
    principals: dict[str, Principal] = field(default_factory=dict)
    handlers: dict[str, SocketHandler] = field(default_factory=dict)
    binary: set[str] = field(default_factory=set)  # events whose argument may be bytes
    incoming: asyncio.Queue[Incoming] = field(default_factory=lambda: asyncio.Queue(INCOMING_EVENTS))
    emptied: set[str] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    last: dict[str, tuple[str, int]] = field(default_factory=dict)  # per live room what its members have heard
    resumed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        # One event of a connection at a time, in order: a flood waits in the connection's own socket.
        self.sio = StrictServer(
            async_mode="aiohttp", async_handlers=False, max_http_buffer_size=MAX_PAYLOAD_BYTES, serializer=StrictPacket
        )
        self.bus = RedisBus(self.redis, self._deliver, self.resumed.set)
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        self.sio.on("*", self._dispatch)

    def on(self, event: str, handler: SocketHandler, *, binary: bool = False) -> None:
        """Answer ``event``: the handler gets the principal, the connection and the argument; its result is the ack.

        The argument is an object or, where it may be ``binary``, bytes.
        """
        self.handlers[event] = handler
        if binary:
            self.binary.add(event)

    async def run(self) -> None:
        """Listen to the bus and fan out, for as long as the process lives."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.bus.run())
            tasks.create_task(self._fan_out())
            tasks.create_task(self._leave_empty_rooms())
            tasks.create_task(self._catch_up())

    async def enter(self, sid: str, room: str) -> tuple[str, int]:
        """Put a connection into a room; its epoch and seq, read once it hears the room.

        The caller has checked that the principal may.
        """
        if sid not in self.principals:
            raise Unauthenticated("The connection has closed.")
        asked_for = self.index.count(sid) - len(own_rooms(self.principals[sid]))
        if asked_for >= MAX_ROOMS and room not in self.index.rooms.get(sid, ()):
            raise TooManyRooms
        self.index.join(sid, room)
        try:
            await self.bus.subscribe(room)
            if sid not in self.principals:
                raise Unauthenticated("The connection has closed.")
            await self.sio.enter_room(sid, room)
            place = await self.bus.place(room)
        except BaseException:
            await self.leave(sid, room)
            raise
        self.last.setdefault(room, place)
        return place

    @asynccontextmanager
    async def joining(self, sid: str, room: str) -> AsyncIterator[tuple[str, int]]:
        """``enter``, and out again when the body, which reads the snapshot, fails: a refused join joins nothing."""
        place = await self.enter(sid, room)
        try:
            yield place
        except BaseException:
            await self.leave(sid, room)
            raise

    async def leave(self, sid: str, room: str) -> None:
        """Take a connection out of a room."""
        await self.sio.leave_room(sid, room)
        if self.index.leave(sid, room):
            self._emptied([room])

    def connected(self) -> set[Principal]:
        """Who holds a connection here."""
        return set(self.principals.values())

    async def cut(self, wanted: Callable[[Principal], bool]) -> None:
        """End the connections of those; a client that may still come connects again by itself, as what it is now."""
        for sid, principal in list(self.principals.items()):
            if wanted(principal):
                log.info("socket_cut", reason="no longer who connected")
                try:
                    await self.sio.disconnect(sid)
                except Exception:  # noqa: BLE001 - one odd connection must not keep the others from being cut
                    log.exception("cut_failed")

    async def close(self) -> None:
        """End every connection."""
        for sid in list(self.principals):
            await self.sio.disconnect(sid)
        await self.sio.shutdown()

    async def _connect(self, sid: str, _environ: object = None, auth: object = None) -> object:
        if sid in self.principals:  # the library hands us an event of this name as if it were the packet
            return refusal(UnknownEvent("There is no event 'connect'."))
        token = auth.get("token") if isinstance(auth, dict) else None
        if not isinstance(token, str) or not token:
            raise Refused("token-missing", {"code": "token-missing", "detail": "Connect with auth: {token}."})
        try:
            principal = await self.authenticate(token)
        except AppError as error:
            raise Refused(error.code, {"code": error.code, "detail": error.detail, "retry": error.retry}) from error
        except Exception as error:  # the edge: without an answer the client would wait for its time-out
            log.exception("connect_failed")
            raise Refused("internal-error", refusal(AppError("Something went wrong here."))["error"]) from error
        self.principals[sid] = principal
        await self._enter_own_rooms(sid, principal)
        if self._is_gone(sid):  # it closed while we looked: nobody would ever tell us again
            self._forget(sid)
            raise Refused("closed", {"code": "closed", "detail": "The connection has closed.", "retry": True})
        return None

    async def _enter_own_rooms(self, sid: str, principal: Principal) -> None:
        """While Redis is away they hear nothing yet: the bus subscribes to every wanted room as it comes back."""
        rooms = own_rooms(principal)
        for room in rooms:
            self.index.join(sid, room)
            await self.sio.enter_room(sid, room)
        if rooms:
            with suppress(Unavailable):
                await asyncio.gather(*(self.bus.subscribe(room) for room in rooms))

    def _is_gone(self, sid: str) -> bool:
        connection = self.sio.eio.sockets.get(self.sio.manager.eio_sid_from_sid(sid, "/"))
        return connection is None or connection.closed or connection.closing

    async def _disconnect(self, sid: str, *_reason: object) -> object:
        if self.sio.manager.is_connected(sid, "/"):  # an event of that name: whoever sent it is still in their rooms
            return refusal(UnknownEvent("There is no event 'disconnect'."))
        self._forget(sid)
        return None

    def _forget(self, sid: str) -> None:
        self.principals.pop(sid, None)
        self._emptied(self.index.forget(sid))

    async def _dispatch(self, event: str, sid: str = "", *arguments: object) -> object:
        try:
            handler = self.handlers.get(event)
            if handler is None:  # also an event named "*": the library hands us its arguments without the name
                raise UnknownEvent(f"There is no event {str(event)[:60]!r}.")
            principal = self.principals.get(sid)
            if principal is None:
                raise Unauthenticated
            if not arguments or not isinstance(arguments[0], dict | bytes if event in self.binary else dict):
                raise NotAnObject("The event's argument is an object.")
            answer = await handler(principal, sid, arguments[0])
            return {"ok": True, **codec.plain(answer)}
        except AppError as error:
            return refusal(error)
        except Exception:  # noqa: BLE001 - the edge
            log.exception("event_failed", event_name=event if event in self.handlers else "unknown")
            return refusal(AppError("Something went wrong here."))

    def _deliver(self, incoming: Incoming) -> None:
        try:
            self.incoming.put_nowait(incoming)
        except asyncio.QueueFull:
            log.warning("fan_out_behind", event_name=incoming.event)  # its members see the gap and join anew

    async def _fan_out(self) -> None:
        while True:
            incoming = await self.incoming.get()
            if not self.index.is_live(incoming.room):
                continue
            self.last[incoming.room] = (incoming.epoch, incoming.seq)
            try:
                await self.sio.emit(incoming.event, self._message(incoming), room=incoming.room)
            except Exception:  # noqa: BLE001 - one odd message must not silence the node
                log.exception("fan_out_failed", event_name=incoming.event)

    def _message(self, incoming: Incoming) -> dict[str, Any]:
        """The event as clients get it. One whose positions are all old news still goes out: its ``seq`` is counted."""
        data: dict[str, Any] = msgspec.json.decode(incoming.body)
        if "positions" in data:
            data["positions"] = self.fleet.news(incoming.room, data["positions"])
        return {**data, "epoch": incoming.epoch, "seq": incoming.seq}

    def _emptied(self, rooms: Iterable[str]) -> None:
        self.emptied.update(rooms)
        self.wake.set()

    async def _leave_empty_rooms(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            rooms, self.emptied = self.emptied, set()
            empty = [room for room in rooms if not self.index.is_live(room)]
            for room in empty:
                self.fleet.forget(room)
                self.last.pop(room, None)
            await self.bus.unsubscribe(empty)

    async def _catch_up(self) -> None:
        """After the bus was interrupted: rooms that went on without us leave a number out, so that members see it."""
        while True:
            await self.resumed.wait()
            self.resumed.clear()
            try:
                for room, heard in list(self.last.items()):
                    if is_counted(room) and self.index.is_live(room) and await self.bus.place(room) != heard:
                        await self.bus.send([_nudge(room)])
            except Unavailable:
                self.resumed.set()
                await asyncio.sleep(CATCH_UP_AGAIN_S)


def is_counted(room: str) -> bool:
    """Do members of this room watch its ``seq``? Those of a trip's and a fleet's do."""
    return room.endswith(":fleet") or ":trip:" in room


def _nudge(room: str) -> Outgoing:
    """An event that says nothing but that numbers are missing before it."""
    if room.endswith(":fleet"):
        return Outgoing(room, "fleet:positions", b'{"positions":[]}', skip=1)
    trip_id = room.rpartition(":")[2]
    return Outgoing(room, "trip:location", f'{{"tripId":"{trip_id}","locations":[]}}'.encode(), skip=1)
