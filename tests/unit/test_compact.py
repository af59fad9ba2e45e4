"""The three forms of a batch give the same reports; hostile ones are refused, and nothing else."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forms import NAMES, Steps, as_columns, as_objects
from waypost.kernel.errors import AppError, Invalid, Malformed
from waypost.platform.bodies import UnsupportedMediaType
from waypost.replay import columns as client
from waypost.replay import wire as client_wire
from waypost.replay.rows import Row
from waypost.replay.traces import load
from waypost.tracking.batches import Batch, decode_http, decode_json, decode_msgpack, decode_socket
from waypost.tracking.compact import MAX_LOCATIONS, TooManyLocations

STREAM = UUID(int=0x0190F3F1_9A3B_7C00_8000_000000000001)
TRACES = Path(os.environ.get("WAYPOST_TRACES_DIR") or Path(__file__).parents[2] / "../shared/data").resolve()
MEASURED = ["emission-phones.csv.gz", "gotrack.csv.gz", "rsk-twizy.csv.gz"]
FIELDS = ("latitude", "longitude", "timestamp", "accuracy", "speed", "heading", "altitude", "battery", "mock", "key")
at_most = st.none() | st.integers(-(2**31), 2**31)
# Whole steps of the compact form; None: unknown.
rows = st.lists(
    st.fixed_dictionaries(dict.fromkeys(NAMES, at_most) | {"timestamp": st.none() | st.integers(0, 2**52)}),
    min_size=1, max_size=30,
)  # fmt: skip


def seen(batch: Batch) -> list[tuple[object, ...]]:
    """All that is told of each location."""
    assert [report.index for report in batch.reports] == list(range(len(batch.reports)))
    assert not any(report.malformed for report in batch.reports)
    return [tuple(getattr(report, name) for name in FIELDS) for report in batch.reports]


@given(steps=rows, first=st.integers(0, 2**62), places=st.sampled_from([6, 7]), mocked=st.sets(st.integers(0, 29)))
def test_rows_columns_and_objects_of_the_same_drive_are_the_same_reports(
    steps: list[Steps], first: int, places: int, mocked: set[int]
):
    mocked = {index for index in mocked if index < len(steps)}
    locations = as_objects(steps, first, places, mocked)
    body = {"stream": str(STREAM), "sentAt": 1760000000123, "locations": locations}
    expected = decode_json(json.dumps(body).encode())
    others = [
        decode_msgpack(msgpack.packb(body)),
        decode_msgpack(as_columns(steps, STREAM, first, places, mocked, sentAt=1760000000123)),
        decode_socket(body),
        decode_socket(msgpack.packb(body)),
        decode_json(json.dumps(body | {"locations": [*locations, {"latitude": "x"}]}).encode()),  # read one by one
    ]
    others[-1].reports.pop()
    for other in others:
        assert seen(other) == seen(expected)
        assert (other.stream, other.sent_at, other.trip_id) == (STREAM, 1760000000123, None)


@given(steps=rows)
def test_differences_lead_back_to_the_values(steps: list[Steps]):
    values = [row["altitude"] for row in steps]
    back = decode_msgpack(msgpack.packb({"v": 1, "al": client.steps(values)}))
    assert [report.altitude for report in back.reports] == values


def test_after_an_unknown_value_the_difference_counts_from_the_last_known_one_at_first_from_zero():
    body = {"v": 1, "t": [None, 1000, None, 5, -3, 0]}
    assert [r.timestamp for r in decode_msgpack(msgpack.packb(body)).reports] == [None, 1000, None, 1005, 1002, 1002]


def test_a_column_that_is_left_out_is_unknown_throughout():
    (report,) = decode_msgpack(msgpack.packb({"v": 1, "t": [5], "lo": [31_033_500]})).reports
    assert (report.timestamp, report.latitude, report.longitude, report.key) == (5, None, 31.0335, None)


def test_the_client_rounds_to_the_steps_of_the_form_and_keeps_what_is_unknown():
    drive = [
        Row("van", 1760000000123, -17.8252004, 31.0335, 13.44, 271.4, 6.5, 76),
        Row("van", 1760000001122, -17.8253, 31.0336, -1, None, 0.2, None),
    ]
    locations = tuple(client_wire.location(row, row.recorded_ms, 7 + i) for i, row in enumerate(drive))
    batch = decode_msgpack(client.encode(client_wire.Envelope(5, str(STREAM), locations, str(UUID(int=9)))))
    assert seen(batch) == [
        (-17.8252, 31.0335, 1760000000123, 6, 13.4, 271, None, 76, None, f"{STREAM}:7"),
        (-17.8253, 31.0336, 1760000001122, 0, None, None, None, None, None, f"{STREAM}:8"),
    ]
    assert (batch.trip_id, batch.sent_at) == (UUID(int=9), 5)
    with pytest.raises(ValueError, match="follow one another"):
        client.encode(client_wire.Envelope(5, str(STREAM), locations[::-1]))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"v": 2}, "v"),
        ({"v": "1"}, "v"),
        ({"k": 5}, "k"),
        ({"la": [1]}, "la"),
        ({"la": [1, 2, 3]}, "la"),
        ({"la": [1, 2.5]}, "la[1]"),
        ({"la": [1, True]}, "la[1]"),
        ({"la": "12"}, "la"),
        ({"mk": [2]}, "mk"),
        ({"mk": [-1]}, "mk"),
        ({"mk": [0.0]}, "mk[0]"),
        ({"n0": "7"}, "n0"),
        ({"stream": "x"}, "stream"),
        ({"tripId": b"x"}, "tripId"),
        ({"t": [], "la": [], "lo": []}, "t"),
        ({"t": None, "la": None, "lo": None}, "t"),
    ],
)
def test_what_is_no_table_is_refused_whole_and_named(change: dict[str, object], field: str):
    good = {"v": 1, "stream": str(STREAM), "n0": 7, "t": [1, 2], "la": [1, 2], "lo": [1, 2]}
    assert len(decode_msgpack(msgpack.packb(good)).reports) == 2
    with pytest.raises(Invalid) as refused:
        decode_msgpack(msgpack.packb(good | change))
    assert refused.value.extra["errors"][0]["field"] == field


def test_impossible_values_are_no_matter_of_the_whole():
    hostile = {"v": 1, "stream": STREAM.bytes, "n0": 2**63 - 2, "t": [2**64 - 1] * 3, "la": [2**64 - 1, -(2**63), 5],
               "lo": [None, None, None]}  # fmt: skip
    reports = decode_msgpack(msgpack.packb(hostile)).reports
    assert [report.timestamp for report in reports] == [2**64 - 1, 2 * (2**64 - 1), 3 * (2**64 - 1)]
    assert [report.key for report in reports] == [f"{STREAM}:{2**63 - 2}", f"{STREAM}:{2**63 - 1}", None]


def test_a_thousand_are_taken_and_one_more_is_not():
    many: dict[int, dict[str, object]] = {n: {"locations": [{"n": i} for i in range(n)]} for n in (1000, 1001)}
    for n, body in many.items():
        table = {"v": 1, "t": [1] * n}
        for read in (
            lambda: decode_json(json.dumps(body).encode()),  # noqa: B023 - called at once
            lambda: decode_msgpack(msgpack.packb(body)),  # noqa: B023
            lambda: decode_msgpack(msgpack.packb(table)),  # noqa: B023
            lambda: decode_socket(body),  # noqa: B023
        ):
            if n == MAX_LOCATIONS:
                assert len(read().reports) == n
            else:
                with pytest.raises(TooManyLocations) as refused:
                    read()
                assert refused.value.extra["limit"] == MAX_LOCATIONS


def test_one_odd_location_costs_the_others_nothing():
    good = {"latitude": 1, "longitude": 2, "timestamp": 3}
    sent = [good, "nothing", {"latitude": "x", "battery": [[]]}, None, good | {"latitude": True}]
    for batch in (
        decode_json(json.dumps({"locations": sent}).encode()),
        decode_msgpack(msgpack.packb({"locations": sent})),
        decode_socket({"locations": sent}),
    ):
        assert [report.malformed for report in batch.reports] == [False, True, False, True, False]
        assert [report.latitude for report in batch.reports] == [1, None, "x", None, True]
        assert [json.loads(report.sent()) for report in batch.reports] == sent


def test_what_was_sent_is_told_up_to_its_first_kilobyte():
    body = {"locations": [{"latitude": 1, "longitude": 2, "timestamp": 3, "note": "x" * 5000}]}
    (report,) = decode_json(json.dumps(body).encode()).reports
    assert (len(report.sent()), report.sent()[:14]) == (1024, b'{"latitude": 1')
    table = msgpack.packb({"v": 1, "stream": str(STREAM), "n0": 4, "t": [3], "la": [1_000_000], "sp": [None]})
    (report,) = decode_msgpack(table).reports
    assert json.loads(report.sent()) == {"latitude": 1.0, "timestamp": 3, "n": 4}


def test_the_moments_of_msgpack_are_understood():
    at = datetime(2026, 11, 22, 1, 49, 0, 123999, UTC)
    good = {"latitude": 1.5, "longitude": 2, "timestamp": at}
    for locations in ([good], [good, "odd"]):
        batch = decode_msgpack(msgpack.packb({"sentAt": at, "locations": locations}, datetime=True))
        expected = (datetime(2026, 11, 22, 1, 49, 0, 123000, UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(
            milliseconds=1
        )
        assert (batch.reports[0].timestamp, batch.sent_at) == (expected, expected)


@pytest.mark.parametrize(
    "kind", [None, "", "application/json", "Application/JSON; charset=utf-8", "application/octet-stream"]
)
def test_json_is_what_is_read_where_nothing_else_is_said(kind: str | None):
    assert len(decode_http(kind, b'{"locations": [{}]}').reports) == 1


@pytest.mark.parametrize("kind", ["application/msgpack", "application/vnd.msgpack", "application/x-msgpack; v=5"])
def test_msgpack_is_read_by_its_names(kind: str):
    assert len(decode_http(kind, msgpack.packb({"locations": [{}]})).reports) == 1


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/cbor", "json"])
def test_other_kinds_are_refused(kind: str):
    with pytest.raises(UnsupportedMediaType):
        decode_http(kind, b'{"locations": [{}]}')


GOOD = msgpack.packb({"latitude": 1, "longitude": 2, "timestamp": 3})
HOSTILE = {
    "nothing": b"",
    "a reserved byte": b"\xc1",
    "a giant array": b"\x81\xa9locations\xdd\xff\xff\xff\xff",
    "a giant map": b"\xdf\xff\xff\xff\xff",
    "a giant text": b"\x81\xa9locations\xdb\xff\xff\xff\xff",
    "giants in giants": b"\x81\xa9locations" + (b"\xdd" + struct.pack(">I", 10**6)) * 900 + bytes(10**6),
    "deep": b"\x81\xa9locations" + b"\x91" * 500_000 + b"\xc0",
    "deep in a location": b"\x81\xa9locations\x91\x81\xa8latitude" + b"\x91" * 500_000 + b"\xc0",
    "deep where nobody looks": b"\x82\xa5other" + b"\x91" * 500_000 + b"\xc0" + b"\xa9locations\x91\x80",
    "something after the end": msgpack.packb({"locations": [{}]}) + b"\x00",
    "keys that are maps": b"\x81\x80\x01",
}  # fmt: skip


SENT_AT = [b"\xd4\xff\x01", b"\xd4\x05\x01", b"\xa1\xff", b"\x90", b"\xdc\xff\xff" + b"\x90" * 0xFFFF, b"\xc3"]


@pytest.mark.parametrize("value", SENT_AT)
def test_an_odd_time_of_sending_spoils_nothing(value: bytes):
    for rest in (b"\xa9locations\x91\x80", b"\xa9locations\x91" + GOOD, b"\xa1t\x91\x05\xa1v\x01"):
        batch = decode_msgpack(bytes([0x81 + rest.count(b"\xa1v") + 1]) + b"\xa6sentAt" + value + rest)
        assert not isinstance(batch.sent_at, str | list)
        assert len(batch.reports) == 1


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_msgpack_is_refused_as_unreadable(body: bytes):
    with pytest.raises((Malformed, Invalid)):
        decode_msgpack(body)


MANY = 300_000
LISTS = {
    "JSON": (decode_json, b"[" + b"[],[[]]," * (MANY // 4) + b"[]]"),
    "msgpack": (decode_msgpack, b"\xdd" + struct.pack(">I", MANY) + b"\x90\x91\x90" * (MANY // 2)),
}


@pytest.mark.parametrize("language", LISTS)
@pytest.mark.parametrize("field", ["sentAt", "latitude", "n", "id", "other"])
def test_no_list_is_ever_made_of_what_somebody_sends(language: str, field: str):
    """A mebibyte of brackets takes a second to become lists, and fifty times its memory."""
    read, lists = LISTS[language]
    locations = [{"latitude": 1, "longitude": 2, "timestamp": 3}]
    if field == "sentAt":
        template: dict[str, object] = {"sentAt": "LISTS", "locations": locations}
    else:
        template = {"locations": [*locations, locations[0] | {field: "LISTS"}]}
    if language == "JSON":
        body = json.dumps(template).encode().replace(b'"LISTS"', lists)
    else:
        body = msgpack.packb(template).replace(b"\xa5LISTS", lists)
    tracemalloc.start()
    try:
        batch = read(body)
        told = [report.sent() for report in batch.reports]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not any(report.malformed for report in batch.reports)
    assert all(told)
    assert peak < 3 * len(body)


ODD = {
    "an extension": b"\xd4\x05\x01",
    "no UTF-8": b"\xa1\xff",
    "no timestamp": b"\xd4\xff\x01",
    "not a number": b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    "a huge number": b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    "bytes": b"\xc4\x01\xff",
    "a key that is a list": b"\x81\x91\x01\x02",
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_odd_values_of_msgpack_are_their_locations_own(value: bytes):
    body = b"\x81\xa9locations\x92\x81\xa8latitude" + value + GOOD
    odd, good = decode_msgpack(body).reports
    assert (good.latitude, good.longitude, good.timestamp, good.malformed) == (1, 2, 3, False)
    assert odd.sent()


def examples() -> list[bytes]:
    """Good batches of every form: what a fuzzer begins with."""
    locations: list[dict[str, Any]] = [
        {"latitude": -17.8 - i / 1e4, "longitude": 31.0, "timestamp": 1760000000000 + i, "accuracy": 5, "n": i}
        for i in range(4)
    ]
    locations[1] |= {"mock": True, "id": "abc", "timestamp": "2026-11-22T01:49:00.000Z", "note": {"a": [1, None]}}
    body = {"stream": str(STREAM), "tripId": str(UUID(int=3)), "sentAt": 1760000000999, "locations": locations}
    steps: list[Steps] = [dict.fromkeys(NAMES, i * 3 - 5) for i in range(4)]
    return [json.dumps(body).encode(), msgpack.packb(body), as_columns(steps, STREAM, 7, 6, [1, 3]),
            as_columns([row | {"speed": None} for row in steps], STREAM, 7, 7, sentAt=5)]  # fmt: skip


NASTY = (
    b"\xdd\xff\xff\xff\xff",
    b"\xc0",
    b"\xcf" + b"\xff" * 8,
    b"\xd4\x01",
    b"[",
    b"{",
    b"\xdc",
    b"1e999",
    b'"',
    b"\xff",
)


def spoiled(good: Sequence[bytes], random: Random) -> bytes:
    """A batch with something wrong: bytes changed, taken out, put in, or taken from another."""
    body = bytearray(random.choice(good))
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        at, end = sorted((random.randrange(len(body) + 1), random.randrange(len(body) + 1)))
        match random.randrange(5):
            case 0:
                body[at : at + 1] = random.randbytes(1)
            case 1:
                del body[at : min(end, at + 8)]
            case 2:
                body[at:at] = random.choice((*NASTY, random.randbytes(4)))
            case 3:
                other = random.choice(good)
                start = random.randrange(len(other))
                body[at:end] = other[start : start + random.randrange(40)]
            case _:
                body[at:at] = body[at:end] * random.randrange(3)
    return bytes(body[:20_000])


@pytest.mark.parametrize("inputs", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_no_input_brings_anything_but_a_batch_or_a_refusal(inputs: int):
    random, good, taken = Random(4), examples(), 0  # noqa: S311 - test data
    for _ in range(inputs):
        body = random.randbytes(random.randrange(40)) if random.random() < 0.05 else spoiled(good, random)
        for read in (decode_json, decode_msgpack):
            try:
                batch = read(body)
            except AppError:
                continue
            taken += 1
            assert 1 <= len(batch.reports) <= MAX_LOCATIONS
            assert all(len(report.sent()) <= 1024 for report in batch.reports)
    assert taken > inputs / 50, "the fuzzer never gets past the door"


names = st.sampled_from(["v", "t", "la", "mk", "k", "n0", "stream", "locations", "latitude", "n", "id"])
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()


@settings(max_examples=200)
@given(
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
        max_leaves=30,
    )
)
def test_nor_does_any_value(value: object):
    for read in (lambda: decode_socket(value), lambda: decode_msgpack(msgpack.packb(value))):
        with suppress(AppError):
            assert read().reports


@pytest.mark.skipif(
    not all((TRACES / name).exists() for name in MEASURED), reason=f"there are no recorded traces in {TRACES}"
)
@pytest.mark.parametrize("name", MEASURED)
def test_a_recorded_fix_takes_twelve_bytes_at_most_a_ninth_of_json(name: str):
    packed = text = fixes = 0
    for recording in load([TRACES / name]):
        drive = iter(recording)
        first = 1
        while batch := list(islice(drive, 100)):
            locations = tuple(client_wire.location(row, row.recorded_ms, first + i) for i, row in enumerate(batch))
            envelope = client_wire.Envelope(batch[-1].recorded_ms, str(STREAM), locations)
            body = client.encode(envelope)
            packed, text, fixes = packed + len(body), text + len(msgspec.json.encode(envelope)), fixes + len(batch)
            if first == 1:
                assert len(decode_msgpack(body).reports) == len(batch)
            first += len(batch)
    assert round(packed / fixes) <= 12
    assert text / packed > 9
