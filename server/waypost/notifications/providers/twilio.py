"""Twilio's messages: what is asked, what is answered, what is reported. Pure.

Source: the reference (notifications, section 7); https://www.twilio.com/docs/messaging/api/message-resource and
https://www.twilio.com/docs/usage/security.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from uuid import UUID

from waypost.notifications.providers.accounts import ProviderAccount, TwilioConfig
from waypost.notifications.providers.exchange import (
    FORM,
    Answer,
    Ask,
    Sms,
    decimal,
    form,
    number,
    object_of,
    unread,
    word,
)
from waypost.notifications.providers.reports import Answered, Call, OptedOut, Reading, Report, Road, Said
from waypost.notifications.providers.twilio_codes import CODES, Meaning
from waypost.notifications.states import Outcome, OutcomeKind

LEAST_VALIDITY_S, MOST_VALIDITY_S = 60, 36_000  # theirs: from 1 s, but what is below a minute they advise against
FAILED: Final = frozenset({"failed", "undelivered", "canceled"})
TAKEN: Final = frozenset({"accepted", "scheduled", "queued", "sending", "sent", "delivered", "read"})
SIGNATURE: Final = "x-twilio-signature"
_SAID: Final[Mapping[str, Said]] = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent"), Said.SENT),
    **dict.fromkeys(("delivered", "read"), Said.DELIVERED),
    **dict.fromkeys(("undelivered", "failed", "canceled", "partially_delivered"), Said.UNDELIVERED),
}
_OTHERWISE: Final = Meaning("twilio_undelivered", OutcomeKind.REFUSED)


def ask(config: TwilioConfig, sms: Sms) -> Ask:
    """Create a message. Twilio has no idempotency key: the header is for our own eyes."""
    fields = {"To": sms.to, "Body": sms.text}
    if config.service_sid is not None:
        fields["MessagingServiceSid"] = config.service_sid
    if sms.sender:
        fields["From"] = sms.sender
    if sms.report_url is not None:
        fields["StatusCallback"] = sms.report_url
    if sms.validity_s is not None:
        fields["ValidityPeriod"] = str(min(max(sms.validity_s, LEAST_VALIDITY_S), MOST_VALIDITY_S))
    headers = {**credentials(config), "Content-Type": FORM, "Idempotency-Key": sms.id}
    return Ask("POST", root(config) + ".json", headers, form(fields))


def read(_config: TwilioConfig, sms: Sms, answer: Answer) -> Outcome:
    """How a try ended."""
    body = object_of(answer.body)
    if 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110, 15.3
        return _taken(sms, answer, body or {})
    code = number(body.get("code")) if body is not None else None
    if code is not None and (answer.status < 500 or code in CODES):  # noqa: PLR2004
        return _refusal(sms, answer, code)
    if answer.status == 503:  # noqa: PLR2004 - theirs says: not now, wait and try again
        return Outcome(
            OutcomeKind.NOT_SENT, "twilio_unavailable", status=503, retry_after_s=answer.retry_after_s,
            provider_failed=True,
        )  # fmt: skip
    return unread("twilio", answer)


def _taken(sms: Sms, answer: Answer, body: Mapping[str, Any]) -> Outcome:
    """Taken is what has an id; but some messages fail as they are taken."""
    sid, status = word(body.get("sid")), word(body.get("status"))
    if not sid:
        return Outcome(OutcomeKind.UNKNOWN, "twilio_unreadable", status=answer.status)
    if status in FAILED:
        return _refusal(sms, answer, number(body.get("error_code")) or 0)
    segments = number(body.get("num_segments"))
    amount, currency = _price(body)
    return Outcome(
        OutcomeKind.ACCEPTED, reference=sid, status=answer.status, sender=word(body.get("from")) or sms.sender or None,
        segments=segments or None, cost=amount, cost_currency=currency,
    )  # fmt: skip


def _refusal(sms: Sms, answer: Answer, code: int) -> Outcome:
    meaning = CODES.get(code)
    if meaning is None:
        return Outcome(OutcomeKind.REFUSED, f"twilio_{code}", status=answer.status)
    return Outcome(
        meaning.kind, meaning.reason, status=answer.status, retry_after_s=answer.retry_after_s,
        provider_failed=meaning.provider_failed, suppress=meaning.suppress, sender=sms.sender or None,
        elsewhere=meaning.elsewhere,
    )  # fmt: skip


def _price(body: Mapping[str, Any]) -> tuple[Decimal | None, str | None]:
    """Theirs is negative: what it takes from the account."""
    amount, unit = decimal(word(body.get("price")).removeprefix("-")), word(body.get("price_unit")).upper()
    known = amount is not None and len(unit) == 3  # noqa: PLR2004 - ISO 4217
    return (amount, unit) if known else (None, None)


def genuine(call: Call, account: ProviderAccount) -> bool:
    """Is it signed with the account's token? The address as Twilio saw it may or may not name the port."""
    config = account.config
    said = call.headers.get(SIGNATURE, "")
    if not isinstance(config, TwilioConfig) or not said.isascii():
        return False
    fields = parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True)
    return any(hmac.compare_digest(signature(config.auth_token, url, fields), said) for url in _as_seen(call.url))


