"""A trip's track, read back: in pages, whole as a file, or in figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import Meta

from waypost.kernel.paging import BadCursor, Page, decode_cursor, page_of
from waypost.kernel.principal import Principal
from waypost.platform import codec
from waypost.platform.codec import EARLIEST, LATEST
from waypost.platform.database import Database
from waypost.tracking import storage_tracks as storage
from waypost.tracking.domain import DOUBTFUL, Flag, TrackFix
from waypost.tracking.storage_tracks import Reach
from waypost.tracking.summary import Summary, Tally
from waypost.trips import service as trips
from waypost.trips.domain import Trip

FIXES_A_READ = 1000  # one short transaction each; a slow reader holds no connection in between
FIXES_A_TURN = 100  # up to half a millisecond each, where a vehicle goes round in circles
# How far a fix's own time, by which the weeks are cut, may be from the time that says which trip it belongs to: what a
# clock's repair may move it by, and the grace of a named trip.
REPAIRED_AT_MOST = timedelta(days=9)
BEFORE_ANY = -1
DRIFT = int(Flag.DRIFT)
NOT_EVEN_THERE = int(DOUBTFUL) & ~DRIFT  # doubtful for another reason


class TrackCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of a track ended: the fix's own time and its receipt number."""

    recorded_at: Annotated[datetime, Meta(tz=True)]
    receipt: Annotated[int, Meta(ge=0, le=2**63 - 1)]

    def key(self) -> tuple[datetime, int]:
        """``BadCursor`` for one beyond all calendars."""
        try:
            return codec.utc(self.recorded_at), self.receipt
        except ValueError as error:
            raise BadCursor from error


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of a track is wanted: from ``since`` up to, not including, ``until``, after ``cursor``."""

    since: datetime = EARLIEST
    until: datetime = LATEST
    cursor: str | None = None
    doubtful: bool = False
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Tracks:
    """What was reported for a trip, to everybody who may see the trip."""

    database: Database

    async def page(self, principal: Principal, trip_id: UUID, asked: Asked, limit: int) -> Page[TrackFix]:
        """A page of a trip's fixes in the order of their own time. ``TripNotFound``."""
        _, reach = await self._find(principal, trip_id, asked)
        rows = await self._read(reach, limit + 1) if reach else []
        fixes = [TrackFix(**{**dict(row), "flags": Flag(row["flags"])}) for row in rows]
        return page_of(fixes, limit, lambda fix: TrackCursor(fix.recorded_at, fix.receipt))

    async def whole(
        self, principal: Principal, trip_id: UUID, asked: Asked
    ) -> tuple[Trip, AsyncGenerator[Sequence[Record]]]:
        """The trip, and all that is asked for of its fixes, a part at a time; rows as ``storage_tracks.read`` has them.

        ``TripNotFound`` at once; what arrives while it is read, before the place it has come to, is not in it.
        """
        trip, reach = await self._find(principal, trip_id, asked)
        return trip, self._parts(reach)

    async def summary(self, principal: Principal, trip_id: UUID) -> Summary:
        """Distance, stops and so on of a trip's good fixes. ``TripNotFound``.

        Drifting fixes of a parked vehicle say that it is still there, and nothing else.
        """
        _, reach = await self._find(principal, trip_id, Asked())
        tally = Tally()
        if reach is not None:
            async with aclosing(self._parts(replace(reach, without=NOT_EVEN_THERE))) as parts:
                async for rows in parts:
                    for n, row in enumerate(rows):
                        if n % FIXES_A_TURN == 0:
                            await asyncio.sleep(0)  # others on this loop want their turn
                        tally.add(
                            row["recorded_at"], row["latitude_e7"], row["longitude_e7"], row["accuracy_m"],
                            row["speed_mps"], drifting=bool(row["flags"] & DRIFT),
                        )  # fmt: skip
        return tally.summary()

    async def _find(self, principal: Principal, trip_id: UUID, asked: Asked) -> tuple[Trip, Reach | None]:
        """The trip, and what to read of it; None: there is nothing to read."""
        cursor = decode_cursor(asked.cursor, TrackCursor).key() if asked.cursor else None
        async with self.database.transaction(principal.org_id) as conn:
            trip = await trips.visible(conn, principal, trip_id)
        async with self.database.transaction(trip.org_id) as conn:
            imported = await storage.imported_span(conn, trip.org_id, trip_id)
        times = lies_between(trip, imported)
        if times is None:
            return trip, None
        reach = Reach(
            org_id=trip.org_id,
            trip_id=trip_id,
            raw_from=times[0],
            raw_until=times[1],
            after=_after(asked, cursor),
            end=asked.since if asked.backwards else asked.until,
            without=0 if asked.doubtful else int(DOUBTFUL),
            backwards=asked.backwards,
            own=trip.org_id == principal.org_id,
        )
        return trip, reach

    async def _read(self, reach: Reach, limit: int) -> list[Record]:
        async with self.database.transaction(reach.org_id) as conn:
            return await storage.read(conn, reach, limit)

    async def _parts(self, reach: Reach | None) -> AsyncGenerator[Sequence[Record]]:
        """One part ahead of who takes them, and never more."""
        if reach is None:
            return
        ahead = asyncio.ensure_future(self._read(reach, FIXES_A_READ))
        try:
            while rows := await ahead:
                if len(rows) == FIXES_A_READ:
                    reach = replace(reach, after=(rows[-1]["recorded_at"], rows[-1]["receipt"]))
                    ahead = asyncio.ensure_future(self._read(reach, FIXES_A_READ))
                yield rows
                if len(rows) < FIXES_A_READ:
                    return
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


def _after(asked: Asked, cursor: tuple[datetime, int] | None) -> tuple[datetime, int]:
    """Where to begin: at the cursor, or where the span begins if that is further on."""
    begin = (asked.until if asked.backwards else asked.since, BEFORE_ANY)
    if cursor is None:
        return begin
    return min(begin, cursor) if asked.backwards else max(begin, cursor)


def lies_between(trip: Trip, imported: tuple[datetime, datetime] | None) -> tuple[datetime, datetime] | None:
    """Between which of the device's own times all fixes of a trip lie: those of its run, and of files that were added.

    None: it has none. A trip that still runs has no end.
    """
    begins = [moment for moment in (trip.started_at, imported and imported[0]) if moment]
    if not begins:
        return None
    ended_at = trip.completed_at or trip.cancelled_at
    ends = [imported[1] if imported else min(begins)]
    if trip.started_at is not None:
        ends.append(ended_at or LATEST - 2 * REPAIRED_AT_MOST)
    return min(begins) - REPAIRED_AT_MOST, max(ends) + REPAIRED_AT_MOST
