"""The transistorsoft SDK. Examples: transistorsoft/background-geolocation-types Location.ts, PersistenceConfig.ts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.apps import NOW, all_of, ms, outcomes
from waypost.directory.domain import Transistor
from waypost.tracking.domain import Report
from waypost.tracking.protocols import transistor
from waypost.tracking.protocols.records import Heard
from waypost.tracking.silence import Signal

AT = "2026-11-22T11:59:59.123Z"
UUID = "2FB04C65-99CF-42AB-8DD3-EBCB4B108BF8"
LOCATION = {
    "event": "motionchange", "is_moving": True, "uuid": UUID, "timestamp": AT, "odometer": 1240.5, "age": 188,
    "coords": {"latitude": -17.8252, "longitude": 31.0335, "accuracy": 6.5, "speed": 13.42, "speed_accuracy": 0.3,
               "heading": 271, "heading_accuracy": 5, "altitude": 1490.2, "altitude_accuracy": 3},
    "activity": {"type": "in_vehicle", "confidence": 100}, "battery": {"is_charging": False, "level": 0.76},
    "extras": {"order": 7},
}  # fmt: skip
ROW = {
    "lat": -17.8252, "lon": 31.0335, "ms": ms(AT), "acc": 6.5, "speed": 13.42, "heading": 271.0, "alt": 1490.2,
    "batt": 76.0, "key": f"id:{UUID}",
}  # fmt: skip
LATER = LOCATION | {"uuid": "b", "timestamp": "2026-11-22T12:00:00.000Z"}
LATER_ROW = ROW | {"key": "id:b", "ms": ms("2026-11-22T12:00:00.000Z")}


def read(body: Any, template: Transistor = transistor.PLAIN) -> list[Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return outcomes(transistor.read(raw, NOW, template))


def with_coords(**coords: Any) -> dict[str, Any]:
    return LOCATION | {"coords": LOCATION["coords"] | coords}


def test_one_location_and_a_batch_of_them():
    assert read({"location": LOCATION}) == [ROW]
    assert read({"location": [LOCATION, LATER]}) == [ROW, LATER_ROW]


def test_newest_first_is_taken_as_it_comes():
    assert read({"location": [LATER, LOCATION]}) == [LATER_ROW, ROW]


def test_params_beside_the_location_say_nothing_to_us():
    assert read({"location": LOCATION, "device_id": "another", "lat": 1, "company": {"x": [1]}}) == [ROW]


@pytest.mark.parametrize(
    ("body", "root"),
    [
        ({"data": LOCATION}, "data"),
        ({"data": [LOCATION]}, "data"),
        (LOCATION | {"device_id": "merged"}, "."),
        ([LOCATION], "."),
        (LOCATION, "."),
        ({"locations": [LOCATION]}, None),
        (LOCATION, None),
        ([LOCATION], None),
        ({"location": LOCATION}, "data"),  # the app was not told yet
    ],
)
def test_another_root_key_or_none(body: Any, root: str | None):
    assert read(body, Transistor(root)) == [ROW]


def test_a_renamed_template_is_read_by_the_devices_settings():
    template = Transistor(
        "positions",
        {"latitude": "lat", "longitude": "lng", "timestamp": "ts", "accuracy": "acc", "speed": "meta.v", "id": "u"},
    )
    sent = {"lat": -17.8252, "lng": 31.0335, "ts": AT, "acc": 6.5, "meta": {"v": 13.42}, "u": UUID}
    row = {k: ROW[k] for k in ("lat", "lon", "ms", "acc", "speed", "key")}
    assert read({"positions": [sent]}, template) == [row]


def test_a_compact_array_template_is_read_by_places():
    template = Transistor(".", {"latitude": "0", "longitude": "1", "timestamp": "2"})
    row = {k: ROW[k] for k in ("lat", "lon", "ms")}
    assert read([-17.8252, 31.0335, AT], template) == [row]
    assert read([[-17.8252, 31.0335, AT], [-17.8252, 31.0335, AT, True]], template) == [row, row]
    assert read({"location": [[-17.8252, 31.0335, AT]]}, Transistor(None, template.fields)) == [row]


@pytest.mark.parametrize("longitude", ["lng", "lon", "longitude"])
def test_flat_templates_in_the_usual_words_need_no_setting(longitude: str):
    latitude = "latitude" if longitude == "longitude" else "lat"
    sent = {latitude: -17.8252, longitude: 31.0335, "timestamp": AT, "speed": 13.42, "event": ""}
    assert read({"location": sent}) == [{k: ROW[k] for k in ("lat", "lon", "ms", "speed")}]


def test_times_may_be_seconds_or_milliseconds_and_a_missing_one_is_now():
    assert read({"location": LOCATION | {"timestamp": ms(AT)}})[0]["ms"] == ms(AT)
    assert read({"location": LOCATION | {"timestamp": ms(AT) / 1000}})[0]["ms"] == ms(AT)
    assert read({"location": {"lat": 1, "lng": 2}})[0]["ms"] == int(NOW.timestamp() * 1000)


def test_minus_one_is_unknown():
    (row,) = read({"location": with_coords(accuracy=-1, speed=-1, heading=-1) | {"battery": {"level": -1}}})
    assert row == {k: ROW[k] for k in ("lat", "lon", "ms", "alt", "key")}


@pytest.mark.parametrize(("level", "percent"), [(0, 0.0), (0.295, 29.5), (1, 100.0), (87, 87.0), (101, None)])
def test_a_level_is_a_share_of_one(level: float, percent: float | None):
    assert read({"location": LOCATION | {"battery": {"level": level}}})[0].get("batt") == percent


def test_the_age_is_not_taken_for_the_age_at_sending():
    """It is the fix's age when the SDK got it: a backlog would be moved by the time it has lain in the phone."""
    (report,) = all_of(transistor.read(json.dumps({"location": LOCATION}).encode(), NOW))
    assert isinstance(report, Report)
    assert report.age_ms is None


