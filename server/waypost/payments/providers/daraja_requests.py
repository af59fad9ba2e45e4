"""Daraja, M-Pesa's interface: what we ask of it, and how its answers are read. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from waypost.kernel.money import places
from waypost.payments.providers.accounts import DarajaConfig, Initiator, ShortcodeKind
from waypost.payments.providers.daraja import EAST_AFRICA, OK, PENDING, Road
from waypost.payments.providers.json_reading import MOMENT, code_of, name_of, text_of
from waypost.payments.providers.prompting import (
    Accepted,
    Busy,
    InDoubt,
    Push,
    PushAnswer,
    Refused,
    RegisterAnswer,
    Registered,
    StatusAnswer,
    StatusFailed,
    StatusPaid,
    StatusUnknown,
    TakeBack,
)
from waypost.payments.providers.strict_json import NotStrict, read_object

TOKEN: Final = "/oauth/v1/generate?grant_type=client_credentials"  # noqa: S105 - a path
PUSH: Final = "/mpesa/stkpush/v1/processrequest"
QUERY: Final = "/mpesa/stkpushquery/v1/query"
REVERSE: Final = "/mpesa/reversal/v1/request"
REGISTER: Final = "/mpesa/c2b/v2/registerurl"
MOST_REFERENCE, MOST_DESCRIPTION, MOST_REMARKS = 12, 13, 100
SHORTCODE_RECEIVER: Final = "11"  # of a reversal: the receiver is an organisation's number
DESCRIPTION: Final = "Layby"
BAD_TOKEN: Final = frozenset({"401.003.01", "404.001.03"})
BUSY: Final = frozenset({"500.003.02", "500.003.03"})  # refused before processing: safe to repeat
REFUSED: Final = frozenset({"500.001.1001"})  # wrong credentials, or a prompt is open already
REGISTERED: Final = "500.003.1001"  # the addresses are registered already
HTTP_OK, HTTP_MULTIPLE, HTTP_BAD, HTTP_TOO_MANY, HTTP_SERVER = 200, 300, 400, 429, 500
_TRANSACTION: Final = {
    ShortcodeKind.PAYBILL: "CustomerPayBillOnline",
    ShortcodeKind.BUYGOODS: "CustomerBuyGoodsOnline",
}


@dataclass(frozen=True, slots=True)
class Token:
    """What opens the door, for so long."""

    value: str
    lifetime_s: float

    def __repr__(self) -> str:
        return "Token(...)"


class TokenRefused(Exception):
    """The token is good no longer."""


def basic(config: DarajaConfig) -> str:
    """The header by which a token is asked for."""
    return "Basic " + base64.b64encode(f"{config.consumer_key}:{config.consumer_secret}".encode()).decode()


def timestamp(now: datetime) -> str:
    """In East Africa's time."""
    return now.astimezone(EAST_AFRICA).strftime(MOMENT)


def password(config: DarajaConfig, at: str) -> str:
    """Shortcode, passkey and timestamp."""
    return base64.b64encode(f"{config.shortcode}{config.passkey}{at}".encode()).decode()


