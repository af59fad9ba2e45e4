"""The way out of a connection: at once while nothing is in the way, else through its backlog, in order.

Whoever sends says ``put``. A member that lets too much wait, or takes nothing for too long, is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engineio.async_socket import AsyncSocket

from waypost.platform.telemetry import log
from waypost.realtime.letters import CLOSE, Letter
from waypost.realtime.slow import Backlog, Item, written
from waypost.realtime.traffic import Traffic

if TYPE_CHECKING:
    from waypost.realtime.fanout import WebSocket

LISTENING_S = 0.01
NORMAL, SLOW = 1000, 4008  # of a Close frame


class Outlet(AsyncSocket):  # type: ignore[misc]  # the library is untyped
    """The half of a connection that sends: over ``line`` if there is one, else with the next answer to a poll."""

    queue: Backlog  # made by the server's create_queue()

    def __init__(self, server: Any, sid: str, traffic: Traffic, *, packed: bool) -> None:
        super().__init__(server, sid)
        self.traffic = traffic
        self.packed = packed
        self.main_sid: str | None = None  # what Socket.IO's members call it
        self.line: WebSocket | None = None
        self.poll: asyncio.Future[list[str] | None] | None = None
        self.direct: asyncio.WriteTransport | None = None  # there while nothing waits: write to it
        self.held: list[Item] | None = None  # what the tick will write; None: it was quiet for a tick
        self.corks = 0
        self.left = 0  # in the write buffer at the last sweep
        self.progress_at = 0.0

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
        raise NotImplementedError

    def put(self, item: Item) -> None:
        """Send it, after everything that was sent before."""
        if self.direct is None or self.held or self.direct.is_closing():
            self.wait([item])
        else:
            self.direct.write(item.packed_frame if self.packed else item.frame)

    def wait(self, items: Sequence[Item]) -> None:
        """They may not be able to leave now: put them behind what waits already."""
        if self.closed:
            return
        if self.held:
            items, self.held = [*self.held, *items], []
        self.traffic.counts.queued += len(items)
        for item in items:
            self.queue.add(item)
        if self.poll is None or self.corks:
            self.flush()
        elif not self.poll.done():
            self.poll.set_result(None)
        options = self.traffic.options
        if self.queue.is_over(size=options.backlog_bytes, answers=options.answers_bytes, events=options.backlog_events):
            self.cut("backlog")

    def cork(self) -> None:
        """Let everything wait from now on."""
        self.corks += 1
        self.pause()

    def uncork(self, first: Letter | None = None) -> None:
        """Send ``first``, and a moment later what has waited: a client may listen only once it has read the answer."""
        if self.closed:
            return
        if first is None:
            self._uncorked()
        elif self.line is None:
            self.queue.put_first(first)
            self._uncorked()
        else:
            self.line.write(first.frame)
            self.traffic.loop.call_later(LISTENING_S, self._uncorked)

    def flush(self) -> None:
        """Write what waits, for as long as the transport takes it."""
        if self.line is None or self.line.transport is None or self.corks or self.closed:
            return
        line, transport, high = self.line, self.line.transport, self.traffic.options.high_water_bytes
        if transport.is_closing():  # its end is on its way
            return
        while len(self.queue) and transport.get_write_buffer_size() < high:
            transport.write(written(self.taken(high), packed=self.packed))
            self.progress_at = self.traffic.loop.time()  # there was room: it has taken something
        if len(self.queue):
            self._is_busy(transport)
            return
        self.traffic.busy.discard(self)
        if not line.is_paused:
            self.direct = transport
            self.show()

    def _uncorked(self) -> None:
        self.corks -= 1
        if self.poll is not None and not self.poll.done() and not self.corks:
            self.poll.set_result(None)
        self.flush()

    def pause(self) -> None:
        """Nothing may be written directly, until ``flush`` finds the way free again."""
        self.direct = None
        self.hide()

    def show(self) -> None:
        """Let broadcasts write to it without asking: nothing waits, nothing is held."""
        if self.direct is not None and self.held is None and self.main_sid is not None:
            self.traffic.writers[self.packed][self.main_sid] = self.direct.write

    def hide(self) -> None:
        """No more of that."""
        if self.main_sid is not None:
            self.traffic.writers[self.packed].pop(self.main_sid, None)

    def cut(self, why: str) -> None:
        """Too slow: it is told, for as far as it still reads, and everything that waits for it is let go."""
        log.info("slow_client_cut", reason=why, waiting=len(self.queue), bytes=self.queue.size)
        self.traffic.counts.cut += 1
        last = self.traffic.last_words(self, "slow-client", "Too much was waiting for you.")
        self.shut("slow-client", code=SLOW, last=last)

    def taken(self, size: int) -> list[Item]:
        items = self.queue.take(size)
        self.traffic.counts.conflated += self.queue.conflated
        self.queue.conflated = 0
        return items

    def _is_busy(self, transport: asyncio.WriteTransport) -> None:
        self.pause()
        if self not in self.traffic.busy:
            self.traffic.busy.add(self)
            self.left, self.progress_at = transport.get_write_buffer_size(), self.traffic.loop.time()

    def is_stalled(self, now: float) -> bool:
        """Has it taken nothing for too long? Asked by the sweep, of busy members."""
        left = self.line.transport.get_write_buffer_size() if self.line is not None and self.line.transport else 0
        if left < self.left:
            self.progress_at = now
        self.left = left
        return left > 0 and now - self.progress_at >= self.traffic.options.stalled_s
