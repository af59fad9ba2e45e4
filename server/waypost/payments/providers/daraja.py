"""Daraja, M-Pesa's interface: what its callbacks say. Pure.

The shapes, and what was seen to differ from them, are those of the reference (laybys and payments, section 7); what we
ask of it is in ``daraja_requests.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Final

from waypost.kernel.money import BadAmount
from waypost.payments.providers.accounts import ProviderAccount
from waypost.payments.providers.json_reading import (
    amount_of,
    code_of,
    moment_of,
    name_of,
    named_values,
    object_in,
    text_of,
)
from waypost.payments.providers.outcomes import (
    Doubtful,
    Failed,
    Nothing,
    NotReversed,
    NotUnderstood,
    Outcome,
    Paid,
    Reversed,
    Said,
)
from waypost.payments.providers.strict_json import NotStrict, read_object

EAST_AFRICA: Final = timezone(timedelta(hours=3))
OK: Final = "0"
# Codes after which a success is known to come late: the status is asked before the failure is believed.
ASK: Final = frozenset({"1019", "1037"})
PENDING: Final = re.compile(r"(under|being|still) process|in progress", re.IGNORECASE)
_SAYS_YES: Final = re.compile(r"success|accepted|complete|processed", re.IGNORECASE)
_SAYS_NO: Final = re.compile(
    r"\b(not|no|un\w*|in(?:sufficient|valid|correct)\w*|fail\w*|reject\w*|declin\w*|cancel\w*|error\w*|expire\w*)\b",
    re.IGNORECASE,
)


class Road(StrEnum):
    """Which callback of Daraja's it is: the last word of its address."""

    STK = "stk"
    VALIDATION = "validation"
    CONFIRMATION = "confirmation"
    REVERSAL = "reversal"
    TIMEOUT = "timeout"  # of the queue in which a request for a reversal waited


class Reason(StrEnum):
    """Why a prompt was not paid, as a customer can be told."""

    CANCELLED = "cancelled"
    NO_FUNDS = "no_funds"
    NO_ANSWER = "no_answer"
    WRONG_PIN = "wrong_pin"
    LIMIT = "limit"
    BUSY = "busy"
    EXPIRED = "expired"
    OTHER = "other"


REASONS: Final[Mapping[str, Reason]] = {
    "1": Reason.NO_FUNDS,
    "17": Reason.LIMIT,
    "26": Reason.BUSY,
    "1001": Reason.BUSY,
    "1019": Reason.EXPIRED,
    "1025": Reason.OTHER,
    "1031": Reason.CANCELLED,
    "1032": Reason.CANCELLED,
    "1037": Reason.NO_ANSWER,
    "2001": Reason.WRONG_PIN,
    "9999": Reason.OTHER,
}


def reason_of(code: str) -> Reason:
    """In words that mean something to who was asked."""
    return REASONS.get(code, Reason.OTHER)


def read(road: str, body: bytes, account: ProviderAccount, now: datetime) -> Said:
    """What a callback says. ``now``: when it came, for one that tells no time of its own."""
    try:
        whole = read_object(body)
    except NotStrict as error:
        return Said(NotUnderstood(str(error)))
    return Said(_READERS[Road(road)](whole, account.currency, now))


def read_stk(whole: Mapping[str, Any], currency: str, now: datetime) -> Outcome:
    """The answer of a customer's phone. Nothing in it but the CheckoutRequestID leads back to what was asked."""
    callback = object_in(whole, "Body", "stkCallback")
    if callback is None:
        return NotUnderstood("no Body.stkCallback")
    request_id, code = name_of(callback.get("CheckoutRequestID")), code_of(callback.get("ResultCode"))
    metadata = object_in(callback, "CallbackMetadata")
    if code is None:
        return Doubtful("no ResultCode", request_id=request_id)
    if code == OK:
        return _stk_paid(metadata, request_id, currency, now)
    if metadata is not None and _receipt_in(metadata):
        return Doubtful(f"ResultCode {code} with a receipt", _receipt_in(metadata), request_id=request_id)
    return Failed(request_id, code, text_of(callback.get("ResultDesc")) or "", ask=code in ASK)