def whole_units(amount_minor: int, currency: str) -> int:
    """Rounded up to what a phone can be asked for; minor units still. The difference becomes the customer's credit."""
    unit: int = 10 ** places(currency)
    return -(-amount_minor // unit) * unit


def callback_url(root: str, token: str, road: Road) -> str:
    """Where Daraja is to call back; no word that it forbids is in it, unless the root has one."""
    return f"{root}/api/v1/callbacks/daraja/{token}/{road}"


def push_body(config: DarajaConfig, push: Push, now: datetime) -> Mapping[str, object]:
    """What asks a customer's phone."""
    at, phone = timestamp(now), _number(push.phone.removeprefix("+"))
    return {
        "BusinessShortCode": _number(config.shortcode),
        "Password": password(config, at),
        "Timestamp": at,
        "TransactionType": _TRANSACTION[config.kind],
        "Amount": push.amount_minor // 10 ** places(push.currency),
        "PartyA": phone,
        "PartyB": _number(config.till or config.shortcode),
        "PhoneNumber": phone,
        "CallBackURL": push.callback_url,
        "AccountReference": push.reference[:MOST_REFERENCE],
        "TransactionDesc": DESCRIPTION[:MOST_DESCRIPTION],
    }


def query_body(config: DarajaConfig, request_id: str, now: datetime) -> Mapping[str, object]:
    """What asks how a prompt stands."""
    at = timestamp(now)
    return {
        "BusinessShortCode": _number(config.shortcode),
        "Password": password(config, at),
        "Timestamp": at,
        "CheckoutRequestID": request_id,
    }


def reverse_body(config: DarajaConfig, initiator: Initiator, what: TakeBack) -> Mapping[str, object]:
    """What asks that a payment be taken back. The misspelt name is theirs."""
    return {
        "Initiator": initiator.name,
        "SecurityCredential": initiator.credential,
        "CommandID": "TransactionReversal",
        "TransactionID": what.receipt,
        "Amount": what.amount_minor // 10 ** places(what.currency),
        "ReceiverParty": _number(config.shortcode),
        "RecieverIdentifierType": SHORTCODE_RECEIVER,
        "ResultURL": what.result_url,
        "QueueTimeOutURL": what.timeout_url,
        "Remarks": what.reason[:MOST_REMARKS],
        "Occasion": what.receipt,
    }


def register_body(config: DarajaConfig, root: str, token: str) -> Mapping[str, object]:
    """What tells Daraja, once, where payments that nobody prompted are reported. Without our answer they are taken."""
    return {
        "ShortCode": _number(config.shortcode),
        "ResponseType": "Completed",
        "ConfirmationURL": callback_url(root, token, Road.CONFIRMATION),
        "ValidationURL": callback_url(root, token, Road.VALIDATION),
    }


def read_token(status: int, body: bytes) -> Token | None:
    """None: there is none in it."""
    answer = _answer(body)
    value, lifetime = _opens(answer.get("access_token")), code_of(answer.get("expires_in"))
    if status != HTTP_OK or value is None:
        return None
    return Token(value, float(lifetime) if lifetime is not None and lifetime.isdigit() else 0.0)


def read_push(status: int, body: bytes) -> PushAnswer:
    """What became of a prompt. ``TokenRefused``: nothing, for want of a good token."""
    return _read_asked(status, body, "CheckoutRequestID", "MerchantRequestID")


def read_reverse(status: int, body: bytes) -> PushAnswer:
    """The same of a request for a reversal; its result comes later."""
    return _read_asked(status, body, "ConversationID", "OriginatorConversationID")


def read_register(status: int, body: bytes) -> RegisterAnswer:
    """What became of telling our addresses. That some are known already is no failure."""
    answer = _answer(body)
    if name_of(answer.get("errorCode")) == REGISTERED:
        return Registered(already=True)
    became = _read_asked(status, body, "ResponseCode", "ResponseDescription")
    return Registered() if isinstance(became, Accepted) else became


def _read_asked(status: int, body: bytes, name: str, second_name: str) -> PushAnswer:
    answer = _answer(body)
    if (code := _error_of(answer)) is not None:
        return _push_refused(status, code, text_of(answer.get("errorMessage")) or "")
    if HTTP_OK <= status < HTTP_MULTIPLE:
        code, request_id = code_of(answer.get("ResponseCode")), name_of(answer.get(name))
        if code == OK and request_id is not None:
            return Accepted(request_id, name_of(answer.get(second_name)))
        if code is not None and code != OK:
            return Refused(code, text_of(answer.get("ResponseDescription")) or "")
        return InDoubt("an answer that is none")
    if status == HTTP_TOO_MANY:
        return Busy(f"http-{status}")
    if HTTP_BAD <= status < HTTP_SERVER:
        return Refused(f"http-{status}", "")
    return InDoubt(f"http-{status}")


def _push_refused(status: int, code: str, text: str) -> PushAnswer:
    if code in BUSY or status == HTTP_TOO_MANY:
        return Busy(code)
    if code in REFUSED or status < HTTP_SERVER:
        return Refused(code, text)
    return InDoubt(code)


def read_query(status: int, body: bytes) -> StatusAnswer:
    """How a prompt stands. ``TokenRefused`` as above. "Being processed" comes as an error without a ResultCode."""
    answer = _answer(body)
    if (error := _error_of(answer)) is not None:
        return StatusUnknown(error, body)
    code, text = code_of(answer.get("ResultCode")), text_of(answer.get("ResultDesc")) or ""
    if not HTTP_OK <= status < HTTP_MULTIPLE or code is None:
        return StatusUnknown(f"http-{status}", body)
    if code == OK:
        return StatusPaid()
    return StatusUnknown("pending", body) if PENDING.search(text) else StatusFailed(code, text)


def _error_of(answer: Mapping[str, Any]) -> str | None:
    code = name_of(answer.get("errorCode"))
    if code in BAD_TOKEN:
        raise TokenRefused
    return code


def _answer(body: bytes) -> Mapping[str, Any]:
    try:
        return read_object(body)
    except NotStrict:  # a gateway's page
        return {}


def _opens(value: object) -> str | None:
    """A token may be long; it is visible ASCII, or it cannot stand in a header."""
    fits = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    return str(value) or None if fits else None


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text
