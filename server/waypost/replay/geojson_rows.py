"""GeoJSON: points with a time property each (as GPSLogger writes), or lines with ``coordTimes``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from waypost.replay.rows import Row, TraceError, moment_ms, needed, optional

EXPECTED = "a GeoJSON FeatureCollection of Points with time, time_long or timestamp, or of LineStrings with coordTimes"
TIMES = ("time", "time_long", "timestamp", "recorded_at")
LINE_TIMES = ("coordTimes", "times")
VEHICLES = ("vehicle_id", "vehicle", "device_id")
SPEEDS = ("speed", "speed_mps")
HEADINGS = ("bearing", "course", "heading", "heading_deg")
ACCURACIES = ("accuracy", "horizontal_accuracy", "accuracy_m")


def rows(content: bytes, path: Path, on_bad: Callable[[TraceError], None]) -> Iterator[Row]:
    """The fixes in file order; a feature without time or place goes to ``on_bad``, named by its number from 1.

    Raises TraceError for what is no GeoJSON.
    """
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TraceError(path, f"is not JSON: {error}") from error
    stem = path.name.split(".", 1)[0]
    for number, feature in enumerate(_features(document, path), start=1):
        try:
            yield from _feature(feature, stem)
        except (ValueError, TypeError, OverflowError) as error:
            on_bad(TraceError(path, str(error), line=number, item="feature"))


def _features(document: object, path: Path) -> list[object]:
    if isinstance(document, dict) and document.get("type") == "Feature":
        return [document]
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise TraceError(path, f"expected {EXPECTED}")
    return features


def _feature(feature: object, stem: str) -> list[Row]:
    """The rows of one feature, all or none. Raises ValueError, saying what is wrong."""
    match feature:
        case {"geometry": {"type": "Point", "coordinates": [longitude, latitude, *_]}, "properties": dict(properties)}:
            return [_row(latitude, longitude, _first(properties, TIMES), properties, stem)]
        case {"geometry": {"type": "LineString", "coordinates": list(line)}, "properties": dict(properties)}:
            times = _first(properties, LINE_TIMES)
            if not isinstance(times, list) or len(times) != len(line):
                raise ValueError(f"a line of {len(line)} points without as many coordTimes")
            return [_row(point[1], point[0], time, {}, _vehicle(properties, stem))
                    for point, time in zip(line, times, strict=True) if len(point) > 1]  # fmt: skip
    raise ValueError("neither a Point nor a LineString with properties")


def _row(latitude: object, longitude: object, time: object, properties: Mapping[str, object], stem: str) -> Row:
    if time is None:
        raise ValueError("a point without a time")
    return Row(
        _vehicle(properties, stem),
        moment_ms(time),
        needed(latitude),
        needed(longitude),
        optional(_first(properties, SPEEDS)),
        optional(_first(properties, HEADINGS)),
        optional(_first(properties, ACCURACIES)),
    )


def _vehicle(properties: Mapping[str, object], stem: str) -> str:
    name = _first(properties, VEHICLES)
    return str(name) if name not in (None, "") else stem


def _first(properties: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((properties[name] for name in names if properties.get(name) is not None), None)
