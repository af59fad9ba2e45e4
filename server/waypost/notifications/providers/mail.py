"""What mail servers and mail providers report: web hooks by the table of ``mail_forms``, anything else as a message."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from waypost.notifications.providers import dsn
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.providers.mail_forms import BLOCKED, Form, Meaning, form_of, items_of, meaning_of, text_at
from waypost.notifications.providers.reports import Call, Reading, Report, Road, Said

BLOCKED_WORD: Final = "blocked"
# Amazon's notification service asks first whether the address is ours: somebody has to open a link of its own.
SNS_HOSTS: Final = ".amazonaws.com"


def genuine(_call: Call, _account: ProviderAccount) -> bool:
    """The token in its address must do: these are not signed, or not by anything that all of them share."""
    return True


def read_call(call: Call, _account: ProviderAccount) -> Reading:
    """Bounces, complaints and arrivals."""
    if call.road is not Road.BOUNCE:
        return Reading(trouble=dsn.NOT_UNDERSTOOD)
    try:
        whole = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return dsn.read(call.body)
    return _of_hook(whole)


def _of_hook(whole: object) -> Reading:
    if isinstance(whole, dict) and "TopicArn" in whole and isinstance(whole.get("Message"), str):
        return _of_sns(whole)
    form = form_of(whole)
    if form is None:
        return Reading(trouble=dsn.NOT_UNDERSTOOD)
    return Reading(reports=[_report(whole, item, form) for item in items_of(whole, form)])


def _of_sns(envelope: dict[str, object]) -> Reading:
    if envelope.get("Type") == "SubscriptionConfirmation":
        link = str(envelope.get("SubscribeURL", ""))
        place = urlsplit(link)
        if place.scheme == "https" and (place.hostname or "").endswith(SNS_HOSTS):
            return Reading(trouble=f"confirm {link}")
        return Reading(trouble=dsn.NOT_UNDERSTOOD)
    try:
        return _of_hook(msgspec.json.decode(str(envelope["Message"])))
    except msgspec.DecodeError:
        return Reading(trouble=dsn.NOT_UNDERSTOOD)


def _report(whole: object, item: object, form: Form) -> Report:
    status, meaning = meaning_of(whole, item, form)
    return Report(
        meaning.said,
        reference=text_at(whole, item, form.reference) or "",
        status=status,
        delivery_id=dsn.our_id(text_at(whole, item, form.ours)),
        reason=_reason(meaning),
        code=(text_at(whole, item, form.code) or "")[:200] or None,
        address=text_at(whole, item, form.address),
        hard=meaning.hard,
        suppress=meaning.suppress,
    )


def _reason(meaning: Meaning) -> str | None:
    if meaning.said is not Said.UNDELIVERED:
        return None
    return BLOCKED_WORD if meaning == BLOCKED else dsn.BOUNCED
