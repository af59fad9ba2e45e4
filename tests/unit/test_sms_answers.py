"""What providers of SMS answer, and what it means: each documented code ends in its class."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from waypost.notifications.providers import africastalking, generic_http, twilio, twilio_codes
from waypost.notifications.providers.accounts import AfricasTalkingConfig, HttpConfig, TwilioConfig
from waypost.notifications.providers.exchange import Answer, Sms
from waypost.notifications.states import Outcome, OutcomeKind

ACCEPTED, NOT_SENT, REFUSED, UNKNOWN = OutcomeKind
SMS = Sms("018f0000-0000-7000-8000-000000000001", "+263771234567", "+15005550006", "Hello")
TWILIO = TwilioConfig("AC" + "0" * 32, "token")
TALKING = AfricasTalkingConfig("jacaranda", "key")

# The reference, section 7: code, class, and what else: provider out, another may take it, why the address is bad.
TWILIO_TABLE: list[tuple[int, int, OutcomeKind, bool, bool, str | None]] = [
    (20003, 401, NOT_SENT, True, False, None),
    (20429, 429, NOT_SENT, False, False, None),
    (429, 429, NOT_SENT, False, False, None),
    (30001, 400, NOT_SENT, False, False, None),
    (21211, 400, REFUSED, False, False, "bad_address"),
    (21614, 400, REFUSED, False, False, "bad_address"),
    (21408, 400, REFUSED, False, True, None),
    (21610, 400, REFUSED, False, False, "opted_out"),
    (30003, 400, REFUSED, False, False, None),
    (30004, 400, REFUSED, False, False, None),
    (30005, 400, REFUSED, False, False, None),
    (30006, 400, REFUSED, False, False, None),
    (30007, 400, REFUSED, False, True, None),
    (30008, 400, REFUSED, False, False, None),
]
TALKING_TABLE: list[tuple[int, OutcomeKind, bool, bool, str | None]] = [
    (401, REFUSED, False, True, None),
    (402, NOT_SENT, True, False, None),
    (403, REFUSED, False, False, "bad_address"),
    (404, REFUSED, False, False, "bad_address"),
    (405, NOT_SENT, True, False, None),
    (406, REFUSED, False, False, "opted_out"),
    (407, REFUSED, False, True, None),
    (409, REFUSED, False, False, None),
    (500, UNKNOWN, True, False, None),
    (501, UNKNOWN, True, False, None),
    (502, NOT_SENT, True, False, None),
]
# What any provider's HTTP answer means of which nothing else is known.
HTTP_TABLE: list[tuple[int, OutcomeKind, bool]] = [
    (400, REFUSED, False), (401, NOT_SENT, True), (403, NOT_SENT, True), (404, REFUSED, False),
    (429, NOT_SENT, False), (500, UNKNOWN, True), (502, UNKNOWN, True), (504, UNKNOWN, True), (200, UNKNOWN, False),
    (302, UNKNOWN, False),
]  # fmt: skip


def answer(status: int, body: Any, retry_after_s: float | None = None) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after_s)


def of_talking(*recipients: dict[str, Any], message: str = "Sent to 1/1") -> Outcome:
    body = {"SMSMessageData": {"Message": message, "Recipients": list(recipients)}}
    return africastalking.read(TALKING, SMS, answer(201, body))


@pytest.mark.parametrize("row", TWILIO_TABLE, ids=[str(row[0]) for row in TWILIO_TABLE])
def test_each_code_of_twilio_ends_in_its_class(row: tuple[int, int, OutcomeKind, bool, bool, str | None]):
    code, status, kind, provider_failed, elsewhere, suppress = row
    said = twilio.read(TWILIO, SMS, answer(status, {"code": code, "message": "No", "status": status}, 7.0))
    assert (said.kind, said.provider_failed, said.elsewhere, said.suppress) == (
        kind, provider_failed, elsewhere, suppress,
    )  # fmt: skip
    assert said.reason is not None
    assert said.reason.startswith("twilio_")
    assert said.retry_after_s == 7.0


def test_a_message_that_twilio_fails_as_it_takes_it_ends_in_the_class_of_its_code():
    body = {"sid": "SM1", "status": "failed", "error_code": 21610, "to": SMS.to}
    said = twilio.read(TWILIO, SMS, answer(201, body))
    assert (said.kind, said.suppress, said.sender) == (REFUSED, "opted_out", SMS.sender)


def test_a_code_of_twilio_that_we_do_not_know_is_a_refusal_with_its_number():
    said = twilio.read(TWILIO, SMS, answer(400, {"code": 21999, "message": "No"}))
    assert (said.kind, said.reason) == (REFUSED, "twilio_21999")


def test_twilio_has_taken_what_has_an_id():
    body = {"sid": "SM1", "status": "queued", "num_segments": "2", "price": "-0.0075", "price_unit": "USD", "new": []}
    said = twilio.read(TWILIO, SMS, answer(201, body))
    assert (said.kind, said.reference, said.segments, said.cost, said.cost_currency) == (
        ACCEPTED, "SM1", 2, Decimal("0.0075"), "USD",
    )  # fmt: skip
    with_service = {"sid": "SM2", "status": "accepted", "num_segments": "0", "price": None}
    assert twilio.read(TWILIO, SMS, answer(201, with_service)).segments is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"sid": null}', b'{"sid": ["SM"]}', b"{" * 5000])
def test_what_cannot_be_read_in_a_good_answer_leaves_the_message_in_doubt(body: bytes):
    assert twilio.read(TWILIO, SMS, answer(201, body)).kind is UNKNOWN
    assert africastalking.read(TALKING, SMS, answer(201, body)).kind is UNKNOWN
    assert generic_http.read(HttpConfig("https://e.x", id_path="sid"), SMS, answer(200, body)).kind is UNKNOWN


def test_twilio_says_try_again_later_and_has_not_taken_it():
    said = twilio.read(TWILIO, SMS, answer(503, b"Service Unavailable", 3.0))
    assert (said.kind, said.provider_failed, said.retry_after_s) == (NOT_SENT, True, 3.0)


@pytest.mark.parametrize(("status", "kind", "failed"), HTTP_TABLE, ids=[str(row[0]) for row in HTTP_TABLE])
def test_an_answer_of_which_only_the_status_is_known_ends_in_its_class(status: int, kind: OutcomeKind, failed: bool):
    for said in (
        twilio.read(TWILIO, SMS, answer(status, b"?")),
        africastalking.read(TALKING, SMS, answer(status, b"?")),
    ):
        assert (said.kind, said.provider_failed) == (kind, failed)


@pytest.mark.parametrize("code", sorted(africastalking.GOOD), ids=str)
def test_africas_talking_has_taken_what_it_processed_sent_or_queued(code: int):
    said = of_talking({"statusCode": code, "number": SMS.to, "cost": "KES 0.8000", "messageId": "ATXid_1"})
    assert (said.kind, said.reference, said.cost, said.cost_currency) == (ACCEPTED, "ATXid_1", Decimal("0.8"), "KES")


@pytest.mark.parametrize("row", TALKING_TABLE, ids=[str(row[0]) for row in TALKING_TABLE])
def test_each_code_of_africas_talking_ends_in_its_class_though_the_status_is_201(
    row: tuple[int, OutcomeKind, bool, bool, str | None],
):
    code, kind, provider_failed, elsewhere, suppress = row
    said = of_talking({"statusCode": code, "number": SMS.to, "status": "No", "cost": "0", "messageId": "None"})
    assert (said.kind, said.provider_failed, said.elsewhere, said.suppress) == (
        kind, provider_failed, elsewhere, suppress,
    )  # fmt: skip


def test_the_tables_of_codes_are_tested_whole():
    assert {row[0] for row in TALKING_TABLE} == set(africastalking.CODES)
    assert {row[0] for row in TWILIO_TABLE} <= set(twilio_codes.CODES)


@pytest.mark.parametrize(
    ("text", "kind", "failed"),
    [("InvalidSenderId", NOT_SENT, True), ("InsufficientBalance", NOT_SENT, True), ("Banned", REFUSED, False)],
)
def test_a_text_without_recipients_is_a_refusal(text: str, kind: OutcomeKind, failed: bool):
    said = of_talking(message=text)
    assert (said.kind, said.provider_failed) == (kind, failed)


@pytest.mark.parametrize("number", ["+263770000000", "", None])
def test_a_number_that_is_missing_from_the_answer_is_in_doubt(number: str | None):
    assert of_talking().kind is UNKNOWN
    assert of_talking({"statusCode": 101, "number": number, "messageId": "1"}).kind is UNKNOWN


def test_a_code_that_africas_talking_never_told_us_of_is_in_doubt():
    assert of_talking({"statusCode": 999, "number": SMS.to, "messageId": "1"}).kind is UNKNOWN
    assert of_talking({"statusCode": 101, "number": SMS.to, "messageId": "None"}).kind is UNKNOWN


GATEWAY = HttpConfig(
    url="https://gw.example/send", ok_path="status", ok_values=("OK",), id_path="messages.0.id", body="{}"
)


def test_a_gateway_has_taken_what_its_settings_call_success():
    said = generic_http.read(GATEWAY, SMS, answer(200, {"status": "OK", "messages": [{"id": 77}]}))
    assert (said.kind, said.reference) == (ACCEPTED, "77")
    refused = generic_http.read(GATEWAY, SMS, answer(200, {"status": "ERR", "messages": []}))
    assert (refused.kind, refused.reason) == (REFUSED, "http_refused")
    assert generic_http.read(GATEWAY, SMS, answer(200, {"status": "OK", "messages": []})).kind is UNKNOWN


def test_what_a_gateway_surely_did_not_take_is_a_matter_of_its_settings():
    assert generic_http.read(GATEWAY, SMS, answer(503, b"", 5.0)).kind is NOT_SENT
    strict = HttpConfig(url="https://gw.example/send", not_taken_statuses=())
    assert generic_http.read(strict, SMS, answer(503, b"")).kind is UNKNOWN


def test_a_gateway_that_gives_no_id_is_known_by_ours():
    said = generic_http.read(HttpConfig("https://gw.example/send"), SMS, answer(202, b"queued"))
    assert (said.kind, said.reference) == (ACCEPTED, SMS.id)
