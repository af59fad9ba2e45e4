"""What a room was never told of a position, because its publish was lost: the node of its watchers notices in seconds.

Positions are published after their commit and promised nowhere: the vehicle's next fix makes a lost one good. This is
for the fix that has no next one soon. It goes out as any other: all nodes hear it, and who knows it already drops it. A
lost withdrawal waits for the next fix.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log
from waypost.realtime.service import LiveRoom, Publisher, fleet_room, trip_room
from waypost.tracking import storage_live, wire
from waypost.tracking.domain import Position, for_receiver
from waypost.tracking.storage_live import Lately

EVERY_S = 3.0
ON_ITS_WAY = timedelta(seconds=2)  # from the receipt to the watchers' node, with a hiccup of Redis
LOOKED_BACK = timedelta(minutes=1)
AGAIN = timedelta(seconds=10)  # what was told again may have been lost again
IN_THE_SNAPSHOT = timedelta(seconds=6)  # before we saw that a room lives: what is older, who joined has read
MOST_VEHICLES, MOST_AT_ONCE, TRIPS_AT_ONCE, LOGS_AT_ONCE = 5_000, 1_000, 2_000, 50
_CHANCE: Final = random.Random()  # noqa: S311 - spreads nodes, guards nothing


class Place(NamedTuple):
    """A trip's room, or a vehicle in a fleet's; of a trip ``vehicle`` is empty."""

    room: str
    vehicle: str


class Retold(NamedTuple):
    """The time of a fix that was told again, and when that was."""

    at: str
    told_at: datetime


@dataclass(slots=True)
class Healing:
    """Of one node. ``live``: the rooms with members here, and what they were told here; ``logged``: what one was told
    lately on whatever node, for a room that this one has only just begun to hear.
    """

    database: Database
    clock: Clock
    publisher: Publisher
    live: Callable[[], Awaitable[Sequence[LiveRoom]]]
    logged: Callable[[str], Awaitable[Mapping[str, str] | str | None]]
    seen_at: dict[str, datetime] = field(default_factory=dict)  # rooms that live, and since when we know
    retold: dict[Place, Retold] = field(default_factory=dict)  # what was told again, and was not heard yet
    logs: dict[str, Mapping[str, str] | str | None] = field(default_factory=dict)  # what the logs of new rooms had
    healed: int = 0

    async def run(self) -> None:
        """Look for ever, with some jitter, so that nodes do not tell the same at once."""
        while True:
            await self.clock.sleep(EVERY_S * _CHANCE.uniform(0.8, 1.2))
            try:
                await self.look()
            except Unavailable as error:
                log.warning("healing_waits", reason=error.code)
            except Exception:  # noqa: BLE001 - whatever one look runs into, the next begins afresh
                log.exception("healing_failed")

    async def look(self) -> int:
        """Tell again what the rooms that live here should have heard by now; how much it was."""
        now = self.clock.now()
        rooms = {
            room.room: room for room in await self.live()
        }  # before the database: what was told was committed before
        self.seen_at = {name: self.seen_at.get(name, now) for name in rooms}
        if not rooms:
            self.retold = {}
            return 0
        async with self.database.transaction(SYSTEM) as conn:
            lately = await _lately(conn, rooms.values(), now)
        behind = await self._unlogged(rooms, self._behind(rooms, lately))
        again = now - AGAIN
        new = [one for place, one in behind.items() if not self._is_on_its_way(place, one, again)][:MOST_AT_ONCE]
        found: Sequence[tuple[Lately, Position]] = ()
        if new:
            async with self.database.transaction(SYSTEM) as conn:
                found = await storage_live.positions(conn, new)
        at_once = {_place(one): Retold(one.at, now) for one in new}
        self.retold = {
            place: at_once.get(place) or self.retold[place] for place in behind if place in at_once | self.retold
        }
        for one, position in found:
            self._tell(one, position)
        return len(found)

    def _is_on_its_way(self, place: Place, one: Lately, again: datetime) -> bool:
        retold = self.retold.get(place)
        return retold is not None and retold.at == one.at and retold.told_at > again

    async def _unlogged(self, rooms: Mapping[str, LiveRoom], behind: Mapping[Place, Lately]) -> dict[Place, Lately]:
        """Without what the logs have of rooms that were told nothing here yet: it was published, and whoever joined
        since has read it. Of many new rooms some are asked at a time; the others wait for the next look.
        """
        names = {place.room for place in behind if _told(rooms[place.room].newest, place) is None}
        self.logs = {name: logged for name, logged in self.logs.items() if name in self.seen_at}
        asked = [name for name in names if name not in self.logs][:LOGS_AT_ONCE]
        self.logs |= zip(asked, await asyncio.gather(*map(self.logged, asked)), strict=True)
        return {
            place: one
            for place, one in behind.items()
            if place.room not in names
            or (place.room in self.logs and (_told(self.logs[place.room], place) or "") < one.at)
        }

    def _behind(self, rooms: Mapping[str, LiveRoom], lately: Sequence[Lately]) -> dict[Place, Lately]:
        """The newest of each that its room has not heard; of several devices in one vehicle that is one."""
        behind: dict[Place, Lately] = {}
        for one in lately:
            place = _place(one)
            if self._is_news(one, place, rooms[place.room]) and (place not in behind or behind[place].at < one.at):
                behind[place] = one
        return behind

    def _is_news(self, one: Lately, place: Place, room: LiveRoom) -> bool:
        """Times of one form compare as text. Where nothing was told yet, the snapshot may have said it."""
        told = _told(room.newest, place)
        if told is None:
            return one.received_at > self.seen_at[place.room] - IN_THE_SNAPSHOT
        return one.at > told

    def _tell(self, one: Lately, position: Position) -> None:
        self.healed += 1
        seen = position if one.watcher == one.org_id else for_receiver(position)
        log.info("position_told_again", room_kind="fleet" if one.vehicle else "trip")
        if one.vehicle:
            room, body = fleet_room(one.watcher), wire.position(seen)
            self.publisher.publish_position(room, seen.vehicle_id, seen.recorded_at, body)
        elif one.trip_id is not None:
            told = wire.TripLocations(one.trip_id, [wire.location_of(seen)])
            self.publisher.publish(trip_room(one.watcher, one.trip_id), "trip:location", told)


def _told(newest: Mapping[str, str] | str | None, place: Place) -> str | None:
    return newest.get(place.vehicle) if isinstance(newest, Mapping) else newest


def _place(one: Lately) -> Place:
    if one.trip_id is None or one.vehicle:
        return Place(fleet_room(one.watcher), one.vehicle)
    return Place(trip_room(one.watcher, one.trip_id), "")


async def _lately(conn: Connection, rooms: Collection[LiveRoom], now: datetime) -> list[Lately]:
    """What was received lately, for each room: one query for all fleets, one for many trips."""
    span = now - LOOKED_BACK, now - ON_ITS_WAY
    fleets = [room.org_id for room in rooms if room.trip_id is None]
    trips = [(room.org_id, room.trip_id) for room in rooms if room.trip_id is not None]
    found = await storage_live.of_fleets(conn, fleets, *span, MOST_VEHICLES) if fleets else []
    for first in range(0, len(trips), TRIPS_AT_ONCE):
        found += await storage_live.of_trips(conn, trips[first : first + TRIPS_AT_ONCE], *span)
    return found
