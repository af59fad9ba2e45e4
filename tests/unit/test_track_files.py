"""Track files as reports: every form that is read, and that nothing else gets in or breaks it."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks import geojson_reports, gpx_reports
from waypost.tracking.domain import Report
from waypost.tracking.track_files import MAX_POINTS, TrackFileTooLong, TrackFileUnreadable, geojson_pieces, gpx_pieces

POINT = '<trkpt lat="-17.8252" lon="31.0335">{}</trkpt>'
TIMED = POINT.format("<ele>1490</ele><time>2026-01-01T10:00:00Z</time>{}")
ROOTS = [
    "<gpx>",
    '<gpx version="1.0">',
    '<gpx xmlns="http://www.topografix.com/GPX/1/0">',
    '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">',
    '<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1">',
]


def gpx(inside: str, root: str = ROOTS[3]) -> bytes:
    name = root[1:].split(maxsplit=1)[0].rstrip(">")
    return f'<?xml version="1.0"?>{root}<trk><trkseg>{inside}</trkseg></trk></{name}>'.encode()


def point(coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": coordinates}, "properties": properties}


def line(kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def collection(*features: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


@pytest.mark.parametrize("root", ROOTS)
def test_gpx_of_both_versions_with_and_without_a_namespace(root: str):
    (report,) = gpx_reports(gpx(TIMED.format("<speed>3.5</speed><course>271</course>"), root))
    assert (report.latitude, report.longitude, report.timestamp) == (-17.8252, 31.0335, "2026-01-01T10:00:00Z")
    assert (report.speed, report.heading, report.altitude, report.accuracy) == (3.5, 271, 1490, None)


@pytest.mark.parametrize("prefix", ["gpxtpx", "osmand"])
def test_gpx_speed_and_accuracy_stand_in_extensions_too(prefix: str):
    inside = f"<extensions><{prefix}:a><{prefix}:speed>2</{prefix}:speed></{prefix}:a><x:hacc>7</x:hacc></extensions>"
    (report,) = gpx_reports(gpx(TIMED.format(inside)))
    assert (report.speed, report.accuracy) == (2, 7)


def test_points_are_numbered_over_tracks_and_segments_and_waypoints_are_none():
    body = (
        "<gpx><wpt lat='1' lon='2'><time>2026-01-01T10:00:00Z</time></wpt>"
        f"<trk><trkseg>{TIMED.format('')}</trkseg><trkseg/></trk><trk><trkseg>{POINT.format('')}</trkseg></trk></gpx>"
    )
    reports = list(gpx_reports(body.encode()))
    assert [(report.index, report.timestamp is None) for report in reports] == [(0, False), (1, True)]
    assert reports[1].sent() == b'<trkpt lat="-17.8252" lon="31.0335">'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "doctype",
    ['<!DOCTYPE gpx [<!ENTITY a "x">]>', '<!DOCTYPE gpx SYSTEM "file:///etc/passwd">', "<!DOCTYPE gpx>",
     '<!DOCTYPE gpx [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]>'],
)  # fmt: skip
def test_a_document_type_declaration_is_refused_whatever_it_declares(doctype: str, encoding: str):
    body = f'<?xml version="1.0" encoding="{encoding}"?>{doctype}<gpx><trk><trkseg>{TIMED.format("&a;")}'
    with pytest.raises(TrackFileUnreadable, match="DTD"):
        list(gpx_reports(body.encode(encoding)))


@pytest.mark.parametrize(
    "body", [b"", b"<gpx><trk>", b"{}", b"\xff\xfe", b"<gpx>" + b"<a>" * 200, b"<gpx>&nbsp;</gpx>"]
)
def test_what_is_no_gpx_is_said_to_be_none_with_its_line(body: bytes):
    with pytest.raises(TrackFileUnreadable, match="Line 1 "):
        list(gpx_reports(body))


def test_a_point_may_be_cut_by_the_pieces_that_a_large_file_is_read_in():
    body = gpx("".join(TIMED.format(f"<name>{'x' * 500}{n}</name>") for n in range(1000)))
    reports = list(gpx_reports(body))
    assert [report.index for report in reports] == list(range(1000))
    assert all(report.sent().startswith(b"<trkpt") for report in reports)


@pytest.mark.parametrize(
    ("time", "read"),
    [("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"), (" 2026-01-01T10:00:00+02:00\n", "2026-01-01T10:00:00+02:00"),
     (1_767_261_600_000, 1_767_261_600_000), ("1767261600000", 1_767_261_600_000), (1_767_261_600, 1_767_261_600_000),
     ("1767261600.5", 1_767_261_600_500), ("", None), (None, None), ("soon", "soon"), (True, True)],
)  # fmt: skip
@pytest.mark.parametrize("name", ["time", "time_long", "timestamp", "recorded_at"])
def test_a_points_time_is_text_or_a_number_of_seconds_or_milliseconds(time: object, read: object, name: str):
    (report,) = geojson_reports(collection(point([31, -17], **{name: time})))
    assert report.timestamp == read


def test_gpslogger_writes_numbers_as_text_and_a_third_coordinate():
    said = {"time": "2026-01-01T10:00:00Z", "speed": "4.5", "accuracy": "6", "bearing": "90"}
    (report,) = geojson_reports(collection(point(["31.05", "-17.8", 1490], **said)))
    assert (report.latitude, report.longitude, report.altitude) == (-17.8, 31.05, 1490)
    assert (report.speed, report.accuracy, report.heading) == (4.5, 6, 90)


@pytest.mark.parametrize("properties", [{"coordTimes": [1, 2]}, {"times": [1, 2]},
                                        {"coordinateProperties": {"times": [1, 2]}}])  # fmt: skip
@pytest.mark.parametrize("kind", ["LineString", "MultiPoint"])
def test_lines_have_as_many_times_as_positions(kind: str, properties: dict[str, Any]):
    reports = list(geojson_reports(collection(line(kind, [[31, -17], [31.1, -17.1]], **properties))))
    assert [(r.longitude, r.timestamp) for r in reports] == [(31, 1000), (31.1, 2000)]


@pytest.mark.parametrize("times", [[[1], [2, 3]], [1, 2, 3]])
def test_several_lines_have_lists_of_times_or_one_over_all(times: list[Any]):
    lines = line("MultiLineString", [[[31, -17]], [[32, -17], [33, -17]]], coordTimes=times)
    assert [(r.index, r.timestamp) for r in geojson_reports(collection(lines))] == [(0, 1000), (1, 2000), (2, 3000)]


def test_a_single_feature_and_a_bare_line_are_files_too():
    body = json.dumps(line("LineString", [[31, -17]], coordTimes=["2026-01-01T10:00:00Z"])).encode()
    assert len(list(geojson_reports(body))) == 1
    bare = json.dumps({"type": "LineString", "coordinates": [[31, -17]], "times": [5]}).encode()
    assert [report.timestamp for report in geojson_reports(bare)] == [5000]


def test_times_that_do_not_fit_the_positions_are_nobodys():
    reports = list(geojson_reports(collection(line("LineString", [[31, -17], [32, -17]], coordTimes=[1]))))
    assert [report.timestamp for report in reports] == [None, None]


def test_a_feature_that_is_no_track_is_one_malformed_record_among_good_ones():
    polygon = line("Polygon", [[[0, 0], [1, 0], [1, 1], [0, 0]]])
    nothing = {"type": "Feature", "geometry": None, "properties": {}}
    reports = list(geojson_reports(collection(point([31, -17], time=5), polygon, nothing, 7, point([31, -17], time=6))))
    assert [(report.index, report.malformed) for report in reports] == [
        (0, False), (1, True), (2, True), (3, True), (4, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"7", b"null", b"{}", b'{"type":"Polygon","coordinates":[]}', b'{"type":"Feature"}', b"\xff",
     b'{"type":"FeatureCollection","features":' + b"[" * 100_000, b"<gpx/>"],
)  # fmt: skip
def test_what_is_no_geojson_is_said_to_be_none(body: bytes):
    with pytest.raises(TrackFileUnreadable):
        list(geojson_reports(body))


def test_a_number_beyond_all_numbers_is_that_points_own_fault():
    good = json.dumps(point([31, -17], time=5))
    wrong = good.replace("31", "1e999").replace("5", "1e400")
    bad, fine = geojson_reports(f'{{"type":"FeatureCollection","features":[{wrong},{good}]}}'.encode())
    assert (fine.index, fine.longitude) == (1, 31)
    assert bad.longitude == float("inf") or bad.malformed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["type", "features", "geometry", "coordinates", "properties", "coordTimes", "time"]), inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
kinds = st.sampled_from(["FeatureCollection", "Feature", "Point", "LineString", "MultiLineString", "Polygon"])
geojson_like = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    kinds,
    st.fixed_dictionaries(
        {},
        optional={
            "features": st.lists(st.builds(point, json_values, time=json_values) | json_values, max_size=4),
            "geometry": st.builds(lambda kind, inside: {"type": kind, "coordinates": inside}, kinds, json_values),
            "properties": st.dictionaries(st.sampled_from(["coordTimes", "time", "speed"]), json_values),
            "coordinates": json_values,
        },
    ),
)


@given(geojson_like)
def test_whatever_json_it_is_there_are_reports_or_a_refusal(document: Any):
    _reports_or_refusal(geojson_reports, json.dumps(document).encode())


@given(st.binary(max_size=200) | st.text(alphabet="<>/!gpxtrksen &;=\"'[]1.-", max_size=200).map(str.encode))
def test_whatever_bytes_they_are_there_are_reports_or_a_refusal(body: bytes):
    for read in (gpx_reports, geojson_reports):
        _reports_or_refusal(read, body)
        _reports_or_refusal(read, gpx(TIMED.format("")) + body)


def _reports_or_refusal(read: Any, body: bytes) -> None:
    try:
        reports = list(read(body))
    except TrackFileUnreadable:
        return
    assert all(isinstance(report, Report) for report in reports)
    assert [report.index for report in reports] == list(range(len(reports)))


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (gpx_pieces, b"<gpx>" + b"<a/>" * 1_000_001 + b"</gpx>"),
        (gpx_pieces, b"<gpx>" + b"<trkpt/>" * (MAX_POINTS + 1) + b"</gpx>"),
        (
            geojson_pieces,
            b'{"type":"MultiLineString","coordinates":[' + b",".join([b"[[1,2],[1,2]]"] * 100_001) + b"]}",
        ),
    ],
    ids=["elements", "points", "positions"],
)
def test_a_file_of_more_than_anybody_drives_is_refused_and_read_in_small_pieces_until_then(read: Any, body: bytes):
    sizes: list[int] = []
    with pytest.raises(TrackFileTooLong):
        sizes.extend(map(len, read(body)))
    assert len(sizes) > 50
    assert max(sizes) <= 3000


def test_of_a_feature_only_what_is_wanted_is_read():
    """8 MiB of empty objects would be half a gigabyte."""
    many = b"[" + b",".join([b"{}"] * 1_000_000) + b"]"
    body = b'{"type":"Feature","geometry":{"type":"Point","coordinates":[8,50]},"properties":{"a":%s,"time":5}}' % many
    tracemalloc.start()
    try:
        (report,) = geojson_reports(body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.timestamp == 5000
    assert most < 10 * len(body)


def test_features_without_a_point_are_steps_too():
    nothing = b'{"type":"Feature","geometry":{"type":"LineString","coordinates":[]},"properties":null}'
    body = b'{"type":"FeatureCollection","features":[' + b",".join([nothing] * 5000) + b"]}"
    assert [len(piece) for piece in geojson_pieces(body)] == [0] * 10
