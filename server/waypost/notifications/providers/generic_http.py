"""Any gateway that takes a message by HTTP, by settings: what is asked, what is answered, what is reported. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit
from uuid import UUID

from waypost.notifications.providers.accounts import HttpConfig, ProviderAccount
from waypost.notifications.providers.exchange import FORM, Answer, Ask, Sms, object_of, unread, word
from waypost.notifications.providers.reports import Answered, Call, OptedOut, Reading, Report, Road, Said
from waypost.notifications.states import Outcome, OutcomeKind

FIELDS: Final = frozenset({"to", "from", "text", "id", "report", "to_digits"})
LONGEST_TEXT: Final = 2000
_FIELD: Final = re.compile(r"\{\{\s*([a-z_]*)\s*\}\}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_PATH: Final = re.compile(r"[^.]+(\.[^.]+)*")
_TYPES: Final = {"json": "application/json", "form": FORM, "text": "text/plain; charset=utf-8"}
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key"})
_SAMPLE: Final = Sms("018f0000-0000-7000-8000-000000000000", "+263771234567", "SHOP", 'a "b"', "https://e.x/r")


def ask(config: HttpConfig, sms: Sms) -> Ask:
    """Its fields filled in, each escaped for where it stands."""
    values = _values(sms)
    headers = {name: _filled(text, values, _in_header) for name, text in config.headers.items()}
    names = {name.lower() for name in headers}
    if config.method != "GET" and "content-type" not in names:
        headers["Content-Type"] = _TYPES[config.body_form]
    headers["Idempotency-Key"] = sms.id
    url = _filled(config.url, values, partial(quote, safe=""))
    body = b"" if config.method == "GET" else _filled(config.body, values, _ESCAPES[config.body_form]).encode()
    return Ask(config.method, url, headers, body)


def read(config: HttpConfig, sms: Sms, answer: Answer) -> Outcome:
    """How a try ended, as the settings say."""
    if answer.status in config.not_taken_statuses:
        return Outcome(
            OutcomeKind.NOT_SENT, f"http_{answer.status}", status=answer.status, retry_after_s=answer.retry_after_s,
            provider_failed=answer.status != 429,  # noqa: PLR2004 - RFC 6585
        )  # fmt: skip
    if answer.status not in config.ok_statuses:
        return unread("http", answer)
    body = _json(answer.body)
    if config.ok_path is not None:
        said = _text_at(body, config.ok_path)
        if said is None:
            return Outcome(OutcomeKind.UNKNOWN, "http_unreadable", status=answer.status)
        if said not in config.ok_values:
            return Outcome(OutcomeKind.REFUSED, "http_refused", status=answer.status)
    reference = word(_text_at(body, config.id_path)) if config.id_path is not None else sms.id
    if not reference:
        return Outcome(OutcomeKind.UNKNOWN, "http_no_id", status=answer.status)
    return Outcome(OutcomeKind.ACCEPTED, reference=reference, status=answer.status, sender=sms.sender or None)


def complaint(config: HttpConfig) -> tuple[str, str] | None:
    """What is wrong with the settings: the field and why; None: nothing."""
    texts = {"url": config.url, "body": config.body, **{f"headers.{k}": v for k, v in config.headers.items()}}
    for name, text in texts.items():
        if unknown := set(_FIELD.findall(text)) - FIELDS:
            return name, f"there is no {{{{ {min(unknown)} }}}}; there are {', '.join(sorted(FIELDS))}"
    return _wrong_url(config) or _wrong_headers(config) or _wrong_body(config) or _wrong_paths(config)


def _wrong_url(config: HttpConfig) -> tuple[str, str] | None:
    if "{{" in urlsplit(config.url).netloc or "{{" in config.url.partition("://")[0]:
        return "url", "who is called is fixed: no field may stand before the path"
    if config.method == "GET" and config.body:
        return "body", "a GET has none: put the fields into the address"
    return None


def _wrong_headers(config: HttpConfig) -> tuple[str, str] | None:
    for name, text in config.headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            return f"headers.{name}", "no header that can be given"
        if "text" in _FIELD.findall(text) or not (text.isprintable() and text.isascii()):
            return f"headers.{name}", "printable ASCII; the message's text stands in the body or the address"
    return None


def _wrong_body(config: HttpConfig) -> tuple[str, str] | None:
    if config.method == "GET" or config.body_form != "json":
        return None
    try:
        json.loads(ask(config, _SAMPLE).body)
    except (ValueError, RecursionError):
        return "body", 'no JSON once it is filled in: fields stand within quotes, as in {"to": "{{ to }}"}'
    return None


def _wrong_paths(config: HttpConfig) -> tuple[str, str] | None:
    for name, path in (("okPath", config.ok_path), ("idPath", config.id_path)):
        if path is not None and not _PATH.fullmatch(path):
            return name, "names and places divided by dots, as in messages.0.id"
    if (config.ok_path is None) != (not config.ok_values):
        return "okValues", "okPath and okValues go together"
    if not config.ok_statuses:
        return "okStatuses", "at least one"
    return None


def sample_url(config: HttpConfig) -> str:
    """An address as it will be called."""
    return _filled(config.url, _values(_SAMPLE), partial(quote, safe=""))


def genuine(_call: Call, _account: ProviderAccount) -> bool:
    """The address's token must do, and the networks that the account names."""
    return True


