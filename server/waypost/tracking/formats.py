"""A track as a file: GeoJSON (RFC 7946), GPX 1.1 or CSV (RFC 4180), written a part at a time. Pure.

Rows are those of ``storage_tracks.read``: recorded_at, received_at, receipt, latitude and longitude in 1e-7 degree,
accuracy_m, speed_mps, heading_deg, altitude_m, battery_pct, flags, late. All times are in UTC. A file is whole with its
tail only: GeoJSON and GPX that break off cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Protocol
from xml.sax.saxutils import escape

from waypost.tracking.domain import E7, Flag, flag_names

# A longer silence begins a new segment: GPX 1.1, "a span of data points which are logically connected in order".
SEGMENT_GAP = timedelta(minutes=5)
OWN_NAMESPACE = "urn:waypost:gpx:1"
# XML 1.0, section 2.2: what no document can hold, escaped or not.
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Writer(Protocol):
    """A file while it is made. Its tail is to be written once all rows are."""

    content_type: ClassVar[str]
    suffix: ClassVar[str]

    def __init__(self, name: str) -> None: ...

    def head(self) -> str: ...

    def rows(self, rows: Sequence[Any]) -> str: ...

    def tail(self) -> str: ...


class GeoJson:
    """A FeatureCollection of Points, each with what is known of its fix; absent is unknown."""

    content_type: ClassVar[str] = "application/geo+json"
    suffix: ClassVar[str] = "geojson"

    def __init__(self, name: str) -> None:
        del name  # RFC 7946 has no place for it
        self._between = "\n"

    def head(self) -> str:
        return '{"type":"FeatureCollection","features":['

    def rows(self, rows: Sequence[Any]) -> str:
        if not rows:
            return ""
        text = self._between + ",\n".join(map(_feature, rows))
        self._between = ",\n"
        return text

    def tail(self) -> str:
        return "\n]}\n"


def _feature(row: Any) -> str:
    at, received_at, _, latitude, longitude, accuracy, speed, heading, altitude, battery, flags, late = row
    height = "" if altitude is None else f",{altitude:.2f}"
    known = f'"time":"{_time(at)}","receivedAt":"{_batch_time(received_at)}"'
    if accuracy is not None:
        known += f',"accuracy":{accuracy:.2f}'
    if speed is not None:
        known += f',"speed":{speed:.2f}'
    if heading is not None:
        known += f',"heading":{heading:.2f}'
    if battery is not None:
        known += f',"battery":{battery:.2f}'
    if flags:
        names = ",".join(f'"{name}"' for name in _names(flags))
        known += f',"flags":[{names}]'
    if late:
        known += ',"late":true'
    return (
        '{"type":"Feature","geometry":{"type":"Point","coordinates":'
        f'[{longitude / E7:.7f},{latitude / E7:.7f}{height}]}},"properties":{{{known}}}}}'
    )


class Gpx:
    """One track; a silence of more than five minutes begins a new segment.

    Speed (m/s) and course stand where Garmin's extension has them, accuracy and flags under a name of our own.
    """

    content_type: ClassVar[str] = "application/gpx+xml"
    suffix: ClassVar[str] = "gpx"

    def __init__(self, name: str) -> None:
        self._name = name
        self._last: datetime | None = None

    def head(self) -> str:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<gpx version="1.1" creator="Waypost" xmlns="http://www.topografix.com/GPX/1/1"'
            ' xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2"'
            f' xmlns:waypost="{OWN_NAMESPACE}">\n'
            f"<trk><name>{escape(_NO_XML.sub('', self._name))}</name><trkseg>\n"
        )

    def rows(self, rows: Sequence[Any]) -> str:
        lines = []
        for row in rows:
            at = row[0]
            if self._last is not None and abs(at - self._last) > SEGMENT_GAP:
                lines.append("</trkseg><trkseg>\n")
            self._last = at
            lines.append(_point(row))
        return "".join(lines)

    def tail(self) -> str:
        return "</trkseg></trk>\n</gpx>\n"


def _point(row: Any) -> str:
    at, _, _, latitude, longitude, accuracy, speed, heading, altitude, _, flags, _ = row
    text = f'<trkpt lat="{latitude / E7:.7f}" lon="{longitude / E7:.7f}">'
    if altitude is not None:
        text += f"<ele>{altitude:.2f}</ele>"
    text += f"<time>{_time(at)}</time>"
    more = ""
    if speed is not None or heading is not None:
        more = "<gpxtpx:TrackPointExtension>"
        if speed is not None:
            more += f"<gpxtpx:speed>{speed:.2f}</gpxtpx:speed>"
        if heading is not None:
            more += f"<gpxtpx:course>{heading:.2f}</gpxtpx:course>"
        more += "</gpxtpx:TrackPointExtension>"
    if accuracy is not None:
        more += f"<waypost:accuracy>{accuracy:.2f}</waypost:accuracy>"
    if flags:
        more += f"<waypost:flags>{' '.join(_names(flags))}</waypost:flags>"
    if more:
        text += f"<extensions>{more}</extensions>"
    return text + "</trkpt>\n"


class Csv:
    """One line a fix; an empty cell is unknown. A cell is a number, a time or our word: no formula hides in one."""

    content_type: ClassVar[str] = "text/csv"
    suffix: ClassVar[str] = "csv"
    columns: ClassVar[str] = (
        "recorded_at,latitude,longitude,accuracy_m,speed_mps,heading_deg,altitude_m,battery_pct,flags,late,received_at"
    )

    def __init__(self, name: str) -> None:
        del name

    def head(self) -> str:
        return f"{self.columns}\r\n"

    def rows(self, rows: Sequence[Any]) -> str:
        return "".join(map(_line, rows))

    def tail(self) -> str:
        return ""


def _line(row: Any) -> str:
    at, received_at, _, latitude, longitude, accuracy, speed, heading, altitude, battery, flags, late = row
    accuracy = "" if accuracy is None else f"{accuracy:.2f}"
    speed = "" if speed is None else f"{speed:.2f}"
    heading = "" if heading is None else f"{heading:.2f}"
    altitude = "" if altitude is None else f"{altitude:.2f}"
    battery = "" if battery is None else f"{battery:.2f}"
    return (
        f"{_time(at)},{latitude / E7:.7f},{longitude / E7:.7f},{accuracy},{speed},{heading},{altitude},{battery},"
        f"{' '.join(_names(flags)) if flags else ''},{'true' if late else 'false'},{_batch_time(received_at)}\r\n"
    )


def _time(at: datetime) -> str:
    """ISO 8601 with milliseconds; ``at`` is in UTC."""
    return f"{at.isoformat(timespec='milliseconds')[:23]}Z"


# A batch's fixes were all received at one moment.
_batch_time = lru_cache(maxsize=16)(_time)


def _names(flags: int) -> list[str]:
    return flag_names(Flag(flags))


FILES: Mapping[str, type[Writer]] = {"geojson": GeoJson, "gpx": Gpx, "csv": Csv}
