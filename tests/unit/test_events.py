"""An event in its forms, and the joining of events of which only the newest counts."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.realtime.conflate import can_join, joined, refilled
from waypost.realtime.events import Event, Place, framed, outgoing

EPOCH = "0123456789abcdef"
ROOM = "org:o:fleet"


def event(seq: int, body: dict[str, Any], name: str = "fleet:positions", first: int | None = None) -> Event:
    return Event(outgoing(ROOM, name, body), Place(EPOCH, seq), first)


def at(vehicle: str, second: int, **more: object) -> dict[str, Any]:
    return {"vehicleId": vehicle, "recordedAt": f"2026-11-22T12:00:{second:02d}.000Z", **more}


def test_the_packet_says_where_it_stands_at_its_end():
    assert event(7, {"a": 1}, "x").text == b'42["x",{"a":1,"epoch":"%s","seq":7}]' % EPOCH.encode()
    assert event(7, {}, "x").text == b'42["x",{"epoch":"%s","seq":7}]' % EPOCH.encode()


def test_what_stands_for_several_says_from_where_on():
    assert event(7, {}, "x", first=5).body == {"from": 5, "epoch": EPOCH, "seq": 7}
    assert "from" not in event(7, {}, "x", first=7).body


def test_bytes_go_beside_the_text_and_come_back_in_their_place():
    sent = event(1, {"a": [b"\0one", {"b": b"two"}], "c": "text"}, "x")
    assert sent.text.startswith(b'452-["x",{"a":[{"_placeholder":true,"num":0}')
    assert sent.attachments == (b"\0one", b"two")
    assert sent.body == {"a": [b"\0one", {"b": b"two"}], "c": "text", "epoch": EPOCH, "seq": 1}


def test_msgpack_members_are_told_the_same():
    sent = event(1, {"a": b"bytes", "n": 1.5}, "x")
    assert msgpack.unpackb(sent.packed) == {"type": 2, "data": ["x", sent.body], "nsp": "/"}


def test_polls_carry_what_is_binary_in_base64():
    sent = event(1, {"a": b"\xff"}, "x")
    assert sent.polled(packed=False) == [sent.text.decode(), "b/w=="]
    assert [each[0] for each in sent.polled(packed=True)] == ["b"]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_says_its_size_as_rfc_6455_has_it(size: int):
    frame = framed(b"x" * size, is_text=True)
    header = frame[: len(frame) - size]
    told = header[1] if header[1] < 126 else int.from_bytes(header[2:], "big")
    assert (header[0], told, len(header)) == (0x81, size, 2 if size < 126 else 4 if size < 65_536 else 10)


def test_only_neighbours_of_one_kind_are_joined():
    first = event(5, {"positions": []})
    assert can_join(first, event(6, {"positions": []}))
    assert not can_join(first, event(7, {"positions": []})), "a number is missing"
    assert not can_join(first, event(6, {}, "trip:location"))
    assert not can_join(event(5, {}, "trip:event"), event(6, {}, "trip:event")), "an event is never skipped"
    other_life = Event(outgoing(ROOM, "fleet:positions", {}), Place("f" * 16, 6))
    assert not can_join(first, other_life)


def test_of_each_vehicle_the_newest_stays_whatever_came_last():
    told = joined([event(5, {"positions": [at("a", 3), at("b", 1)]}), event(6, {"positions": [at("a", 2)]})])
    assert (told.first, told.seq) == (5, 6)
    assert told.body["positions"] == [at("a", 3), at("b", 1)]
    assert told.body["from"] == 5


def test_a_position_that_takes_a_newer_one_back_stands_and_keeps_saying_so():
    newer, back = at("a", 9), at("a", 4, withdrawn=at("a", 9)["recordedAt"])
    assert joined([event(1, {"positions": [newer]}), event(2, {"positions": [back]})]).body["positions"] == [back]
    after = at("a", 5)
    told = joined([event(1, {"positions": [back]}), event(2, {"positions": [after]})]).body["positions"]
    assert told == [{**after, "withdrawn": back["withdrawn"]}]


def test_of_a_trip_the_newest_location_stays_and_every_withdrawal():
    first = event(1, {"tripId": "t", "locations": [at("a", 1), at("a", 9)]}, "trip:location")
    second = event(
        2, {"tripId": "t", "locations": [at("a", 4)], "withdrawn": [at("a", 9)["recordedAt"]]}, "trip:location"
    )
    body = joined([first, second]).body
    assert (body["tripId"], body["locations"], body["withdrawn"]) == ("t", [at("a", 4)], [at("a", 9)["recordedAt"]])


def test_an_event_that_is_refilled_stays_where_it_is():
    told = refilled(event(6, {"positions": [at("a", 1)]}, first=4), {"positions": []})
    assert told.body == {"positions": [], "from": 4, "epoch": EPOCH, "seq": 6}


@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 59)), max_size=4), min_size=1, max_size=6))
def test_who_gets_events_joined_knows_what_who_gets_each_of_them_knows(told: list[list[tuple[str, int]]]):
    events = [event(n + 1, {"positions": [at(*one) for one in each]}) for n, each in enumerate(told)]
    assert newest(joined(events).body["positions"]) == newest([p for e in events for p in e.body["positions"]])


def newest(positions: list[dict[str, Any]]) -> dict[str, str]:
    known: dict[str, str] = {}
    for position in positions:
        known[position["vehicleId"]] = max(position["recordedAt"], known.get(position["vehicleId"], ""))
    return known


def test_the_text_is_json_for_any_reader():
    assert json.loads(event(3, {"é": "日本"}, "x").text[2:]) == ["x", {"é": "日本", "epoch": EPOCH, "seq": 3}]
