"""Bodies with something in them that is no JSON, or that nobody foresaw: the good records beside it are read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.apps import NOW, all_of, outcomes
from waypost.directory.domain import Transistor
from waypost.tracking.domain import Report
from waypost.tracking.protocols import osmand, overland, owntracks, transistor
from waypost.tracking.protocols.records import MAX_RECORDS, Fault, Unreadable, each, items_of, mended

ODD = {
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "tab": b'"a\tb"',
    "control": b'"a\x01b"',
    "half a pair": rb'"\ud83d"',
    "other half": rb'"a\\\ude00"',
    "no UTF-8": b'"\xff\xfe"',
}


def sdk(n: int, note: bytes = b'"x"') -> bytes:
    return (
        b'{"uuid":"%d","timestamp":"2026-11-22T11:00:00.%03dZ","coords":{"latitude":50.1,"longitude":8.1},'
        b'"extras":{"note":%s,"pad":"%s"}}' % (n, n % 1000, note, b"p" * 400)
    )


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("count", [50, 3000])
def test_one_odd_value_costs_no_record_however_large_the_batch(odd: str, count: int):
    body = b'{"location":[' + b",".join([*map(sdk, range(count - 1)), sdk(count, ODD[odd])]) + b"]}"
    found = all_of(transistor.read(body, NOW))
    assert len(found) == count
    assert all(isinstance(one, Report) for one in found)


def test_what_is_right_is_not_changed_by_mending():
    right = {"a": "NaN, Infinity", "b": [1.5, None, True], "c": "\U0001f600 \\ud83d \\", "nan": "\U0001f600"}
    for ascii_only in (True, False):
        assert msgspec.json.decode(mended(json.dumps(right, ensure_ascii=ascii_only).encode())) == right


@pytest.mark.parametrize("time", ["1e308", "-1e308", "1e306", '"1e306"', '"-1e308"'])
def test_a_time_beyond_all_numbers_is_that_records_own_fault(time: str):
    flat = f'{{"lat":50,"lon":8,"timestamp":{time}}}'.encode()
    feature = f'{{"type":"Feature","geometry":{{"coordinates":[8,50]}},"properties":{{"timestamp":{time}}}}}'
    assert outcomes(osmand.read([], "application/json", flat, NOW)) == ["bad_time"]
    query = [("lat", "5"), ("lon", "8"), ("timestamp", time.strip('"'))]
    assert outcomes(osmand.read(query, "", b"", NOW)) == ["bad_time"]
    message = f'{{"_type":"location","lat":5,"lon":8,"tst":{time}}}'
    assert outcomes(owntracks.read(message.encode(), NOW)) == ["bad_time"]
    assert outcomes(overland.read(f'{{"locations":[{feature}]}}'.encode(), NOW)) == ["bad_time"]
    assert outcomes(transistor.read(b'{"location":%s}' % flat, NOW)) == ["bad_time"]


def test_what_we_fail_to_read_is_kept_and_logged_once_and_the_others_are_read(capsys: pytest.CaptureFixture[str]):
    def read(raw: Any) -> Any:
        if raw == b"2":
            raise ZeroDivisionError("wpd_secret")
        if raw == b"3":
            raise Unreadable("so it is")
        return raw

    found = list(each([b"1", b"2", b"3", b"2", b"4"], read))
    faults = [one for one in found if isinstance(one, Fault)]
    ours = "this server could not read it (ZeroDivisionError)"
    assert [one.why for one in faults] == [ours, "so it is", ours]
    assert [one for one in found if isinstance(one, bytes)] == [b"1", b"4"]
    told = capsys.readouterr().out
    assert told.count("record_not_read") == 1
    assert "wpd_secret" not in told


@pytest.mark.parametrize("count", [2000, 150_000])
def test_records_as_short_as_a_template_makes_them_are_read(count: int):
    template = Transistor(fields={"latitude": "0", "longitude": "1", "timestamp": "2"})
    body = b'{"location":[' + b",".join([b"[-17.8,31.05,1763800000,5,0,90,1,0,85]"] * count) + b"]}"
    read = transistor.read(body, NOW, template)
    assert read.records == count
    assert isinstance(next(iter(read.found)), Report)


@pytest.mark.parametrize("body", [b"1," * 3_000_000 + b"1", b"[]," * 2_000_000 + b"[]", b"[1,2]," * MAX_RECORDS + b"1"])
def test_more_records_than_anybody_has_are_refused(body: bytes):
    with pytest.raises(Unreadable, match="200000 records"):
        items_of(b"[" + body + b"]")
