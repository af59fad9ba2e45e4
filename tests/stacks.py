"""The socket stack by itself, without the product behind it, and clients raw enough to misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.waiting import until
from waypost.realtime.events import Event, Place, outgoing
from waypost.realtime.fanout import Options, Refused, Stack

UPGRADE = ("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "")  # fmt: skip
EPOCH = "0123456789abcdef"
Handler = Callable[[str, list[object]], Awaitable[object]]


def event(seq: int, name: str = "trip:event", room: str = "r", **body: object) -> Event:
    """The room's event of this number."""
    return Event(outgoing(room, name, {"n": seq, **body}), Place(EPOCH, seq))


@dataclass(slots=True)
class Desk:
    """The port: keeps who is there, answers with what it was asked. ``on`` takes an event's own handler."""

    stack: Stack = field(init=False)
    here: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    heard: list[tuple[str, list[object]]] = field(default_factory=list)
    on: dict[str, Handler] = field(default_factory=dict)
    at_connect: Callable[[str], Awaitable[None]] | None = None

    async def connected(self, sid: str, request: web.Request, auth: object) -> None:
        if self.at_connect is not None:
            await self.at_connect(sid)
        if isinstance(auth, dict) and auth.get("token") == "bad":
            raise Refused("token-invalid", {"code": "token-invalid", "detail": "No.", "retry": False})
        assert request.headers["Host"]
        self.here.append(sid)

    async def disconnected(self, sid: str) -> None:
        self.left.append(sid)
        if sid in self.here:
            self.here.remove(sid)

    async def received(self, sid: str, name: str, arguments: list[object]) -> object:
        self.heard.append((name, arguments))
        if name in self.on:
            return await self.on[name](sid, arguments)
        return {"ok": True, "name": name, "got": arguments}


@dataclass(slots=True)
class Served:
    """A stack that answers under ``url``, and the session of its clients."""

    stack: Stack
    desk: Desk
    server: TestServer
    session: aiohttp.ClientSession

    @property
    def port(self) -> int:
        assert self.server.port is not None
        return self.server.port

    def url(self, transport: str, *, packed: bool = False, sid: str = "") -> str:
        path = "/socket.io/msgpack/" if packed else "/socket.io/"
        more = f"&sid={sid}" if sid else ""
        return str(self.server.make_url(f"{path}?EIO=4&transport={transport}{more}"))


