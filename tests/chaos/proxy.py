"""A TCP link that can be cut, half open, frozen or slow, each way by itself; to be put before any server.

What a way does is set on it at any moment and holds for every connection, those that are open already too:

- ``lost``: bytes are accepted and never delivered, nor is the end of a stream: the other machine is gone, and nobody
  was told. A connection that lost a byte never works again, after ``heal()`` either, as in life.
- ``held``: nothing passes until it is healed, and nothing is lost: a frozen network, or a peer that stopped reading.
- ``latency_s``, ``bytes_per_s``: slow, in order and complete.

``cut()`` ends what is open without a word (a reset); ``refusing`` does so to whoever connects from now on.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

CHUNK = 65536
CHUNKS_UNDER_WAY = 64  # on a link with latency; a sender that is faster has to wait
RESET = struct.pack("ii", 1, 0)  # linger for no time: what closes then is reset
SLICE_S = 0.01  # how finely a narrow link deals out its bytes
Upstream: TypeAlias = "int | Path"  # a port of this machine, or a Unix socket


@dataclass(slots=True)
class Way:
    """One direction of the link."""

    lost: bool = False
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    passed: int = 0  # bytes that were delivered
    free: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.free.set()

    @property
    def held(self) -> bool:
        return not self.free.is_set()

    @held.setter
    def held(self, value: bool) -> None:
        (self.free.clear if value else self.free.set)()

    def heal(self) -> None:
        self.lost, self.held, self.latency_s, self.bytes_per_s = False, False, 0.0, None


@dataclass(eq=False, slots=True)
class Connection:
    """A client and the connection that was made for it; ``dead`` once a byte was lost in it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    dead: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def abort(self) -> None:
        """A reset to both sides."""
        for writer in self._writers():
            with suppress(OSError):  # it is closed already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        for task in self.tasks:
            task.cancel()

    def close(self) -> None:
        """What was written is still sent."""
        for writer in self._writers():
            writer.close()

    def _writers(self) -> list[asyncio.StreamWriter]:
        return [self.client] if self.server is None else [self.client, self.server]


@dataclass(slots=True)
class Proxy:
    """A link to ``upstream`` from ``port`` of this machine."""

    upstream: Upstream
    port: int = 0
    refusing: bool = False
    to_server: Way = field(default_factory=Way)
    to_client: Way = field(default_factory=Way)
    connections: set[Connection] = field(default_factory=set)
    accepted: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def half_open(self) -> None:
        """Both ways lose everything: the machine behind is gone, and its connections are not known to be."""
        self.to_server.lost = self.to_client.lost = True

    def freeze(self) -> None:
        """Nothing passes either way, until it is healed."""
        self.to_server.held = self.to_client.held = True

    def slow(self, latency_s: float, bytes_per_s: float | None = None) -> None:
        """Both ways."""
        for way in (self.to_server, self.to_client):
            way.latency_s, way.bytes_per_s = latency_s, bytes_per_s

    def heal(self) -> None:
        """A good link from now on; what is dead stays so."""
        self.refusing = False
        self.to_server.heal()
        self.to_client.heal()

    def cut(self) -> None:
        """End every connection, as a network does: without a word."""
        for connection in list(self.connections):
            connection.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, to its end."""
        self.accepted += 1
        connection = Connection(writer)
        if self.refusing:
            connection.abort()
            return
        self.connections.add(connection)
        try:
            await self._serve(connection, reader)
        except OSError:  # one side was reset, or cannot be reached: so the other is too
            connection.abort()
        finally:
            connection.close()
            self.connections.discard(connection)

    async def _serve(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        if self.to_server.lost:  # what is not there cannot be reached: the client hears nothing
            connection.dead = True
            while await reader.read(CHUNK):
                pass
            return
        from_server, connection.server = await _connect(self.upstream)
        connection.tasks += [
            asyncio.ensure_future(_pump(connection, reader, connection.server, self.to_server)),
            asyncio.ensure_future(_pump(connection, from_server, connection.client, self.to_client)),
        ]
        try:
            await asyncio.gather(*connection.tasks)
        finally:
            for task in connection.tasks:
                task.cancel()
            await asyncio.gather(*connection.tasks, return_exceptions=True)


async def _connect(upstream: Upstream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(upstream, int):
        return await asyncio.open_connection("127.0.0.1", upstream)
    return await asyncio.open_unix_connection(str(upstream))


async def _pump(connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    """One way of one connection: what is read is delivered in its time, in order, or lost; its end too."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)
    delivering = asyncio.ensure_future(_deliver(connection, under_way, writer, way))
    try:
        data = b"-"
        while data:
            await way.free.wait()
            data = await reader.read(CHUNK)
            if not connection.dead:
                await under_way.put((_now() + way.latency_s, data))
        await delivering
    finally:
        delivering.cancel()


async def _deliver(
    connection: Connection, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: Way
) -> None:
    data = b"-"
    while data:
        due, data = await under_way.get()
        await asyncio.sleep(max(0.0, due - _now()))
        await way.free.wait()
        if way.lost or connection.dead:
            connection.dead = True
            await _forever()
        await _write(writer, data, way)


async def _write(writer: asyncio.StreamWriter, data: bytes, way: Way) -> None:
    if not data:
        if writer.can_write_eof():
            writer.write_eof()
        return
    size = len(data) if way.bytes_per_s is None else max(1, int(way.bytes_per_s * SLICE_S))
    for start in range(0, len(data), size):
        if way.bytes_per_s is not None:
            await asyncio.sleep(SLICE_S)
        writer.write(data[start : start + size])
        await writer.drain()
    way.passed += len(data)


async def _forever() -> None:
    await asyncio.Event().wait()


def _now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def proxy_to(upstream: Upstream) -> AsyncIterator[Proxy]:
    """A link to the server on that port of this machine, or on that Unix socket."""
    proxy = Proxy(upstream)
    serving: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(_kept(proxy.accept, serving), "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()


Handler: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]"


def _kept(handle: object, tasks: set[asyncio.Task[None]]) -> Handler:
    """Each client in a task of ours, so that the end can end it."""

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))  # type: ignore[operator]
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return begin
