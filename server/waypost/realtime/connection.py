"""One Engine.IO connection: over polling, over a WebSocket, or on its way from the one to the other.

Nothing here waits for a client, and an idle connection has no task.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from waypost.platform.telemetry import log
from waypost.realtime.letters import CLOSE, NOOP, PING, PROBED, Letter
from waypost.realtime.outlet import NORMAL, Outlet
from waypost.realtime.slow import written
from waypost.realtime.traffic import Traffic

if TYPE_CHECKING:
    from waypost.realtime.fanout import WebSocket

SETTLE_S, SETTLE_STEPS = 0.03, 10  # how long a request waits for what is a moment behind it on another socket
SEPARATOR = "\x1e"
FLOOD = 2000  # packets in one read of a socket or in one POST: nobody means that
GOING_AWAY, PROTOCOL_ERROR, POLICY = 1001, 1002, 1008  # of a Close frame


class Connection(Outlet):
    """The library's socket with our own ways in and out. ``listener_state`` is whose messages it carries."""

    upgrading: bool  # these three are the library's, which is untyped
    closed: bool
    closing: bool

    def __init__(self, server: Any, sid: str, traffic: Traffic, *, packed: bool) -> None:
        super().__init__(server, sid, traffic, packed=packed)
        self.probing: WebSocket | None = None
        self.probe_timer: asyncio.TimerHandle | None = None
        self.listener_state: Any = None
        self.has_ponged = True
        self.due = traffic.loop.time() + traffic.options.ping_interval_s
        self.timer = traffic.loop.call_at(self.due, self._ping)

    # In.

    def heard(self, line: WebSocket, data: str | bytes) -> None:
        """A message of a WebSocket."""
        if line is self.line:
            self._packet(data)
        elif data == "2probe" and not self.upgrading:
            self.upgrading = True
            line.write(PROBED.frame)
            self._end_poll([NOOP.text.decode()])
        elif data == "5" and self.upgrading:
            self._upgraded(line)
        else:
            line.end(PROTOCOL_ERROR, "probe")
            self.lost(line)

    async def posted(self, body: str) -> bool:
        """The packets of a POST; False if one of them is none: then the connection has ended."""
        if body.count(SEPARATOR) >= FLOOD:
            self.refuse("flood")
        for text in body.split(SEPARATOR):
            if self.closed:
                return False
            if text == CLOSE.text.decode():
                await self._settled(lambda: self.poll is not None)
                self.shut("client", answer=NOOP)
                return True
            self._packet(_decoded(text))
        return not self.closed

    async def polled(self) -> list[str] | None:
        """What an answer to a poll holds, as soon as there is something; None: a poll has no place here."""
        if self.poll is not None:
            self.refuse("two polls at once")
            return None
        if self.probing is not None:
            await self._settled(lambda: self.upgraded or self.probing is None)
        if self.upgraded or (self.closed and not len(self.queue)):
            return None
        if self.upgrading:
            return [NOOP.text.decode()]
        said = await self._next_poll() if not len(self.queue) or self.corks else None
        if said is None:
            said = self._packets()
        if self.closed:
            self.server.sockets.pop(self.sid, None)
        return said

    def refuse(self, why: str) -> None:
        """What it sent is no packet: end it at once, with a word in the log and no more."""
        log.info("packet_refused", reason=why)
        self.traffic.counts.refused += 1
        self.shut("malformed", code=PROTOCOL_ERROR)

    def _packet(self, data: str | bytes | None) -> None:
        kind = data[:1] if isinstance(data, str) else data
        if isinstance(data, bytes):
            self.server.handlers["message"](self, data)
        elif kind == "4":
            self.server.handlers["message"](self, (data or "")[1:])
        elif kind == "3":
            self.has_ponged = True
        elif kind == "1":
            self.shut("client")
        elif kind != "6":
            self.refuse("Engine.IO")

    def _packets(self) -> list[str]:
        if self.upgraded:
            return [NOOP.text.decode()]
        items = self.taken(self.traffic.options.backlog_bytes)
        return [text for item in items for text in item.polled(packed=self.packed)] or [CLOSE.text.decode()]

    async def _next_poll(self) -> list[str] | None:
        self.poll = self.traffic.loop.create_future()
        try:
            return await self.poll
        finally:
            self.poll = None

    def _end_poll(self, packets: list[str]) -> None:
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(packets)

    async def _settled(self, is_so: Callable[[], bool]) -> None:
        for _ in range(SETTLE_STEPS):  # rare, and so short that nobody is worth a future that must be kept
            if is_so() or self.closed:
                return
            await asyncio.sleep(SETTLE_S / SETTLE_STEPS)

    # Life.

    def opened(self, line: WebSocket) -> None:
        """It begins as a WebSocket."""
        self.connected = self.upgraded = True
        self.line = line
        self.direct = line.transport

    def probe(self, line: WebSocket) -> None:
        """A WebSocket that wants to take the polls' place: it says so within a time, or is closed."""
        self.probing = line
        within_s = self.traffic.options.upgrade_timeout_s
        self.probe_timer = self.traffic.loop.call_later(within_s, self._give_up_probe, line)

    def lost(self, line: WebSocket) -> None:
        """A WebSocket has ended. One that only probed leaves the polls as they were."""
        if line is self.line:
            self.shut("transport")
        elif line is self.probing:
            self._probed()

    def shut(
        self,
        why: str,
        *,
        code: int = NORMAL,
        last: Sequence[Letter] = (),
        answer: Letter = CLOSE,
        patient: bool = False,
    ) -> None:
        """End it; may be repeated. ``last`` still goes out, if it is read within a moment; what waited does not."""
        if self.closed:
            return
        patient = patient or bool(last)
        self.closed = self.closing = True
        self.pause()
        self.held = None
        self.timer.cancel()
        self.traffic.counts.dropped += self.queue.clear()
        self.traffic.busy.discard(self)
        for line in (self.line, self.probing):
            if line is not None:
                line.end(code, why, written(last, packed=self.packed), patient=patient)
        self.line = None
        self._probed()
        self._leave(last, answer)
        self.server.handlers["disconnect"](self, why)

    def _leave(self, last: Sequence[Letter], answer: Letter) -> None:
        """Whoever polls gets the last words with this poll, or with the next if that comes soon."""
        if self.poll is not None and not self.poll.done():
            packets = [text for letter in last for text in letter.polled(packed=self.packed)]
            self.poll.set_result([*packets, answer.text.decode()])
        elif last and not self.upgraded:
            for letter in (*last, answer):
                self.queue.add(letter)
            self.traffic.loop.call_later(self.traffic.options.abort_after_s, self._forget)
            return
        self._forget()

    def _forget(self) -> None:
        self.queue.clear()
        self.server.sockets.pop(self.sid, None)

    def _upgraded(self, line: WebSocket) -> None:
        self._probed()
        self.line, self.upgraded = line, True
        self._end_poll([NOOP.text.decode()])
        self.flush()

    def _probed(self) -> None:
        self.probing = None
        self.upgrading = False
        if self.probe_timer is not None:
            self.probe_timer.cancel()
            self.probe_timer = None

    def _give_up_probe(self, line: WebSocket) -> None:
        if self.probing is line:
            line.end(POLICY, "upgrade-timeout")
            self.lost(line)

    def _ping(self) -> None:
        self.has_ponged = False
        if self.line is not None:
            self.line.write(PING.frame)
        else:
            self.wait([PING])
        if not self.closed:
            self.timer = self.traffic.loop.call_at(self.due + self.traffic.options.ping_timeout_s, self._check_pong)

    def _check_pong(self) -> None:
        if not self.has_ponged:
            self.shut("ping timeout")
            return
        options = self.traffic.options
        self.due = max(self.due + options.ping_interval_s, self.traffic.loop.time())
        self.timer = self.traffic.loop.call_at(self.due, self._ping)

    async def send(self, pkt: Any) -> None:
        """The library's own way to send a packet."""
        data = pkt.encode()
        self.put(Letter(packed=data) if isinstance(data, bytes) else Letter(data.encode()))

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:  # noqa: ARG002 - the library's signature
        """The library's own way to end it."""
        self.shut(reason or "server")


def _decoded(text: str) -> str | bytes | None:
    """A packet of a POST; None if its base64 is none."""
    if not text.startswith("b"):
        return text
    try:
        return base64.b64decode(text[1:], validate=True)
    except binascii.Error:
        return None
