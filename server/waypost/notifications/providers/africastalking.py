"""Africa's Talking's bulk messages: what is asked, what is answered, what is reported. Pure.

HTTP 201 says nothing of the recipient: each has a code of its own. Source: the reference (notifications, section 7);
https://developers.africastalking.com/docs/sms/sending/bulk and …/sms/notifications.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from waypost.notifications.providers.accounts import AfricasTalkingConfig, ProviderAccount
from waypost.notifications.providers.exchange import FORM, Answer, Ask, Sms, cost, form, number, object_of, unread, word
from waypost.notifications.providers.reports import Answered, Call, OptedOut, Reading, Report, Road, Said
from waypost.notifications.states import Outcome, OutcomeKind

PATH: Final = "/version1/messaging"
GOOD: Final = frozenset({100, 101, 102})  # processed, sent, queued
LONGEST_TEXT: Final = 2000

# What a recipient's code means otherwise. 500 and 501 are a gateway's trouble after they had taken it: nobody knows.
CODES: Final[Mapping[int, Outcome]] = MappingProxyType({
    401: Outcome(OutcomeKind.REFUSED, "africastalking_risk_hold", elsewhere=True),
    402: Outcome(OutcomeKind.NOT_SENT, "africastalking_sender", provider_failed=True),
    403: Outcome(OutcomeKind.REFUSED, "africastalking_bad_number", suppress="bad_address"),
    404: Outcome(OutcomeKind.REFUSED, "africastalking_number_type", suppress="bad_address"),
    405: Outcome(OutcomeKind.NOT_SENT, "africastalking_balance", provider_failed=True),
    406: Outcome(OutcomeKind.REFUSED, "africastalking_opted_out", suppress="opted_out"),
    407: Outcome(OutcomeKind.REFUSED, "africastalking_no_route", elsewhere=True),
    409: Outcome(OutcomeKind.REFUSED, "africastalking_do_not_disturb"),
    500: Outcome(OutcomeKind.UNKNOWN, "africastalking_gateway", provider_failed=True),
    501: Outcome(OutcomeKind.UNKNOWN, "africastalking_gateway", provider_failed=True),
    502: Outcome(OutcomeKind.NOT_SENT, "africastalking_gateway_refused", provider_failed=True),
})  # fmt: skip
# Said in place of recipients. Any other text without recipients is a refusal too.
TEXTS: Final[Mapping[str, Outcome]] = MappingProxyType({
    "InvalidSenderId": CODES[402],
    "InsufficientBalance": CODES[405],
    "InvalidUsername": Outcome(OutcomeKind.NOT_SENT, "africastalking_credentials", provider_failed=True),
    "InvalidApiKey": Outcome(OutcomeKind.NOT_SENT, "africastalking_credentials", provider_failed=True),
})  # fmt: skip

_SAID: Final[Mapping[str, Said]] = {
    **dict.fromkeys(("sent", "submitted", "buffered"), Said.SENT),
    "success": Said.DELIVERED,
    **dict.fromkeys(("rejected", "failed", "absentsubscriber", "expired"), Said.UNDELIVERED),
}
# Why it was not delivered: our word, does it count against the address (hard), must it not be written to any more.
_FAILURES: Final[Mapping[str, tuple[str, bool | None, str | None]]] = {
    "userinblacklist": ("africastalking_opted_out", None, "opted_out"),
    "userisinactive": ("africastalking_off", None, None),
    "userdoesnotexist": ("africastalking_unknown_number", False, None),
    "usernotexist": ("africastalking_unknown_number", False, None),
    "useraccountsuspended": ("africastalking_suspended", None, None),
    "notnetworksubscriber": ("africastalking_network", None, None),
    "notnetworksubcriber": ("africastalking_network", None, None),  # as they write it
    "insufficientcredit": ("africastalking_credit", None, None),
    "donotdisturbrejection": ("africastalking_do_not_disturb", None, None),
    "deliveryfailure": ("africastalking_undelivered", None, None),
}


def ask(config: AfricasTalkingConfig, sms: Sms) -> Ask:
    """One recipient a call. They know no idempotency key: the header is for our own eyes."""
    fields = {"username": config.username, "to": sms.to, "message": sms.text, "bulkSMSMode": "1", "enqueue": "1"}
    if sms.sender:
        fields["from"] = sms.sender
    headers = {"apiKey": config.api_key, "Accept": "application/json", "Content-Type": FORM, "Idempotency-Key": sms.id}
    return Ask("POST", config.base_url.rstrip("/") + PATH, headers, form(fields))


def read(_config: AfricasTalkingConfig, sms: Sms, answer: Answer) -> Outcome:
    """How a try ended, by the recipient's own code."""
    body = object_of(answer.body)
    data = body.get("SMSMessageData") if body is not None else None
    rows = data.get("Recipients") if isinstance(data, dict) else None
    if not 200 <= answer.status < 300 or not isinstance(data, dict) or not isinstance(rows, list):  # noqa: PLR2004
        return unread("africastalking", answer)
    if not rows:
        return _without_recipients(word(data.get("Message")), answer)
    mine = [row for row in rows if isinstance(row, dict) and _same(word(row.get("number")), sms.to)]
    if len(mine) != 1:
        return Outcome(OutcomeKind.UNKNOWN, "africastalking_missing", status=answer.status)
    return _of_recipient(mine[0], sms, answer)


