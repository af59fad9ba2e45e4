"""Engine.IO over aiohttp: the library's server with our own way of answering a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import engineio
from aiohttp import web

from waypost.realtime import handshake
from waypost.realtime.connection import PROTOCOL_ERROR, Connection
from waypost.realtime.letters import Letter
from waypost.realtime.slow import Backlog
from waypost.realtime.traffic import Traffic

if TYPE_CHECKING:
    from waypost.realtime.fanout import WebSocket


class EngineServer(engineio.AsyncServer):  # type: ignore[misc]  # the library is untyped
    """Engine.IO by itself. Its handlers are called, not awaited: ``connect(connection, request)``,
    ``message(connection, data)``, ``disconnect(connection, why)``.
    """

    def __init__(
        self, traffic: Traffic, *, driver: Callable[[Traffic], WebSocket], packed: bool = False, **options: Any
    ) -> None:
        super().__init__(async_mode="aiohttp", monitor_clients=False, **options)
        self.driver = driver
        self.traffic = traffic
        self.packed = packed
        self.is_draining = False

    def create_queue(self, *_arguments: Any, **_options: Any) -> Backlog:
        """What each connection's socket asks for."""
        return Backlog(packed=self.packed)

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        """Answer under this path, whatever the method."""
        app.router.add_route("*", f"/{engineio_path.strip('/')}/", self.handle_request)

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Open a connection, or carry one on."""
        if not handshake.is_allowed(request, self.traffic.options.origins):
            return handshake.origin_refused()
        if request.method == "OPTIONS":
            return handshake.preflight(request)
        transport, sid = request.query.get("transport"), request.query.get("sid")
        if transport is None or transport not in self.transports:
            return handshake.refused(request, handshake.UNKNOWN_TRANSPORT)
        if sid is None:
            return await self._open(request, transport)
        connection = self.sockets.get(sid)
        if connection is None:
            return handshake.refused(request, handshake.UNKNOWN_SESSION)
        if transport == "websocket":
            return await self._upgrade(request, connection)
        if request.method == "GET":
            return await self._poll(request, connection)
        return await self._post(request, connection)

    async def _open(self, request: web.Request, transport: str) -> web.StreamResponse:
        if request.method != "GET":
            return handshake.refused(request, handshake.BAD_METHOD)
        if request.query.get("EIO") != "4":
            return handshake.refused(request, handshake.UNKNOWN_VERSION)
        if self.is_draining:
            return handshake.draining(request)
        if transport == "polling":
            connection = self._new()
            connection.connected = True
            self.handlers["connect"](connection, request)
            return handshake.polled(request, [self._handshake(connection, ["websocket"])])
        line = self.driver(self.traffic)
        try:
            response = await line.take_over(request)
        except (web.HTTPBadRequest, ConnectionError):
            return handshake.refused(request, handshake.BAD_REQUEST)
        connection = self._new()
        connection.opened(line)
        connection.put(Letter(self._handshake(connection, []).encode()))
        self.handlers["connect"](connection, request)
        line.start(connection)
        return response

    async def _upgrade(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        line = self.driver(self.traffic)
        try:
            response = await line.take_over(request)
        except (web.HTTPBadRequest, ConnectionError):
            return handshake.refused(request, handshake.BAD_REQUEST)
        if connection.upgraded or connection.closed or connection.probing is not None:
            line.end(PROTOCOL_ERROR, "upgraded already")
        else:
            connection.probe(line)
            line.start(connection)
        return response

    async def _poll(self, request: web.Request, connection: Connection) -> web.Response:
        packets = await connection.polled()
        if request.transport is None:  # nobody is there to read the answer: what it holds is lost
            connection.shut("transport")
        if packets is None:
            return handshake.refused(request, handshake.BAD_REQUEST)
        return handshake.polled(request, packets)

    async def _post(self, request: web.Request, connection: Connection) -> web.Response:
        if request.method != "POST" or connection.upgraded or connection.closed:
            return handshake.refused(request, handshake.BAD_REQUEST)
        body = await handshake.body_of(request, self.traffic.options.max_payload_bytes)
        if body is None:
            connection.refuse("body")
            return handshake.refused(request, handshake.BAD_REQUEST)
        if not await connection.posted(body):
            return handshake.refused(request, handshake.BAD_REQUEST)
        return handshake.answered(request, "ok")

    def _new(self) -> Connection:
        sid = self.generate_id()
        connection = self.sockets[sid] = Connection(self, sid, self.traffic, packed=self.packed)
        return connection

    def _handshake(self, connection: Connection, upgrades: list[str]) -> str:
        options = self.traffic.options
        told = {
            "sid": connection.sid,
            "upgrades": upgrades,
            "pingInterval": round(options.ping_interval_s * 1000),
            "pingTimeout": round(options.ping_timeout_s * 1000),
            "maxPayload": options.max_payload_bytes,
        }
        return "0" + json.dumps(told, separators=(",", ":"))
