"""What providers of SMS are asked, and what they report: shapes, escapes, signatures."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode
from uuid import UUID

import pytest

from waypost.notifications.addresses import ChannelName
from waypost.notifications.providers import africastalking, generic_http, twilio
from waypost.notifications.providers.accounts import (
    AfricasTalkingConfig,
    Config,
    HttpConfig,
    ProviderAccount,
    TwilioConfig,
    name_of,
)
from waypost.notifications.providers.exchange import Sms
from waypost.notifications.providers.reports import Call, Road, Said

SMS = Sms("018f0000-0000-7000-8000-000000000001", "+263771234567", "JACARANDA", 'Paid "$5" & more\n€ ñ', None)
TWILIO = TwilioConfig("AC" + "0" * 32, "12345")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DELIVERY = UUID(int=7)
# Twilio's own example (the reference, section 7).
VECTOR = {
    "CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309", "To": "+18005551212",
    "Caller": "+14158675309",
}  # fmt: skip
VECTOR_URL, VECTOR_SIGNATURE = "https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def account(config: Config) -> ProviderAccount:
    return ProviderAccount(
        UUID(int=1), UUID(int=2), ChannelName.SMS, name_of(config), "x", config, "", 100, None, None, None, (), NOON, 1
    )


def call(road: Road, fields: dict[str, str] | bytes, url: str = "https://way.example/cb", **more: Any) -> Call:
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    return Call(road, url, more.get("headers", {}), more.get("query", {}), body)


def test_twilio_is_asked_for_one_message_with_where_to_report():
    asked = twilio.ask(TWILIO, replace(SMS, report_url="https://way.example/r", validity_s=5))
    assert asked.url == f"https://api.twilio.com/2010-04-01/Accounts/{TWILIO.account_sid}/Messages.json"
    assert dict(parse_qsl(asked.body.decode())) == {
        "To": SMS.to, "From": SMS.sender, "Body": SMS.text, "StatusCallback": "https://way.example/r",
        "ValidityPeriod": "60",
    }  # fmt: skip
    assert asked.headers["Idempotency-Key"] == SMS.id


def test_an_api_key_signs_in_for_the_account():
    keyed = twilio.ask(replace_config(TWILIO, key_sid="SK1", key_secret="s"), SMS)
    assert keyed.headers["Authorization"] == "Basic U0sxOnM="
    assert "/Accounts/" + TWILIO.account_sid in keyed.url


def replace_config(config: TwilioConfig, **fields: Any) -> TwilioConfig:
    return TwilioConfig(**{name: getattr(config, name) for name in config.__struct_fields__} | fields)


def test_a_messaging_service_chooses_the_sender():
    asked = twilio.ask(replace_config(TWILIO, service_sid="MG1"), replace(SMS, sender=""))
    assert parse_qs(asked.body.decode())["MessagingServiceSid"] == ["MG1"]
    assert "From" not in parse_qs(asked.body.decode())


def test_africas_talking_is_asked_for_one_recipient_with_its_own_key():
    asked = africastalking.ask(AfricasTalkingConfig("jacaranda", "k"), SMS)
    assert asked.url == "https://api.africastalking.com/version1/messaging"
    assert dict(parse_qsl(asked.body.decode())) == {
        "username": "jacaranda", "to": SMS.to, "message": SMS.text, "from": SMS.sender, "bulkSMSMode": "1",
        "enqueue": "1",
    }  # fmt: skip
    assert (asked.headers["apiKey"], asked.headers["Accept"]) == ("k", "application/json")


def test_a_gateways_fields_are_escaped_for_where_they_stand():
    config = HttpConfig(
        url="https://gw.example/{{to_digits}}?t={{ text }}", headers={"X-Ref": "{{ id }}"},
        body='{"to": "{{ to }}", "text": "{{ text }}"}',
    )  # fmt: skip
    asked = generic_http.ask(config, SMS)
    assert json.loads(asked.body) == {"to": SMS.to, "text": SMS.text}
    path, _, query = asked.url.removeprefix("https://gw.example/").partition("?")
    assert (path, parse_qs(query)["t"]) == ("263771234567", [SMS.text])
    assert asked.headers == {"X-Ref": SMS.id, "Content-Type": "application/json", "Idempotency-Key": SMS.id}
    form = generic_http.ask(HttpConfig("https://gw.example", body="m={{ text }}&n={{to}}", body_form="form"), SMS)
    assert parse_qs(form.body.decode()) == {"m": [SMS.text], "n": [SMS.to]}
    got = generic_http.ask(HttpConfig("https://gw.example?m={{ text }}", method="GET"), SMS)
    assert (got.method, got.body) == ("GET", b"")


def test_what_comes_from_a_customer_never_becomes_another_field_of_a_gateway():
    sly = replace(SMS, text='x", "to": "+1900', sender="A\r\nX-Evil: 1")
    body = '{"to": "{{ to }}", "text": "{{ text }}"}'
    asked = generic_http.ask(HttpConfig("https://gw.example", headers={"X-From": "{{ from }}"}, body=body), sly)
    assert json.loads(asked.body) == {"to": SMS.to, "text": sly.text}
    assert asked.headers["X-From"] == "AX-Evil: 1"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (HttpConfig("https://{{ to }}.example"), "url"),
        (HttpConfig("https://gw.example", body='{"to": {{ to }}}'), "body"),
        (HttpConfig("https://gw.example", body="{{ txt }}", body_form="text"), "body"),
        (HttpConfig("https://gw.example", method="GET", body="x"), "body"),
        (HttpConfig("https://gw.example", body="{}", headers={"Host": "x"}), "headers.Host"),
        (HttpConfig("https://gw.example", body="{}", headers={"X": "a\nb"}), "headers.X"),
        (HttpConfig("https://gw.example", body="{}", headers={"X": "{{ text }}"}), "headers.X"),
        (HttpConfig("https://gw.example", body="{}", ok_path="a..b", ok_values=("x",)), "okPath"),
        (HttpConfig("https://gw.example", body="{}", ok_path="a"), "okValues"),
        (HttpConfig("https://gw.example", body="{}", ok_statuses=()), "okStatuses"),
    ],
    ids=["host", "bare", "unknown", "get-body", "host-header", "newline", "text-header", "path", "values", "statuses"],
)
def test_settings_of_a_gateway_that_cannot_work_are_said_with_their_field(config: HttpConfig, field: str):
    wrong = generic_http.complaint(config)
    assert wrong is not None
    assert wrong[0] == field
    assert wrong[1]


def test_twilios_signature_is_the_published_one_with_and_without_the_port():
    headers = {"x-twilio-signature": VECTOR_SIGNATURE}
    assert twilio.signature("12345", VECTOR_URL, list(VECTOR.items())) == VECTOR_SIGNATURE
    with_port = VECTOR_URL.replace(".com/", ".com:443/")
    for url in (VECTOR_URL, with_port):
        assert twilio.genuine(call(Road.STATUS, VECTOR, url, headers=headers), account(TWILIO))
    for url, fields in ((VECTOR_URL + "3", VECTOR), (VECTOR_URL, VECTOR | {"Digits": "1235"})):
        assert not twilio.genuine(call(Road.STATUS, fields, url, headers=headers), account(TWILIO))
    assert not twilio.genuine(call(Road.STATUS, VECTOR, VECTOR_URL), account(TWILIO))
    assert not twilio.genuine(
        call(Road.STATUS, VECTOR, VECTOR_URL, headers={"x-twilio-signature": "é"}), account(TWILIO)
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("accepted", Said.SENT), ("scheduled", Said.SENT), ("queued", Said.SENT), ("sending", Said.SENT),
        ("sent", Said.SENT), ("delivered", Said.DELIVERED), ("read", Said.DELIVERED),
        ("undelivered", Said.UNDELIVERED), ("failed", Said.UNDELIVERED), ("canceled", Said.UNDELIVERED),
        ("partially_delivered", Said.UNDELIVERED), ("receiving", Said.NOTHING), ("received", Said.NOTHING),
        ("from the future", Said.NOTHING),
    ],
)  # fmt: skip
def test_each_status_of_twilio_means_one_thing(status: str, said: Said):
    fields = {"MessageSid": "SM1", "MessageStatus": status, "To": "+263771234567", "New": "x"}
    (report,) = twilio.read_call(call(Road.STATUS, fields, query={"d": str(DELIVERY)}), account(TWILIO)).reports
    assert (report.said, report.reference, report.status, report.delivery_id) == (said, "SM1", status, DELIVERY)


@pytest.mark.parametrize(
    ("code", "reason", "hard", "suppress"),
    [
        ("30003", "twilio_off", None, None),
        ("30004", "twilio_blocked", None, None),
        ("30005", "twilio_unknown_number", False, None),
        ("30006", "twilio_landline", False, None),
        ("30007", "twilio_filtered", None, None),
        ("30008", "twilio_unknown", None, None),
        ("21610", "twilio_opted_out", None, "opted_out"),
        ("39999", "twilio_undelivered", None, None),
    ],
)
def test_each_code_of_an_undelivered_message_ends_in_its_class(
    code: str,
    reason: str,
    hard: bool | None,
    suppress: str | None,
):
    fields = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": code}
    (report,) = twilio.read_call(call(Road.STATUS, fields), account(TWILIO)).reports
    assert (report.reason, report.hard, report.suppress, report.code) == (reason, hard, suppress, code)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"MessageSid=", b"MessageStatus=sent", b"{}", b"a=b&a=c;d"])
def test_a_report_that_cannot_be_read_is_told_as_trouble(body: bytes):
    for module, config in ((twilio, TWILIO), (africastalking, AfricasTalkingConfig("u", "k"))):
        for road in Road:
            reading = module.read_call(call(road, body), account(config))
            assert reading.trouble is not None
            assert (reading.reports, reading.answered, reading.opted_out) == ((), (), ())


def test_somebody_writes_to_a_number_of_ours_at_twilio():
    fields = {"MessageSid": "SM9", "From": "+263771234567", "To": "+15005550006", "Body": "stop", "OptOutType": "STOP"}
    reading = twilio.read_call(call(Road.INBOUND, fields), account(TWILIO))
    (answered,), (opted,) = reading.answered, reading.opted_out
    assert (answered.reference, answered.from_address, answered.to_address, answered.text) == (
        "SM9", "+263771234567", "+15005550006", "stop",
    )  # fmt: skip
    assert (opted.address, opted.wanted, opted.sender) == ("+263771234567", False, "+15005550006")


TALKING = account(AfricasTalkingConfig("jacaranda", "k"))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("Sent", Said.SENT), ("Submitted", Said.SENT), ("Buffered", Said.SENT), ("Success", Said.DELIVERED),
        ("Rejected", Said.UNDELIVERED), ("Failed", Said.UNDELIVERED), ("Unheard", Said.NOTHING),
    ],
)  # fmt: skip
def test_each_status_of_africas_talking_means_one_thing(status: str, said: Said):
    fields = {"id": "ATXid_1", "status": status, "phoneNumber": "+254711000000", "networkCode": "63902"}
    (report,) = africastalking.read_call(call(Road.STATUS, fields), TALKING).reports
    assert (report.said, report.reference, report.address) == (said, "ATXid_1", "+254711000000")


def test_why_africas_talking_could_not_deliver_ends_in_its_class():
    fields = {"id": "1", "status": "Failed", "phoneNumber": "254711000000", "failureReason": "UserInBlackList"}
    (report,) = africastalking.read_call(call(Road.STATUS, fields), TALKING).reports
    assert (report.reason, report.suppress, report.address) == (
        "africastalking_opted_out",
        "opted_out",
        "+254711000000",
    )


def test_an_opt_out_at_africas_talking_names_the_sender():
    fields = {"senderId": "JACARANDA", "phoneNumber": "+254711000000"}
    (opted,) = africastalking.read_call(call(Road.OPT_OUT, fields), TALKING).opted_out
    assert (opted.address, opted.wanted, opted.sender) == ("+254711000000", False, "JACARANDA")


GATEWAY = HttpConfig(
    "https://gw.example", body="{}", receipt_our_id="ref", receipt_their_id="data.id", receipt_status="data.state",
    receipt_delivered=("DELIVRD",), receipt_undelivered=("EXPIRED",), inbound_from="msisdn", inbound_to="code",
    inbound_text="text", inbound_id="uuid",
)  # fmt: skip


@pytest.mark.parametrize(
    ("state", "said"), [("DELIVRD", Said.DELIVERED), ("EXPIRED", Said.UNDELIVERED), ("ENROUTE", Said.NOTHING)]
)
def test_a_gateways_report_is_read_as_its_settings_say(state: str, said: Said):
    body = json.dumps({"ref": str(DELIVERY), "data": {"id": 5, "state": state}}).encode()
    (report,) = generic_http.read_call(call(Road.STATUS, body), account(GATEWAY)).reports
    assert (report.said, report.delivery_id, report.reference) == (said, DELIVERY, "5")


def test_a_gateway_may_report_by_a_form_or_a_query_as_well():
    reading = generic_http.read_call(
        call(Road.STATUS, {"ref": str(DELIVERY), "data.state": "DELIVRD"}), account(GATEWAY)
    )
    assert reading.reports[0].said is Said.DELIVERED
    asked = call(Road.INBOUND, b"", query={"msisdn": "254711000000", "code": "21000", "text": "STOP", "uuid": "1"})
    (answered,) = generic_http.read_call(asked, account(GATEWAY)).answered
    assert (answered.from_address, answered.to_address, answered.text) == ("+254711000000", "21000", "STOP")
