"""The parts of libraries that we lean on and that their authors do not promise."""

from __future__ import annotations

import inspect

import engineio
import socketio
from aiohttp import web, web_protocol, web_server
from engineio.async_socket import AsyncSocket


def test_the_server_hands_each_packet_to_the_method_that_we_override():
    assert list(inspect.signature(socketio.AsyncServer._handle_eio_message).parameters) == ["self", "eio_sid", "data"]
    assert "self._handle_eio_message" in inspect.getsource(socketio.base_server.BaseServer.__init__)


def test_the_manager_tells_the_connection_of_a_session():
    parameters = inspect.signature(socketio.AsyncManager.eio_sid_from_sid).parameters
    assert list(parameters) == ["self", "sid", "namespace"]
    assert list(inspect.signature(socketio.AsyncManager.is_connected).parameters) == ["self", "sid", "namespace"]


async def test_a_connection_says_whether_it_is_closed():
    server = engineio.AsyncServer(async_mode="aiohttp")
    connection = AsyncSocket(server, "sid")
    assert (connection.closed, connection.closing) == (False, False)
    assert server.sockets == {}


def test_a_server_makes_its_connections_and_these_handle_what_is_no_http():
    assert "RequestHandler(self, loop=self._loop, **self._kwargs)" in inspect.getsource(web_server.Server.__call__)
    assert list(inspect.signature(web_server.Server.__init__).parameters) == [
        "self", "handler", "request_factory", "handler_cancellation", "loop", "kwargs",
    ]  # fmt: skip
    parameters = inspect.signature(web_protocol.RequestHandler.handle_error).parameters
    assert list(parameters) == ["self", "request", "status", "exc", "message"]
    assert "self.handle_error(" in inspect.getsource(web_protocol.RequestHandler._make_error_handler)
    assert "self._make_server()" in inspect.getsource(web.BaseRunner.setup)
