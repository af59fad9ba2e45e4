"""Daraja's shapes: what its callbacks mean, and what we ask of it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from waypost.payments.providers import daraja
from waypost.payments.providers import daraja_requests as requests
from waypost.payments.providers.accounts import DarajaConfig, Initiator, ProviderAccount, ProviderName, ShortcodeKind
from waypost.payments.providers.daraja import Road, reason_of
from waypost.payments.providers.daraja_requests import TokenRefused
from waypost.payments.providers.outcomes import (
    Doubtful,
    Failed,
    Nothing,
    NotReversed,
    NotUnderstood,
    Outcome,
    Paid,
    Reversed,
)
from waypost.payments.providers.prompting import (
    Accepted,
    Busy,
    InDoubt,
    Push,
    Refused,
    Registered,
    StatusFailed,
    StatusPaid,
    StatusUnknown,
    TakeBack,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONFIG = DarajaConfig("key", "secret", "passkey", "174379")
ACCOUNT = ProviderAccount(UUID(int=1), UUID(int=2), ProviderName.DARAJA, "Till", CONFIG, (), None, "KES", NOON, 1)
ITEMS: list[dict[str, Any]] = [
    {"Name": "Amount", "Value": 1.00},
    {"Name": "MpesaReceiptNumber", "Value": "NLJ7RT61SV"},
    {"Name": "Balance"},
    {"Name": "TransactionDate", "Value": 20191219102115},
    {"Name": "PhoneNumber", "Value": 254708374149},
]
C2B = {
    "TransactionType": "Pay Bill", "TransID": "RKT9QD7W6S", "TransTime": "20261122063845", "TransAmount": "10",
    "BusinessShortCode": "174379", "BillRefNumber": "7K3MQ96", "InvoiceNumber": "", "OrgAccountBalance": "",
    "ThirdPartyTransID": "", "MSISDN": "25470****149", "FirstName": "Chipo", "MiddleName": "", "LastName": "",
}  # fmt: skip


def stk(items: object = ITEMS, **fields: object) -> dict[str, Any]:
    metadata = {} if items is None else {"CallbackMetadata": {"Item": items}}
    callback = {"MerchantRequestID": "29115-34620561-1", "CheckoutRequestID": "ws_CO_1", "ResultCode": 0}
    return {"Body": {"stkCallback": callback | {"ResultDesc": "done"} | metadata | fields}}


def read(road: Road, body: object) -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return daraja.read(road, raw, ACCOUNT, NOON).outcome


def with_item(name: str, value: object) -> list[dict[str, Any]]:
    return [item for item in ITEMS if item["Name"] != name] + [{"Name": name, "Value": value}]


PAID = Paid(
    "NLJ7RT61SV", 100, datetime(2019, 12, 19, 7, 21, 15, tzinfo=UTC), request_id="ws_CO_1", payer="254708374149"
)
SAME = {
    "as it is": stk(),
    "amount 1": stk(with_item("Amount", 1)),
    "amount as text": stk(with_item("Amount", "1.00")),
    "balance as text": stk(with_item("Balance", "{Amount={CurrencyCode=KES, MinimumAmount=1}}")),
    "another order": stk(ITEMS[::-1]),
    "more items": stk([*ITEMS, {"Name": "New", "Value": [1]}]),
    "numbers as text": stk([{**item, "Value": str(item.get("Value", ""))} for item in ITEMS]),
    "code as text": stk(ResultCode="0"),
    "code as a decimal": stk(ResultCode=0.0),
    "more fields": stk(Extra={"a": 1}),
    "no description": stk(ResultDesc=None),
}


@pytest.mark.parametrize("body", SAME.values(), ids=SAME)
def test_a_payment_is_the_same_in_whatever_dress(body: object):
    assert read(Road.STK, body) == PAID


def test_a_payment_without_a_time_or_a_phone_is_one_that_came_when_it_was_told():
    assert read(Road.STK, stk(ITEMS[:2])) == replace(PAID, paid_at=NOON, payer=None)
    assert read(Road.STK, stk(with_item("TransactionDate", "soon"))) == replace(PAID, paid_at=NOON)


DOUBTFUL = {
    "no metadata": (stk(None), Doubtful("paid, but without its details", request_id="ws_CO_1")),
    "odd metadata": (stk("text"), Doubtful("paid, but without its details", request_id="ws_CO_1")),
    "no receipt": (stk(ITEMS[:1]), Doubtful("no receipt", amount_minor=100, request_id="ws_CO_1")),
    "a true amount": (
        stk(with_item("Amount", True)),
        Doubtful("amount: not a number", "NLJ7RT61SV", request_id="ws_CO_1"),
    ),
    "no amount": (stk(ITEMS[1:]), Doubtful("amount: not there", "NLJ7RT61SV", request_id="ws_CO_1")),
    "a negative one": (
        stk(with_item("Amount", -1)),
        Doubtful("amount: not positive", "NLJ7RT61SV", request_id="ws_CO_1"),
    ),
    "two amounts": (
        stk([*ITEMS, {"Name": "Amount", "Value": 2}]),
        Doubtful("paid, but without its details", request_id="ws_CO_1"),
    ),
    "no code": (stk(ResultCode=None), Doubtful("no ResultCode", request_id="ws_CO_1")),
    "a true code": (stk(ResultCode=True), Doubtful("no ResultCode", request_id="ws_CO_1")),
    "a failure with a receipt": (
        stk(ResultCode=1032),
        Doubtful("ResultCode 1032 with a receipt", "NLJ7RT61SV", request_id="ws_CO_1"),
    ),
}


@pytest.mark.parametrize(("body", "outcome"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_report_that_is_incomplete_or_contradicts_itself_is_doubtful(body: object, outcome: Outcome):
    said = read(Road.STK, body)
    assert isinstance(said, Doubtful)
    assert (said.receipt, said.amount_minor, said.request_id) == (
        getattr(outcome, "receipt", None), getattr(outcome, "amount_minor", None), "ws_CO_1",
    )  # fmt: skip


def test_1e400_as_an_amount_is_doubtful():
    body = json.dumps(stk(with_item("Amount", 12345))).replace("12345", "1e400").encode()
    assert read(Road.STK, body) == Doubtful("amount: too large", "NLJ7RT61SV", request_id="ws_CO_1")


@pytest.mark.parametrize(
    ("code", "ask"),
    [(1, False), (17, False), (26, False), (1001, False), (1019, True), (1025, False), (1031, False), (1032, False),
     (1037, True), (2001, False), (9999, False), ("SFC_IC0003", False), ("1037", True), (424242, False)],
    ids=str,
)  # fmt: skip
def test_a_failure_is_told_by_its_code_and_some_are_not_believed_yet(code: object, ask: bool):
    said = read(Road.STK, stk(None, ResultCode=code, ResultDesc="Request cancelled"))
    assert said == Failed("ws_CO_1", str(code), "Request cancelled", ask=ask)


@pytest.mark.parametrize(
    ("code", "reason"),
    [("1", "no_funds"), ("1032", "cancelled"), ("1037", "no_answer"), ("2001", "wrong_pin"), ("1019", "expired"),
     ("17", "limit"), ("1001", "busy"), ("SFC_IC0003", "other")],
)  # fmt: skip
def test_the_customer_hears_a_plain_reason(code: str, reason: str):
    assert reason_of(code) == reason


@pytest.mark.parametrize("road", Road)
@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b"[]", b'{"Body": 1}', b'{"Body": {"stkCallback": []}, "Result": 7}', b"\xff\x00"],
    ids=repr,
)
def test_what_is_no_report_is_not_understood(road: Road, body: bytes):
    assert isinstance(read(road, body), NotUnderstood)


C2B_PAID = Paid(
    "RKT9QD7W6S", 1000, datetime(2026, 11, 22, 3, 38, 45, tzinfo=UTC), account_ref="7K3MQ96", payer="25470****149"
)
HASHED = "5b1d3b2e" * 8


@pytest.mark.parametrize("road", [Road.CONFIRMATION, Road.VALIDATION])
@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, C2B_PAID),
        ({"TransAmount": "10.00"}, C2B_PAID),
        ({"TransAmount": 10}, C2B_PAID),
        ({"TransTime": 20261122063845, "BusinessShortCode": 174379}, C2B_PAID),
        ({"OrgAccountBalance": "49197.00"}, C2B_PAID),
        ({"MSISDN": HASHED}, replace(C2B_PAID, payer=HASHED)),
        ({"MSISDN": 254708374149}, replace(C2B_PAID, payer="254708374149")),
        ({"MSISDN": ""}, replace(C2B_PAID, payer=None)),
        ({"BillRefNumber": ""}, replace(C2B_PAID, account_ref=None)),
        ({"BillRefNumber": "7k3\0mq\ud8009"}, replace(C2B_PAID, account_ref="7k3\ufffdmq?9")),
        ({"BillRefNumber": 12345}, replace(C2B_PAID, account_ref="12345")),
        ({"TransAmount": "0"}, Doubtful("amount: not positive", "RKT9QD7W6S", account_ref="7K3MQ96")),
        ({"TransAmount": "1,000"}, Doubtful("amount: not plain decimal digits", "RKT9QD7W6S", account_ref="7K3MQ96")),
        ({"TransID": ""}, Doubtful("no TransID", None, 1000, account_ref="7K3MQ96")),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_paybill_payment_is_read_with_its_reference(road: Road, fields: dict[str, Any], outcome: Outcome):
    assert read(road, C2B | fields) == outcome


def reversal(**fields: object) -> dict[str, Any]:
    parameters = [{"Key": "OriginalTransactionID", "Value": "RKT9QD7W6S"}, {"Key": "Amount", "Value": "190.00"}]
    result = {
        "ResultType": 0, "ResultCode": 0, "ResultDesc": "The service request is processed successfully.",
        "TransactionID": "RKV1XY2Z3A", "ResultParameters": {"ResultParameter": parameters}, "ReferenceData": {},
    }  # fmt: skip
    return {"Result": result | fields}


REVERSALS = {
    "as it is": (reversal(), Reversed("RKV1XY2Z3A", "RKT9QD7W6S", 19000, NOON)),
    "code as text": (reversal(ResultCode="0"), Reversed("RKV1XY2Z3A", "RKT9QD7W6S", 19000, NOON)),
    "no text": (reversal(ResultDesc=""), Reversed("RKV1XY2Z3A", "RKT9QD7W6S", 19000, NOON)),
    "no amount": (
        reversal(ResultParameters={"ResultParameter": {"Key": "OriginalTransactionID", "Value": "RKT9QD7W6S"}}),
        Reversed("RKV1XY2Z3A", "RKT9QD7W6S", None, NOON),
    ),
    "refused": (
        reversal(ResultCode=11, ResultDesc="The DebitParty is in an invalid state."),
        NotReversed("11", "The DebitParty is in an invalid state."),
    ),
    "a code of failure and a text of success": (
        reversal(ResultCode="21"),
        Doubtful("ResultCode 21 and its text disagree", "RKV1XY2Z3A", 19000, account_ref="RKT9QD7W6S"),
    ),
    "a code of success and a text of failure": (
        reversal(ResultDesc="Insufficient balance"),
        Doubtful("ResultCode 0 and its text disagree", "RKV1XY2Z3A", 19000, account_ref="RKT9QD7W6S"),
    ),
    "no original": (
        reversal(ResultParameters=None),
        Doubtful("what was reversed is not said", "RKV1XY2Z3A", None),
    ),
}


@pytest.mark.parametrize(("body", "outcome"), REVERSALS.values(), ids=REVERSALS)
def test_a_reversal_is_believed_where_its_code_and_its_text_agree(body: object, outcome: Outcome):
    assert read(Road.REVERSAL, body) == outcome


PUSH = Push("+254708374149", 25_000, "KES", "7K3MQ96", "https://shop.example/api/v1/callbacks/daraja/ab/stk")


def test_a_push_is_what_daraja_documents():
    at = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)
    assert requests.push_body(CONFIG, PUSH, at) == {
        "BusinessShortCode": 174379,
        "Password": base64.b64encode(b"174379passkey20261122091500").decode(),
        "Timestamp": "20261122091500",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 250,
        "PartyA": 254708374149,
        "PartyB": 174379,
        "PhoneNumber": 254708374149,
        "CallBackURL": "https://shop.example/api/v1/callbacks/daraja/ab/stk",
        "AccountReference": "7K3MQ96",
        "TransactionDesc": "Layby",
    }


def test_buy_goods_pays_to_the_till_and_a_reference_is_never_too_long():
    import msgspec

    config = msgspec.structs.replace(CONFIG, kind=ShortcodeKind.BUYGOODS, till="5550001")
    body = requests.push_body(config, replace(PUSH, reference="ABCDEFGHIJKLMNOP"), NOON)
    assert (body["TransactionType"], body["PartyB"]) == ("CustomerBuyGoodsOnline", 5550001)
    assert body["AccountReference"] == "ABCDEFGHIJKL"
    assert len(str(body["TransactionDesc"])) <= 13


@pytest.mark.parametrize(
    ("minor", "currency", "whole"), [(25_000, "KES", 25_000), (25_001, "KES", 25_100), (1, "KES", 100), (7, "UGX", 7)]
)
def test_whole_units_are_rounded_up(minor: int, currency: str, whole: int):
    assert requests.whole_units(minor, currency) == whole


def test_a_question_names_the_prompt():
    body = requests.query_body(CONFIG, "ws_CO_1", NOON)
    assert body["CheckoutRequestID"] == "ws_CO_1"
    assert body["Timestamp"] == "20261122150000"


def test_no_secret_is_in_a_repr():
    token = requests.read_token(200, b'{"access_token": "abc", "expires_in": "3599"}')
    assert token is not None
    assert (token.value, token.lifetime_s) == ("abc", 3599.0)
    assert "abc" not in repr(token)
    assert "passkey" not in repr(CONFIG)


@pytest.mark.parametrize(
    ("status", "body"), [(400, b'{"access_token": "abc"}'), (200, b"{}"), (200, b"<html>")], ids=str
)
def test_what_holds_no_token_is_none(status: int, body: bytes):
    assert requests.read_token(status, body) is None


def error(code: str, text: str = "") -> bytes:
    return json.dumps({"requestId": "1", "errorCode": code, "errorMessage": text}).encode()


TAKEN = {"MerchantRequestID": "m", "CheckoutRequestID": "ws_CO_1", "ResponseCode": "0", "ResponseDescription": "ok"}
PUSHES = {
    "taken": (200, json.dumps(TAKEN).encode(), Accepted("ws_CO_1", "m")),
    "taken, code a number": (200, json.dumps(TAKEN | {"ResponseCode": 0}).encode(), Accepted("ws_CO_1", "m")),
    "refused politely": (200, json.dumps(TAKEN | {"ResponseCode": "1"}).encode(), Refused("1", "ok")),
    "an answer that is none": (200, b"{}", InDoubt("an answer that is none")),
    "a page": (200, b"<html>", InDoubt("an answer that is none")),
    "bad amount": (400, error("400.002.02", "Invalid Amount"), Refused("400.002.02", "Invalid Amount")),
    "busy": (500, error("500.003.02"), Busy("500.003.02")),
    "spike arrest": (500, error("500.003.03"), Busy("500.003.03")),
    "open already": (500, error("500.001.1001", "a prompt is open"), Refused("500.001.1001", "a prompt is open")),
    "an error of theirs": (500, error("500.002.1001"), InDoubt("500.002.1001")),
    "a gateway's page": (502, b"<html>", InDoubt("http-502")),
    "a gateway that is full": (429, b"", Busy("http-429")),
    "a wall": (403, b"<html>", Refused("http-403", "")),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body", "answer"), PUSHES.values(), ids=PUSHES)
def test_the_answer_to_a_push_says_whether_it_may_be_repeated(status: int, body: bytes, answer: object):
    assert requests.read_push(status, body) == answer


STATUSES = {
    "paid": (200, {"ResponseCode": "0", "ResultCode": "0", "ResultDesc": "ok"}, StatusPaid()),
    "paid, a number": (200, {"ResponseCode": "0", "ResultCode": 0}, StatusPaid()),
    "cancelled": (200, {"ResultCode": "1032", "ResultDesc": "cancelled"}, StatusFailed("1032", "cancelled")),
}


@pytest.mark.parametrize(("status", "body", "answer"), STATUSES.values(), ids=STATUSES)
def test_a_status_is_what_its_result_code_says(status: int, body: object, answer: object):
    assert requests.read_query(status, json.dumps(body).encode()) == answer


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, error("500.001.1001", "The transaction is being processed")),
        (200, b'{"ResponseCode": "0"}'),
        (200, b'{"ResultCode": "4999", "ResultDesc": "The transaction is still under processing"}'),
        (503, b"<html>"),
    ],
    ids=["being processed", "no code", "still under processing", "a page"],
)
def test_a_status_that_decides_nothing_is_asked_again(status: int, body: bytes):
    said = requests.read_query(status, body)
    assert isinstance(said, StatusUnknown)
    assert said.body == body


@pytest.mark.parametrize("code", ["401.003.01", "404.001.03"])
@pytest.mark.parametrize("read_answer", [requests.read_push, requests.read_query])
def test_a_token_that_ran_out_is_no_answer(code: str, read_answer: Any):
    with pytest.raises(TokenRefused):
        read_answer(404, error(code))


BACK = "https://shop.example/api/v1/callbacks/daraja/ab/"
TAKE_BACK = TakeBack("RKT9QD7W6S", 19_000, "KES", "paid twice" * 20, BACK + "reversal", BACK + "timeout")


def test_a_request_for_a_reversal_is_what_daraja_documents():
    assert requests.reverse_body(CONFIG, Initiator("shop-api", "c2VhbGVk"), TAKE_BACK) == {
        "Initiator": "shop-api",
        "SecurityCredential": "c2VhbGVk",
        "CommandID": "TransactionReversal",
        "TransactionID": "RKT9QD7W6S",
        "Amount": 190,
        "ReceiverParty": 174379,
        "RecieverIdentifierType": "11",
        "ResultURL": BACK + "reversal",
        "QueueTimeOutURL": BACK + "timeout",
        "Remarks": "paid twice" * 10,
        "Occasion": "RKT9QD7W6S",
    }


REVERSE_ANSWERS = {
    "taken": (200, {"ConversationID": "AG_1", "OriginatorConversationID": "7-1", "ResponseCode": "0"},
              Accepted("AG_1", "7-1")),
    "refused": (400, {"errorCode": "400.002.02", "errorMessage": "Invalid TransactionID"},
                Refused("400.002.02", "Invalid TransactionID")),
    "busy": (500, {"errorCode": "500.003.02", "errorMessage": "busy"}, Busy("500.003.02")),
    "without a name": (200, {"ResponseCode": "0"}, InDoubt("an answer that is none")),
    "a gateway's trouble": (504, {}, InDoubt("http-504")),
}  # fmt: skip


@pytest.mark.parametrize(("status", "answer", "became"), REVERSE_ANSWERS.values(), ids=REVERSE_ANSWERS)
def test_the_answer_to_a_request_for_a_reversal_is_read(status: int, answer: dict[str, str], became: object):
    assert requests.read_reverse(status, json.dumps(answer).encode()) == became


def test_the_queues_time_out_says_nothing_of_money():
    assert isinstance(read(Road.TIMEOUT, {"Result": {"ResultCode": 0}}), Nothing)


REGISTER_ANSWERS = {
    "taken": (200, {"OriginatorCoversationID": "1", "ResponseCode": "0", "ResponseDescription": "Success"},
              Registered()),
    "known already": (500, {"errorCode": "500.003.1001", "errorMessage": "Urls are already registered"},
                      Registered(already=True)),
    "refused": (400, {"errorCode": "400.003.02", "errorMessage": "Invalid ValidationURL"},
                Refused("400.003.02", "Invalid ValidationURL")),
    "busy": (500, {"errorCode": "500.003.03", "errorMessage": "Spike arrest"}, Busy("500.003.03")),
    "a gateway's trouble": (502, {}, InDoubt("http-502")),
}  # fmt: skip


@pytest.mark.parametrize(("status", "answer", "became"), REGISTER_ANSWERS.values(), ids=REGISTER_ANSWERS)
def test_the_answer_to_a_registration_is_read(status: int, answer: dict[str, str], became: object):
    assert requests.read_register(status, json.dumps(answer).encode()) == became
