"""Every odd body of a callback is kept or refused as the reference's table says, and is never a 500."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.factories import Org
from tests.mobile import ACCEPTED, OK, Mobile, mobile, paybill, reversal, stk, stk_failed
from tests.tills import Shop
from waypost.app import build_app
from waypost.kernel.principal import Role
from waypost.wiring import Services

ROADS = ("stk", "validation", "confirmation", "reversal")
BIG = b" " * (64 * 1024)
BOMB = gzip.compress(b"[" * 20_000_000)


@pytest.fixture
async def till(services: Services, aiohttp_server: Callable[..., Awaitable[TestServer]], org: Org) -> Mobile:
    return await mobile(await Shop.of(org), await aiohttp_server(build_app(services)))


def without(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


PAID = paybill("NOBODY1", "10.00", "RKT9QD7W6S")
TEXT = json.dumps(PAID)
# A body of a confirmation, and what it becomes.
KEPT: dict[str, tuple[object, str]] = {
    "empty": (b"", "quarantined"),
    "no JSON": (b"TransID=RKT9QD7W6S&TransAmount=10", "quarantined"),
    "cut off": (TEXT.encode()[:-5], "quarantined"),
    "a list": ([PAID], "quarantined"),
    "an empty object": ({}, "quarantined"),
    "null": (b"null", "quarantined"),
    "something else": ({"hello": "world"}, "quarantined"),
    "no UTF-8": (TEXT.encode().replace(b"Chipo", b"\xff\xfe"), "quarantined"),
    "UTF-16": (TEXT.encode("utf-16"), "quarantined"),
    "NUL bytes": (b"\x00" * 100, "quarantined"),
    "deep nesting": (b"[" * 30_000 + b"]" * 30_000, "quarantined"),
    "deep nesting inside": (TEXT.encode().replace(b'"Chipo"', b"[" * 20_000 + b"]" * 20_000), "quarantined"),
    "NaN": (TEXT.encode().replace(b'"10.00"', b"NaN"), "quarantined"),
    "Infinity": (TEXT.encode().replace(b'"10.00"', b"Infinity"), "quarantined"),
    "an endless exponent": (TEXT.encode().replace(b'"10.00"', b"1e9999999999999999999"), "quarantined"),
    "thousands of digits": (TEXT.encode().replace(b'"10.00"', b"9" * 5000), "quarantined"),
    "a key twice": (TEXT.encode().replace(b'"TransAmount"', b'"TransAmount": "9", "TransAmount"'), "quarantined"),
    "1e400": (TEXT.encode().replace(b'"10.00"', b"1e400"), "review"),
    "true as the amount": (PAID | {"TransAmount": True}, "review"),
    "null as the amount": (PAID | {"TransAmount": None}, "review"),
    "no amount": (without(PAID, "TransAmount"), "review"),
    "a negative amount": (PAID | {"TransAmount": "-10"}, "review"),
    "nothing": (PAID | {"TransAmount": "0.00"}, "review"),
    "a third decimal": (PAID | {"TransAmount": "10.001"}, "review"),
    "a comma": (PAID | {"TransAmount": "10,00"}, "review"),
    "a list as the amount": (PAID | {"TransAmount": [10]}, "review"),
    "no receipt": (without(PAID, "TransID"), "review"),
    "an empty receipt": (PAID | {"TransID": ""}, "review"),
    "a NUL in the receipt": (PAID | {"TransID": "RKT\0QD7W6S"}, "review"),
    "half a surrogate in the receipt": (PAID | {"TransID": "RKT\ud800QD7W6S"}, "review"),
    "a receipt without end": (PAID | {"TransID": "R" * 5000}, "review"),
    "a NUL in the reference": (PAID | {"BillRefNumber": "NO\0BODY"}, "unmatched"),
    "half a surrogate in the reference": (PAID | {"BillRefNumber": "NO\udfffBODY"}, "unmatched"),
    "a reference without end": (PAID | {"BillRefNumber": "R" * 20_000}, "unmatched"),
    "a reference of other letters": (PAID | {"BillRefNumber": "قسط ☃ \u202e"}, "unmatched"),
    "an object as the reference": (PAID | {"BillRefNumber": {"a": 1}}, "unmatched"),
    "a NUL in the phone": (PAID | {"MSISDN": "\0" * 50}, "unmatched"),
    "half a surrogate in the phone": (PAID | {"MSISDN": "\ud800"}, "unmatched"),
    "a phone that is an object": (PAID | {"MSISDN": {}}, "unmatched"),
    "a time that is none": (PAID | {"TransTime": "99999999999999"}, "unmatched"),
    "a time of nobody": (PAID | {"TransTime": {"x": []}}, "unmatched"),
    "the smallest amount": (PAID | {"TransAmount": "0.01"}, "unmatched"),
    "a byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "unmatched"),
    "almost too large": (TEXT.encode() + b" " * (64 * 1024 - len(TEXT)), "unmatched"),
}


async def test_odd_confirmations_are_kept_as_they_came_and_answered_with_a_yes(till: Mobile):
    """Each with a receipt of its own, so that none is another's duplicate."""
    sent = {}
    for number, (name, (body, _)) in enumerate(KEPT.items()):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent[name] = raw.replace(b"RKT9QD7W6S", f"RKT{number:07}".encode())
        assert await till.call("confirmation", sent[name]) == (200, OK), name
    rows = await till.rows()
    assert {name: row["disposition"] for name, row in zip(KEPT, rows, strict=True)} == {
        name: disposition for name, (_, disposition) in KEPT.items()
    }
    assert [row["body"] for row in rows] == list(sent.values())
    kind = {"quarantined": "callback_quarantined", "review": "payment_review", "unmatched": "payment_unmatched"}
    assert sorted(await till.shop.alerts()) == sorted(kind[disposition] for _, disposition in KEPT.values())
    await till.shop.check()


