"""OwnTracks in HTTP mode. Examples: owntracks/booklet docs/tech/json.md, docs/features/encrypt.md; Overland-iOS#196."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from nacl.secret import SecretBox

from tests.apps import NOW, all_of, ms, outcomes
from waypost.tracking.domain import Report
from waypost.tracking.protocols import encrypted, owntracks
from waypost.tracking.protocols.records import Heard
from waypost.tracking.silence import Signal

NOW_MS = int(NOW.timestamp() * 1000)
TST = 1795348790
LOCATION = {
    "_type": "location", "tst": TST, "lat": -17.8252, "lon": 31.0335, "acc": 6, "alt": 1490, "vac": 3, "vel": 72,
    "cog": 271, "batt": 76, "bs": 1, "t": "u", "tid": "JJ", "conn": "m", "p": 85.1, "created_at": TST + 5,
    "_id": "4a8f",    "inregions": ["Home"], "SSID": "hub", "m": 2, "topic": "owntracks/jjolie/phone",
}  # fmt: skip
ROW = {
    "lat": -17.8252, "lon": 31.0335, "ms": TST * 1000, "acc": 6.0, "alt": 1490.0, "speed": 20.0, "heading": 271.0,
    "batt": 76.0, "key": "id:4a8f",
}  # fmt: skip
SECRET = "mysecreTpass01"


def read(message: Any, secret: str | None = None) -> list[Any]:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return outcomes(owntracks.read(body, NOW, secret))


def sealed(message: Any, secret: str = SECRET) -> dict[str, str]:
    """As the apps do it: the key is the secret's text, padded with zero bytes."""
    box = SecretBox(secret.encode().ljust(32, b"\0"))
    return {"_type": "encrypted", "data": base64.b64encode(box.encrypt(json.dumps(message).encode())).decode()}


def test_a_location_is_a_fix_in_our_units():
    assert read(LOCATION) == [ROW]


def test_a_redelivery_has_the_same_key_and_time_whatever_created_at_says():
    assert read(LOCATION | {"created_at": TST + 900}) == [ROW]


def test_times_may_be_text_and_a_missing_one_is_now():
    assert read(LOCATION | {"tst": str(TST)})[0]["ms"] == TST * 1000
    assert read({k: v for k, v in LOCATION.items() if k != "tst"})[0]["ms"] == NOW_MS


def test_overlands_owntracks_mode_counts_from_2001():
    sent = {"tst": TST - 978_307_200, "acc": 10, "_type": "location", "lon": 31.0335, "topic": "owntracks/iPhoneDev",
            "lat": -17.8252, "batt": 100}  # fmt: skip
    row = {"lat": -17.8252, "lon": 31.0335, "ms": TST * 1000, "acc": 10.0, "batt": 100.0}
    assert read(sent) == [row]


@pytest.mark.parametrize(
    "message",
    [
        {"_type": "lwt", "tst": TST},
        {"_type": "transition", "wtst": 1, "tst": TST, "lat": 1.0, "lon": 2.0, "acc": 5, "tid": "JJ", "event": "enter",
         "desc": "Home", "t": "c", "rid": "a"},
        {"_type": "waypoint", "desc": "Home", "lat": 1.0, "lon": 2.0, "rad": 50, "tst": TST, "rid": "a"},
        {"_type": "waypoints", "waypoints": [{"_type": "waypoint", "lat": 1.0, "lon": 2.0}]},
        {"_type": "status", "iOS": {}}, {"_type": "steps", "steps": 10}, {"_type": "card", "name": "Jane"},
        {"_type": "beacon", "uuid": "x"}, {"_type": "cmd", "action": "dump"},
        {"_type": "configuration", "waypoints": []},
    ],
)  # fmt: skip
def test_other_kinds_are_understood_and_no_fix(message: dict[str, Any]):
    assert read(message) == [("heard", message["_type"], None)]


def test_a_last_will_says_that_the_connection_is_lost():
    (heard,) = all_of(owntracks.read(b'{"_type":"lwt","tst":1}', NOW))
    assert heard == Heard("lwt", None, Signal.LOST)


def test_an_empty_body_is_no_error():
    assert read(b"") == read(b"  \n") == [("heard", "empty", None)]


def test_a_beacon_at_0_0_is_heard_of_and_a_fix_there_is_none():
    assert read(LOCATION | {"t": "b", "lat": 0, "lon": 0.0}) == [("heard", "beacon", 76.0)]
    assert read(LOCATION | {"lat": 0, "lon": 0}) == ["zero_island"]


def test_an_accuracy_of_0_and_negative_measurements_are_unknown():
    (row,) = read(LOCATION | {"acc": 0, "vel": -1, "cog": -1, "batt": -1})
    assert row == {k: v for k, v in ROW.items() if k in ("lat", "lon", "ms", "alt", "key")}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lat": None}, "bad_coordinates"),
        ({"lat": "north"}, "bad_coordinates"),
        ({"lon": 1555}, "bad_coordinates"),
        ({"lon": float("nan")}, "bad_coordinates"),
        ({"tst": "soon"}, "bad_time"),
        ({"tst": -1}, "bad_time"),
        ({"tst": []}, "bad_time"),
    ],
)
def test_a_bad_field_of_a_location_has_its_reason(change: dict[str, Any], reason: str):
    assert read(LOCATION | change) == [reason]


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]x", b"null", b"7", b'"lwt"', b'{"_type": "nonsense"}', b'{"lat": 1, "lon": 2}', b"\xff\xfe", b"<x/>"],
)
def test_what_is_no_message_is_a_fault_with_words(body: bytes):
    (one,) = read(body)
    assert one[0] == "fault"
    assert one[1]


def test_an_encrypted_message_is_read_with_the_devices_secret():
    assert read(sealed(LOCATION), SECRET) == [ROW]
    assert read(sealed({"_type": "lwt", "tst": 1}), SECRET) == [("heard", "lwt", None)]
    assert read(sealed(LOCATION, "x" * 32), "x" * 32) == [ROW]


@pytest.mark.parametrize(
    ("message", "secret", "words"),
    [
        (sealed(LOCATION), "another", "another secret"),
        (sealed(LOCATION), None, "no secret is set"),
        ({"_type": "encrypted", "data": "!!!"}, SECRET, "no base64"),
        ({"_type": "encrypted", "data": "AAAA"}, SECRET, "too short"),
        ({"_type": "encrypted"}, SECRET, "too short"),
        ({"_type": "encrypted", "data": 7}, SECRET, "too short"),
        (sealed(sealed(LOCATION)), SECRET, "_type"),
        (sealed([LOCATION]), SECRET, "object"),
    ],
)
def test_what_cannot_be_opened_says_why(message: dict[str, Any], secret: str | None, words: str):
    (one,) = read(message, secret)
    assert one[0] == "fault"
    assert words in one[1]


def test_a_server_without_pynacl_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encrypted, "HAS_NACL", False)
    (one,) = read(sealed(LOCATION), SECRET)
    assert "install waypost[owntracks]" in one[1]


def test_what_is_kept_of_an_encrypted_location_is_what_was_sent():
    message = sealed(LOCATION | {"lat": 99})
    (report,) = all_of(owntracks.read(json.dumps(message).encode(), NOW, SECRET))
    assert isinstance(report, Report)
    assert report.sent() == json.dumps(message).encode()[:1024]


def test_a_time_with_an_offset_is_taken_too():
    assert read(LOCATION | {"tst": "2026-11-22T13:59:50+02:00"})[0]["ms"] == ms("2026-11-22T11:59:50Z")
