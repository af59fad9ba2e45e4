"""A lean Socket.IO client over WebSocket: thousands of them in one process, with next to no work a message."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import msgpack
import msgspec

from loadtest.errors import LoadtestError

ANSWER_WITHIN_S = 30
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10  # opcodes (RFC 6455, section 5.2)
SHORT = 126  # sizes from here on stand in bytes of their own
LEAST_HEAD = 2
KIND_BYTES = 2  # Engine.IO's and Socket.IO's kind of a text packet, one digit each
_AFTER_KIND = re.compile(rb"(\d*)(.*)", re.DOTALL)
CONNECT, DISCONNECT, EVENT, ACK, REFUSED = range(5)  # Socket.IO's packet types
ENGINE_OPEN, ENGINE_PING, ENGINE_PONG, ENGINE_MESSAGE = b"0", b"2", b"3", b"4"
_to_json, _of_json = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


class Refusal(LoadtestError):
    """What a server said no to. ``retry``: it asks for the same again."""

    def __init__(self, what: str, error: Any) -> None:
        super().__init__(f"{what} was refused: {error}")
        self.retry = bool(isinstance(error, dict) and error.get("retry"))


class Codec(Protocol):
    """Socket.IO packets as frames. ``path``: where a server reads this kind."""

    path: str

    def packet(self, kind: int, data: object, number: int | None = None) -> bytes: ...

    def kind(self, opcode: int, payload: bytes) -> int | None:
        """Of a packet that has come; None for what is Engine.IO's alone."""
        ...

    def read(self, payload: bytes) -> tuple[int | None, Any]:
        """Its number and what it holds."""
        ...


class Json:
    """The parser that Socket.IO has by itself."""

    path = "/socket.io/"

    def packet(self, kind: int, data: object, number: int | None = None) -> bytes:
        return frame(TEXT, b"4%d%b%b" % (kind, b"" if number is None else b"%d" % number, _to_json(data)))

    def kind(self, opcode: int, payload: bytes) -> int | None:
        return payload[1] - ord("0") if opcode == TEXT and payload[:1] == ENGINE_MESSAGE else None

    def read(self, payload: bytes) -> tuple[int | None, Any]:
        found = _AFTER_KIND.match(payload, KIND_BYTES)
        number, data = found.groups() if found else (b"", b"")
        return int(number) if number else None, _of_json(data) if data else None


class Packed:
    """socket.io-msgpack-parser."""

    path = "/socket.io/msgpack/"

    def packet(self, kind: int, data: object, number: int | None = None) -> bytes:
        packet = {"type": kind, "data": data, "nsp": "/"} | ({} if number is None else {"id": number})
        return frame(BINARY, cast("bytes", msgpack.packb(packet)))

    def kind(self, opcode: int, payload: bytes) -> int | None:
        return int(msgpack.unpackb(payload)["type"]) if opcode == BINARY else None

    def read(self, payload: bytes) -> tuple[int | None, Any]:
        packet = msgpack.unpackb(payload)
        return packet.get("id"), packet.get("data")


def frame(opcode: int, payload: bytes) -> bytes:
    """A final frame of a client, masked with zeros."""
    size = len(payload)
    if size < SHORT:
        head = bytes((0x80 | opcode, 0x80 | size))
    else:
        head = bytes((0x80 | opcode, 0x80 | SHORT)) + size.to_bytes(2, "big")
    return b"%b\0\0\0\0%b" % (head, payload)