async def test_every_odd_body_is_taken_on_every_road(till: Mobile):
    """All in one world: none of them stops the next."""
    odd = [body for body, _ in KEPT.values()]
    odd += [stk("x", 1, None), stk("x\0", True, "\ud800"), stk_failed("x", "\0\ud800" * 100, "\0"), {"Body": None}]
    odd += [
        {"Body": {"stkCallback": {}}},
        {"Result": {}},
        reversal("\0", "\ud800", "-1"),
        {"Result": {"ResultCode": []}},
    ]
    for road in ROADS:
        yes = ACCEPTED if road == "validation" else OK
        for body in odd:
            status, answer = await till.call(road, body)
            assert status == 200, (road, body)
            assert answer == yes or answer["ResultCode"].startswith("C2B000"), (road, body)
    rows = await till.rows()
    assert len(rows) == len(odd) * len(ROADS)
    await till.sweep(later_s=120)
    assert [row["detail"] for row in await till.rows() if row["disposition"] is None] == []


async def test_a_body_beyond_the_limit_is_413_and_not_kept(till: Mobile):
    status, problem = await till.call("confirmation", TEXT.encode() + BIG)
    assert (status, problem["code"]) == (413, "body-too-large")
    assert await till.rows() == []


PACKED = {
    "gzip": (gzip.compress(TEXT.encode()), "gzip", 200, None),
    "deflate": (zlib.compress(TEXT.encode()), "deflate", 200, None),
    "a bomb": (BOMB[: 60 * 1024], "gzip", 413, "body-too-large"),
    "cut off": (gzip.compress(TEXT.encode())[:-4], "gzip", 400, "bad-encoding"),
    "none": (TEXT.encode(), "gzip", 400, "bad-encoding"),
    "something behind": (gzip.compress(TEXT.encode()) * 2, "gzip", 400, "bad-encoding"),
    "another way": (TEXT.encode(), "br", 415, "unsupported-encoding"),
}


