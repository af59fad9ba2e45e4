"""HTTP edge of track imports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from waypost.kernel.errors import Unsupported
from waypost.kernel.principal import PLANNERS
from waypost.platform.bodies import BadEncoding
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, raw_body, reply
from waypost.tracking.domain import Report
from waypost.tracking.imports import Imported, Imports
from waypost.tracking.track_files import TrackFileTooLong, TrackFileUnreadable, geojson_pieces, gpx_pieces
from waypost.tracking.wire import Rejected
from waypost.tracking.wire_imports import ImportOutcomes
from waypost.trips.domain import TripNotFound

LARGEST_FILE_BYTES = 8 * 1024 * 1024
READERS: Mapping[str, Callable[[bytes], Iterator[Sequence[Report]]]] = {
    "application/gpx+xml": gpx_pieces,
    "application/xml": gpx_pieces,
    "text/xml": gpx_pieces,
    "application/geo+json": geojson_pieces,
    "application/json": geojson_pieces,
}


class NoTrackFile(Unsupported):
    """Send the file itself as the body, with `Content-Type: application/gpx+xml` or `application/geo+json`."""

    code = "no-track-file"


@dataclass(frozen=True, slots=True)
class ImportRoutes:
    """Tracks from files."""

    imports: Imports

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/v1/trips/{trip_id}/import", self.add, answer=ImportOutcomes, roles=PLANNERS,
                  reads=dict.fromkeys(READERS, Any), body_limit=LARGEST_FILE_BYTES, idempotent=True, costly=True,
                  errors=(TripNotFound, NoTrackFile, BadEncoding, TrackFileUnreadable, TrackFileTooLong)),
        ]  # fmt: skip

    async def add(self, request: web.Request) -> web.Response:
        """Add the points of a GPX or GeoJSON file to a trip's history. Nothing of it becomes live; twice is once."""
        trip_id = path_id(request, "trip_id", TripNotFound)
        read = READERS.get(request.content_type)
        if read is None:
            raise NoTrackFile
        imported = await self.imports.add(request[PRINCIPAL], trip_id, await raw_body(request), read)
        return reply(outcomes(imported))


def outcomes(imported: Imported) -> ImportOutcomes:
    return ImportOutcomes(
        points=imported.points,
        accepted=imported.accepted,
        duplicates=imported.duplicates,
        flagged=imported.flagged,
        without_time=imported.without_time,
        reasons=dict(imported.reasons),
        rejected=[Rejected(item.index, str(item.reason), item.detail) for item in imported.rejected],
    )