def signature(token: str, url: str, fields: Sequence[tuple[str, str]]) -> str:
    """base64 of the HMAC-SHA1 of the address and the sorted fields; a name that comes twice counts each value once."""
    text = url + "".join(key + value for key, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(errors="replace"), "sha1")).decode()


def _as_seen(url: str) -> Sequence[str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    default = 443 if parts.scheme == "https" else 80
    with_port = urlunsplit(parts._replace(netloc=f"{host}:{parts.port or default}"))
    return url, urlunsplit(parts._replace(netloc=host)), with_port


def read_call(call: Call, _account: ProviderAccount) -> Reading:
    """A status callback, or a message that somebody wrote."""
    fields = dict(parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True))
    sid = word(fields.get("MessageSid") or fields.get("SmsSid"))
    if call.road is Road.INBOUND:
        return _inbound(fields, sid)
    if call.road is not Road.STATUS:
        return Reading(trouble="wrong_road")
    status = word(fields.get("MessageStatus") or fields.get("SmsStatus")).lower()
    if not sid or not status:
        return Reading(trouble="no_message_sid" if not sid else "no_status")
    code, to = number(fields.get("ErrorCode")), word(fields.get("To"))
    report = report_of(sid, status, code, to, _uuid(call.query.get("d", "")))
    return Reading(reports=(report,))


def report_of(sid: str, status: str, code: int | None, to: str, delivery_id: UUID | None = None) -> Report:
    """What a message's status says, by whichever road it was told."""
    said = _SAID.get(status, Said.NOTHING)
    meaning = CODES.get(code or 0, _OTHERWISE) if said is Said.UNDELIVERED else None
    return Report(
        said, sid, status, delivery_id,
        reason=meaning.reason if meaning else None,
        code=str(code) if code else None,
        address=to or None,
        hard=meaning.hard if meaning else None,
        suppress=meaning.suppress if meaning else None,
    )  # fmt: skip


def _inbound(fields: Mapping[str, str], sid: str) -> Reading:
    sender, to = word(fields.get("From")), word(fields.get("To"))
    if not sender or not to:
        return Reading(trouble="no_sender")
    choice = fields.get("OptOutType", "").upper()  # Twilio has seen to it already, and says so
    answered = Answered(sid, sender, to, fields.get("Body", "")[:LONGEST_TEXT], is_answered=choice == "HELP")
    opted = (OptedOut(sender, wanted=choice == "START", sender=to),) if choice in {"STOP", "START"} else ()
    return Reading(answered=(answered,), opted_out=opted)


LONGEST_TEXT: Final = 2000


def root(config: TwilioConfig) -> str:
    """Of its messages, without ".json"."""
    return f"{config.base_url.rstrip('/')}/2010-04-01/Accounts/{config.account_sid}/Messages"


def credentials(config: TwilioConfig) -> dict[str, str]:
    """By the API key, where there is one."""
    user, secret = config.key_sid or config.account_sid, config.key_secret or config.auth_token
    signed = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {signed}", "Accept": "application/json"}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
