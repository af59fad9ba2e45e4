"""Waiting for what happens elsewhere: polling with a deadline, and a socket that keeps what it heard."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import socketio
from socketio.exceptions import ConnectionError as ConnectFailed

from tests.heard import Events, events_of

T = TypeVar("T")
POLL_S = 0.02
UNHURRIED_S = 60.0  # for a limiter: on a busy machine it must not count by itself because Redis was slow


async def until(check: Callable[[], T | Awaitable[T]], within_s: float = 10) -> T:
    """Poll until ``check()`` is true and return what it gave; AssertionError with its last value at the deadline."""
    found: Any = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                looked = check()
                found = await looked if inspect.isawaitable(looked) else looked
                if found:
                    return found
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise AssertionError(f"not within {within_s:g} s; the last look gave {found!r}") from error


class Refused(Exception):
    """The server refused the connection; ``said`` is what ``connect_error`` got."""

    def __init__(self, said: Any) -> None:
        super().__init__(repr(said))
        self.said = said


@dataclass(slots=True)
class Listener:
    """A python-socketio client that keeps every event it hears, in order.

    ``described``: what it hears is compared with; ``wrong``: what was not as described, told at the end of the test.
    """

    sio: socketio.AsyncClient = field(default_factory=lambda: socketio.AsyncClient(reconnection=False))
    heard: list[tuple[str, Any]] = field(default_factory=list)
    refusal: Any = None
    described: Events | None = None
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def hear(event: str, *arguments: Any) -> None:
            self.heard.append((event, arguments[0] if arguments else None))
            if self.described is not None:
                self.wrong += self.described.wrong_of(event, *arguments)

        async def refused(said: Any = None) -> None:
            self.refusal = said

        self.sio.on("*", hear)
        self.sio.on("connect_error", refused)

    async def call(self, event: str, *arguments: object) -> Any:
        """Emit and wait for the ack. A bare call sends the event without an argument."""
        data = arguments[0] if len(arguments) == 1 else (arguments or None)
        ack = await self.sio.call(event, data, timeout=15)
        if self.described is not None:
            self.wrong += self.described.wrong_ack(event, ack)
        return ack

    async def join(self, trip_id: object) -> Any:
        """Join a trip's room; the ack, which was a yes."""
        return await self._agreed("trip:join", {"tripId": str(trip_id)})

    async def join_fleet(self) -> Any:
        """Join the fleet's room; the ack, which was a yes."""
        return await self._agreed("fleet:join", {})

    async def _agreed(self, event: str, argument: object) -> Any:
        ack = await self.call(event, argument)
        assert ack["ok"] is True, ack
        return ack

    def all(self, event: str) -> list[Any]:
        """What it has heard of one kind of event."""
        return [body for name, body in self.heard if name == event]

    async def next(self, event: str, matching: Callable[[Any], bool] = lambda _: True, within_s: float = 10) -> Any:
        """The first such event, heard already or to come."""
        found = await until(lambda: [body for body in self.all(event) if matching(body)], within_s)
        return found[0]


@asynccontextmanager
async def listening(url: str, token: object = None, **options: Any) -> AsyncIterator[Listener]:
    """A connected listener; ``Refused`` when the server says no. ``token`` None: no auth at all.

    ``serializer``: "msgpack" for the path that speaks it.
    """
    client = socketio.AsyncClient(reconnection=False, serializer=options.pop("serializer", "default"))
    listener = Listener(client, described=await events_of(url))
    auth = options.pop("auth", None if token is None else {"token": token})
    try:
        try:
            await listener.sio.connect(url, auth=auth, **{"transports": ["websocket"], "wait_timeout": 10} | options)
        except ConnectFailed as error:
            raise Refused(listener.refusal) from error
        yield listener
        assert not listener.wrong, listener.wrong
    finally:
        await listener.sio.disconnect()
        await listener.sio.shutdown()
