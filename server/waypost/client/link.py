"""One connection of the official client: opened once, lost once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import socketio
from socketio import exceptions as socket_errors

OPEN_WITHIN_S = 10.0
CLOSED_WITHIN_S = 0.5
FAILURES = (socket_errors.SocketIOError, aiohttp.ClientError, TimeoutError, OSError)


class Unreachable(Exception):
    """Nobody answered, or the connection was lost before the answer: nobody knows what became of what was sent."""


class Refused(Exception):
    """The server did not let us in. ``code`` says why, ``retry`` whether the same may succeed later."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.code = str(said.get("code") or "")
        self.retry = said.get("retry") is not False
        super().__init__(self.code)


@dataclass(frozen=True, slots=True)
class Road:
    """How to get there: by the first of ``urls``, and by the next after each loss; msgpack is another path there."""

    urls: tuple[str, ...]
    transports: tuple[Literal["websocket", "polling"], ...] = ("websocket",)
    codec: Literal["json", "msgpack"] = "json"

    @property
    def path(self) -> str:
        """Of the server's Socket.IO endpoint."""
        return "socket.io" if self.codec == "json" else "socket.io/msgpack"


class Link:
    """To ``url``; ``hear`` gets the name and the argument of every event, in the order in which they came."""

    def __init__(
        self, url: str, road: Road, session: aiohttp.ClientSession, hear: Callable[[str, object], None]
    ) -> None:
        self.lost = asyncio.Event()
        self.failure: Exception | None = None  # of ``hear``: it ends the connection
        self._url, self._road = url, road
        self._hear = hear
        self._refusal: object = None
        self._waiting: set[asyncio.Future[Any]] = set()
        self._client: Any = socketio.AsyncClient(
            reconnection=False, handle_sigint=False, http_session=session, request_timeout=OPEN_WITHIN_S,
            serializer="default" if road.codec == "json" else "msgpack",
        )  # fmt: skip
        self._client.on("*", self._heard)
        self._client.on("connect_error", self._refused)
        self._client.on("disconnect", self._gone)

    @property
    def transport(self) -> str:
        """Of the moment: websocket or polling."""
        return str(self._client.transport())

    async def open(self, token: str) -> None:
        """``Refused``, ``Unreachable``."""
        try:
            await self._client.connect(
                self._url, auth={"token": token}, transports=list(self._road.transports),
                socketio_path=self._road.path, wait_timeout=OPEN_WITHIN_S,
            )  # fmt: skip
        except FAILURES as error:
            await self.close()
            said = self._refusal.get("data") if isinstance(self._refusal, Mapping) else None
            if isinstance(said, Mapping):
                raise Refused(said) from error
            raise Unreachable(str(self._refusal or error)) from error
        except BaseException:
            await self.close()
            raise

    async def call(self, event: str, data: object, within_s: float) -> Mapping[str, Any]:
        """The ack. ``Unreachable`` when there is none: after ``within_s``, or as soon as the connection is lost."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.add(answered)

        def answer(*values: object) -> None:
            if not answered.done():
                answered.set_result(values[0] if values else None)

        try:
            if self.lost.is_set():
                raise Unreachable("the connection is lost")
            async with asyncio.timeout(within_s):  # unlike wait_for() of 3.11 it lets no cancellation be lost
                await self._client.emit(event, data, callback=answer)
                ack = await answered
        except FAILURES as error:
            raise Unreachable(type(error).__name__) from error
        finally:
            self._waiting.discard(answered)
        return ack if isinstance(ack, Mapping) else {"ok": True}

    async def close(self) -> None:
        """May be repeated. By polling the library would wait for the end of the poll that is open."""
        self._gone()
        with suppress(*FAILURES):
            async with asyncio.timeout(CLOSED_WITHIN_S):
                await self._client.disconnect()

    def _heard(self, event: str, *arguments: object) -> None:
        if self.lost.is_set():
            return
        try:
            self._hear(event, arguments[0] if arguments else None)
        except Exception as error:  # noqa: BLE001 - the library would only log it; whoever runs us raises it
            self.failure = error
            self.lost.set()

    def _refused(self, said: object = None) -> None:
        self._refusal = said

    def _gone(self, *_reason: object) -> None:
        self.lost.set()
        for answered in self._waiting:
            if not answered.done():
                answered.set_exception(ConnectionResetError())
