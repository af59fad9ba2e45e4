"""Bounces and complaints: messages of mail servers, and the web hooks of mail providers by one table."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from waypost.notifications.providers.mail import genuine, read_call
from waypost.notifications.providers.mail_forms import FORMS
from waypost.notifications.providers.reports import Call, Reading, Report, Road, Said
from waypost.notifications.receipts.doors import house

DELIVERY = UUID("0198c0de-0000-7000-8000-000000000001")
MESSAGE_ID = f"<{DELIVERY}@waypost.example.com>"
NOBODY = house(UUID(int=0))


def read(body: bytes | str | dict[str, Any] | list[Any]) -> Reading:
    if isinstance(body, dict | list):
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    return read_call(Call(Road.BOUNCE, "", {}, {}, raw), NOBODY)


def one(body: bytes | str | dict[str, Any] | list[Any]) -> Report:
    (report,) = read(body).reports
    return report


def dsn(action: str = "failed", status: str = "5.1.1", *, head: str = "", original: str | None = None) -> str:
    """As RFC 3464 has it."""
    original = f"Message-ID: {MESSAGE_ID}\nSubject: Your payment\n" if original is None else original
    return (
        "From: MAILER-DAEMON@mx.example.com\nTo: shop@example.com\nSubject: Undelivered Mail\n" + head +
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nIt could not be delivered.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n"
        f"Final-Recipient: rfc822; chipo@example.com\nAction: {action}\nStatus: {status}\n"
        "Diagnostic-Code: smtp; 550 no such user\n\n"
        f"--b\nContent-Type: message/rfc822\n\n{original}\nHello\n--b--\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("action", "status", "said", "hard"),
    [
        ("failed", "5.1.1", Said.UNDELIVERED, True),
        ("failed", "5.1.10", Said.UNDELIVERED, True),
        ("failed", "5.2.1", Said.UNDELIVERED, True),
        ("Failed", "5.2.2", Said.UNDELIVERED, False),
        ("failed", "5.7.1", Said.UNDELIVERED, False),
        ("failed", "4.4.7", Said.UNDELIVERED, False),
        ("failed", "nonsense", Said.UNDELIVERED, False),
        ("delayed", "4.4.1", Said.NOTHING, None),
        ("relayed", "2.1.9", Said.NOTHING, None),
        ("delivered", "2.0.0", Said.DELIVERED, None),
        ("expanded", "2.0.0", Said.DELIVERED, None),
    ],
)
def test_a_status_notification_says_what_became_of_which_delivery(
    action: str, status: str, said: Said, hard: bool | None
) -> None:
    report = one(dsn(action, status))
    assert (report.said, report.hard) == (said, hard)
    assert (report.delivery_id, report.address) == (DELIVERY, "chipo@example.com")


def test_a_status_notification_may_hold_only_the_head_of_what_came_back() -> None:
    body = dsn().replace("message/rfc822", "text/rfc822-headers")
    assert one(body).delivery_id == DELIVERY


def test_a_status_notification_may_name_it_only_as_what_it_answers() -> None:
    assert one(dsn(head=f"In-Reply-To: {MESSAGE_ID}\n", original="Subject: cut off\n")).delivery_id is None
    body = dsn(head=f"In-Reply-To: {MESSAGE_ID}\n").partition("--b\nContent-Type: message/rfc822")[0] + "--b--\n"
    assert one(body).delivery_id == DELIVERY


def test_each_recipient_of_a_status_notification_has_a_report_of_its_own() -> None:
    more = (
        "\nFinal-Recipient: rfc822; rudo@example.com\nAction: delayed\nStatus: 4.2.1\n\n--b\nContent-Type: message/rfc"
    )
    reports = read(dsn().replace("\n--b\nContent-Type: message/rfc", more, 1)).reports
    assert [(r.address, r.said) for r in reports] == [
        ("chipo@example.com", Said.UNDELIVERED),
        ("rudo@example.com", Said.NOTHING),
    ]


def test_a_complaint_arrived_and_stops_the_address() -> None:
    """RFC 5965, appendix B."""
    body = (
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nThis is an email abuse report.\n"
        "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Some/0.1\nVersion: 1\n"
        "Original-Rcpt-To: <chipo@example.com>\n\n"
        f"--b\nContent-Type: message/rfc822\n\nMessage-ID: {MESSAGE_ID}\n\nHello\n--b--\n"
    )
    report = one(body)
    assert (report.said, report.suppress, report.address) == (Said.DELIVERED, "complaint", "chipo@example.com")
    assert report.delivery_id == DELIVERY


POSTMARK = {
    "RecordType": "Bounce", "Type": "HardBounce", "TypeCode": 1, "MessageID": "00000000-0000-0000-0000-000000000000",
    "Email": "chipo@example.com", "Metadata": {"delivery-id": str(DELIVERY)}, "Something": "new",
}  # fmt: skip
SENDGRID = {
    "email": "chipo@example.com", "event": "bounce", "type": "bounce", "smtp-id": MESSAGE_ID, "status": "5.0.0",
    "sg_message_id": "14c5d75ce93.dfd.64b469", "reason": "500 unknown recipient", "new": {"deep": [1]},
}  # fmt: skip
SES: dict[str, Any] = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent", "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": "chipo@example.com", "status": "5.1.1", "action": "failed"}],
    },
    "mail": {"messageId": "00000137860315fd", "commonHeaders": {"messageId": MESSAGE_ID}},
}  # fmt: skip
MAILGUN: dict[str, Any] = {
    "signature": {"timestamp": "1", "token": "t", "signature": "s"},
    "event-data": {
        "event": "failed", "severity": "permanent", "reason": "bounce", "id": "G9Bn5sl1TC6nu79C8C0bwg",
        "recipient": "chipo@example.com", "message": {"headers": {"message-id": MESSAGE_ID.strip("<>")}},
        "delivery-status": {"code": 550, "message": "No such mailbox"},
    },
}  # fmt: skip
GENERIC = {"type": "hard", "email": "chipo@example.com", "messageId": MESSAGE_ID, "code": "5.1.1"}


def mailgun(**event: str) -> dict[str, Any]:
    return {**MAILGUN, "event-data": {**MAILGUN["event-data"], **event}}


def ses(kind: str, part: dict[str, Any]) -> dict[str, Any]:
    return {"notificationType": kind, kind.lower(): part, "mail": SES["mail"]}


@pytest.mark.parametrize(
    ("hook", "said", "hard", "suppress"),
    [
        pytest.param(POSTMARK, Said.UNDELIVERED, True, None, id="postmark hard"),
        pytest.param({**POSTMARK, "Type": "SoftBounce"}, Said.UNDELIVERED, False, None, id="postmark soft"),
        pytest.param({**POSTMARK, "Type": "Transient"}, Said.NOTHING, None, None, id="postmark transient"),
        pytest.param({**POSTMARK, "Type": "SpamNotification"}, Said.UNDELIVERED, None, None, id="postmark spam"),
        pytest.param({**POSTMARK, "Type": "AKindOfTomorrow"}, Said.UNDELIVERED, False, None, id="postmark unknown"),
        pytest.param(
            {**POSTMARK, "RecordType": "SpamComplaint"}, Said.DELIVERED, None, "complaint", id="postmark abuse"
        ),
        pytest.param(
            {"RecordType": "Delivery", "Recipient": "chipo@example.com", "Metadata": POSTMARK["Metadata"]},
            Said.DELIVERED, None, None, id="postmark delivery",
        ),
        pytest.param(
            {"RecordType": "SubscriptionChange", "Recipient": "chipo@example.com", "SuppressSending": True,
             "SuppressionReason": "ManualSuppression", "Metadata": POSTMARK["Metadata"]},
            Said.NOTHING, None, "unsubscribed", id="postmark unsubscribed",
        ),
        pytest.param([SENDGRID], Said.UNDELIVERED, True, None, id="sendgrid bounce"),
        pytest.param([{**SENDGRID, "type": "blocked"}], Said.UNDELIVERED, False, None, id="sendgrid blocked"),
        pytest.param([{**SENDGRID, "event": "deferred"}], Said.NOTHING, None, None, id="sendgrid deferred"),
        pytest.param([{**SENDGRID, "event": "delivered"}], Said.DELIVERED, None, None, id="sendgrid delivered"),
        pytest.param([{**SENDGRID, "event": "spamreport"}], Said.DELIVERED, None, "complaint", id="sendgrid abuse"),
        pytest.param([{**SENDGRID, "event": "open"}], Said.NOTHING, None, None, id="sendgrid open"),
        pytest.param(SES, Said.UNDELIVERED, True, None, id="ses permanent"),
        pytest.param(
            {**SES, "bounce": {**SES["bounce"], "bounceType": "Transient"}}, Said.UNDELIVERED, False, None,
            id="ses transient",
        ),
        pytest.param(
            ses("Complaint", {"complainedRecipients": [{"emailAddress": "chipo@example.com"}]}), Said.DELIVERED, None,
            "complaint", id="ses complaint",
        ),
        pytest.param(
            ses("Delivery", {"recipients": ["chipo@example.com"]}), Said.DELIVERED, None, None, id="ses delivery"
        ),
        pytest.param(MAILGUN, Said.UNDELIVERED, True, None, id="mailgun permanent"),
        pytest.param(mailgun(reason="generic"), Said.UNDELIVERED, False, None, id="mailgun other"),
        pytest.param(mailgun(severity="temporary"), Said.NOTHING, None, None, id="mailgun temporary"),
        pytest.param(mailgun(event="complained"), Said.DELIVERED, None, "complaint", id="mailgun complaint"),
        pytest.param(GENERIC, Said.UNDELIVERED, True, None, id="generic hard"),
        pytest.param([{**GENERIC, "type": "soft"}], Said.UNDELIVERED, False, None, id="generic soft"),
        pytest.param({**GENERIC, "type": "new word"}, Said.NOTHING, None, None, id="generic unknown"),
    ],
)  # fmt: skip
def test_a_web_hook_of_any_provider_means_the_same(
    hook: Any, said: Said, hard: bool | None, suppress: str | None
) -> None:
    report = one(hook)
    assert (report.said, report.hard, report.suppress) == (said, hard, suppress)
    assert (report.address, report.delivery_id) == ("chipo@example.com", DELIVERY)


def test_a_list_of_events_is_a_report_each() -> None:
    reports = read([SENDGRID, {**SENDGRID, "email": "rudo@example.com", "event": "delivered"}]).reports
    assert [(r.address, r.said) for r in reports] == [
        ("chipo@example.com", Said.UNDELIVERED),
        ("rudo@example.com", Said.DELIVERED),
    ]


def test_amazons_envelope_is_opened_and_its_question_is_for_a_person() -> None:
    envelope = {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(SES)}
    assert one(envelope).hard is True
    link = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=1"
    question = {"Type": "SubscriptionConfirmation", "TopicArn": "arn", "Message": "m", "SubscribeURL": link}
    assert read(question).trouble == f"confirm {link}"


@pytest.mark.parametrize(
    "link", ["https://evil.example.com/", "http://sns.amazonaws.com/", "https://amazonaws.com.evil.example/", ""]
)
def test_nobody_is_asked_to_open_a_link_that_is_not_amazons(link: str) -> None:
    question = {"Type": "SubscriptionConfirmation", "TopicArn": "arn", "Message": "m", "SubscribeURL": link}
    assert read(question).trouble == "not_understood"


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00\xff", b"{", b"[]", b"{}", b"null", b"1", b'"text"', b"[[[]]]", b'{"type": null}', b'{"event": "x"}',
     b"Content-Type: multipart/report; boundary=x\n\n--x\n", b'{"TopicArn": 1, "Message": "{}"}'],
    ids=range(13),
)  # fmt: skip
def test_what_is_not_understood_is_said_to_be_so(body: bytes) -> None:
    assert read(body).trouble == "not_understood"


def test_bounces_come_by_their_own_road_and_its_token_is_what_makes_them_genuine() -> None:
    call = Call(Road.STATUS, "", {}, {}, json.dumps(GENERIC).encode())
    assert read_call(call, NOBODY).trouble == "not_understood"
    assert genuine(call, NOBODY)


def test_the_table_has_each_form_once() -> None:
    assert sorted(form.name for form in FORMS) == ["generic", "mailgun", "postmark", "sendgrid", "ses"]
