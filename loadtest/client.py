"""A load generator of our own: keep-alive connections that carry ready-made requests, with next to no work each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from loadtest.world import Driven

PING = "/api/v1/tracking/ping"
ANSWER_WITHIN_S = 30


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; one request at a time, answers with a Content-Length."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.bytes_in = 0
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def to(cls, url: str) -> Connection:
        parts = urlsplit(url)
        _, made = await asyncio.get_running_loop().create_connection(cls, parts.hostname or "", parts.port or 80)
        return made

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. ConnectionError when the server went away, TimeoutError when it says nothing."""
        if self.transport is None or self.transport.is_closing():
            raise ConnectionError("the connection is closed")
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await asyncio.wait_for(self.waiting, ANSWER_WITHIN_S)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.bytes_in += len(data)
        head, divider, body = self.buffer.partition(b"\r\n\r\n")
        if not divider or len(body) < (size := _length(head)):
            return
        self.buffer = body[size:]
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result((int(head[9:12]), body[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(error or ConnectionError("the server closed the connection"))


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"content-length:")
    if start < 0:
        return 0
    return int(lower[start + 15 : lower.find(b"\r\n", start) if b"\r\n" in lower[start:] else None])


@dataclass(slots=True)
class Phone:
    """A driver's batches as ``ping.lua`` makes them: a fix a second of the device's own time, never one twice."""

    driven: Driven
    start_ms: int
    clock: int = 0
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.head = (
            f"POST {PING} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.driven.token}\r\nContent-Length: "
        ).encode()

    def request(self, batch: int) -> bytes:
        """The next one, whole."""
        fixes = ",".join(self._fix(at) for at in range(self.clock + 1, self.clock + 1 + batch))
        self.clock += batch
        ids = f'"tripId":"{self.driven.trip_id}","driverId":"{self.driven.driver_id}"'
        body = f'{{{ids},"locations":[{fixes}]}}'.encode()
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)

    def _fix(self, at: int) -> str:
        latitude, longitude = -17.8 + at % 1000 / 10000, 31.0 + at % 777 / 10000
        return (
            f'{{"latitude":{latitude:.6f},"longitude":{longitude:.6f},"timestamp":{self.start_ms + at * 1000},'
            '"accuracy":5.5,"speed":13.25}'
        )


def phones(driven: Sequence[Driven], start_ms: int) -> list[Phone]:
    return [Phone(each, start_ms) for each in driven]


def with_token(driven: Sequence[Driven], token: str) -> list[Driven]:
    """The same drivers for a server that knows another kind of token."""
    return [Driven(d.trip_id, d.driver_id, d.device_id, token) for d in driven]
