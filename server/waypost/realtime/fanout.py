"""The stack beneath the hub: Engine.IO and Socket.IO of the two libraries, with our own way from an event to a thousand
sockets. The only file that touches their private parts and aiohttp's; tests/integration/test_pins.py pins each of them.

A WebSocket is taken out of aiohttp's hands once it has shaken hands: what stays of a connection is its transport, the
frame reader and few objects of ours; no task, no request, no response.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import socketio
from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader

from waypost.platform.telemetry import log
from waypost.realtime.clients import Clients
from waypost.realtime.connection import FLOOD, GOING_AWAY, PROTOCOL_ERROR, Connection
from waypost.realtime.engine import EngineServer
from waypost.realtime.events import Event
from waypost.realtime.letters import close_frame, pong_frame
from waypost.realtime.members import Members
from waypost.realtime.outlet import NORMAL
from waypost.realtime.port import Counts, Options, Port, Refused
from waypost.realtime.slow import written
from waypost.realtime.traffic import HELD_EVENTS, Traffic

__all__ = ["Counts", "Options", "Port", "Refused", "SocketServer", "Stack", "WebSocket"]


SWEEP_S = 1.0
INTERNAL_ERROR = 1011  # of a Close frame


class _Handshake(web.WebSocketResponse):
    """aiohttp's answer to a WebSocket's request, and nothing of what comes after it."""

    def _post_start(self, _request: web.BaseRequest, protocol: str | None, writer: Any) -> None:
        self._ws_protocol = protocol
        self._writer = writer

    async def write_eof(self, _data: bytes = b"") -> None:
        """It goes on without aiohttp."""


def _released(request: web.Request) -> tuple[asyncio.Transport | None, bytes]:
    """The request's transport and what was read from it already. To aiohttp the connection looks lost: its tasks and
    objects end, and its own shutdown does not wait for it.
    """
    protocol = request.protocol
    transport, tail = protocol.transport, protocol._message_tail  # noqa: SLF001 - pinned
    protocol.transport = None
    protocol._message_tail = b""  # noqa: SLF001 - pinned
    protocol._task_handler = None  # noqa: SLF001 - pinned; it would be cancelled
    protocol.connection_lost(None)
    return transport, tail


class WebSocket(WebSocketDataQueue):
    """The driver of a WebSocket: the protocol of its transport, and the queue that aiohttp's frame reader fills.

    A message is handled as it arrives, so that there is no queue, and no task that waits at its end.
    """

    __slots__ = (
        "connection",
        "deadline",
        "is_paused",
        "is_plain",
        "messages",
        "reader",
        "tail",
        "traffic",
        "transport",
    )

    def __init__(self, traffic: Traffic) -> None:
        # Not the base's: it would make the queue that we do without.
        self.traffic = traffic
        self.connection: Connection | None = None
        self.transport: asyncio.Transport | None = None
        self.reader: WebSocketReader | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.messages = 0  # in the present read
        self.is_paused = False  # by its own write buffer
        self.is_plain = True  # no TLS
        self.tail = b""

    async def take_over(self, request: web.Request) -> web.StreamResponse:
        """Shake hands and take the transport. ``ConnectionError`` if it is gone; aiohttp's 400 for a bad request."""
        options = self.traffic.options
        response = _Handshake(compress=options.deflate)
        await response.prepare(request)
        self.transport, self.tail = _released(request)
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError
        self.is_plain = self.transport.get_extra_info("sslcontext") is None
        self.reader = WebSocketReader(
            self, options.max_payload_bytes + 1, compress=bool(response.compress), decode_text=True
        )
        self.transport.set_write_buffer_limits(high=options.high_water_bytes, low=options.high_water_bytes // 4)
        _bound_in_the_kernel(
            self.transport, options.ping_interval_s + options.ping_timeout_s, options.kernel_unsent_bytes
        )
        self.traffic.lines.add(self)
        self.transport.set_protocol(self)  # type: ignore[arg-type]  # it has a protocol's methods
        return response

    def start(self, connection: Connection) -> None:
        """Read for this connection."""
        self.connection = connection
        tail, self.tail = self.tail, b""
        if self.transport is not None:
            self.transport.resume_reading()
        if tail:
            self.data_received(tail)

    def write(self, frames: bytes) -> None:
        """Past all that waits: a heartbeat's own."""
        if self.transport is not None and not self.transport.is_closing():  # else it may raise
            self.transport.write(frames)

    def end(self, code: int, why: str, last: bytes = b"", *, patient: bool = False) -> None:
        """Write ``last`` and a Close, and hang up; ``patient`` waits for the other's Close, but not for ever."""
        self.connection = None
        if self.transport is None or self.deadline is not None:
            return
        if not self.transport.is_closing():
            self.transport.write(last + close_frame(code, why))
        self.deadline = self.traffic.loop.call_later(self.traffic.options.abort_after_s, self.transport.abort)
        if not patient:
            self.transport.close()

    def close(self) -> None:
        """Hang up once what was written has left."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """End it now."""
        if self.transport is not None:
            self.transport.abort()

    # The transport's protocol.

    def data_received(self, data: bytes) -> None:
        """Bytes of the socket."""
        self.messages = 0
        if self.reader is not None:
            self.reader.feed_data(data)

    def eof_received(self) -> bool:
        """The other side sends no more: to us it has ended, though its transport may have much to flush yet. True: the
        traffic closes that in its turn, since thousands of closed sockets are the most of what their end costs.
        """
        connection, self.connection = self.connection, None
        if connection is None or self.transport is None:
            return False
        connection.pause()  # its turn may be many turns away, and to write to a socket that is gone by then raises
        self.traffic.ended(connection, self)
        return self.is_plain  # TLS closes at once, whatever is answered

    def connection_lost(self, _error: BaseException | None) -> None:
        """Its end, whoever made it."""
        self.transport = self.reader = None
        self.traffic.gone(self)
        if self.deadline is not None:
            self.deadline.cancel()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.pause()
            self.traffic.ended(connection, self)

    def pause_writing(self) -> None:
        """The buffer is full: from now on things wait in the connection's backlog."""
        self.is_paused = True
        if self.connection is not None and self.connection.line is self:
            self.connection.pause()

    def resume_writing(self) -> None:
        """The buffer has emptied: what waits may go."""
        self.is_paused = False
        if self.connection is not None and self.connection.line is self:
            self.connection.flush()

    # The reader's queue.

    def feed_data(self, message: Any, _size: int) -> None:
        """A message, a Ping or a Close."""
        kind, connection = message[0], self.connection
        self.messages += 1
        if connection is None:
            if kind is WSMsgType.CLOSE and self.transport is not None:
                self.transport.close()
        elif self.messages > FLOOD:
            connection.refuse("flood")
        elif kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
            self._heard(connection, message[1])
        elif kind is WSMsgType.PING:
            if not self.is_paused:  # who does not read gets no more of them
                self.write(pong_frame(message[1]))
        elif kind is WSMsgType.CLOSE:
            self.end(NORMAL, "")
            connection.lost(self)

    def feed_eof(self) -> None:
        """Told by ``connection_lost``."""

    def set_exception(self, error: BaseException, _cause: BaseException | None = None) -> None:
        """What was read is no WebSocket's frame."""
        connection = self.connection
        self.end(int(getattr(error, "code", PROTOCOL_ERROR)), "")
        if connection is not None:
            log.info("packet_refused", reason="WebSocket")
            self.traffic.counts.refused += 1
            connection.lost(self)

    def _heard(self, connection: Connection, data: str | bytes) -> None:
        try:
            connection.heard(self, data)
        except Exception:  # noqa: BLE001 - the edge: the reader must not see it
            log.exception("message_failed")
            connection.shut("internal error", code=INTERNAL_ERROR)


def _bound_in_the_kernel(transport: asyncio.Transport, silence_s: float, unsent_bytes: int) -> None:
    """A peer that vanished acknowledges nothing: the kernel then frees the socket (Linux; RFC 5482). One that does not
    read gets no megabytes of kernel memory: there, too, only so much may wait that has not left yet.
    """
    sock = transport.get_extra_info("socket")
    wanted = {"TCP_USER_TIMEOUT": int(silence_s * 1000), "TCP_NOTSENT_LOWAT": unsent_bytes}
    for name, value in wanted.items() if sock is not None else ():
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):  # a Unix socket has no such thing
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


