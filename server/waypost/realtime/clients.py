"""Socket.IO over the connections: who joins a namespace, and the events that they send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial

from aiohttp import web

from waypost.platform.telemetry import log
from waypost.realtime import packets
from waypost.realtime.connection import GOING_AWAY, POLICY, Connection
from waypost.realtime.lanes import Lane, Workers
from waypost.realtime.letters import Letter
from waypost.realtime.members import Members
from waypost.realtime.packets import Malformed, Packet
from waypost.realtime.port import Port, Refused
from waypost.realtime.traffic import Traffic

CLOSE_WITHIN_S = 5.0
PARTING_S = 1.0
MAX_AUTH_BYTES = 64 * 1024


class Client:
    """What a connection is to Socket.IO: the namespaces that it has joined, each under a sid of its own."""

    __slots__ = ("attachments", "deadline", "join_by", "lane", "partial", "request", "sids", "waiting")

    def __init__(self, request: web.Request) -> None:
        self.request: web.Request | None = request
        self.sids: dict[str, str] = {}  # namespace -> sid
        self.lane = Lane()
        self.waiting = 0  # bytes of the events in it
        self.partial: Packet | None = None
        self.attachments: list[bytes] = []
        self.deadline: asyncio.TimerHandle | None = None
        self.join_by: float | None = None  # on the loop's clock


class Clients:
    """Of one process; both codecs use it."""

    def __init__(self, port: Port, traffic: Traffic, members: Members, namespaces: Sequence[str]) -> None:
        self.port = port
        self.traffic = traffic
        self.members = members
        self.namespaces = frozenset(namespaces)
        self.workers = Workers()
        self.leaving = Lane()
        self.is_draining = False  # nobody comes in any more
        traffic.last_words = self.last_words

    # What the engine tells.

    def opened(self, connection: Connection, request: web.Request) -> None:
        """A connection that has joined nothing yet; it has a time for that."""
        connection.listener_state = Client(request)
        self.traffic.counts.connections += 1
        self._await_connect(connection)

    def heard(self, connection: Connection, data: str | bytes) -> None:
        """A message. One that is no packet ends the connection."""
        client: Client = connection.listener_state
        try:
            packet = self._whole(connection, client, data)
            if packet is not None:
                self._handle(connection, client, packet, len(data))
        except Malformed as error:
            connection.refuse(f"Socket.IO: {error}")

    def closed(self, connection: Connection, _why: str) -> None:
        """It has ended."""
        client: Client = connection.listener_state
        self.traffic.counts.connections -= 1
        self._stop_waiting(client)
        client.partial = client.request = None
        for sid in list(client.sids.values()):
            self._leave(client, sid)
        client.sids.clear()

    # What others ask.

    def send(self, sid: str, name: str, arguments: Sequence[object]) -> None:
        """An event for one member, if it is still here."""
        if (found := self.members.find(sid)) is not None:
            namespace, connection = found
            self.traffic.counts.encoded += 1
            connection.put(packets.write(packets.EVENT, namespace, [name, *arguments], packed=connection.packed))

    def last_words(self, connection: Connection, code: str, detail: str, *, retry: bool = True) -> list[Letter]:
        """What it is told before it is ended; without a code only that it is."""
        letters: list[Letter] = []
        error = {"code": code, "detail": detail, "retry": retry}
        for namespace in connection.listener_state.sids if connection.listener_state is not None else ():
            if code:
                told = ["error", error]
                letters.append(packets.write(packets.EVENT, namespace, told, packed=connection.packed))
            letters.append(packets.write(packets.DISCONNECT, namespace, packed=connection.packed))
        return letters

    def finish(self, connection: Connection) -> None:
        """End it behind everything that it has asked; what it asks from now on is not heard."""
        client: Client = connection.listener_state
        self.workers.put(client.lane, partial(self._hang_up, connection))

    async def _hang_up(self, connection: Connection) -> None:
        """What waits for it may still leave, if it takes that within a moment."""
        last = self.traffic.loop.time() + PARTING_S
        while len(connection.queue) and not connection.closed and self.traffic.loop.time() < last:  # noqa: ASYNC110 - a poll may or may not come
            await asyncio.sleep(PARTING_S / 50)
        connection.shut("going away", code=GOING_AWAY)

    async def close(self) -> None:
        """Wait for the handlers."""
        await self.workers.close(CLOSE_WITHIN_S)

    # Packets.

    def _whole(self, connection: Connection, client: Client, data: str | bytes) -> Packet | None:
        if connection.packed:
            if isinstance(data, str):
                raise Malformed("text")
            return packets.read_packed(data)
        if isinstance(data, bytes):
            return _attached(client, data, self.traffic.options.max_payload_bytes)
        if client.partial is not None:
            raise Malformed("text between attachments")
        packet = packets.read_text(data)
        if not packet.attachments:
            return packet
        client.partial = packet
        return None

    def _handle(self, connection: Connection, client: Client, packet: Packet, size: int) -> None:
        if packet.kind == packets.CONNECT:
            self._connect(connection, client, packet, size)
            return
        sid = client.sids.get(packet.namespace)
        if sid is None:
            raise Malformed("not connected")
        if packet.kind == packets.DISCONNECT:
            del client.sids[packet.namespace]
            self._leave(client, sid)
            if not client.sids:
                self._await_connect(connection, anew=True)
        elif packet.kind in {packets.EVENT, packets.BINARY_EVENT}:
            self._event(connection, sid, packet, size)
        # An ack: nothing of ours asks for one.

    def _event(self, connection: Connection, sid: str, packet: Packet, size: int) -> None:
        client: Client = connection.listener_state
        options = self.traffic.options
        too_many = len(client.lane) >= options.waiting_events or client.waiting > options.max_payload_bytes
        if packet.is_foreign:
            refusal = _no("unsupported-type", "The message holds a msgpack extension: undefined, a Date or the like.")
        elif too_many:
            refusal = _no("too-many", "Too many events are waiting to be handled; wait for their acks.", retry=True)
        else:
            client.waiting += size
            self.workers.put(client.lane, partial(self._receive, connection, sid, packet, size))
            return
        self._acknowledge(connection, packet, refusal)

    async def _receive(self, connection: Connection, sid: str, packet: Packet, size: int) -> None:
        connection.listener_state.waiting -= size
        if self.members.find(sid) is None:
            return
        name, *arguments = packet.data
        answer = await self.port.received(sid, name, arguments)
        if self.members.find(sid) is not None:
            self._acknowledge(connection, packet, answer)

    def _acknowledge(self, connection: Connection, packet: Packet, answer: object) -> None:
        if packet.id is None:
            return
        arguments = list(answer) if isinstance(answer, tuple) else [answer]
        self.traffic.counts.encoded += 1
        letter = packets.write(packets.ACK, packet.namespace, arguments, number=packet.id, packed=connection.packed)
        connection.put(letter)

    # Coming and going.

    def _connect(self, connection: Connection, client: Client, packet: Packet, size: int) -> None:
        namespace = packet.namespace
        if self.is_draining:  # not refused: the official clients would not come back by themselves
            connection.shut("going away", code=GOING_AWAY)
            return
        if namespace in client.sids or client.request is None:
            raise Malformed("connected already")
        if size > MAX_AUTH_BYTES or len(client.lane) >= self.traffic.options.waiting_events:
            raise Malformed("more than one needs to sign in")
        if namespace not in self.namespaces:
            self._refuse(connection, namespace, {"message": "Invalid namespace"})
            return
        if packet.is_foreign and packet.data is not None:  # the parser of the official client writes "no auth" as one
            error = _no("unsupported-type", "The message holds a msgpack extension.")["error"]
            self._refuse(connection, namespace, {"message": "unsupported-type", "data": error})
            return
        sid = client.sids[namespace] = connection.server.generate_id()
        self._stop_waiting(client)
        self.members.enter(sid, namespace, connection)
        self.workers.put(client.lane, partial(self._admit, connection, sid, packet))

    async def _admit(self, connection: Connection, sid: str, packet: Packet) -> None:
        client: Client = connection.listener_state
        if client.request is None or client.sids.get(packet.namespace) != sid:
            return  # it has closed already
        connection.cork()
        refusal = await _refusal(self.port.connected(sid, client.request, packet.data))
        if client.sids.get(packet.namespace) != sid:  # it has left again, or closed
            connection.uncork()
        elif refusal is None:
            if len(client.sids) == len(self.namespaces):
                client.request = None  # kept by ten thousand idle connections it would cost more than they
            told: dict[str, object] = {"sid": sid}
            connection.uncork(packets.write(packets.CONNECT, packet.namespace, told, packed=connection.packed))
        else:
            del client.sids[packet.namespace]
            self._leave(client, sid)
            if not client.sids:
                connection.queue.clear()
                self._await_connect(connection)
            connection.uncork(packets.write(packets.CONNECT_ERROR, packet.namespace, refusal, packed=connection.packed))

    def _leave(self, client: Client, sid: str) -> None:
        """After what it still does. Of those who do nothing thousands may leave at once: they share a lane."""
        self.members.leave(sid)
        lane = client.lane if client.lane.is_running else self.leaving
        self.workers.put(lane, partial(self.port.disconnected, sid))

    def _refuse(self, connection: Connection, namespace: str, said: dict[str, object]) -> None:
        connection.put(packets.write(packets.CONNECT_ERROR, namespace, said, packed=connection.packed))

    def _await_connect(self, connection: Connection, *, anew: bool = False) -> None:
        """Its time runs from the beginning, whatever was refused meanwhile, and anew when it has left."""
        if not connection.closed:
            client: Client = connection.listener_state
            if anew or client.join_by is None:
                client.join_by = self.traffic.loop.time() + self.traffic.options.connect_timeout_s
            client.deadline = self.traffic.loop.call_at(client.join_by, self._give_up, connection)

    def _stop_waiting(self, client: Client) -> None:
        if client.deadline is not None:
            client.deadline.cancel()
            client.deadline = None

    def _give_up(self, connection: Connection) -> None:
        connection.shut("connect-timeout", code=POLICY)


def _attached(client: Client, data: bytes, limit: int) -> Packet | None:
    if client.partial is None:
        raise Malformed("unexpected attachment")
    client.attachments.append(data)
    if sum(map(len, client.attachments)) > limit:
        raise Malformed("attachments too large")
    if len(client.attachments) < client.partial.attachments:
        return None
    packet, attachments = client.partial, client.attachments
    client.partial, client.attachments = None, []
    return packets.with_attachments(packet, attachments)


async def _refusal(connecting: Awaitable[None]) -> dict[str, object] | None:
    try:
        await connecting
    except Refused as refused:
        return dict(refused.error_args)
    except Exception:  # noqa: BLE001 - the edge: without an answer the client would wait for its time-out
        log.exception("connect_failed")
        return {"message": "internal-error", "data": _no("internal-error", "Something went wrong here.")["error"]}
    return None


def _no(code: str, detail: str, *, retry: bool = False) -> dict[str, object]:
    """An ack that says no."""
    return {"ok": False, "error": {"code": code, "detail": detail, "retry": retry}}
