"""Tracks as files: right by their own standards, whatever is in them."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks import geojson_reports, gpx_reports
from waypost.tracking.domain import Flag
from waypost.tracking.formats import FILES, SEGMENT_GAP, Csv, GeoJson, Gpx, Writer

NOON = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
NS = {"gpx": "http://www.topografix.com/GPX/1/1", "tpx": "http://www.garmin.com/xmlschemas/TrackPointExtension/v2",
      "own": "urn:waypost:gpx:1"}  # fmt: skip
# GPX 1.1, wptType: the order of what may be in a point.
IN_A_POINT = ["ele", "time", "magvar", "geoidheight", "name", "cmt", "desc", "src", "link", "sym", "type", "fix", "sat",
              "hdop", "vdop", "pdop", "ageofdgpsdata", "dgpsid", "extensions"]  # fmt: skip


def row(after_s: float = 0, **values: Any) -> tuple[Any, ...]:
    known = {"latitude": -178_252_000, "longitude": 310_335_000, "accuracy": None, "speed": None, "heading": None,
             "altitude": None, "battery": None, "flags": 0, "late": False} | values  # fmt: skip
    at = NOON + timedelta(seconds=after_s)
    return (at, at + timedelta(seconds=2), 1, *known.values())


FULL = row(accuracy=6.5, speed=13.399999618530273, heading=271.0, altitude=-1490.0, battery=76.0, late=True,
           flags=int(Flag.SPEED_JUMP | Flag.CLOCK_SKEW))  # fmt: skip


def whole(kind: type[Writer], rows: list[Any], name: str = "T-1", parts: int = 1) -> str:
    writer = kind(name)
    size = math.ceil(len(rows) / parts) or 1
    pieces = [writer.rows(rows[at : at + size]) for at in range(0, len(rows), size)]
    return writer.head() + "".join(pieces) + writer.tail()


def test_geojson_has_a_point_for_each_fix_and_leaves_out_what_is_unknown():
    document = json.loads(whole(GeoJson, [FULL, row()]))
    assert document["type"] == "FeatureCollection"
    first, second = document["features"]
    assert first == {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [31.0335, -17.8252, -1490.0]},
        "properties": {
            "time": "2026-01-01T12:00:00.250Z", "receivedAt": "2026-01-01T12:00:02.250Z", "accuracy": 6.5,
            "speed": 13.4, "heading": 271.0, "battery": 76.0, "flags": ["speed_jump", "clock_skew"], "late": True,
        },
    }  # fmt: skip
    assert second["geometry"]["coordinates"] == [31.0335, -17.8252]
    assert second["properties"].keys() == {"time", "receivedAt"}


def test_gpx_is_1_1_with_its_elements_in_their_order():
    root = ET.fromstring(whole(Gpx, [FULL, row(5)]))  # noqa: S314 - our own
    assert root.tag == f"{{{NS['gpx']}}}gpx"
    assert (root.get("version"), bool(root.get("creator"))) == ("1.1", True)
    assert [track.findtext("gpx:name", None, NS) for track in root] == ["T-1"]
    points = root.findall("gpx:trk/gpx:trkseg/gpx:trkpt", NS)
    for point in points:
        names = [child.tag.rpartition("}")[2] for child in point]
        assert names == sorted(names, key=IN_A_POINT.index)
        assert point.attrib == {"lat": "-17.8252000", "lon": "31.0335000"}
    assert points[0].findtext("gpx:ele", None, NS) == "-1490.00"
    assert points[0].findtext("gpx:time", None, NS) == "2026-01-01T12:00:00.250Z"
    extensions = points[0].find("gpx:extensions", NS)
    assert extensions is not None
    assert extensions.findtext("tpx:TrackPointExtension/tpx:speed", None, NS) == "13.40"
    assert extensions.findtext("tpx:TrackPointExtension/tpx:course", None, NS) == "271.00"
    assert extensions.findtext("own:flags", None, NS) == "speed_jump clock_skew"
    assert not [child for child in extensions if child.tag.startswith(f"{{{NS['gpx']}}}")]  # GPX 1.1: ##other only
    assert points[1].find("gpx:extensions", NS) is None


@pytest.mark.parametrize("direction", [1, -1])
def test_a_long_silence_begins_a_new_segment_over_parts_too_in_either_direction(direction: int):
    gap = SEGMENT_GAP.total_seconds()
    rows = [row(direction * seconds) for seconds in (0, gap, 2 * gap + 0.001, 2 * gap + 1)]
    for parts in (1, 4):
        root = ET.fromstring(whole(Gpx, rows, parts=parts))  # noqa: S314 - our own
        assert [len(segment) for segment in root.iter(f"{{{NS['gpx']}}}trkseg")] == [2, 2]


@pytest.mark.parametrize("name", ["<a>&\"'", "]]>", "a\0b\x0b", "Ünïcødé 🚚", "\ud800"])
def test_a_trips_name_is_only_text(name: str):
    root = ET.fromstring(whole(Gpx, [], name).encode())  # noqa: S314 - our own
    assert root.findtext("gpx:trk/gpx:name", None, NS) == "".join(c for c in name if c.isprintable() and c != "\ud800")


def test_csv_is_one_record_a_fix_with_a_header_and_crlf():
    text = whole(Csv, [FULL, row()])
    assert text.endswith("\r\n")
    assert text.count("\r\n") == text.count("\n") == 3
    full, bare = csv.DictReader(io.StringIO(text))
    assert full == {
        "recorded_at": "2026-01-01T12:00:00.250Z", "latitude": "-17.8252000", "longitude": "31.0335000",
        "accuracy_m": "6.50", "speed_mps": "13.40", "heading_deg": "271.00", "altitude_m": "-1490.00",
        "battery_pct": "76.00", "flags": "speed_jump clock_skew", "late": "true",
        "received_at": "2026-01-01T12:00:02.250Z",
    }  # fmt: skip
    assert {bare[name] for name in ("accuracy_m", "speed_mps", "heading_deg", "altitude_m", "battery_pct")} == {""}
    assert (bare["flags"], bare["late"]) == ("", "false")


@pytest.mark.parametrize("kind", FILES.values())
def test_it_is_the_same_in_however_many_parts_it_comes(kind: type[Writer]):
    rows = [row(seconds * 100, speed=1.0) for seconds in range(11)]
    assert whole(kind, rows) == whole(kind, rows, parts=3) == whole(kind, rows, parts=11)


measures = st.none() | st.floats(-1e9, 1e9, width=32, exclude_min=True, exclude_max=True)
rows_of_all_kinds = st.builds(
    row,
    st.integers(-(10**8), 10**8),
    latitude=st.integers(-900_000_000, 900_000_000),
    longitude=st.integers(-1_800_000_000, 1_800_000_000),
    **dict.fromkeys(("accuracy", "speed", "heading", "altitude", "battery"), measures),
    flags=st.integers(0, 31),
    late=st.booleans(),
)


@given(st.lists(rows_of_all_kinds, max_size=5), st.text(max_size=30))
def test_whatever_is_in_it_every_file_can_be_read_and_says_the_same_places_and_times(rows: list[Any], name: str):
    expected = [(item[3], item[4], item[0]) for item in rows]
    in_csv = csv.DictReader(io.StringIO(whole(Csv, rows, name)))
    assert [(e7(line["latitude"]), e7(line["longitude"]), moment(line["recorded_at"])) for line in in_csv] == expected
    for kind, read in ((GeoJson, geojson_reports), (Gpx, gpx_reports)):
        text = whole(kind, rows, name).encode()
        if rows or kind is GeoJson:
            found = [(e7(r.latitude), e7(r.longitude), moment(r.timestamp)) for r in read(text)]
            assert found == expected


def e7(degrees: Any) -> int:
    return round(float(degrees) * 1e7)


def moment(text: Any) -> datetime:
    return datetime.fromisoformat(text)