@pytest.mark.parametrize(("body", "encoding", "status", "code"), PACKED.values(), ids=PACKED)
async def test_a_packed_body_is_unpacked_up_to_the_limit_or_refused(
    till: Mobile, body: bytes, encoding: str, status: int, code: str | None
):
    answer = await till.call("confirmation", body, headers={"Content-Encoding": encoding})
    assert (answer[0], answer[1].get("code")) == (status, code)
    rows = await till.rows()
    assert [row["body"] for row in rows] == ([TEXT.encode()] if status == 200 else [])


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data", "x", ""]
)
async def test_the_wrong_content_type_is_let_be(till: Mobile, kind: str):
    assert await till.call("confirmation", PAID, headers={"Content-Type": kind}) == (200, OK)
    assert (await till.row())["disposition"] == "unmatched"


async def test_what_a_provider_adds_to_the_address_is_let_be(till: Mobile):
    assert await till.call("confirmation", PAID, params={"a": "1", "b": "2"}) == (200, OK)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"\xff\x00", {"base64": "/wA="}),
        (b'{"a": "\\u0000"}', {"text": '{"a": "\\u0000"}'}),
        (b"a\x00b", {"text": "a\x00b"}),
    ],
    ids=["no text", "an escaped NUL", "a NUL"],
)
async def test_staff_see_the_raw_body_and_dismiss_it_once(
    till: Mobile, api: Any, org: Org, body: bytes, shown: dict[str, str]
):
    await till.call("confirmation", body)
    _, phone = await org.person(Role.ACCOUNTANT)
    call = api.as_(await org.token(phone))
    (listed,) = (await call("GET", "/api/v1/callbacks?toSettle=true&disposition=quarantined")).json["data"]
    whole = (await call("GET", f"/api/v1/callbacks/{listed['id']}")).json
    assert {name: whole.get(name) for name in shown} == shown
    assert (listed["settled"], "text" in listed) == (False, False)
    settle = f"/api/v1/callbacks/{listed['id']}/settle"
    refused = await call("POST", settle, {"reason": "a robot"})
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "receipt")
    answer = await call("POST", settle, {"reason": "a robot", "dismiss": True})
    assert (answer.status, answer.json["settled"]) == (200, True)
    assert (await call("POST", settle, {"reason": "again", "dismiss": True})).json["code"] == "already-settled"
    assert (await call("GET", "/api/v1/callbacks?toSettle=true")).json["data"] == []
    audit = (await api.as_(await org.token())("GET", "/api/v1/audit?action=callback.settled")).json["data"]
    assert [entry["why"] for entry in audit] == ["a robot"]


async def test_what_was_not_understood_can_be_booked_by_hand_once(till: Mobile, api: Any, org: Org):
    layby = await till.shop.layby()
    await till.call("confirmation", b"RKT9QD7W6S 20 shillings")
    call = api.as_(await org.token())
    (listed,) = (await call("GET", "/api/v1/callbacks?toSettle=true")).json["data"]
    said = {"reason": "asked the provider", "laybyId": str(layby.id), "amountMinor": 2000, "receipt": "RKT9QD7W6S"}
    settled = await call("POST", f"/api/v1/callbacks/{listed['id']}/settle", said)
    assert settled.status == 200
    await till.call("confirmation", PAID | {"BillRefNumber": layby.reference, "TransAmount": "20"})
    assert await till.became() == ["quarantined", "duplicate"]
    assert (await till.shop.read(layby.id)).paid_minor == 5000
    await till.shop.check()


@pytest.mark.parametrize("role", [Role.DISPATCHER, Role.VIEWER, Role.DRIVER])
async def test_raw_callbacks_are_for_those_who_look_after_money(till: Mobile, api: Any, org: Org, role: Role):
    _, phone = await org.person(role)
    assert (await api.as_(await org.token(phone))("GET", "/api/v1/callbacks")).status == 403