def _without_recipients(text: str, answer: Answer) -> Outcome:
    """A text alone is a refusal; but "Sent to 1/1" is none."""
    if not text or text.startswith("Sent to"):
        return Outcome(OutcomeKind.UNKNOWN, "africastalking_missing", status=answer.status)
    known = TEXTS.get(text)
    if known is None:
        return Outcome(OutcomeKind.REFUSED, "africastalking_refused", status=answer.status)
    return Outcome(known.kind, known.reason, status=answer.status, provider_failed=known.provider_failed)


def _of_recipient(row: Mapping[str, Any], sms: Sms, answer: Answer) -> Outcome:
    code, message_id = number(row.get("statusCode")), word(row.get("messageId"))
    if code in GOOD:
        if message_id in {"", "None"}:
            return Outcome(OutcomeKind.UNKNOWN, "africastalking_no_id", status=code)
        amount, currency = cost(row.get("cost"))
        return Outcome(
            OutcomeKind.ACCEPTED, reference=message_id, status=answer.status, sender=sms.sender or None, cost=amount,
            cost_currency=currency,
        )  # fmt: skip
    known = CODES.get(code or 0)
    if known is None:
        return Outcome(OutcomeKind.UNKNOWN, "africastalking_unreadable", status=code)
    return Outcome(
        known.kind, known.reason, status=code, provider_failed=known.provider_failed, suppress=known.suppress,
        sender=sms.sender or None, elsewhere=known.elsewhere,
    )  # fmt: skip


def _same(one: str, other: str) -> bool:
    return one.lstrip("+") == other.lstrip("+") != ""


def genuine(_call: Call, _account: ProviderAccount) -> bool:
    """They sign nothing: the address's token must do, and the networks that the account names."""
    return True


def read_call(call: Call, _account: ProviderAccount) -> Reading:
    """A delivery report, a message that somebody wrote, or an opt-out."""
    fields = dict(parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True))
    match call.road:
        case Road.STATUS:
            return _status(fields)
        case Road.INBOUND:
            return _inbound(fields)
        case Road.OPT_OUT:
            return _opt_out(fields)
        case _:
            return Reading(trouble="wrong_road")


def _status(fields: Mapping[str, str]) -> Reading:
    message_id, status = word(fields.get("id")), word(fields.get("status"))
    if not message_id or not status:
        return Reading(trouble="no_id" if not message_id else "no_status")
    said = _SAID.get(status.lower(), Said.NOTHING)
    address = _number(fields.get("phoneNumber"))
    if said is not Said.UNDELIVERED:
        return Reading(reports=(Report(said, message_id, status, address=address),))
    why = word(fields.get("failureReason"))
    reason, hard, suppress = _FAILURES.get(why.lower(), ("africastalking_undelivered", None, None))
    report = Report(
        said, message_id, status, reason=reason, code=why or None, address=address, hard=hard, suppress=suppress
    )
    return Reading(reports=(report,))


def _inbound(fields: Mapping[str, str]) -> Reading:
    sender, to = _number(fields.get("from")), word(fields.get("to"))
    if sender is None or not to:
        return Reading(trouble="no_sender")
    return Reading(answered=(Answered(word(fields.get("id")), sender, to, fields.get("text", "")[:LONGEST_TEXT]),))


def _opt_out(fields: Mapping[str, str]) -> Reading:
    address = _number(fields.get("phoneNumber"))
    if address is None:
        return Reading(trouble="no_sender")
    opted: Sequence[OptedOut] = (OptedOut(address, sender=word(fields.get("senderId")) or None),)
    return Reading(opted_out=opted)


def _number(text: object) -> str | None:
    """Theirs come with or without the plus; in a form it may have become a space."""
    digits = word(text).lstrip("+")
    return f"+{digits}" if digits.isascii() and digits.isdigit() else None
