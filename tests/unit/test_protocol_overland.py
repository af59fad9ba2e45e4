"""Overland. Examples: aaronpk/Overland-iOS README.md and GLManager.m; OpenHumans/Overland_android App.js."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.apps import NOW, all_of, ms, outcomes
from waypost.tracking.protocols import overland
from waypost.tracking.protocols.records import Heard
from waypost.tracking.silence import Signal

README = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [-122.030581, 37.331800]},
    "properties": {
        "timestamp": "2015-10-01T08:00:00-0700", "altitude": 0, "speed": 4, "horizontal_accuracy": 30,
        "vertical_accuracy": -1, "motion": ["driving", "stationary"], "pauses": False, "activity": "other_navigation",
        "desired_accuracy": 100, "deferred": 1000, "significant_change": "disabled", "locations_in_payload": 1,
        "battery_state": "charging", "battery_level": 0.89, "device_id": "", "wifi": "",
    },
}  # fmt: skip
ROW = {
    "lat": 37.3318, "lon": -122.030581, "ms": ms("2015-10-01T15:00:00Z"), "alt": 0.0, "speed": 4.0, "acc": 30.0,
    "batt": 89.0,
}  # fmt: skip
ANDROID = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [31.0335, -17.8252]},
    "properties": {
        "timestamp": "2026-11-22T11:59:59.123Z", "battery_level": 0.5, "speed": 1.25, "altitude": 1490.5,
        "horizontal_accuracy": 6.5, "vertical_accuracy": 3, "significant_change": "disabled", "locations_in_payload": 1,
        "battery_state": False, "device_id": "", "wifi": "", "deferred": "0", "desired_accuracy": "-1",
        "activity": "other", "pauses": True, "motion": ["in_vehicle"],
    },
}  # fmt: skip


def read(body: Any) -> list[Any]:
    return outcomes(overland.read(body if isinstance(body, bytes) else json.dumps(body).encode(), NOW))


def feature(**properties: Any) -> dict[str, Any]:
    return README | {"properties": README["properties"] | properties}


def test_the_readmes_own_example():
    assert read({"locations": [README]}) == [ROW]


def test_the_android_form_has_milliseconds_and_a_boolean_state():
    row = {"lat": -17.8252, "lon": 31.0335, "ms": ms("2026-11-22T11:59:59.123Z"), "alt": 1490.5, "speed": 1.25,
           "acc": 6.5, "batt": 50.0}  # fmt: skip
    assert read({"locations": [ANDROID]}) == [row]


def test_the_current_place_goes_before_the_backlog():
    body = {"locations": [README], "current": ANDROID, "trip": {"mode": "driving", "distance": 5}}
    found = overland.read(json.dumps(body).encode(), NOW)
    assert len(found.first) == 1
    assert found.records == 2
    assert [one["lat"] for one in outcomes(found)] == [-17.8252, 37.3318]


@pytest.mark.parametrize("action", ["visit", "will_terminate", "paused_location_updates"])
def test_what_happened_to_the_app_is_no_fix_with_or_without_a_place(action: str):
    signal = Signal.STOPPED if action == "will_terminate" else None
    for event in (feature(action=action), {k: v for k, v in feature(action=action).items() if k != "geometry"}):
        (one,) = all_of(overland.read(json.dumps({"locations": [event]}).encode(), NOW))
        assert one == Heard(action, 89.0, signal)


def test_a_trips_record_is_no_fix():
    assert read({"locations": [feature(type="trip", mode="driving")]}) == [("heard", "trip", 89.0)]
    assert read({"locations": [], "trip": {"mode": "driving"}}) == []


def test_negative_measurements_are_unknown():
    (row,) = read({"locations": [feature(speed=-1, course=-1, horizontal_accuracy=-1, battery_level=-1, altitude=-12)]})
    assert row == {"lat": 37.3318, "lon": -122.030581, "ms": ROW["ms"], "alt": -12.0}
    (row,) = read({"locations": [feature(course=90.5, horizontal_accuracy=0)]})
    assert (row["heading"], row.get("acc")) == (90.5, None)


def test_one_bad_record_leaves_the_others_as_they_are():
    bad = [
        "nothing", None, {}, feature() | {"geometry": None}, feature() | {"geometry": {"coordinates": ["a", "b"]}},
        feature(timestamp=None), feature(timestamp="last week"),
        feature() | {"geometry": {"type": "Point", "coordinates": [0, 0]}}, {"type": "Feature", "properties": []},
    ]  # fmt: skip
    found = read({"locations": [README, *bad, README]})
    assert found[0] == found[-1] == ROW
    assert [one if isinstance(one, str) else one[0] for one in found[1:-1]] == [
        "fault", "fault", "fault", "bad_coordinates", "bad_coordinates", "bad_time", "bad_time", "zero_island", "fault",
    ]  # fmt: skip


def test_a_number_that_is_none_does_not_spoil_the_batch():
    for number in ("NaN", "Infinity", "1e999"):
        good, bad = json.dumps(README), json.dumps(README).replace("-122.030581", number)
        assert read(f'{{"locations": [{good}, {bad}]}}'.encode()) == [ROW, "bad_coordinates"]


def test_broken_text_in_a_name_does_not_spoil_the_fix():
    sent = json.dumps({"locations": [feature(wifi="Caf")]}).encode().replace(b"Caf", b"Caf\xe9")
    assert read(sent) == [ROW]


def test_its_owntracks_mode_is_read_here_too():
    sent = {"tst": 1795348790 - 978_307_200, "acc": 10, "_type": "location", "lon": 31.0335, "lat": -17.8252}
    row = {"lat": -17.8252, "lon": 31.0335, "ms": 1795348790000, "acc": 10.0}
    assert read(sent) == [row]
    assert read({"locations": [sent]}) == [row]


@pytest.mark.parametrize("body", [b"{", b"[]", b"[{}]", b"{}", b'{"location": []}', b"7", b'{"locations": 7}', b"\x00"])
def test_what_is_no_batch_is_a_fault_with_words(body: bytes):
    (one,) = read(body)
    assert one[0] == "fault"
    assert one[1]


def test_an_empty_body_and_an_empty_batch_are_no_error():
    assert read(b"") == [("heard", "empty", None)]
    assert read({"locations": []}) == []
