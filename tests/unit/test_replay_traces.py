"""Trace files are read as they were recorded, defects included."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest

from waypost.replay.recordings import Recording
from waypost.replay.rows import NotATrace, Row, TraceError, moment_ms
from waypost.replay.traces import choose, load, names, read, select

HEADER = "source,vehicle_id,trip_id,recorded_at,latitude,longitude,speed_mps,heading_deg,accuracy_m\n"
NOON_MS = 1_795_348_800_000
GPX_POINT = '<trkpt lat="-17.8" lon="31.05"><time>2026-11-22T12:00:00Z</time>{}</trkpt>'
TRACES = Path(os.environ.get("WAYPOST_TRACES_DIR") or Path(__file__).parents[3] / "shared" / "data")

needs_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason=f"the recorded traces are not at {TRACES}; set WAYPOST_TRACES_DIR"
)


def written(path: Path, text: str | bytes) -> Path:
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def gpx(inside: str, *, root: str = '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">') -> str:
    return f'<?xml version="1.0"?>\n{root}\n<trk><trkseg>\n{inside}\n</trkseg></trk>\n</gpx>'


def recording(vehicle: str, rows: int, source: str = "a.csv") -> Recording:
    made = Recording(vehicle, Path(source))
    for at in range(rows):
        made.add(Row(vehicle, at * 1000, 1.0, 2.0))
    return made


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-22T12:00:00Z", NOON_MS),
        ("2026-11-22T14:00:00.250+02:00", NOON_MS + 250),
        ("2026-11-22T12:00:00", NOON_MS),
        (NOON_MS, NOON_MS),
        (str(NOON_MS // 1000), NOON_MS),
        (NOON_MS / 1000 + 0.5, NOON_MS + 500),
    ],
)
def test_times_may_be_iso_text_seconds_or_milliseconds(text, ms):
    assert moment_ms(text) == ms


@pytest.mark.parametrize("name", ["van.csv", "van.csv.gz"])
def test_csv_rows_keep_duplicates_disorder_and_impossible_places(tmp_path, name):
    lines = ["s,v,t,2026-11-22T12:00:05Z,0,1555,,,", "s,v,t,2026-11-22T12:00:00Z,0,0,1.5,90,65"]
    path = written(tmp_path / name, HEADER + "\n".join([*lines, lines[1]]) + "\n")
    late = Row("v", NOON_MS, 0.0, 0.0, 1.5, 90.0, 65.0)
    assert list(read(path)) == [Row("v", NOON_MS + 5000, 0.0, 1555.0), late, late]


def test_a_bad_row_is_told_with_its_line_and_is_not_fatal(tmp_path):
    path = written(tmp_path / "v.csv", HEADER + "s,v,t,never,1,2,,,\ns,v\ns,v,t,2026-11-22T12:00:00Z,1,nan,,,\n"
                                                "s,v,t,2026-11-22T12:00:00Z,1,2,,,\n")  # fmt: skip
    bad: list[TraceError] = []
    assert len(list(read(path, bad.append))) == 1
    assert [str(error).split(": ")[0] for error in bad] == [f"{path}:{line}" for line in (2, 3, 4)]


def test_a_file_without_a_usable_row_says_what_was_expected(tmp_path):
    path = written(tmp_path / "v.csv", HEADER + "s,v,t,never,1,2,,,\n")
    with pytest.raises(TraceError, match=r"no usable row; expected a CSV header with recorded_at.*v\.csv:2"):
        list(read(path))


@pytest.mark.parametrize("header", ["vehicle_id,recorded_at,activity\n", "row,written_at\n"])
def test_files_that_stand_beside_a_trace_are_skipped_with_a_word(tmp_path, header):
    beside = written(tmp_path / "v-labels.csv", header + "v,2026-11-22T12:00:00Z,Driving\n")
    trace = written(tmp_path / "v.csv", HEADER + "s,v,t,2026-11-22T12:00:00Z,1,2,,,\n")
    told: list[str] = []
    assert [r.name for r in load([beside, trace], say=told.append)] == ["v"]
    assert told[0].startswith(f"skipped: {beside}")
    with pytest.raises(NotATrace):
        list(read(beside))


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("none.csv", None, "cannot be read: No such file"),
        ("cut.csv.gz", gzip.compress(HEADER.encode() * 99, mtime=0)[:60], "cannot be read"),
        ("latin.csv", HEADER.encode() + b"\xff\xfe", "cannot be read"),
        ("photo.jpg", b"", "is no trace"),
        ("other.csv", b"a,b\n1,2\n", "expected a CSV header"),
        ("broken.gpx", b"<gpx><trk>", "not well-formed"),
        ("broken.geojson", b'{"features": [', "is not JSON"),
        ("other.geojson", b"[]", "expected a GeoJSON"),
    ],
)
def test_an_unreadable_file_is_a_clear_error_that_names_it(tmp_path, name, content, word):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TraceError, match=word) as caught:
        load([path])
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "root",
    ["<gpx>", '<gpx version="1.0">', '<gpx xmlns="http://www.topografix.com/GPX/1/0">',
     '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">'],
)  # fmt: skip
def test_gpx_of_both_versions_with_and_without_a_namespace(tmp_path, root):
    path = written(tmp_path / "bike.gpx", gpx(GPX_POINT.format("<speed>3.5</speed><course>271</course>"), root=root))
    assert list(read(path)) == [Row("bike", NOON_MS, -17.8, 31.05, 3.5, 271.0)]


@pytest.mark.parametrize("prefix", ["gpxtpx", "osmand"])
def test_gpx_speed_and_course_in_extensions_even_of_an_undeclared_prefix(tmp_path, prefix):
    inside = f"<extensions><{prefix}:x><{prefix}:speed>3.5</{prefix}:speed><{prefix}:course>9</{prefix}:course></{prefix}:x></extensions>"  # noqa: E501
    path = written(tmp_path / "bike.gpx", gpx(GPX_POINT.format(inside)))
    assert list(read(path)) == [Row("bike", NOON_MS, -17.8, 31.05, 3.5, 9.0)]


def test_gpx_points_without_a_time_are_bad_rows_and_empty_segments_nothing(tmp_path):
    inside = '<trkpt lat="1" lon="2"/>\n</trkseg><trkseg></trkseg><trkseg>' + GPX_POINT.format("") * 2
    path = written(tmp_path / "bike.gpx", gpx(inside))
    bad: list[TraceError] = []
    assert len(list(read(path, bad.append))) == 2
    assert [str(error) for error in bad] == [f"{path}:4: a point without a time"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize(
    "dtd",
    ['<!DOCTYPE gpx [<!ENTITY a "x">]>', '<!DOCTYPE gpx SYSTEM "file:///etc/passwd">', "<!DOCTYPE gpx>"],
)
def test_any_dtd_is_refused_in_every_encoding(tmp_path, encoding, dtd):
    track = gpx(GPX_POINT.format("")).removeprefix('<?xml version="1.0"?>')
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{dtd}{track}'
    path = written(tmp_path / "evil.gpx", text.encode(encoding))
    with pytest.raises(TraceError, match=r"evil\.gpx:2: has a document type declaration"):
        list(read(path))


def test_geojson_points_with_any_time_property_and_numbers_as_text(tmp_path):
    point = '{"type":"Feature","geometry":{"type":"Point","coordinates":[31.05,"-17.8",1490]},"properties":{%s}}'
    extras = ['"time":"2026-11-22T12:00:00Z","speed":"3.5","bearing":9', f'"time_long":"{NOON_MS}","accuracy":6',
              f'"timestamp":{NOON_MS // 1000},"vehicle_id":"v"', '"speed":1']  # fmt: skip
    features = ",".join(point % extra for extra in extras)
    path = written(tmp_path / "log.geojson", f'{{"type":"FeatureCollection","features":[{features}]}}')
    bad: list[TraceError] = []
    assert list(read(path, bad.append)) == [
        Row("log", NOON_MS, -17.8, 31.05, 3.5, 9.0),
        Row("log", NOON_MS, -17.8, 31.05, accuracy_m=6.0),
        Row("v", NOON_MS, -17.8, 31.05),
    ]
    assert [str(error) for error in bad] == [f"{path}, feature 4: a point without a time"]


def test_geojson_lines_have_their_times_in_coord_times(tmp_path):
    line = ('{"type":"Feature","geometry":{"type":"LineString","coordinates":[[31,-17],[32,-18]]},'
            '"properties":{"coordTimes":["2026-11-22T12:00:00Z","2026-11-22T12:00:01Z"]}}')  # fmt: skip
    path = written(tmp_path / "log.geojson", line)
    assert list(read(path)) == [Row("log", NOON_MS, -17.0, 31.0), Row("log", NOON_MS + 1000, -18.0, 32.0)]


def test_vehicles_are_chosen_in_turns_over_the_files_those_with_most_rows_first():
    files = [[recording("a", 1), recording("b", 9), recording("c", 5)], [recording("x", 2, "b.csv")]]
    assert [r.name for r in choose(files, 3)] == ["b", "x", "c"]


def test_a_vehicle_of_two_files_is_chosen_twice_only_when_there_is_no_other():
    files = [[recording("a", 3), recording("b", 2)], [recording("a", 3, "day2.csv.gz"), recording("c", 1, "day2.csv")]]
    assert [r.name for r in choose(files, 3)] == ["a", "c", "b"]
    assert [r.name for r in choose(files, 4)] == ["a", "c", "b", "a day2"]
    assert [r.name for r in choose(files, None)] == ["a", "b", "a day2", "c"]


@needs_traces
@pytest.mark.timeout(120)
def test_all_recorded_traces_load_row_for_row():
    told: list[str] = []
    recordings = load([TRACES], say=told.append)
    assert sum(map(len, recordings)) == 494_523
    assert len({r.vehicle for r in recordings}) == 1_268
    assert len(told) == 2  # the two files beside the traces
    assert sum(r.latitude[at] == r.longitude[at] == 0 for r in recordings for at in range(len(r))) == 25


@needs_traces
def test_the_disorder_and_the_duplicates_of_the_phones_are_kept():
    rows = list(read(TRACES / "emission-phones.csv.gz"))
    assert len(rows) == 8_824
    assert sum(n - 1 for n in Counter(rows).values()) >= 337
    per_phone = load([TRACES / "emission-phones.csv.gz"])
    assert any(list(r.recorded_ms) != sorted(r.recorded_ms) for r in per_phone)


@needs_traces
def test_names_and_load_make_the_same_selection():
    paths = [TRACES / "gotrack.csv.gz", TRACES / "emission-phones.csv.gz", TRACES / "rsk-twizy.csv.gz"]
    chosen = load(paths, 12)
    assert names(paths, 12) == [r.name for r in chosen]
    assert len(set(names(paths, 12))) == 12
    assert [s.rows for s in select(paths, 12)] == [len(r) for r in chosen]
    assert {s.source for s in select(paths, 12)} == set(paths)
