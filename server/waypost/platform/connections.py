"""Connections that send what is no HTTP: aiohttp logs and answers what it got, and in a request line is a token."""

from __future__ import annotations

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from waypost.kernel.errors import Malformed
from waypost.platform.telemetry import log
from waypost.platform.web import problem_of


class NotHttp(Malformed):
    """This is no HTTP request that can be read: see that its address has no blanks and is not too long."""

    code = "not-http"


class Connection(RequestHandler):
    """Says of such a request only in what way it is wrong, and to its sender not even that."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        log.warning("request_not_read", error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer is sent already")
        response = problem_of(NotHttp())
        response.force_close()
        return response


class Connections(web.Server):
    """Makes a ``Connection`` of each."""

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """An ``AppRunner`` whose connections are ours."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return Connections(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            loop=server._loop,  # noqa: SLF001 - pinned by tests/integration/test_pins.py
            **server._kwargs,  # noqa: SLF001
        )
