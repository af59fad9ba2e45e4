"""Reading track files, GPX and GeoJSON, as reports to be screened. Pure.

A file of megabytes is read as it is asked for: what is in memory beside it are the points of one piece. Values are
handed on as they stand, text of numbers as numbers: what is wrong with one is that point's own outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from waypost.kernel.errors import Invalid
from waypost.kernel.gpx import GpxPoint, GpxReader, NotGpx
from waypost.tracking.domain import Report
from waypost.tracking.protocols.records import (
    MAX_RECORD_BYTES,
    RAW_BYTES,
    Unreadable,
    items_of,
    members_of,
    number_of,
    numeric,
    value_of,
)

PIECE_BYTES = 64 * 1024
SECONDS_BELOW = 100_000_000_000  # a number below counts seconds (until the year 5138), from there on milliseconds
HEADINGS = ("course", "heading", "bearing", "heading_deg")
SPEEDS = ("speed", "speed_mps")
ACCURACIES = ("accuracy", "hacc", "horizontal_accuracy", "accuracy_m")
ALTITUDES = ("ele", "altitude", "altitude_m")
POINT_TIMES = ("time", "time_long", "timestamp", "recorded_at", "recordedAt")
LINE_TIMES = ("coordTimes", "times")
IN_GPX = frozenset({"time", *SPEEDS, *HEADINGS, *ACCURACIES, *ALTITUDES})

Positions: TypeAlias = Sequence[bytes | msgspec.Raw]


class TrackFileUnreadable(Invalid):
    """The file is no track: GPX with track points, or GeoJSON with points or lines; nothing of it was stored."""

    code = "track-file-unreadable"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or " ".join((self.__doc__ or "").split()))


def gpx_reports(body: bytes) -> Iterator[Report]:
    """The track points in file order, numbered from 0. ``TrackFileUnreadable`` where it is no GPX, or has a DTD."""
    reader, index = GpxReader(IN_GPX), 0
    for begin in range(0, len(body) or 1, PIECE_BYTES):
        try:
            points = reader.feed(body[begin : begin + PIECE_BYTES], last=begin + PIECE_BYTES >= len(body))
        except NotGpx as error:
            raise TrackFileUnreadable(f"Line {error.line} of the file: it {error}.") from error
        for point in points:
            yield _of_gpx(index, point, body)
            index += 1


def _of_gpx(index: int, point: GpxPoint, body: bytes) -> Report:
    values = point.values
    raw = body[point.begin : min(point.end, point.begin + RAW_BYTES)]
    return _report(index, values.get("lat"), values.get("lon"), values.get("time"), None, values, raw)


def geojson_reports(body: bytes) -> Iterator[Report]:
    """The positions in file order, numbered from 0, of points, lines and several of them, each with its time.

    A point's time is a property of its feature; a line's times are as many as its positions, else it has none. A
    feature that is neither is one malformed record. ``TrackFileUnreadable`` where all of it is no GeoJSON.
    """
    try:
        for index, (position, time, properties, raw) in enumerate(_found(body)):
            if position is None:
                yield Report(index, malformed=True, raw=raw[:RAW_BYTES])
                continue
            longitude, latitude, altitude, *_ = (
                [*position, None, None, None] if isinstance(position, list) else [None] * 3
            )
            yield _report(index, latitude, longitude, time, altitude, properties, raw[:RAW_BYTES])
    except Unreadable as error:
        raise TrackFileUnreadable(f"The file is no GeoJSON track: {error}.") from error


Found: TypeAlias = tuple[Any, Any, Mapping[str, Any], bytes]  # position (None: there is none), time, properties, sent


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


def _of_feature(raw: bytes) -> Iterator[Found]:
    """Of a Feature; a bare geometry is a feature without properties, which may say its times itself."""
    members = members_of(raw, ("type", "geometry", "properties"))
    if _text(members.get("type")) != "Feature":
        times = {name: _json(member) for name, member in members_of(raw, LINE_TIMES).items()}
        yield from _of_geometry(raw, times, raw)
        return
    geometry = members.get("geometry", b"null")
    properties = _json(members.get("properties", b"null"))
    yield from _of_geometry(geometry, properties if isinstance(properties, dict) else {}, raw)


def _of_geometry(geometry: bytes, properties: Mapping[str, Any], raw: bytes) -> Iterator[Found]:
    members = members_of(geometry, ("type", "coordinates"))
    kind, coordinates = _text(members.get("type")), members.get("coordinates", b"[]")
    if kind == "Point":
        yield _json(coordinates), _first(properties, POINT_TIMES), properties, raw
    elif kind in ("LineString", "MultiPoint"):
        yield from _line(items_of(coordinates), _times(properties))
    elif kind == "MultiLineString":
        yield from _lines([items_of(bytes(line)) for line in items_of(coordinates)], _times(properties))
    else:
        raise Unreadable(f"{kind[:40] or 'nothing'} where a Feature, Point or LineString is expected")


def _lines(lines: Sequence[Positions], times: Sequence[Any]) -> Iterator[Found]:
    """Their times are in as many lists, or in one over all of them."""
    if sum(map(len, lines)) == len(times) and not any(isinstance(time, list) for time in times):
        yield from _line([position for line in lines for position in line], times)
        return
    for number, line in enumerate(lines):
        of_line = times[number] if len(times) == len(lines) else []
        yield from _line(line, of_line if isinstance(of_line, list) else [])


def _line(line: Positions, times: Sequence[Any]) -> Iterator[Found]:
    fits = len(times) == len(line)
    for number, position in enumerate(line):
        yield _json(bytes(position)), times[number] if fits else None, {}, bytes(position)


def _times(properties: Mapping[str, Any]) -> Sequence[Any]:
    """Where togeojson, and others after it, write them."""
    of_positions = properties.get("coordinateProperties")
    within = of_positions if isinstance(of_positions, dict) else {}
    times = _first(properties, LINE_TIMES) or _first(within, LINE_TIMES)
    return times if isinstance(times, list) else []


def _json(raw: bytes) -> Any:
    """A value of any size: the times of a long line are one."""
    if len(raw) <= MAX_RECORD_BYTES:
        return value_of(raw)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {error}") from error


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
    value = _json(raw) if raw else None
    return value if isinstance(value, str) else ""
