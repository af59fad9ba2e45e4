"""What is asked and answered of a trip's track."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from waypost.platform.codec import EARLIEST, LATEST, Instant, instant, instant_or_none, utc
from waypost.platform.queries import PageQuery
from waypost.platform.web import BadQuery
from waypost.tracking import summary
from waypost.tracking.domain import E7

Moment = Annotated[datetime, Meta(tz=True)]
ONLY_PAGES = ("limit", "fields")
FINEST_M, COARSEST_M = 0.1, 10_000


class TrackQuery(PageQuery, rename={"since": "from", "until": "to"}):
    """``json`` comes in pages, the other formats whole, as a file. ``from`` is within the span, ``to`` is not.

    ``flagged``: doubtful fixes too; ``order``: by their own time; ``simplify``: of a file, leave out fixes that are
    within so many metres of the line through the others.
    """

    format: Literal["json", "geojson", "gpx", "csv"] = "json"
    flagged: bool = False
    order: Literal["asc", "desc"] = "asc"
    since: Moment | None = None
    until: Moment | None = None
    simplify: Annotated[float, Meta(ge=FINEST_M, le=COARSEST_M)] | None = None

    def span(self) -> tuple[datetime, datetime]:
        """The times that are asked for. ``BadQuery`` for moments beyond all plans."""
        try:
            since = utc(self.since) if self.since is not None else EARLIEST
            until = utc(self.until) if self.until is not None else LATEST
        except ValueError as error:
            raise BadQuery(f"from, to: {error}") from error
        if until <= since:
            raise BadQuery("to: the span ends before it begins")
        return since, until


class TrackStop(msgspec.Struct, rename={"since": "from", "until": "to"}):
    """Where the vehicle stood, and from when to when."""

    latitude: float
    longitude: float
    since: Instant
    until: Instant
    seconds: int


class TrackSummary(msgspec.Struct, rename="camel"):
    """A trip's track in figures, of its good fixes. Metres, seconds, metres a second.

    ``moving_seconds`` + ``stopped_seconds`` + ``silent_seconds`` = ``to`` - ``from``: silent is the time between fixes
    too far apart to say. ``stops``: the first ones; ``stops_left_out``: how many more there were.
    """

    fixes: int
    since: Instant | None = msgspec.field(name="from")
    until: Instant | None = msgspec.field(name="to")
    distance: int
    moving_seconds: int
    stopped_seconds: int
    silent_seconds: int
    top_speed: float | None
    stops: list[TrackStop]
    stops_left_out: int

    @classmethod
    def from_domain(cls, value: summary.Summary) -> TrackSummary:
        return cls(
            fixes=value.fixes,
            since=instant_or_none(value.since),
            until=instant_or_none(value.until),
            distance=round(value.distance_m),
            moving_seconds=round(value.moving_s),
            stopped_seconds=round(value.stopped_s),
            silent_seconds=round(value.silent_s),
            top_speed=None if value.top_speed_mps is None else round(value.top_speed_mps, 2),
            stops=[
                TrackStop(
                    latitude=stop.latitude_e7 / E7,
                    longitude=stop.longitude_e7 / E7,
                    since=instant(stop.since),
                    until=instant(stop.until),
                    seconds=round((stop.until - stop.since).total_seconds()),
                )
                for stop in value.stops
            ],
            stops_left_out=value.stops_left_out,
        )