class SocketServer(socketio.AsyncServer):  # type: ignore[misc]  # the library is untyped
    """Socket.IO in one codec. What the library would do with the engine's messages, ``Clients`` does."""

    def __init__(self, clients: Clients, *, packed: bool) -> None:
        self.clients = clients
        super().__init__(client_manager=clients.members, traffic=clients.traffic, packed=packed, driver=WebSocket)

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    def _handle_eio_connect(self, connection: Connection, request: web.Request) -> None:
        self.clients.opened(connection, request)

    def _handle_eio_message(self, connection: Connection, data: str | bytes) -> None:
        self.clients.heard(connection, data)

    def _handle_eio_disconnect(self, connection: Connection, why: str) -> None:
        self.clients.closed(connection, why)


class Stack:
    """Both servers over one table of members: the hub's only view of the libraries."""

    def __init__(self, port: Port, options: Options = Options(), namespaces: Sequence[str] = ("/",)) -> None:  # noqa: B008 - frozen
        self.traffic = Traffic(options)
        self.members = Members()
        self.clients = Clients(port, self.traffic, self.members, namespaces)
        self.servers = [SocketServer(self.clients, packed=packed) for packed in (False, True)]

    def attach(self, app: web.Application, path: str = "socket.io") -> None:
        """JSON under ``/socket.io/``, msgpack under ``/socket.io/msgpack/``."""
        for server, suffix in zip(self.servers, ("", "/msgpack"), strict=True):
            server.eio.attach(app, path.strip("/") + suffix)

    def broadcast(self, sids: Collection[str], events: Sequence[Event], *, hold: bool = False) -> None:
        """Hand the events to these members: framed once, one write for each. Never waits, never raises.

        ``hold``: a member that was written to within the last tick gets them at its end, with all that came meanwhile.
        """
        if hold:
            sids = self._hold(sids, events)
        rest = self._write(sids, events, packed=False)
        if rest:
            rest = self._write(rest, events, packed=True)
        find = self.members.main.get
        for sid in rest:
            if (connection := find(sid)) is not None:
                connection.wait(events)
        if hold:
            for sid in sids:
                if (connection := find(sid)) is not None:
                    self.traffic.begin(connection)

    def _write(self, sids: Collection[str], events: Sequence[Event], *, packed: bool) -> Collection[str]:
        """Write to those who are ready; the others."""
        writers = self.traffic.writers[packed]
        if not writers:
            return sids
        find, rest = writers.get, []
        form = written(events, packed=packed)
        waiting, sid = iter(sids), ""
        while True:
            try:
                for sid in waiting:
                    write = find(sid)
                    if write is None:
                        rest.append(sid)
                    else:
                        write(form)
                break
            except Exception:  # noqa: BLE001 - one odd connection must not keep the event from the others
                log.exception("delivery_failed")
                self.members.main[sid].shut("internal error", code=INTERNAL_ERROR)
        self.traffic.counts.framed += len(events)
        self.traffic.counts.written += (len(sids) - len(rest)) * len(events)
        return rest

    def _hold(self, sids: Collection[str], events: Sequence[Event]) -> Collection[str]:
        """Keep the events for those who were written to within the last tick; the others."""
        find, quiet = self.members.main.get, []
        for sid in sids:
            connection = find(sid)
            if connection is None:
                continue
            if connection.held is None:
                quiet.append(sid)
            elif connection.direct is None or len(connection.held) >= HELD_EVENTS:
                connection.wait(events)
            else:
                connection.held.extend(events)
        return quiet

    def tell(self, sid: str, name: str, body: Mapping[str, object]) -> None:
        """An event for one member; nothing if it is not here any more."""
        self.clients.send(sid, name, [body])

    def send(self, sid: str, name: str, *arguments: object) -> None:
        """The same with any arguments."""
        self.clients.send(sid, name, arguments)

    async def disconnect(self, sid: str, *, code: str | None = None, detail: str = "", retry: bool = True) -> None:
        """End the member's connection; with a code it is told ``error {code, detail, retry}`` first."""
        if (found := self.members.find(sid)) is not None:
            connection = found[1]
            last = self.clients.last_words(connection, code or "", detail, retry=retry)
            connection.shut(code or "disconnected", last=last)

    def hang_up(self, sid: str) -> None:
        """End the member's transport once what it has asked is answered, and say nothing: the official clients then
        connect again by themselves.
        """
        if (found := self.members.find(sid)) is not None:
            self.clients.finish(found[1])

    def is_open(self, sid: str) -> bool:
        """Is it still here?"""
        return self.members.find(sid) is not None

    def refuse_new(self) -> None:
        """From now on who wants to connect is sent elsewhere."""
        for server in self.servers:
            server.eio.is_draining = True
        self.clients.is_draining = True

    @property
    def counts(self) -> Counts:
        """Counters, and how things are now."""
        busy = self.traffic.busy
        waiting = sum(connection.queue.size for connection in self._connections())
        return self.traffic.counts.plus(busy_members=len(busy), backlog_bytes=waiting)

    async def run(self) -> None:
        """Look after those who are behind, for as long as the process lives."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                self.traffic.sweep()
            except Exception:  # noqa: BLE001 - the next sweep may do better
                log.exception("sweep_failed")

    async def close(self) -> None:
        """Hang up on everybody, wait for the handlers, so that what was asked is answered, and for the sockets; may be
        repeated.
        """
        self.refuse_new()
        for connection in self._connections():
            self.clients.finish(connection)
        await self.clients.close()
        for connection in self._connections():
            connection.shut("going away", code=GOING_AWAY)
        self.traffic.stop()
        await self.traffic.all_gone()

    def _connections(self) -> list[Connection]:
        return [connection for server in self.servers for connection in server.eio.sockets.values()]

    def _framed(self, events: Sequence[Event], *, packed: bool) -> bytes:
        self.traffic.counts.framed += len(events)
        return written(events, packed=packed)