class Frames:
    """The frames of a server, however its bytes are cut."""

    def __init__(self) -> None:
        self.buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Those that are whole now: opcode and payload."""
        buffer = self.buffer + data if self.buffer else data
        found, at, end = [], 0, len(buffer)
        while end - at >= LEAST_HEAD:
            size, head = buffer[at + 1] & 127, LEAST_HEAD
            if size >= SHORT:
                head = 4 if size == SHORT else 10
                if end - at < head:
                    break
                size = int.from_bytes(buffer[at + 2 : at + head], "big")
            if end - at < head + size:
                break
            found.append((buffer[at] & 15, buffer[at + head : at + head + size]))
            at += head + size
        self.buffer = buffer[at:]
        return found


class Socket(asyncio.Protocol):
    """One connection, signed in to the namespace ``/``. ``heard``: called with each event's payload as it came."""

    def __init__(self, host: str, token: str, codec: Codec, heard: Callable[[bytes], None] | None) -> None:
        self.host, self.token, self.codec, self.heard = host, token, codec, heard
        self.transport: asyncio.Transport | None = None
        self.frames, self.handshake = Frames(), b""
        self.is_open = False
        self.events = self.bytes_in = 0
        loop = asyncio.get_running_loop()
        self.signed_in: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.numbers = itertools.count()
        self.more = asyncio.Event()

    @classmethod
    async def to(
        cls, url: str, token: str, *, codec: Codec | None = None, heard: Callable[[bytes], None] | None = None
    ) -> Socket:
        """Connected. ``Refusal`` when it is refused, OSError or TimeoutError when nobody answers."""
        parts = urlsplit(url)
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: cls(parts.netloc, token, codec or Json(), heard), parts.hostname or "", parts.port or 80
        )
        try:
            await asyncio.wait_for(asyncio.shield(made.signed_in), ANSWER_WITHIN_S)
        except BaseException:
            made.close()
            raise
        return made

    async def call(self, event: str, body: object) -> dict[str, Any]:
        """The ack. ``Refusal`` when it says no."""
        number = next(self.numbers)
        self.waiting[number] = asyncio.get_running_loop().create_future()
        self._write(self.codec.packet(EVENT, [event, body], number))
        answer: dict[str, Any] = (await asyncio.wait_for(self.waiting[number], ANSWER_WITHIN_S))[0]
        if not answer.get("ok"):
            raise Refusal(event, answer.get("error"))
        return answer

    async def hear(self, events: int, within_s: float = ANSWER_WITHIN_S) -> None:
        """Until so many have come since the beginning. ``LoadtestError`` when they do not."""
        try:
            async with asyncio.timeout(within_s):
                while self.events < events:
                    self.more.clear()
                    await self.more.wait()
        except TimeoutError as error:
            raise LoadtestError(f"{self.events} of {events} events had come after {within_s:g} s") from error

    def read(self, payload: bytes) -> tuple[str, dict[str, Any]]:
        """Name and body of an event."""
        name, body = self.codec.read(payload)[1]
        return name, body

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            f"GET {self.codec.path}?EIO=4&transport=websocket HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if not self.is_open:
            self.handshake += data
            head, divider, data = self.handshake.partition(b"\r\n\r\n")
            if not divider:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._fail(LoadtestError(f"the server refused a socket: {head.splitlines()[0].decode()}"))
                return
            self.is_open = True
        for opcode, payload in self.frames.feed(data):
            self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._write(frame(PONG, payload))
        elif opcode == TEXT and payload[:1] == ENGINE_PING:
            self._write(frame(TEXT, ENGINE_PONG))
        elif opcode == TEXT and payload[:1] == ENGINE_OPEN:
            self._write(self.codec.packet(CONNECT, {"token": self.token}))
        else:
            kind = self.codec.kind(opcode, payload)
            if kind == EVENT:
                self.events += 1
                self.more.set()
                if self.heard is not None:
                    self.heard(payload)
            elif kind is not None:
                self._answered(kind, payload)

    def _answered(self, kind: int, payload: bytes) -> None:
        number, data = self.codec.read(payload)
        if kind == CONNECT and not self.signed_in.done():
            self.signed_in.set_result(None)
        elif kind == REFUSED:
            self._fail(Refusal("a socket", data.get("data") if isinstance(data, dict) else data))
        elif kind == ACK and number is not None and (waiting := self.waiting.pop(number, None)) and not waiting.done():
            waiting.set_result(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("the server closed the connection"))
        if not self.closed.done():
            self.closed.set_result(None)

    def _fail(self, error: Exception) -> None:
        for waiting in (self.signed_in, *self.waiting.values()):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # who still waits is told; who does not is no matter
        self.close()

    def _write(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            raise ConnectionError("the connection is closed")
        self.transport.write(data)
