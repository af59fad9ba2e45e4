"""What all connections of a process share: bounds, counters, who is behind, and the tick in which writes are joined."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from waypost.platform.telemetry import log
from waypost.realtime.letters import Letter
from waypost.realtime.port import Counts, Options
from waypost.realtime.slow import Item, written

if TYPE_CHECKING:
    from waypost.realtime.connection import Connection
    from waypost.realtime.fanout import WebSocket

ENDED_AT_ONCE, TICKED_AT_ONCE = 100, 500
HELD_EVENTS = 256  # of one connection; more leave before the tick ends


def _nothing(_connection: Connection, _code: str, _detail: str) -> Sequence[Letter]:
    return ()


class Traffic:
    """One for both codecs. ``last_words`` makes what a connection is told before it is ended for a reason."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.counts = Counts()
        # sid -> how to write to it, for JSON and for msgpack: members of "/" for whom nothing waits or is held.
        self.writers: tuple[dict[str, Callable[[bytes], object]], ...] = ({}, {})
        self.lines: set[WebSocket] = set()  # every WebSocket whose transport is not gone
        self.busy: set[Connection] = set()
        self.last_words: Callable[[Connection, str, str], Sequence[Letter]] = _nothing
        self._none_left = asyncio.Event()
        self._ended: deque[tuple[Connection, WebSocket]] = deque()
        self._ticking: list[Connection] = []
        self._timer: asyncio.TimerHandle | None = None

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the process; asked for only once it runs."""
        return asyncio.get_running_loop()

    def begin(self, connection: Connection) -> None:
        """It was written to: what follows within the tick leaves together, at its end."""
        if connection.held is None and not connection.closed:
            connection.held = []
            connection.hide()
            self._ticking.append(connection)
            if self._timer is None:
                self._timer = self.loop.call_later(self.options.tick_s, self._tick)

    def sweep(self) -> None:
        """Look after those who are behind: once a second."""
        now = self.loop.time()
        for connection in list(self.busy):
            connection.flush()
            if connection in self.busy and connection.is_stalled(now):
                connection.cut("stalled")

    def stop(self) -> None:
        """No more ticks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ended(self, connection: Connection, line: WebSocket) -> None:
        """Its WebSocket has ended. Thousands may in one turn of the loop: the rest is done for some at a time."""
        if not self._ended:
            self.loop.call_soon(self._end_some)
        self._ended.append((connection, line))

    def _end_some(self) -> None:
        for _ in range(min(ENDED_AT_ONCE, len(self._ended))):
            connection, line = self._ended.popleft()
            try:
                line.close()
                connection.lost(line)
            except Exception:  # noqa: BLE001 - the others have ended as well
                log.exception("end_failed")
        if self._ended:
            self.loop.call_soon(self._end_some)

    def gone(self, line: WebSocket) -> None:
        """Its transport has ended."""
        self.lines.discard(line)
        if not self.lines:
            self._none_left.set()

    async def all_gone(self) -> None:
        """Wait until every WebSocket has hung up, but not for those who do not."""
        self._none_left.clear()
        if self.lines:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), self.options.abort_after_s)
        for line in list(self.lines):
            line.abort()
        await asyncio.sleep(0)  # what is closed is told so in the loop's next round

    def _tick(self) -> None:
        self._timer = None
        ticking, self._ticking = self._ticking, []
        self._tick_some(ticking, 0)

    def _tick_some(self, ticking: list[Connection], first: int) -> None:
        """A slice of them, and the next in the loop's next turn."""
        before: list[Item] = []
        forms: dict[bool, bytes] = {}
        for connection in ticking[first : first + TICKED_AT_ONCE]:
            held = connection.held
            if not held:
                connection.held = None  # quiet for a tick: its next event leaves at once
                connection.show()
                continue
            if held != before:  # members of the same rooms hold the same events: joined once for all of them
                before, forms = held, {}
            try:
                self._write(connection, held, forms)
            except Exception:  # noqa: BLE001 - one odd connection must not keep the others waiting
                log.exception("delivery_failed")
                connection.shut("internal error")
            if connection.held is not None:
                connection.held = []
                self._ticking.append(connection)
        if first + TICKED_AT_ONCE < len(ticking):
            self.loop.call_soon(self._tick_some, ticking, first + TICKED_AT_ONCE)
        elif self._ticking and self._timer is None:
            self._timer = self.loop.call_later(self.options.tick_s, self._tick)

    def _write(self, connection: Connection, held: list[Item], forms: dict[bool, bytes]) -> None:
        transport = connection.direct
        if transport is None or transport.is_closing():
            connection.held = []
            connection.wait(held)
            return
        packed = connection.packed
        if packed not in forms:
            forms[packed] = written(held, packed=packed)
            self.counts.framed += len(held)
        transport.write(forms[packed])
        self.counts.written += len(held)