@asynccontextmanager
async def served(options: Options | None = None, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    """Ends with nothing left: no connection, no task of the stack's."""
    desk = Desk()
    desk.stack = stack = Stack(desk, options or Options(abort_after_s=0.3))
    app = web.Application()
    stack.attach(app)
    server = TestServer(app)
    await server.start_server(ssl=ssl_context, access_log=None)
    async with server, aiohttp.ClientSession() as session:
        running = asyncio.create_task(stack.run())
        try:
            yield Served(stack, desk, server, session)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await stack.close()
    assert stack.counts.connections == 0
    assert not stack.traffic.lines
    assert not stack.members.main


@dataclass(slots=True)
class Wire:
    """A client over a WebSocket that sends what it is told to and keeps what it hears, packet by packet."""

    ws: aiohttp.ClientWebSocketResponse
    packed: bool = False
    sid: str = ""
    heard: list[Any] = field(default_factory=list)
    _partial: list[Any] = field(default_factory=list)

    async def next(self) -> Any:
        """The next packet of the server's: ``[name, argument]`` of an event, else the Engine.IO text; None: closed."""
        while True:
            message = await asyncio.wait_for(self.ws.receive(), 10)
            if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                return None
            if message.data == "2":
                await self.ws.send_str("3")
            elif (packet := read(message.data, self._partial)) is not None:
                return packet

    async def events(self, count: int) -> list[Any]:
        """So many events."""
        found: list[Any] = []
        while len(found) < count:
            packet = await self.next()
            assert packet is not None, f"closed after {len(found)} of {count}"
            if isinstance(packet, list):
                found.append(packet)
        return found

    async def emit(self, *arguments: object, ack: int | None = None) -> None:
        if self.packed:
            told = {"type": 2, "nsp": "/", "data": list(arguments)} | ({} if ack is None else {"id": ack})
            await self.ws.send_bytes(msgpack.packb(told))
        else:
            await self.ws.send_str(f"42{'' if ack is None else ack}{json.dumps(arguments)}")

    async def closed(self) -> int | None:
        """Read to the end; the close code."""
        while await self.next() is not None:
            pass
        return self.ws.close_code


def read(data: str | bytes, partial: list[Any]) -> Any:
    """A packet, once it is whole; ``partial`` keeps one that waits for its attachments."""
    if isinstance(data, bytes) and partial:
        partial.append(data)
        return _whole(partial)
    if isinstance(data, bytes):
        packet = msgpack.unpackb(data)
        return packet["data"] if packet["type"] == 2 else packet
    if data.startswith("45"):
        partial[:] = [data]
        return None
    return json.loads(data[2:]) if data.startswith("42") else data


def _whole(partial: list[Any]) -> Any:
    count, _, text = partial[0][2:].partition("-")
    if len(partial) <= int(count):
        return None
    attachments = partial[1:]
    partial.clear()

    def put_back(value: dict[str, Any]) -> Any:
        return attachments[value["num"]] if value.get("_placeholder") else value

    return json.loads(text, object_hook=put_back)


@asynccontextmanager
async def wired(served: Served, auth: object = None, *, packed: bool = False, join: bool = True) -> AsyncIterator[Wire]:
    """Connected over a WebSocket; with ``join`` to the namespace too."""
    async with served.session.ws_connect(served.url("websocket", packed=packed), max_msg_size=0) as ws:
        wire = Wire(ws, packed)
        assert (await ws.receive_str()).startswith("0{")
        if join:
            await send_connect(wire, auth)
            answer = await wire.next()
            wire.sid = answer["data"]["sid"] if packed else json.loads(answer[2:])["sid"]
            await until(lambda: served.stack.members.main[wire.sid].direct)  # what follows the answer waits a moment
        yield wire


async def send_connect(wire: Wire, auth: object = None) -> None:
    if wire.packed:
        await wire.ws.send_bytes(msgpack.packb({"type": 0, "nsp": "/"} | ({} if auth is None else {"data": auth})))
    else:
        await wire.ws.send_str("40" + ("" if auth is None else json.dumps(auth)))


@dataclass(slots=True)
class Poller:
    """A client that polls."""

    served: Served
    session_id: str
    packed: bool
    sid: str = ""
    _partial: list[Any] = field(default_factory=list)

    async def poll(self) -> list[Any]:
        """What one poll answers."""
        async with self.served.session.get(self._url()) as response:
            assert response.status == 200, await response.text()
            texts = (await response.text()).split("\x1e")
        if "2" in texts:
            await self.post("3")
        data = [base64.b64decode(text[1:]) if text.startswith("b") else text for text in texts if text != "2"]
        packets = [read(each, self._partial) for each in data]
        return [packet for packet in packets if packet is not None]

    async def post(self, body: str) -> tuple[int, str]:
        async with self.served.session.post(self._url(), data=body) as response:
            return response.status, await response.text()

    async def events(self, count: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count:
            found += [packet for packet in await self.poll() if isinstance(packet, list)]
        return found

    def _url(self) -> str:
        return self.served.url("polling", packed=self.packed, sid=self.session_id)


async def polling(served: Served, *, packed: bool = False) -> Poller:
    """Connected over polling, and in the namespace."""
    async with served.session.get(served.url("polling", packed=packed)) as response:
        opened = json.loads((await response.text())[1:])
    poller = Poller(served, opened["sid"], packed)
    connect = "b" + base64.b64encode(msgpack.packb({"type": 0, "nsp": "/"})).decode() if packed else "40"
    assert await poller.post(connect) == (200, "ok")
    (answer,) = await poller.poll()
    poller.sid = answer["data"]["sid"] if packed else json.loads(answer[2:])["sid"]
    return poller


@dataclass(slots=True)
class Raw:
    """A WebSocket on a bare socket, without a task of its own and with a small receive buffer: it reads when told."""

    sock: socket.socket

    def send(self, text: str) -> None:
        """One masked text frame of up to 125 bytes."""
        payload = text.encode()
        self.sock.sendall(bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload)

    async def read(self, until: bytes) -> bytes:
        """Everything up to these bytes."""
        found = b""
        loop = asyncio.get_running_loop()
        while until not in found:
            more = await asyncio.wait_for(loop.sock_recv(self.sock, 65536), 10)
            if not more:
                raise EOFError(found[-200:])
            found += more
        return found

    async def rest(self) -> bytes:
        """Everything up to the end."""
        found, loop = b"", asyncio.get_running_loop()
        try:
            while more := await asyncio.wait_for(loop.sock_recv(self.sock, 1 << 16), 10):
                found += more
        except ConnectionResetError:
            pass
        return found


@asynccontextmanager
async def raw(served: Served, *, join: bool = True) -> AsyncIterator[Raw]:
    """A bare connection; with ``join`` in the namespace."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", served.port))
        sock.sendall("\r\n".join(UPGRADE).encode())
        client = Raw(sock)
        await client.read(b"maxPayload")
        if join:
            client.send("40")
            answer = await client.read(b'"}')
            sid = answer.decode("latin-1").rpartition('"sid":"')[2].partition('"')[0]
            await until(lambda: served.stack.members.main[sid].direct)  # what follows the answer has a moment to wait
        yield client


def numbers(events: list[Any]) -> list[int]:
    """The events' ``seq``."""
    return [body["seq"] for _name, body in events]


def few_bytes(**more: Any) -> Options:
    """Small bounds, so that a test reaches them; the kernel's own buffers are beyond them."""
    return Options(**{"high_water_bytes": 8192, "backlog_bytes": 200_000, "abort_after_s": 0.3} | more)


def shrink(there: Served, sid: str) -> None:
    """Give the server's side of the socket as little of the kernel's memory as it takes."""
    line = there.stack.members.main[sid].line
    assert line is not None
    assert line.transport is not None
    line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


async def asked(there: Served, **headers: str) -> tuple[int, Any, Any]:
    """What a first request with these headers is answered: status, text and headers."""
    async with there.session.get(there.url("polling"), headers=headers) as response:
        return response.status, await response.text(), response.headers


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The two sides of a TLS connection to 127.0.0.1, under a certificate of today."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "certificate.pem"))
