"""What the load tests of the hub compute: packets, frames, the client rule, fixes, ratios."""

from __future__ import annotations

import json
import resource
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgpack
import pytest

from loadtest import fanout, idle, roads
from loadtest.crowd import heard
from loadtest.errors import LoadtestError
from loadtest.latency import Sightings
from loadtest.recovery import Client
from loadtest.sockets import ACK, BINARY, CONNECT, EVENT, TEXT, Frames, Json, Packed, Refusal, frame
from loadtest.walkers import MPS, Walker
from loadtest.world import Driven
from waypost.tracking.judgement import METRES_PER_E7

NOW_MS = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp() * 1000)
DRIVEN = Driven(UUID(int=1), UUID(int=2), UUID(int=3), "wpd_1")


def as_the_server_frames(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def payload_of(sent: bytes) -> bytes:
    """What a client's frame holds; its mask is all zeros."""
    head = 2 if sent[1] & 127 < 126 else 4
    assert sent[head : head + 4] == b"\0\0\0\0"
    return sent[head + 4 :]


def test_frames_are_whole_however_their_bytes_are_cut():
    wanted = [(TEXT, b"2"), (BINARY, bytes(300)), (TEXT, b"4" * 70_000)]
    data = b"".join(as_the_server_frames(*each) for each in wanted)
    for step in (1, 7, 1000, len(data)):
        frames = Frames()
        found = [each for at in range(0, len(data), step) for each in frames.feed(data[at : at + step])]
        assert found == wanted
        assert frames.buffer == b""


def test_a_clients_frame_is_masked_and_tells_its_size():
    assert frame(TEXT, b"3") == b"\x81\x81\0\0\0\x003"
    long = frame(BINARY, bytes(300))
    assert long[:4] == b"\x82\xfe" + (300).to_bytes(2, "big")
    assert payload_of(long) == bytes(300)


def test_a_packet_as_json_is_that_of_the_protocol_and_reads_back():
    codec = Json()
    assert payload_of(codec.packet(CONNECT, {"token": "x"})) == b'40{"token":"x"}'
    assert payload_of(codec.packet(EVENT, ["trip:join", {}], 12)) == b'4212["trip:join",{}]'
    assert codec.kind(TEXT, b'4312[{"ok":true}]') == ACK
    assert codec.read(b'4312[{"ok":true}]') == (12, [{"ok": True}])
    assert codec.read(b'42["trip:location",{"seq":7}]') == (None, ["trip:location", {"seq": 7}])
    assert codec.read(b"41") == (None, None)
    assert codec.kind(TEXT, b"2") is None


def test_a_packet_as_msgpack_is_that_of_the_protocol_and_reads_back():
    codec = Packed()
    sent = payload_of(codec.packet(EVENT, ["trip:join", {}], 12))
    assert msgpack.unpackb(sent) == {"type": 2, "data": ["trip:join", {}], "nsp": "/", "id": 12}
    assert (codec.kind(BINARY, sent), codec.read(sent)) == (EVENT, (12, ["trip:join", {}]))
    assert codec.kind(TEXT, b"2") is None


@pytest.mark.parametrize(("error", "retry"), [({"code": "database-busy", "retry": True}, True), ("no", False)])
def test_a_refusal_says_whether_to_come_again(error: object, retry: bool):
    assert Refusal("a socket", error).retry is retry


def test_a_walker_never_tells_a_time_twice_and_goes_no_faster_than_it_says():
    walker, found = Walker(DRIVEN), list[dict[str, Any]]()
    for now in (NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS + 5000, NOW_MS + 4000):
        request, at = walker.request(now)
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        (fix,) = json.loads(body)["locations"]
        assert fix["timestamp"] == at
        found.append(fix)
    times = [fix["timestamp"] for fix in found]
    assert times == [NOW_MS, NOW_MS + 1, NOW_MS + 2, NOW_MS + 5000, NOW_MS + 5001]
    metres = abs(found[3]["latitude"] - found[2]["latitude"]) * 1e7 * METRES_PER_E7
    assert metres == pytest.approx(MPS * 4.998, rel=0.01)


def test_a_fix_that_was_seen_before_its_ack_had_no_delay_and_one_never_seen_is_an_error():
    sightings, walker = Sightings(), Walker(DRIVEN)
    body = {"tripId": str(DRIVEN.trip_id), "locations": [{"recordedAt": "2026-11-22T12:00:00.000Z"}]}
    sightings.note_event("trip:location", body)
    sightings.note_ack(walker, NOW_MS, sightings.seen[str(DRIVEN.trip_id), "2026-11-22T12:00:00.000Z"] + 1)
    assert sightings.delays() == [0.0]
    sightings.note_ack(walker, NOW_MS + 1, 0.0)
    with pytest.raises(LoadtestError, match="1 were never seen"):
        sightings.delays()


def told(seq: int, *, epoch: str = "a", **more: object) -> dict[str, object]:
    return {"epoch": epoch, "seq": seq, "locations": [{"recordedAt": f"t{seq}"}], **more}


def test_a_client_drops_what_it_has_and_counts_what_is_left_out():
    client = Client("trip", "token", epoch="a", seq=3)
    for body in (told(3), told(4), told(4), told(7, **{"from": 5}), told(9)):
        client._apply(body)
    assert (client.log, client.seq, client.gaps) == (["t4", "t7", "t9"], 9, 1)
    client._apply(told(1, epoch="b"))
    assert (client.seq, client.gaps) == (9, 2)


def test_what_is_heard_before_the_joins_ack_waits_for_it():
    client = Client("trip", "token", epoch="a", seq=3, early=[])
    client._heard(b'42["trip:location",{"locations":[],"epoch":"a","seq":4}]')
    client._heard(b'42["trip:watchers",{"watchers":[]}]')
    assert client.seq == 3
    assert [body["seq"] for body in client.early or ()] == [4]


def test_what_is_compared_are_the_medians_an_update_where_there_is_a_tick():
    def a_round(ours: float, limit: float) -> dict[str, dict[str, float]]:
        return {
            "ours": {"us_per_delivery": ours},
            "limit": {"us_per_delivery": limit},
            "tick_fleet": {"us_per_delivery": 9.0, "us_per_update": 1.5},
        }

    found = fanout.medians([a_round(4, 2), a_round(3, 2), a_round(9, 3)])
    assert found == {"limit": 2, "ours": 4, "tick_fleet": 1.5}
    assert fanout.ratios(found) == {"ours_to_limit": 2.0}


def test_a_table_of_roads_has_a_row_for_each_that_carried_messages():
    figures = {
        "members": 200,
        "events_per_s": 10,
        "websocket_json": {"messages": 10, "bytes_per_message": 273, "us_per_message": 5.25},
    }
    _, _, *rows = roads.report(figures).splitlines()
    assert [[cell.strip() for cell in row.strip("|").split("|")] for row in rows] == [["websocket json", "273", "5.2"]]


def test_more_files_than_the_machine_allows_is_an_error_that_says_so():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(LoadtestError, match="raise the limit"):
        idle.allow_files(hard + 1)


def test_a_crowd_of_nobody_has_heard_nothing():
    assert heard([]) == {"connections": 0, "joined": 0, "closed": 0, "messages": 0, "bytes": 0}
