"""The ways by which a phone may report: JSON and msgpack over HTTP, rows or columns, and the same over Socket.IO."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import socketio

PING = "/api/v1/tracking/ping"
COLUMNS = {"la": 10**7, "lo": 10**7, "sp": 10, "he": 1, "ac": 1}  # what a unit of each is divided into
FIELDS = {"la": "latitude", "lo": "longitude", "sp": "speed", "he": "heading", "ac": "accuracy"}
ANSWER_WITHIN_S = 60
Batch = Mapping[str, Any]  # stream, locations with a timestamp in ms and a number n each, in its order


@dataclass(slots=True)
class Roads:
    """Ways to one server. Each gives (status, the answer); status 0: nobody answered."""

    url: str
    session: aiohttp.ClientSession
    sockets: dict[str, Socket] = field(default_factory=dict)
    opening: dict[str, asyncio.Lock] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Roads]:
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            roads = cls(url, session)
            try:
                yield roads
            finally:
                for token in list(roads.sockets):
                    await roads.hang_up(token)

    async def json(self, token: str, batch: Batch) -> tuple[int, Any]:
        return await self._post(token, msgspec.json.encode(batch), "application/json")

    async def msgpack(self, token: str, batch: Batch) -> tuple[int, Any]:
        return await self._post(token, msgspec.msgpack.encode(batch), "application/msgpack")

    async def columns(self, token: str, batch: Batch) -> tuple[int, Any]:
        return await self._post(token, packed(batch), "application/msgpack")

    async def socket(self, token: str, batch: Batch) -> tuple[int, Any]:
        return await self._call(token, batch)

    async def frame(self, token: str, batch: Batch) -> tuple[int, Any]:
        """Columns, as a binary frame of the socket."""
        return await self._call(token, packed(batch))

    async def hang_up(self, token: str) -> None:
        socket = self.sockets.pop(token, None)
        if socket is not None:
            await socket.close()

    async def _post(self, token: str, body: bytes, kind: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        try:
            async with self.session.post(f"{self.url}{PING}", data=body, headers=headers) as response:
                return response.status, await response.json(content_type=None)
        except aiohttp.ClientError:
            return 0, None

    async def _call(self, token: str, data: object) -> tuple[int, Any]:
        try:
            socket = await self._socket(token)
            _still_wanted()
            ack = await socket.call(data)
        except (socketio.exceptions.SocketIOError, aiohttp.ClientError, OSError):
            await self.hang_up(token)
            _still_wanted()
            return 0, None
        if ack["ok"]:
            return 200, ack
        return 503 if ack["error"].get("retry") else 400, ack["error"]

    async def _socket(self, token: str) -> Socket:
        async with self.opening.setdefault(token, asyncio.Lock()):
            socket = self.sockets.get(token)
            if socket is None or not socket.client.connected:
                socket = self.sockets[token] = Socket()
                await socket.client.connect(
                    self.url, auth={"token": token}, transports=["websocket"], wait_timeout=ANSWER_WITHIN_S
                )
            return socket


def _still_wanted() -> None:
    """``wait_for()`` of Python 3.11, in the client's ``connect``, loses a cancellation that comes as what it waits for
    is there: the cancelled task would send for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Socket:
    """A connection whose calls fail as soon as it is lost; the client's own ``call`` would wait its time out."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("disconnect", self._lost)
        self.waiting: set[asyncio.Future[Any]] = set()

    async def call(self, data: object) -> Any:
        """The ack. ConnectionResetError, TimeoutError."""
        answered = asyncio.get_running_loop().create_future()
        self.waiting.add(answered)

        def answer(ack: object) -> None:
            if not answered.done():
                answered.set_result(ack)

        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):  # unlike wait_for() of 3.11 it lets no cancellation be lost
                await self.client.emit("tracking:ping", data, callback=answer)
                return await answered
        finally:
            self.waiting.discard(answered)

    async def close(self) -> None:
        await self.client.disconnect()
        await self.client.shutdown()

    async def _lost(self, *_: object) -> None:
        for answered in self.waiting:
            if not answered.done():
                answered.set_exception(ConnectionResetError())


def packed(batch: Batch) -> bytes:
    """The batch in columns of differences, by this test's own hand."""
    locations = batch["locations"]
    table: dict[str, Any] = {"v": 1, "k": 7, "t": differences([each["timestamp"] for each in locations])}
    for name, parts in COLUMNS.items():
        values = [each.get(FIELDS[name]) for each in locations]
        if any(value is not None for value in values):
            table[name] = differences([None if value is None else round(value * parts) for value in values])
    if "tripId" in batch:
        table["tripId"] = batch["tripId"]
    if "stream" in batch:
        table |= {"stream": batch["stream"], "n0": locations[0]["n"]}
    return msgspec.msgpack.encode(table)


def differences(values: Sequence[int | None]) -> list[int | None]:
    """From the last known value, at first from 0."""
    known, steps = 0, []
    for value in values:
        steps.append(None if value is None else value - known)
        known = known if value is None else value
    return steps


Road = Callable[[Roads, str, Batch], Any]
ALL: Sequence[Road] = (Roads.json, Roads.msgpack, Roads.columns, Roads.socket, Roads.frame)