def _receipt_in(metadata: Mapping[str, Any]) -> str | None:
    items = named_values(metadata.get("Item"), "Name", "Value")
    return name_of(items.get("MpesaReceiptNumber")) if items else None


def _stk_paid(
    metadata: Mapping[str, Any] | None, request_id: str | None, currency: str, now: datetime
) -> Paid | Doubtful:
    items = named_values(metadata.get("Item"), "Name", "Value") if metadata is not None else None
    if items is None:
        return Doubtful("paid, but without its details", request_id=request_id)
    receipt = name_of(items.get("MpesaReceiptNumber"))
    try:
        amount = amount_of(items.get("Amount"), currency)
    except BadAmount as error:
        return Doubtful(f"amount: {error}", receipt, request_id=request_id)
    if receipt is None:
        return Doubtful("no receipt", amount_minor=amount, request_id=request_id)
    at = moment_of(items.get("TransactionDate"), EAST_AFRICA) or now
    return Paid(receipt, amount, at, request_id=request_id, payer=text_of(items.get("PhoneNumber")))


def read_paybill(whole: Mapping[str, Any], currency: str, now: datetime) -> Outcome:
    """A validation and a confirmation have one shape. ``MSISDN`` is a phone, masked, or a mark of one."""
    if "TransID" not in whole and "TransAmount" not in whole:
        return NotUnderstood("neither TransID nor TransAmount")
    receipt, account_ref = name_of(whole.get("TransID")), text_of(whole.get("BillRefNumber"), 100)
    try:
        amount = amount_of(whole.get("TransAmount"), currency)
    except BadAmount as error:
        return Doubtful(f"amount: {error}", receipt, account_ref=account_ref)
    if receipt is None:
        return Doubtful("no TransID", amount_minor=amount, account_ref=account_ref)
    at = moment_of(whole.get("TransTime"), EAST_AFRICA) or now
    return Paid(receipt, amount, at, account_ref=account_ref, payer=text_of(whole.get("MSISDN")))


def read_reversal(whole: Mapping[str, Any], currency: str, now: datetime) -> Outcome:
    """The result of a reversal. A public example has code 21 and a text of success: where the two disagree, nobody
    knows.
    """
    result = object_in(whole, "Result")
    if result is None:
        return NotUnderstood("no Result")
    code, text = code_of(result.get("ResultCode")), text_of(result.get("ResultDesc")) or ""
    items = named_values((object_in(result, "ResultParameters") or {}).get("ResultParameter"), "Key", "Value") or {}
    receipt, original = name_of(result.get("TransactionID")), name_of(items.get("OriginalTransactionID"))
    amount, trouble = _reversed_amount(items, currency)
    if code is None or (code == OK) != _is_yes(text, otherwise=code == OK):
        return Doubtful(f"ResultCode {code} and its text disagree", receipt, amount, account_ref=original)
    if code != OK:
        return NotReversed(code, text)
    if trouble or receipt is None or original is None:
        return Doubtful(trouble or "what was reversed is not said", receipt, amount, account_ref=original)
    at = moment_of(items.get("TransCompletedTime"), EAST_AFRICA) or now
    return Reversed(receipt, original, amount, at)


def read_timeout(whole: Mapping[str, Any], _currency: str, _now: datetime) -> Outcome:
    """Whatever its codes say: a result may still come."""
    if object_in(whole, "Result") is None:
        return NotUnderstood("no Result")
    return Nothing("a request waited too long in the provider's queue")


def _reversed_amount(items: Mapping[str, Any], currency: str) -> tuple[int | None, str | None]:
    """None: not said, so it is all of it; and what is wrong with one that is said."""
    if items.get("Amount") is None:
        return None, None
    try:
        return amount_of(items["Amount"], currency), None
    except BadAmount as error:
        return None, f"amount: {error}"


def _is_yes(text: str, *, otherwise: bool) -> bool:
    if _SAYS_NO.search(text):
        return False
    return True if _SAYS_YES.search(text) else otherwise


_READERS: Mapping[Road, Callable[[Mapping[str, Any], str, datetime], Outcome]] = {
    Road.STK: read_stk,
    Road.VALIDATION: read_paybill,
    Road.CONFIRMATION: read_paybill,
    Road.REVERSAL: read_reversal,
    Road.TIMEOUT: read_timeout,
}