def read_call(call: Call, account: ProviderAccount) -> Reading:
    """A report or a message that somebody wrote, as the settings name their fields; form, JSON, or a query."""
    config = account.config
    if not isinstance(config, HttpConfig):
        return Reading(trouble="not_http")
    body = _fields(call)
    match call.road:
        case Road.STATUS:
            return _status(config, body)
        case Road.INBOUND:
            return _inbound(config, body)
        case Road.OPT_OUT:
            return _opt_out(config, body)
        case _:
            return Reading(trouble="wrong_road")


def _status(config: HttpConfig, body: object) -> Reading:
    ours, theirs = _uuid(_named(body, config.receipt_our_id)), word(_named(body, config.receipt_their_id))
    status = word(_named(body, config.receipt_status))
    if ours is None and not theirs:
        return Reading(trouble="no_id")
    if not status:
        return Reading(trouble="no_status")
    said, reason = Said.NOTHING, None
    if status in config.receipt_delivered:
        said = Said.DELIVERED
    elif status in config.receipt_undelivered:
        said, reason = Said.UNDELIVERED, "http_undelivered"
    return Reading(reports=(Report(said, theirs, status, ours, reason=reason),))


def _inbound(config: HttpConfig, body: object) -> Reading:
    sender, to = _phone(_named(body, config.inbound_from)), word(_named(body, config.inbound_to))
    if sender is None:
        return Reading(trouble="no_sender")
    text, reference = _named(body, config.inbound_text) or "", word(_named(body, config.inbound_id))
    return Reading(answered=(Answered(reference, sender, to, text[:LONGEST_TEXT]),))


def _opt_out(config: HttpConfig, body: object) -> Reading:
    sender = _phone(_named(body, config.inbound_from))
    if sender is None:
        return Reading(trouble="no_sender")
    return Reading(opted_out=(OptedOut(sender, sender=word(_named(body, config.inbound_to)) or None),))


def _fields(call: Call) -> object:
    """JSON where it is JSON, else a form; what the address says where the body is silent."""
    found = object_of(call.body)
    if found is not None:
        return {**call.query, **found}
    return {**call.query, **dict(parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True))}


def _named(body: object, path: str | None) -> str | None:
    return _text_at(body, path) if path is not None else None


def _text_at(body: object, path: str) -> str | None:
    """What stands there, as text; ``path``: dots between names, numbers for places in lists."""
    if isinstance(body, Mapping) and path in body:  # a name with dots in it
        return _text(body[path])
    for step in path.split("."):
        if isinstance(body, Mapping) and step in body:
            body = body[step]
        elif isinstance(body, list) and step.isascii() and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        else:
            return None
    return _text(body)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _values(sms: Sms) -> Mapping[str, str]:
    return {
        "to": sms.to,
        "to_digits": sms.to.lstrip("+"),
        "from": sms.sender,
        "text": sms.text,
        "id": sms.id,
        "report": sms.report_url or "",
    }


def _filled(text: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    return _FIELD.sub(lambda match: escape(values.get(match[1], "")), text)


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_header(text: str) -> str:
    return "".join(each for each in text if " " <= each <= "~")


_ESCAPES: Final[Mapping[str, Callable[[str], str]]] = {"json": _in_json, "form": quote_plus, "text": str}


def _phone(text: str | None) -> str | None:
    digits = word(text).lstrip("+")
    return f"+{digits}" if digits.isascii() and digits.isdigit() else None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
