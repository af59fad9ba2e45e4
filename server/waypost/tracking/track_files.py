"""Reading track files, GPX and GeoJSON, as reports to be screened. Pure.

A file of megabytes is read as it is asked for, a piece at a time, each the work of some milliseconds, so that others
have their turns in between: what is in memory beside the file are the points of one piece, and there may be none in it.
Values are handed on as they stand, text of numbers as numbers: what is wrong with one is that point's own outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from waypost.kernel.errors import Invalid, TooLarge
from waypost.kernel.gpx import GpxPoint, GpxReader, NotGpx
from waypost.tracking.domain import Report
from waypost.tracking.protocols.records import (
    RAW_BYTES,
    Unreadable,
    is_array,
    items_of,
    members_of,
    number_of,
    numeric,
    value_of,
)

PIECE_BYTES = 16 * 1024
PIECE_STEPS = 500  # points, or features without any
MAX_POINTS = 200_000
MAX_ELEMENTS = 1_000_000
SECONDS_BELOW = 100_000_000_000  # a number below counts seconds (until the year 5138), from there on milliseconds
HEADINGS = ("course", "heading", "bearing", "heading_deg")
SPEEDS = ("speed", "speed_mps")
ACCURACIES = ("accuracy", "hacc", "horizontal_accuracy", "accuracy_m")
ALTITUDES = ("ele", "altitude", "altitude_m")
POINT_TIMES = ("time", "time_long", "timestamp", "recorded_at", "recordedAt")
LINE_TIMES = ("coordTimes", "times")
OF_POSITIONS = "coordinateProperties"
MEASURES = (*SPEEDS, *HEADINGS, *ACCURACIES, *ALTITUDES)
IN_GPX = frozenset({"time", *MEASURES})

Items: TypeAlias = Sequence[bytes | msgspec.Raw]


class TrackFileUnreadable(Invalid):
    """The file is no track: GPX with track points, or GeoJSON with points or lines; nothing of it was stored."""

    code = "track-file-unreadable"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or " ".join((self.__doc__ or "").split()))


class TrackFileTooLong(TooLarge):
    """The file has more than 200,000 points, or a million elements; split it. Nothing of it was stored."""

    code = "track-file-too-long"


def gpx_pieces(body: bytes) -> Iterator[Sequence[Report]]:
    """The track points in file order, numbered from 0. ``TrackFileUnreadable`` where it is no GPX, or has a DTD;
    ``TrackFileTooLong``.
    """
    reader, index = GpxReader(IN_GPX), 0
    for begin in range(0, len(body) or 1, PIECE_BYTES):
        try:
            points = reader.feed(body[begin : begin + PIECE_BYTES], last=begin + PIECE_BYTES >= len(body))
        except NotGpx as error:
            raise TrackFileUnreadable(f"Line {error.line} of the file: it {error}.") from error
        if index + len(points) > MAX_POINTS or reader.elements > MAX_ELEMENTS:
            raise TrackFileTooLong
        yield [_of_gpx(index + n, point, body) for n, point in enumerate(points)]
        index += len(points)


def _of_gpx(index: int, point: GpxPoint, body: bytes) -> Report:
    values = point.values
    raw = body[point.begin : min(point.end, point.begin + RAW_BYTES)]
    return _report(index, values.get("lat"), values.get("lon"), values.get("time"), None, values, raw)


def geojson_pieces(body: bytes) -> Iterator[Sequence[Report]]:
    """The positions in file order, numbered from 0, of points, lines and several of them, each with its time.

    A point's time is a property of its feature; a line's times are as many as its positions, else it has none. A
    feature that is neither is one malformed record. ``TrackFileUnreadable`` where all of it is no GeoJSON;
    ``TrackFileTooLong``.
    """
    try:
        steps, index = _found(body), 0
        while some := list(islice(steps, PIECE_STEPS)):
            found = [one for one in some if one is not None]
            if index + len(found) > MAX_POINTS:
                raise TrackFileTooLong
            yield [_of_geojson(index + n, *one) for n, one in enumerate(found)]
            index += len(found)
    except Unreadable as error:
        raise TrackFileUnreadable(f"The file is no GeoJSON track: {error}.") from error


def _of_geojson(index: int, position: Any, time: Any, values: Mapping[str, Any], raw: bytes) -> Report:
    if position is None:
        return Report(index, malformed=True, raw=raw[:RAW_BYTES])
    longitude, latitude, altitude, *_ = [*position, None, None, None] if isinstance(position, list) else [None] * 3
    return _report(index, latitude, longitude, time, altitude, values, raw[:RAW_BYTES])


# Position (None: there is none), time, measures, as sent; None: a step that found nothing.
Found: TypeAlias = tuple[Any, Any, Mapping[str, Any], bytes] | None


def _found(body: bytes) -> Iterator[Found]:
    members = members_of(body, ("type", "features"))
    if _text(members.get("type")) != "FeatureCollection":
        yield from _of_feature(body)
        return
    for feature in items_of(members.get("features", b"[]")):
        raw = bytes(feature)
        try:
            yield from _of_feature(raw)
        except Unreadable:
            yield None, None, {}, raw
        yield None


def _of_feature(raw: bytes) -> Iterator[Found]:
    """Of a Feature; a bare geometry is a feature that says its times itself."""
    members = members_of(raw, ("type", "geometry", "properties"))
    if _text(members.get("type")) == "Feature":
        yield from _of_geometry(members.get("geometry", b"null"), _object(members.get("properties")), raw)
    else:
        yield from _of_geometry(raw, raw, raw)


def _of_geometry(geometry: bytes, properties: bytes, raw: bytes) -> Iterator[Found]:
    members = members_of(geometry, ("type", "coordinates"))
    kind, coordinates = _text(members.get("type")), members.get("coordinates", b"[]")
    if kind == "Point":
        said = members_of(properties, (*POINT_TIMES, *MEASURES))
        values = {name: value_of(member) for name, member in said.items()}
        yield value_of(coordinates), _first(values, POINT_TIMES), values, raw
    elif kind in ("LineString", "MultiPoint"):
        yield from _line(items_of(coordinates), _times(properties))
    elif kind == "MultiLineString":
        yield from _lines(items_of(coordinates), _times(properties))
    else:
        raise Unreadable(f"{kind[:40] or 'nothing'} where a Feature, Point or LineString is expected")


def _lines(lines: Items, times: Items) -> Iterator[Found]:
    """Their times are in as many lists, or in one over all of them."""
    is_one = bool(times) and not is_array(bytes(times[0]))
    positions = 0
    for line in lines if is_one else ():
        positions += len(items_of(bytes(line)))
        yield None
    begin = 0
    for number, line in enumerate(lines):
        own = items_of(bytes(line))
        if is_one:
            yield from _line(own, times[begin : begin + len(own)] if positions == len(times) else [])
        else:
            yield from _line(own, items_of(bytes(times[number])) if len(times) == len(lines) else [])
        begin += len(own)
        yield None


def _line(line: Items, times: Items) -> Iterator[Found]:
    fits = len(times) == len(line)
    for number, position in enumerate(line):
        yield value_of(position), value_of(times[number]) if fits else None, {}, bytes(position)


def _times(properties: bytes) -> Items:
    """Where togeojson, and others after it, write them."""
    members = members_of(properties, (*LINE_TIMES, OF_POSITIONS))
    within = members_of(_object(members.get(OF_POSITIONS)), LINE_TIMES)
    written = (said[name] for said in (members, within) for name in LINE_TIMES if name in said)
    return next((items_of(times) for times in written if is_array(times)), [])


def _object(raw: bytes | None) -> bytes:
    """Anything else says nothing."""
    return raw if raw is not None and raw.startswith(b"{") else b"{}"


def _report(
    index: int, latitude: Any, longitude: Any, time: Any, altitude: Any, values: Mapping[str, Any], raw: bytes
) -> Report:
    return Report(
        index,
        latitude=numeric(latitude),
        longitude=numeric(longitude),
        timestamp=moment(time),
        accuracy=number_of(_first(values, ACCURACIES)),
        speed=number_of(_first(values, SPEEDS)),
        heading=number_of(_first(values, HEADINGS)),
        altitude=number_of(altitude if altitude is not None else _first(values, ALTITUDES)),
        raw=raw,
    )


def moment(value: Any) -> Any:
    """Epoch milliseconds where it is a number, of seconds or milliseconds, also in text; else as it is: ISO 8601, or
    nothing that the screening would take. None: it has no time.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = number_of(value)
    if number is None:
        return value.strip() if isinstance(value, str) else value
    return round(number * 1000) if abs(number) < SECONDS_BELOW else round(number)


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def _text(raw: bytes | None) -> str:
    value = value_of(raw) if raw else None
    return value if isinstance(value, str) else ""
