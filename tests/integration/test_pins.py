"""The parts of libraries that we lean on and that their authors do not promise."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import engineio
import socketio
from aiohttp import web, web_protocol, web_server
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import TestServer
from engineio.async_socket import AsyncSocket
from engineio.base_server import BaseServer
from engineio.base_socket import BaseSocket

from tests.stacks import served, wired


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_socket_io_lets_us_choose_the_engine_and_hands_it_the_methods_that_we_override():
    begin = inspect.getsource(socketio.base_server.BaseServer.__init__)
    assert "self.eio = self._engineio_server_class()(**engineio_options)" in begin
    for event in ("connect", "message", "disconnect"):
        assert f"self.eio.on('{event}', self._handle_eio_{event})" in begin
    assert "engineio_options['async_handlers'] = False" in begin
    assert parameters(socketio.AsyncServer._engineio_server_class) == ["self"]
    assert parameters(socketio.AsyncServer._handle_eio_connect) == ["self", "eio_sid", "environ"]
    assert parameters(socketio.AsyncServer._handle_eio_message) == ["self", "eio_sid", "data"]
    assert parameters(socketio.AsyncServer._handle_eio_disconnect) == ["self", "eio_sid", "reason"]


def test_the_manager_is_asked_by_these_names():
    manager = socketio.AsyncManager
    assert parameters(manager.emit) == [
        *("self", "event", "data", "namespace", "room", "skip_sid", "callback", "to", "kwargs"),
    ]
    assert parameters(manager.get_participants) == ["self", "namespace", "room"]
    assert parameters(manager.is_connected) == ["self", "sid", "namespace"]
    assert parameters(manager.eio_sid_from_sid) == ["self", "sid", "namespace"]
    assert parameters(manager.get_namespaces) == ["self"]
    assert "await self.manager.emit(" in inspect.getsource(socketio.AsyncServer.emit)


def test_a_refusal_carries_a_message_and_its_data():
    refused = socketio.exceptions.ConnectionRefusedError("code", {"code": "code"})
    assert refused.error_args == {"message": "code", "data": {"code": "code"}}


async def test_the_engine_is_a_table_of_sockets_with_handlers_and_ids():
    server = engineio.AsyncServer(async_mode="aiohttp", monitor_clients=False)
    assert (server.sockets, server.handlers, server.transports) == ({}, {}, ["polling", "websocket"])
    assert server.start_service_task is False
    assert len({server.generate_id() for _ in range(100)}) == 100
    assert parameters(engineio.AsyncServer.handle_request) == ["self", "args", "kwargs"]
    assert parameters(engineio.AsyncServer.attach) == ["self", "app", "engineio_path"]
    assert parameters(BaseServer.on) == ["self", "event", "handler"]


async def test_a_socket_asks_for_its_queue_and_keeps_its_state_in_these_names():
    assert "self.queue = self.server.create_queue()" in inspect.getsource(BaseSocket.__init__)
    connection = AsyncSocket(engineio.AsyncServer(async_mode="aiohttp"), "sid")
    assert connection.sid == "sid"
    for name in ("connected", "upgrading", "upgraded", "closing", "closed"):
        assert getattr(connection, name) is False
    assert parameters(AsyncSocket.send) == ["self", "pkt"]
    assert parameters(AsyncSocket.close) == ["self", "wait", "abort", "reason"]


def test_a_websockets_handshake_ends_with_the_method_that_we_override():
    prepare = inspect.getsource(web.WebSocketResponse.prepare)
    assert "self._pre_start(request)" in prepare
    assert "self._post_start(request, protocol, writer)" in prepare
    assert parameters(web.WebSocketResponse._post_start) == ["self", "request", "protocol", "writer"]
    post_start = inspect.getsource(web.WebSocketResponse._post_start)
    for line in ("self._ws_protocol = protocol", "self._writer = writer", "request.protocol.set_parser(self._parser"):
        assert line in post_start
    assert parameters(web.WebSocketResponse.write_eof) == ["self"]
    assert isinstance(web.WebSocketResponse.compress, property)


def test_a_request_handler_lets_go_of_a_transport_that_it_believes_lost():
    assert "transport" in BaseProtocol.__slots__
    assert {"_message_tail", "_task_handler"} <= set(web_protocol.RequestHandler.__slots__)
    lost = inspect.getsource(web_protocol.RequestHandler.connection_lost)
    assert "self._manager.connection_lost(self, exc)" in lost
    assert "if handler_cancellation and self._task_handler is not None:" in lost
    closing = inspect.getsource(web_protocol.RequestHandler.force_close)
    assert "if self.transport is not None:\n            self.transport.close()" in closing
    start = inspect.getsource(web_protocol.RequestHandler.start)
    assert "if not self._force_close:" in start
    assert isinstance(web.BaseRequest.protocol, property)


def test_the_frame_reader_fills_a_queue_by_these_methods():
    class Queue(WebSocketDataQueue):
        def __init__(self) -> None:
            self.fed: list[Any] = []

        def feed_data(self, message: Any, size: int) -> None:
            self.fed.append((message[0].name, message[1], size))

        def set_exception(self, error: BaseException, _cause: BaseException | None = None) -> None:
            self.fed.append(error)

        def feed_eof(self) -> None:
            self.fed.append("eof")

    queue = Queue()
    reader = WebSocketReader(queue, 10, compress=False, decode_text=True)
    for frame in (b"\x81\x01a", b"\x82\x02bc", b"\x89\x01p", b"\x88\x02\x03\xe8"):
        reader.feed_data(frame)
    assert queue.fed == [("TEXT", "a", 1), ("BINARY", b"bc", 2), ("PING", b"p", 1), ("CLOSE", 1000, 0)]
    reader.feed_data(b"\x81\x0b" + b"x" * 11)
    assert queue.fed[-1].code == 1009
    reader.feed_eof()
    assert queue.fed[-1] == "eof"


async def test_of_a_websocket_nothing_stays_with_the_web_server():
    async with served() as there, wired(there):
        assert isinstance(there.server, TestServer)
        (line,) = there.stack.traffic.lines
        assert line.transport is not None
        assert line.transport.get_protocol() is line
        handler = there.server.handler
        assert handler is not None
        assert handler.connections == []


def test_a_server_makes_its_connections_and_these_handle_what_is_no_http():
    assert "RequestHandler(self, loop=self._loop, **self._kwargs)" in inspect.getsource(web_server.Server.__call__)
    assert list(inspect.signature(web_server.Server.__init__).parameters) == [
        "self", "handler", "request_factory", "handler_cancellation", "loop", "kwargs",
    ]  # fmt: skip
    assert parameters(web_protocol.RequestHandler.handle_error) == ["self", "request", "status", "exc", "message"]
    assert "self.handle_error(" in inspect.getsource(web_protocol.RequestHandler._make_error_handler)
    assert "self._make_server()" in inspect.getsource(web.BaseRunner.setup)
