"""Socket.IO packets, read strictly and written in both codecs."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.realtime.letters import Letter, close_frame, pong_frame
from waypost.realtime.packets import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Malformed,
    Packet,
    read_packed,
    read_text,
    with_attachments,
    write,
)


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(CONNECT, "/", None, None)),
        ('0/custom,{"token":"x"}', Packet(CONNECT, "/custom", None, {"token": "x"})),
        ("0/custom", Packet(CONNECT, "/custom", None, None)),
        ("0/custom?a=b,", Packet(CONNECT, "/custom", None, None)),
        ("1", Packet(DISCONNECT, "/", None, None)),
        ('2["x",1]', Packet(EVENT, "/", None, ["x", 1])),
        ('2/a-b,17["x"]', Packet(EVENT, "/a-b", 17, ["x"])),
        ("30[]", Packet(ACK, "/", 0, [])),
        ('52-3["x",{"_placeholder":true,"num":0}]', Packet(5, "/", 3, ["x", {"_placeholder": True, "num": 0}], 2)),
        ('2["x",99999999999999999999,NaN]', Packet(EVENT, "/", None, ["x", 1e20, None])),
    ],
)
def test_a_text_packet_is_read(text: str, packet: Packet):
    assert read_text(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "abc", "2", "2[]", "2{}", "2[1]", '2[["x"]]', '2["x"', "2x[]", "3", "3{}", '4{"message":"x"}'),
        *("0[]", "0true", "1[]", "5[]", "59-[]", '5-["x"]', '50000-["x"]', '2a["x"]', '2/a["x"]', '2["x"]]'),
        *('2-1["x"]', "2" + "[" * 100_000, "0/" + "x" * 255, "\uff12[]"),
    ],
)  # fmt: skip
def test_what_is_no_packet_is_malformed(text: str):
    with pytest.raises(Malformed):
        read_text(text)


@given(st.text())
def test_any_text_is_a_packet_or_malformed(text: str):
    for kind in ("", "0", "2", "2/x,", '2["', "51-", "3"):
        with suppress(Malformed):
            assert isinstance(read_text(kind + text), Packet)


@given(st.binary())
def test_any_bytes_are_a_packet_or_malformed(data: bytes):
    for head in (b"", b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data", b"\x84\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xa1x\xa2id"):
        with suppress(Malformed):
            assert isinstance(read_packed(head + data), Packet)


@pytest.mark.parametrize("number", [1, -1, True, "0", None, 1.0])
def test_a_placeholder_for_what_never_came_is_malformed(number: Any):
    packet = Packet(5, "/", None, ["x", {"_placeholder": True, "num": number}], 1)
    with pytest.raises(Malformed):
        with_attachments(packet, [b"a"])


def test_attachments_take_their_places():
    packet = read_text('52-["x",[{"_placeholder":true,"num":1}],{"a":{"_placeholder":true,"num":0}}]')
    assert with_attachments(packet, [b"a", b"b"]).data == ["x", [b"b"], {"a": b"a"}]


keys = st.text().filter("_placeholder".__ne__)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
)


@given(st.lists(values, max_size=3), st.none() | st.integers(0, 10**6), st.sampled_from(["/", "/custom"]))
def test_what_is_written_is_read_back_in_both_codecs(arguments: list[Any], number: int | None, namespace: str):
    packed = write(EVENT, namespace, ["x", *arguments], number=number, packed=True)
    assert packed.packed is not None
    assert read_packed(packed.packed)[:4] == (EVENT, namespace, number, ["x", *arguments])

    letter = write(EVENT, namespace, ["x", *arguments], number=number, packed=False)
    head, attachments = letter.text.decode()[1:], list(letter.attachments)
    if len(attachments) <= 8:
        packet = read_text(head)
        assert packet.attachments == len(attachments)
        assert with_attachments(packet, attachments)[1:4] == (namespace, number, ["x", *arguments])


def test_half_a_surrogate_pair_goes_out_as_it_came():
    assert json.loads(write(ACK, "/", ["\ud800"], number=1, packed=False).text[3:]) == ["\ud800"]


def test_a_msgpack_extension_is_noticed_wherever_it_is():
    for data in (["x", msgpack.ExtType(0, b"\0")], ["x", {"a": [msgpack.ExtType(5, b"abc")]}]):
        assert read_packed(msgpack.packb({"type": 2, "nsp": "/", "data": data})).is_foreign


def test_an_error_is_told_in_the_protocols_form():
    letter = write(CONNECT_ERROR, "/random", {"message": "Invalid namespace"}, packed=False)
    assert letter.text == b'44/random,{"message":"Invalid namespace"}'
    assert write(DISCONNECT, "/", packed=False).text == b"41"
    assert msgpack.unpackb(write(DISCONNECT, "/", packed=True).packed) == {"type": 1, "nsp": "/"}


def test_frames_of_a_letter_and_of_a_close():
    assert Letter(b"451-[]", [b"ab"]).frame == b"\x81\x06451-[]" + b"\x82\x02ab"
    assert Letter(b"451-[]", [b"ab"]).polled(packed=False) == ["451-[]", "bYWI="]
    assert Letter(packed=b"\x80").polled(packed=True) == ["bgA=="]
    assert close_frame(4008, "slow-client") == b"\x88\x0d" + (4008).to_bytes(2, "big") + b"slow-client"
    assert pong_frame(b"x") == b"\x8a\x01x"
