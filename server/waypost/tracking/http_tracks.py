"""HTTP edge of a trip's track: pages, files, figures."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from asyncpg import Record

from waypost.kernel.paging import BadCursor
from waypost.platform.routes import Cache, Route
from waypost.platform.streams import stream
from waypost.platform.web import PRINCIPAL, BadQuery, path_id, read_query, reply, reply_page
from waypost.tracking import wire, wire_tracks
from waypost.tracking.formats import FILES, Writer
from waypost.tracking.simplify import Simplifier
from waypost.tracking.tracks import Asked, Tracks
from waypost.tracking.wire_tracks import ONLY_PAGES, TrackQuery
from waypost.trips.domain import Trip, TripNotFound

PATH = "/api/v1/trips/{trip_id}/locations"


@dataclass(frozen=True, slots=True)
class TrackRoutes:
    """What was reported for a trip."""

    tracks: Tracks

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.track, answer=wire.LiveLocation, listing=True, query=TrackQuery, devices=True,
                  errors=(TripNotFound, BadCursor), other_types=tuple(kind.content_type for kind in FILES.values())),
            Route("GET", PATH + "/summary", self.summary, answer=wire_tracks.TrackSummary, devices=True,
                  errors=(TripNotFound,), cache=Cache.PRIVATE, costly=True),
        ]  # fmt: skip

    async def track(self, request: web.Request) -> web.StreamResponse:
        """The fixes of a trip in the order of their time: `json` in pages, `geojson`, `gpx` or `csv` whole.

        A file is sent as it is read: one that breaks off has an error on the way, and is not to be used.
        """
        trip_id = path_id(request, "trip_id", TripNotFound)
        query = read_query(request, TrackQuery)
        since, until = query.span()
        asked = Asked(since, until, query.cursor, doubtful=query.flagged, backwards=query.order == "desc")
        if query.format != "json":
            return await self._file(request, trip_id, query, asked)
        if query.simplify is not None:
            raise BadQuery("simplify: this is for geojson, gpx and csv")
        page = await self.tracks.page(request[PRINCIPAL], trip_id, asked, query.limit)
        return reply_page(request, page, wire.location)

    async def summary(self, request: web.Request) -> web.Response:
        """Distance, moving time, stops and top speed of a trip, from its good fixes."""
        trip_id = path_id(request, "trip_id", TripNotFound)
        found = await self.tracks.summary(request[PRINCIPAL], trip_id)
        return reply(wire_tracks.TrackSummary.from_domain(found))

    async def _file(self, request: web.Request, trip_id: UUID, query: TrackQuery, asked: Asked) -> web.StreamResponse:
        for name in ONLY_PAGES:
            if name in request.query:
                raise BadQuery(f"{name}: this is for json; a file is whole")
        trip, parts = await self.tracks.whole(request[PRINCIPAL], trip_id, asked)
        kind = FILES[query.format]
        headers = {
            "Content-Type": kind.content_type,
            "Content-Disposition": f'attachment; filename="{file_name(trip)}.{kind.suffix}"',
        }
        simplifier = Simplifier(query.simplify) if query.simplify is not None else None
        return await stream(request, headers, written(parts, kind(trip.reference), simplifier))


async def written(
    parts: AsyncGenerator[Sequence[Record]], writer: Writer, simplifier: Simplifier | None
) -> AsyncGenerator[bytes]:
    """The bytes of a file, a part at a time."""
    yield writer.head().encode()
    async with aclosing(parts):
        async for rows in parts:
            kept = simplifier.feed(rows) if simplifier is not None else rows
            if kept:
                yield writer.rows(kept).encode()
    if simplifier is not None:
        yield writer.rows(simplifier.end()).encode()
    yield writer.tail().encode()


def file_name(trip: Trip) -> str:
    """Of the trip's reference what every file system takes, and enough of its id to be its own."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", trip.reference).strip("-")[:60]
    return f"{words or 'trip'}-{str(trip.id)[-12:]}"
