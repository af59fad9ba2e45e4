"""The hub: this node's connections, the rooms they are in, what clients ask and what each room is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from waypost.kernel.clock import Clock
from waypost.kernel.errors import AppError
from waypost.kernel.principal import Principal
from waypost.platform import codec
from waypost.platform.addresses import client_address
from waypost.platform.telemetry import log
from waypost.realtime.attendance import OWN, Attendance
from waypost.realtime.broadcast import Broadcast, Paces
from waypost.realtime.bus import RedisAway, RedisBus
from waypost.realtime.catalogue import Command
from waypost.realtime.commands import Commands, Handler, refusal
from waypost.realtime.door import AnotherPrincipal, Door
from waypost.realtime.events import Event, Place
from waypost.realtime.fanout import Options, Refused, Stack
from waypost.realtime.fleet import newest_of_fleet, newest_of_trip
from waypost.realtime.limits import Rate
from waypost.realtime.recovery import since_of
from waypost.realtime.rooms import RoomIndex
from waypost.realtime.service import LiveRoom, parts_of, trip_of
from waypost.realtime.wire import OwnJoin, OwnJoined, OwnRoom, Refresh, Refreshed

LOGGED_OF_TRIP, LOGGED_OF_FLEET = 5, 50  # events, the newest of which tell what a room knows
REFRESH_RATE, OWN_RATE = Rate(1, 10), Rate(2, 30)
CUT_AT_ONCE, LIVE_AT_ONCE = 50, 500
MakeBus = Callable[[Callable[[Event], None], Callable[[str, Place], None]], RedisBus]


@dataclass(slots=True, repr=False)
class Hub:
    """Features register their events with ``serve`` and put connections into rooms by ``rooms``.

    It fills the port of the ``Stack`` below it, which knows the protocol and nothing of us.
    """

    door: Door
    clock: Clock
    options: Options
    paces: Paces
    make_bus: MakeBus
    index: RoomIndex = field(default_factory=RoomIndex)
    stack: Stack = field(init=False)
    bus: RedisBus = field(init=False)
    commands: Commands = field(init=False)
    broadcast: Broadcast = field(init=False)
    rooms: Attendance = field(init=False)

    def __post_init__(self) -> None:
        self.stack = Stack(self, self.options)
        self.door.is_here = self.stack.is_open
        self.commands = Commands(self.door, self.clock)
        self.broadcast = Broadcast(self.index, self.paces, self._write)
        self.bus = self.make_bus(self.broadcast.deliver, self.broadcast.declare)
        self.rooms = Attendance(self.door, self.index, self.bus, self.clock, self.broadcast.forget)

    def serve(self, commands: Iterable[Command]) -> None:
        """Answer these events: a handler gets the principal, the connection and the argument; its result is the ack."""
        for each in commands:
            binary = each.binary is not None
            self.commands.handlers[each.name] = Handler(each.handler, binary, each.joins, each.rate)

    def own_commands(self, *bad_tokens: type[AppError]) -> list[Command]:
        """What every client may send, whatever it is there for. ``bad_tokens``: what ``authenticate`` raises."""
        return [
            Command(
                "auth:refresh",
                self._refresh,
                takes=Refresh,
                gives=Refreshed,
                rate=REFRESH_RATE,
                errors=(AnotherPrincipal, *bad_tokens),
            ),
            Command("own:join", self._join_own, takes=OwnJoin, gives=OwnJoined, rate=OWN_RATE, errors=(RedisAway,)),
        ]

    async def _refresh(self, _principal: Principal, sid: str, argument: object) -> Refreshed:
        """Let this connection live on with a new token of the same person or device."""
        return await self.door.renew(sid, codec.convert(argument, Refresh).token)

    async def _join_own(self, _principal: Principal, sid: str, argument: object) -> OwnJoined:
        """Say where the rooms stand that this connection is in from the beginning, and what was missed of them."""
        asked = codec.convert(argument, OwnJoin).since
        since = {kind: since_of(asked.get(kind)) for kind in OWN} if isinstance(asked, dict) else {}
        entered = await self.rooms.enter_own_again(sid, since)
        return OwnJoined({kind: OwnRoom(*e.place, e.recovered, e.told()) for kind, e in entered.items()})

    async def run(self) -> None:
        """Listen to the bus and fan out, for as long as the process lives."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.bus.run())
            tasks.create_task(self.stack.run())
            tasks.create_task(self.broadcast.run())
            tasks.create_task(self.door.watch(self))
            tasks.create_task(self.rooms.leave_empty_rooms())

    def principals(self) -> Collection[Principal]:
        """Who holds a connection here."""
        return self.door.principals()

    async def cut(self, wanted: Callable[[Principal], bool]) -> None:
        """End the connections of those; a client that may still come connects again by itself, as what it is now."""
        for number, sid in enumerate(self.door.held_by(wanted)):
            if number % CUT_AT_ONCE == CUT_AT_ONCE - 1:
                await asyncio.sleep(0)
            log.info("socket_cut", reason="no longer who connected")
            detail = "You were signed out, or what you may see has changed; connect again."
            try:
                await self.disconnect(sid, code="no-longer-valid", detail=detail)
            except Exception:  # noqa: BLE001 - one odd connection must not keep the others from being cut
                log.exception("cut_failed")

    async def live(self) -> Sequence[LiveRoom]:
        """The rooms of positions that somebody here is in, and the newest that each has been told here."""
        found: list[LiveRoom] = []
        for number, room in enumerate(list(self.index.members)):
            if number % LIVE_AT_ONCE == LIVE_AT_ONCE - 1:
                await asyncio.sleep(0)
            if (told := self._told(room)) is not None:
                found.append(told)
        return found

    def _told(self, room: str) -> LiveRoom | None:
        org_id, kind, trip_id = parts_of(room)
        if kind == "fleet":
            return LiveRoom(room, org_id, None, self.broadcast.fleet.newest.get(room, {}))
        if kind != "trip":
            return None
        event = self.broadcast.newest.get(room)
        return LiveRoom(room, org_id, trip_id, newest_of_trip([event]) if event is not None else None)

    async def logged(self, room: str) -> Mapping[str, str] | str | None:
        """The newest that a room has been told lately on whatever node, as ``LiveRoom`` has it. ``RedisAway``."""
        if trip_of(room) is not None:
            return newest_of_trip(await self.bus.lately(room, LOGGED_OF_TRIP))
        return newest_of_fleet(await self.bus.lately(room, LOGGED_OF_FLEET))

    def tell(self, sid: str, name: str, body: msgspec.Struct) -> None:
        """Tell one connection something."""
        self.stack.tell(sid, name, codec.plain(body))

    async def disconnect(self, sid: str, *, code: str | None = None, detail: str = "") -> None:
        """End a connection; a ``code`` is told first."""
        await self.stack.disconnect(sid, code=code, detail=detail)

    def _write(self, sids: Collection[str], events: Sequence[Event], may_hold: bool) -> None:
        self.stack.broadcast(sids, events, hold=may_hold and self.options.tick_s > 0)

    # What the stack asks of us.

    async def connected(self, sid: str, request: web.Request, auth: object) -> None:
        """Let a connection in; ``Refused`` says why not."""
        token = auth.get("token") if isinstance(auth, dict) else None
        if not isinstance(token, str) or not token:
            raise Refused("token-missing", {"code": "token-missing", "detail": "Connect with auth: {token}."})
        try:
            connection = await self.door.let_in(sid, token, client_address(request))
        except AppError as error:
            raise Refused(error.code, refusal(error)["error"]) from error
        await self.rooms.enter_own(connection)

    async def received(self, sid: str, name: str, arguments: list[object]) -> object:
        """The ack of an event."""
        return await self.commands.answer(sid, name, arguments)

    async def disconnected(self, sid: str) -> None:
        """A connection is gone, whoever ended it; may be repeated."""
        connection = self.door.let_go(sid)
        if connection is not None:
            self.rooms.gone(sid)