def test_a_mocked_location_says_so():
    (report,) = all_of(transistor.read(json.dumps({"location": LOCATION | {"mock": True}}).encode(), NOW))
    assert isinstance(report, Report)
    assert report.mock is True


def test_heartbeats_are_signs_of_life():
    assert read({"location": LOCATION | {"event": "heartbeat"}}) == [("heard", "heartbeat", 76.0)]
    assert read({"location": {"event": "heartbeat", "battery": {"level": 0.5}}}) == [("heard", "heartbeat", 50.0)]


def test_a_change_of_the_location_service_without_a_place_is_a_signal():
    sent = {"event": "providerchange", "provider": {"enabled": False, "status": 2}, "battery": {"level": 0.5}}
    for record in (sent, sent | {"coords": {"latitude": 0, "longitude": 0.0}}):
        (one,) = all_of(transistor.read(json.dumps({"location": record}).encode(), NOW))
        assert one == Heard("providerchange", 50.0, Signal.LOCATION_OFF)
    assert read({"location": LOCATION | {"event": "providerchange"}}) == [ROW]


def test_one_bad_record_leaves_the_others_as_they_are():
    bad = [
        "nothing", None, 7, {}, with_coords(latitude="x"), with_coords(latitude=0, longitude=0),
        with_coords(longitude=1555), LOCATION | {"timestamp": "soon"}, LOCATION | {"coords": None},
    ]  # fmt: skip
    found = read({"location": [LOCATION, *bad, LATER]})
    assert (found[0], found[-1]) == (ROW, LATER_ROW)
    assert [one if isinstance(one, str) else one[0] for one in found[1:-1]] == [
        "fault", "fault", "fault", "bad_coordinates", "bad_coordinates", "zero_island", "bad_coordinates", "bad_time",
        "bad_coordinates",
    ]  # fmt: skip


def test_overland_for_androids_template_is_read_here_too():
    sent = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [31.0335, -17.8252]},
        "properties": {"timestamp": AT, "battery_level": 0.76, "speed": 13.42, "horizontal_accuracy": 6.5},
    }
    row = {k: ROW[k] for k in ("lat", "lon", "ms", "speed", "acc", "batt")}
    assert read({"locations": [sent]}) == [row]


def test_a_template_that_makes_no_json_is_a_fault_with_words():
    """The documentation's own example of a wrong one: its timestamp is not quoted."""
    (one,) = read(b'{"location": {"timestamp": 2018-01-01T12:01:01.123Z}}')
    assert one[0] == "fault"
    assert "JSON" in one[1]


def test_the_key_is_none_where_it_cannot_be_kept():
    for uuid in ("", "x" * 300, "a\0b", 7, None):
        assert "key" not in read({"location": LOCATION | {"uuid": uuid}})[0]


def test_an_empty_body_is_no_error():
    assert read(b"") == []
    assert read({"location": []}) == []
