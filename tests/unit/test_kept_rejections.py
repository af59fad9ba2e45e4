"""Which rejected locations are kept, and in what form."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.fakes.clock import NOON
from waypost.tracking.rejections import MAX_RECORD_BYTES, Rejection, worth_keeping
from waypost.tracking.wire_quality import shown

ORG, PHONE, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def rejection(device_id: UUID = PHONE, reason: str = "future", **fields: Any) -> Rejection:
    usual = {"received_at": NOON, "source": "api", "detail": "ahead", "record": b"{}"}
    return Rejection(org_id=ORG, device_id=device_id, reason=reason, **{**usual, **fields})


def test_a_mad_phone_keeps_fifty_of_a_batch_and_the_number_of_the_others():
    kept = worth_keeping([rejection(record=b"%d" % n) for n in range(10_000)])
    assert len(kept) == 50
    assert [(one.record, one.more) for one in kept[-2:]] == [(b"48", 0), (b"49", 9950)]


def test_every_reason_has_a_row_however_late_it_comes():
    batch = [rejection() for _ in range(60)] + [rejection(reason="malformed") for _ in range(7)]
    kept = worth_keeping(batch)
    assert [one.reason for one in kept] == ["future"] * 50 + ["malformed"]
    assert (kept[49].more, kept[50].more) == (10, 6)
    assert len(kept) + sum(one.more for one in kept) == len(batch)


def test_each_device_and_each_batch_has_its_own_fifty():
    batch = [rejection() for _ in range(60)] + [rejection(OTHER) for _ in range(60)]
    later = [rejection(received_at=NOON + timedelta(seconds=1)) for _ in range(60)]
    assert len(worth_keeping([*batch, *later])) == 150


def test_what_a_row_cannot_hold_is_cut_or_replaced():
    [kept] = worth_keeping([rejection(record=b"\x00\xff" * 4000, detail="a\0b\ud800" + "x" * 999, source="s" * 99)])
    assert kept.record == (b"\x00\xff" * 4000)[:MAX_RECORD_BYTES]
    assert kept.detail.startswith("a\N{REPLACEMENT CHARACTER}b?x")
    assert (len(kept.detail), len(kept.source)) == (300, 64)


def test_a_record_is_shown_whole_and_nothing_in_it_acts():
    assert shown(b'{"lat": 1}\n') == '{"lat": 1}\n'
    assert shown("Größe".encode()) == "Größe"
    assert shown(b"\x00\x1b[31m\xff") == "\\x00\\x1b[31m\\xff"
    assert shown("a\N{RIGHT-TO-LEFT OVERRIDE}b".encode()) == "a\\u202eb"
    assert shown("é".encode()[:1]) == "\\xc3"  # cut in the middle of a character
