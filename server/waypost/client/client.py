"""``WaypostClient``: the official client, and what a client of Waypost must do beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from random import SystemRandom
from types import TracebackType
from typing import Any, Self

import aiohttp

from waypost.client.commands import ANSWER_WITHIN_S, Commands, Line
from waypost.client.link import Link, Refused, Road, Unreachable
from waypost.client.membership import AT_ONCE, Ack, Handlers, Joiner, Membership, OwnRooms, nothing
from waypost.client.newest import NewestOfFleet, NewestOfTrip
from waypost.client.room import RoomEvent, placed
from waypost.kernel.clock import Clock, SystemClock

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 8.0  # before connecting again, when nobody answers
REFUSED_WAIT_S, DENIED_WAIT_S, RENEWED_WAIT_S, CUT_WAIT_S, DRAIN_WAIT_S = 5.0, 60.0, 1.0, 1.0, 5.0
ENDS_SESSION = frozenset({"token-expired", "token-invalid", "token-missing"})
CHANCE = SystemRandom()
Token = Callable[[str | None], Awaitable[str | None]]


@dataclass(slots=True)
class Visit:
    """One connection: why it ended, if the server said so, and what the client does about it."""

    token: str
    farewell: Mapping[str, Any] | None = None
    moves: bool = False


class WaypostClient:
    """Used as ``async with``: connected, and connecting again, in between.

    ``token``: gives the newest one; its argument is one that the server does not take any more, or not for long. None:
    there is none, and the client stays away. ``on_cut``: the connection ended, and this is why, where the server said
    so. ``on_stale``: read what you show of the events of ``on``: at first, and when some were missed for good. An error
    of a handler ends the client; it is raised where the ``async with`` ends.
    """

    def __init__(
        self, road: Road, token: Token, *, on_cut: Callable[[Mapping[str, Any] | None], None] = nothing,
        on_stale: Callable[[], None] = lambda: None, clock: Clock | None = None,
        jitter: Callable[[], float] = CHANCE.random,
    ) -> None:  # fmt: skip
        self._line = Line()
        self._road, self._token = road, token
        self._clock = clock or SystemClock()
        self._jitter = jitter
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._on_cut = on_cut
        self._members: dict[str, Membership] = {}
        self._handlers: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self._own = OwnRooms(lambda event: self._tell(event.name, event.payload), on_stale, self._joiner())
        self._staying: dict[object, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._turns = 0  # of the addresses
        self._commands = Commands(self._line, self._clock)
        self._visit: Visit | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def link(self) -> Link | None:
        """The connection of the moment."""
        return self._line.link

    @property
    def online(self) -> asyncio.Event:
        """Set while there is a connection."""
        return self._line.online

    @property
    def ended(self) -> asyncio.Event:
        """Set once there will be none any more: no token, an error of a handler, or it was left."""
        return self._line.ended

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.run())
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    def join_fleet(self, handlers: Handlers) -> Callable[[], None]:
        """Be in the room of the fleet until the result is called; a newer call replaces this one."""
        newest = NewestOfFleet()

        def snapshot(ack: Ack) -> None:
            newest.reset(ack.get("positions") or ())
            handlers.snapshot(ack)

        def event(event: RoomEvent) -> None:
            if event.name == "fleet:positions":
                told = {**event.payload, "positions": newest.news(event.payload["positions"])}
                event = event._replace(payload=told)
            handlers.event(event)

        return self._enter("fleet", "fleet:join", {}, replace(handlers, snapshot=snapshot, event=event))

    def join_trip(self, trip_id: str, handlers: Handlers) -> Callable[[], None]:
        """Be in the room of a trip until the result is called; a newer call for the same trip replaces this one."""
        newest = NewestOfTrip()

        def snapshot(ack: Ack) -> None:
            newest.reset(ack.get("position"))
            handlers.snapshot(ack)
            handlers.position(newest.position)

        def event(event: RoomEvent) -> None:
            handlers.event(event)
            if event.name == "trip:location":
                newest.apply(event.payload["locations"], event.payload.get("withdrawn") or ())
                handlers.position(newest.position)

        params = {"tripId": trip_id}
        return self._enter(trip_id, "trip:join", params, replace(handlers, snapshot=snapshot, event=event))

    def on(self, name: str, handler: Callable[[Mapping[str, Any]], None]) -> None:
        """Hear an event that needs no joining, such as ``job:progress``, each ``eventId`` once."""
        self._handlers[name] = handler
        self._stay(self._own)

    async def send(self, event: str, data: object) -> Ack:
        """Send a command until it is answered. ``TooManyWaiting``, ``Ended``."""
        return await self._commands.send(event, data)

    async def run(self) -> None:
        """Be connected for as long as there is a token; what ``async with`` does. Not for two tasks at once."""
        try:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                await self._visit_again_and_again(session)
        finally:
            self.ended.set()

    async def _visit_again_and_again(self, session: aiohttp.ClientSession) -> None:
        refused: str | None = None
        wait_s = FIRST_WAIT_S
        while (token := await self._token(refused)) is not None:
            refused = None
            try:
                visit = await self._connected(session, token)
            except Unreachable:
                await self._clock.sleep(wait_s * (0.5 + self._jitter()))
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
                continue
            except Refused as no:
                visit = Visit(token, {"code": no.code, "retry": no.retry, "refused": True})
            wait_s = FIRST_WAIT_S
            if visit.farewell is not None and visit.farewell.get("code") in ENDS_SESSION:
                refused = token
            await self._clock.sleep(self._wait_after(visit))

    async def _connected(self, session: aiohttp.ClientSession, token: str) -> Visit:
        """A connection from its beginning to its end. ``Refused``, ``Unreachable``."""
        visit = self._visit = Visit(token)
        link = Link(self._road.urls[self._turns % len(self._road.urls)], self._road, session, self._hear)
        self._turns += 1
        await link.open(token)
        try:
            await self._stay_until_lost(link)
        finally:
            self._leave()
            await link.close()
        if link.failure is not None:
            raise link.failure
        if not visit.moves:
            self._on_cut(visit.farewell)
        return visit

    async def _stay_until_lost(self, link: Link) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            self._line.link = link
            self.online.set()
            for membership in self._members.values():
                self._stay(membership)
            if self._handlers:
                self._stay(self._own)
            await link.lost.wait()
            self._leave()

    def _leave(self) -> None:
        """From now on there is no connection: nothing new begins on it."""
        self.online.clear()
        self._line.link = self._tasks = None
        for task in list(self._staying.values()):
            task.cancel()

    def _wait_after(self, visit: Visit) -> float:
        if visit.moves:
            return 0.0
        said = visit.farewell or {}
        if said.get("code") in ENDS_SESSION:
            return RENEWED_WAIT_S
        if not said.get("refused"):
            return CUT_WAIT_S * self._jitter()
        return (REFUSED_WAIT_S if said["retry"] else DENIED_WAIT_S) * (0.5 + self._jitter())

    def _enter(self, key: str, join: str, params: Mapping[str, object], handlers: Handlers) -> Callable[[], None]:
        membership = Membership(join, params, handlers, self._joiner())
        self._stop(self._members.get(key))
        self._members[key] = membership
        self._stay(membership)

        def leave() -> None:
            self._stop(membership)
            if self._members.get(key) is membership:
                del self._members[key]
                self._spawn((key, "left"), self._say(join.replace("join", "leave"), params))

        return leave

    def _stay(self, member: Membership | OwnRooms) -> None:
        if self.link is not None and id(member) not in self._staying:
            self._spawn(id(member), member.stay(self.link))

    def _stop(self, member: Membership | None) -> None:
        task = self._staying.pop(id(member), None)
        if task is not None:
            task.cancel()

    def _spawn(self, key: object, work: Coroutine[Any, Any, None]) -> None:
        """For the life of the connection; without one it is nothing to do."""
        if self._tasks is None:
            work.close()
            return
        task = self._staying[key] = self._tasks.create_task(work)
        task.add_done_callback(lambda done: self._staying.pop(key) if self._staying.get(key) is done else None)

    async def _say(self, event: str, data: object) -> None:
        with suppress(Unreachable):
            if self.link is not None:
                await self.link.call(event, data, ANSWER_WITHIN_S)

    def _joiner(self) -> Joiner:
        return Joiner(self._clock, self._jitter, self._gate)

    def _hear(self, name: str, payload: object) -> None:
        told = payload if isinstance(payload, Mapping) else {}
        event = placed(name, told)
        if event is None:
            self._told(name, told)
        elif not name.startswith(("trip:", "fleet:")):
            self._own.receive(event)
        elif (membership := self._members.get(_room_key(event))) is not None:
            membership.receive(event)

    def _told(self, name: str, told: Mapping[str, Any]) -> None:
        """What has no place in a room: the server speaks of the connection itself, or of what it may see."""
        if name == "error" and self._visit is not None:
            self._visit.farewell = {"code": "unknown", **told}
        elif name == "trip:gone":
            self._gone(str(told.get("tripId")))
        elif name == "auth:expiring":
            self._spawn("refresh", self._refresh())
        elif name == "server:drain":
            self._spawn("move", self._move(float(told.get("reconnectInMs", DRAIN_WAIT_S * 1000)) / 1000))
        else:
            self._tell(name, told)

    def _gone(self, trip_id: str) -> None:
        """We may not see this trip any more, and are out of its room."""
        membership = self._members.pop(trip_id, None)
        if membership is not None:
            self._stop(membership)
            said = {"code": "trip-gone", "detail": "You may not see this trip any more.", "retry": False}
            membership.handlers.refused(said)

    def _tell(self, name: str, payload: Mapping[str, Any]) -> None:
        handler = self._handlers.get(name)
        if handler is not None:
            handler(payload)

    async def _refresh(self) -> None:
        """Our token runs out: go on under another, without leaving. If there is none, the server cuts us in time."""
        visit, link = self._visit, self.link
        if visit is None or link is None:
            return
        token = await self._token(visit.token)
        if token is None:
            return
        with suppress(Unreachable):
            ack = await link.call("auth:refresh", {"token": token}, ANSWER_WITHIN_S)
            if ack.get("ok"):
                visit.token = token
            elif (ack.get("error") or {}).get("code") == "another-principal":
                await self._move(0.0)

    async def _move(self, wait_s: float) -> None:
        """This server stops soon: stay for as long as it said, then go to whichever answers."""
        visit, link = self._visit, self.link
        await self._clock.sleep(wait_s)
        if visit is not None and link is not None:
            visit.moves = True
            link.lost.set()


def _room_key(event: RoomEvent) -> str:
    if event.name.startswith("fleet:") or event.payload.get("room") == "fleet":
        return "fleet"
    return str(event.payload.get("tripId", ""))
