"""OsmAnd and Traccar Client. Examples: traccar/traccar, OsmAndProtocolDecoderTest.java; the apps' own formatters."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.apps import NOW, all_of, ms, outcomes
from waypost.tracking.domain import Report
from waypost.tracking.protocols import osmand

FORM = "application/x-www-form-urlencoded"
NOW_MS = int(NOW.timestamp() * 1000)
KNOTS_40 = 20.58


def query(text: str) -> list[Any]:
    return outcomes(osmand.read(parse_qsl(text), "", b"", NOW))


def body(kind: str, text: str) -> list[Any]:
    return outcomes(osmand.read([], kind, text.encode(), NOW))


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        (
            "id=902064&lat=42.06288&lon=-88.23412&timestamp=2016-01-27T18%3A55%3A47Z&hdop=6.0&altitude=224.0&speed=0.0",
            {"lat": 42.06288, "lon": -88.23412, "ms": ms("2016-01-27T18:55:47Z"), "alt": 224.0, "speed": 0.0},
        ),
        (
            "id=902064&lat=42.06288&lon=-88.23412&timestamp=1442068686579&hdop=6.0&altitude=224.0&speed=0.0",
            {"lat": 42.06288, "lon": -88.23412, "ms": 1442068686579, "alt": 224.0, "speed": 0.0},
        ),
        (
            "lat=49.60688&lon=6.15788&timestamp=2014-06-04+09%3A10%3A11&altitude=384.7&speed=0.0&id=353861053849681",
            {"lat": 49.60688, "lon": 6.15788, "ms": ms("2014-06-04T09:10:11Z"), "alt": 384.7, "speed": 0.0},
        ),
        (
            "id=123456&timestamp=1377177267&lat=60.0&lon=30.0&speed=0.0&bearing=0.0&altitude=0&hdop=0.0",
            {"lat": 60.0, "lon": 30.0, "ms": 1377177267000, "speed": 0.0, "heading": 0.0, "alt": 0.0},
        ),
        ("id=123456&timestamp=1377177267&lat=60.0&lon=30.0", {"lat": 60.0, "lon": 30.0, "ms": 1377177267000}),
        (
            "lat=60.0&lon=30.0&speed=0.0&heading=0.0&vacc=0&hacc=0&altitude=0&deviceid=123456",
            {"lat": 60.0, "lon": 30.0, "ms": NOW_MS, "speed": 0.0, "heading": 0.0, "alt": 0.0},
        ),
        (
            "id=861001000719969&lat=41.666667&lon=-0.883333&altitude=350.059479&speed=0.000000&batt=87",
            {"lat": 41.666667, "lon": -0.883333, "ms": NOW_MS, "alt": 350.06, "speed": 0.0, "batt": 87.0},
        ),
        ("id=123456&timestamp=1377177267&location=60.0,30.0", {"lat": 60.0, "lon": 30.0, "ms": 1377177267000}),
        (
            ("id=123456789012345&timestamp=1504763810&lat=40.7232948571&lon=-74.0061408571&bearing=7.19889788244&speed=40"
            "&ignition=true&rpm=933&fuel=24"),
            {"lat": 40.7232949, "lon": -74.0061409, "ms": 1504763810000, "heading": 7.2, "speed": KNOTS_40},
        ),
        (  # Traccar Client up to 8
            ("id=1&timestamp=1795348800&lat=-17.8252&lon=31.0335&speed=40.0&bearing=271.0&altitude=1490.0&accuracy=6.5"
            "&batt=76.0&mock=true"),
            {"lat": -17.8252, "lon": 31.0335, "ms": 1795348800000, "acc": 6.5, "speed": KNOTS_40, "heading": 271.0,
             "alt": 1490.0, "batt": 76.0},
        ),
    ],
)  # fmt: skip
def test_a_query_is_a_fix_in_our_units(sent: str, row: dict[str, Any]):
    assert query(sent) == [row]


def test_the_same_in_a_form_and_what_stands_in_the_query_goes_first():
    sent = "id=1&lat=-17.8252&lon=31.0335&timestamp=1795348800&speed=40.00&batt=76&charge=false"
    row = {"lat": -17.8252, "lon": 31.0335, "ms": 1795348800000, "speed": KNOTS_40, "batt": 76.0}
    assert body(FORM, sent) == [row]
    both = osmand.read([("lat", "-18")], FORM, sent.encode(), NOW)
    assert outcomes(both) == [row | {"lat": -18.0}]


VERSION_9 = (
    '{"location":{"timestamp":"2025-06-15T13:45:12.862Z","coords":{"latitude":37.4219983,"longitude":-122.084,'
    '"accuracy":5,"speed":0,"heading":-1,"altitude":5},"is_moving":false,"odometer":0,"event":"motionchange",'
    '"battery":{"level":1,"is_charging":false},"activity":{"type":"still"},"extras":{},"_":"&id=48241179&lat=37.4219983'
    '&lon=-122.084&timestamp=2025-06-15T13:45:12.862Z&"},"device_id":"48241179"}'
)
WITHOUT_TEMPLATE = (
    '{"location":{"extras":{},"mock":true,"coords":{"speed_accuracy":-1,"speed":-1,"longitude":-122.406417,'
    '"ellipsoidal_altitude":0,"floor":null,"heading_accuracy":-1,"latitude":37.785834000000001,"accuracy":5,'
    '"altitude_accuracy":-1,"altitude":0,"heading":-1},"is_moving":false,"age":188,"odometer":0,'
    '"uuid":"2FB04C65-99CF-42AB-8DD3-EBCB4B108BF8","event":"motionchange","battery":{"level":-1,"is_charging":false},'
    '"activity":{"type":"unknown","confidence":100},"timestamp":"2025-05-09T04:11:30.579Z"},"device_id":"658765"}'
)
MOVING = (
    '{"location":{"event":"motionchange","is_moving":false,"uuid":"0e9a2473-a9a7-4c00-997b-fb97d2154e75",'
    '"timestamp":"2021-07-21T08:06:34.444Z","odometer":0,"coords":{"latitude":-6.1148096,"longitude":106.6837015,'
    '"accuracy":3.8,"speed":18.67,"speed_accuracy":0.26,"heading":63,"heading_accuracy":0.28,"altitude":35.7,'
    '"altitude_accuracy":3.8},"activity":{"type":"still","confidence":100},"battery":{"is_charging":false,"level":0.79},'
    '"extras":{}},"device_id":"8737767034"}'
)


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        (VERSION_9, {"lat": 37.4219983, "lon": -122.084, "ms": ms("2025-06-15T13:45:12.862Z"), "acc": 5.0, "speed": 0.0,
                     "alt": 5.0, "batt": 100.0}),
        (WITHOUT_TEMPLATE, {"lat": 37.785834, "lon": -122.406417, "ms": ms("2025-05-09T04:11:30.579Z"), "acc": 5.0,
                            "alt": 0.0, "key": "id:2FB04C65-99CF-42AB-8DD3-EBCB4B108BF8"}),
        (MOVING, {"lat": -6.1148096, "lon": 106.6837015, "ms": ms("2021-07-21T08:06:34.444Z"), "acc": 3.8,
                  "speed": 18.67, "heading": 63.0, "alt": 35.7, "batt": 79.0,
                  "key": "id:0e9a2473-a9a7-4c00-997b-fb97d2154e75"}),
    ],
)  # fmt: skip
def test_version_9_is_json_with_metres_a_second_and_a_level(sent: str, row: dict[str, Any]):
    assert body("application/json", sent) == [row]
    assert body("text/plain", sent) == [row]  # whatever it calls itself


def test_an_array_of_flat_objects_is_a_batch_in_knots():
    one = {"id": "1", "lat": -17.8252, "lon": 31.0335, "timestamp": 1795348800, "speed": 40.0, "batt": 76.0}
    row = {"lat": -17.8252, "lon": 31.0335, "ms": 1795348800000, "speed": KNOTS_40, "batt": 76.0}
    sent = json.dumps([one, one | {"lat": -17.9}, {"id": "1", "batt": 75}])
    assert body("application/json", sent) == [row, row | {"lat": -17.9}, ("heard", "status", 75.0)]


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        ("id=1&timestamp=1795348800&batt=55.0", ("heard", "status", 55.0)),  # version 10 without a fix
        ("id=1&notificationToken=abc", ("heard", "push", None)),
        ("id=1&cell=257,02,16,2224&cell=257,02,16,2223,-90&wifi=00-14-22-01-23-45,-80", ("heard", "status", None)),
        ("id=1&lat=60&lon=30&valid=false&batt=5", ("heard", "status", 5.0)),
        ("id=1&lat=&lon=", ("heard", "status", None)),
        ("", ("heard", "status", None)),
    ],
)
def test_without_a_fix_the_phone_was_heard_of_and_no_more(sent: str, heard: Any):
    assert query(sent) == [heard]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("lat=sixty&lon=30", "bad_coordinates"),
        ("lat=60", "bad_coordinates"),
        ("lat=91&lon=30", "bad_coordinates"),
        ("lat=60&lon=1555", "bad_coordinates"),
        ("lat=nan&lon=inf", "bad_coordinates"),
        ("lat=1_0&lon=30", "bad_coordinates"),
        ("location=60", "bad_coordinates"),
        ("lat=0&lon=0.0", "zero_island"),
        ("lat=60&lon=30&timestamp=yesterday", "bad_time"),
        ("lat=60&lon=30&timestamp=-5", "bad_time"),
        ("lat=60&lon=30&timestamp=0", "bad_time"),
        ("lat=60&lon=30&timestamp=1e300", "bad_time"),
    ],
)
def test_what_can_be_no_fix_is_that_records_own_fault(sent: str, reason: str):
    assert query(sent) == [reason]


def test_what_is_unknown_stays_unknown():
    sent = "lat=60&lon=30&speed=-1&bearing=-1&accuracy=0&batt=-1&altitude=high"
    assert query(sent) == [{"lat": 60.0, "lon": 30.0, "ms": NOW_MS}]
    assert query("lat=60&lon=30&batt=101&bearing=361") == [{"lat": 60.0, "lon": 30.0, "ms": NOW_MS}]


@pytest.mark.parametrize("sent", ['{"location": ', "[1, 2]", '"text"', "{not json}", "[[[[", '{"location": [1]}'])
def test_unreadable_json_is_a_fault_and_never_an_error(sent: str):
    for one in body("application/json", sent):
        assert one[0] == "fault" or one == "bad_coordinates"
        assert one[1]


def test_too_many_fields_are_no_record():
    (one,) = body(FORM, "&".join(f"a{n}=1" for n in range(300)))
    assert one[0] == "fault"


def test_what_was_sent_is_kept_up_to_a_kilobyte():
    (report,) = all_of(osmand.read([("lat", "x"), ("lon", "1"), ("more", "y" * 5000)], "", b"", NOW))
    assert isinstance(report, Report)
    assert report.sent().startswith(b"lat=x&lon=1&more=yyy")
    assert len(report.sent()) == 1024


def test_osmands_own_speed_is_metres_a_second():
    """docs/apps/traccar-client.md: its {5} has no knots in it."""
    (fix,) = query("lat=60&lon=30&timestamp=1795348790&accuracy=4.5&altitude=12&speedMps=10.0&bearing=90")
    assert (fix["speed"], fix["acc"]) == (10.0, 4.5)
    (unknown,) = query("lat=60&lon=30&timestamp=1795348790&speedMps=-1")
    assert "speed" not in unknown
