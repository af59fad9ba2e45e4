"""Daraja's shapes as they were seen, for the fake; and what a script may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from aiohttp import web

KEY, SECRET, PASSKEY, SHORTCODE = "consumer-key", "consumer-secret", "bfb279f9aa9bdbcf", "174379"
FORBIDDEN = ("mpesa", "m-pesa", "safaricom", "exe", "exec", "cmd", "sql", "query")
TIME = "20261122091500"
ITEMS = ["Amount", "MpesaReceiptNumber", "Balance", "TransactionDate", "PhoneNumber"]

Answer = Literal["accept", "busy", "spike", "expired", "refuse", "open", "silent", "page"]
Dress = Literal["plain", "int", "text", "balance", "shuffled", "bare", "no-receipt"]


class Say(msgspec.Struct, forbid_unknown_fields=True):
    """One callback. ``after_s``: from the answer to the push, or from the one before; ``at_once``: so many copies."""

    code: int | str = 0
    dress: Dress = "plain"
    after_s: float = 0.0
    at_once: int = 1
    amount: Any = None
    receipt: str | None = None


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """What happens to a request for a reversal. ``results``: codes of its results, each ``after_s`` from the answer or
    from the one before, or before the answer; ``timeout``: its queue gives up first; ``original``: another payment.
    """

    answer: Answer = "accept"
    results: tuple[int | str, ...] = (0,)
    after_s: float = 0.0
    before: bool = False
    timeout: bool = False
    original: str | None = None
    text: str | None = None


class Play(msgspec.Struct, forbid_unknown_fields=True):
    """What happens to a push. ``before``: its callbacks come before its answer; ``status``: what a query is told."""

    answer: Answer = "accept"
    says: tuple[Say, ...] = (Say(),)
    before: bool = False
    status: str = "pending"


ERRORS: Mapping[str, tuple[int, str, str]] = {
    "busy": (500, "500.003.02", "System is busy. Please try again in few minutes."),
    "spike": (500, "500.003.03", "Spike arrest violation"),
    "expired": (401, "401.003.01", "Error Occurred - Invalid Access Token - abc"),
    "refuse": (400, "400.002.02", "Bad Request - Invalid PhoneNumber"),
    "open": (500, "500.001.1001", "Unable to lock subscriber, a transaction is already in process"),
}


def wrong_push(body: dict[str, Any]) -> web.Response | None:
    """What they refuse in a push."""
    wrong = None
    if type(body["Amount"]) is not int or body["Amount"] < 1:
        wrong = "Amount"
    elif any(word in body["CallBackURL"].lower() for word in FORBIDDEN):
        wrong = "CallBackURL"
    elif len(body["AccountReference"]) > 12 or len(body["TransactionDesc"]) > 13:
        wrong = "AccountReference"
    elif not str(body["PhoneNumber"]).startswith("254"):
        wrong = "PhoneNumber"
    return refusal(400, "400.002.02", f"Bad Request - Invalid {wrong}") if wrong else None


def refusal(status: int, code: str, text: str) -> web.Response:
    return web.json_response({"requestId": "1", "errorCode": code, "errorMessage": text}, status=status)


def callback(push: dict[str, Any], taken: dict[str, str], say: Say, receipt: str) -> dict[str, Any]:
    """Their STK callback in one of the dresses that were seen."""
    said: dict[str, Any] = {name: taken[name] for name in ("MerchantRequestID", "CheckoutRequestID")}
    said |= {"ResultCode": say.code, "ResultDesc": "Done" if str(say.code) == "0" else "Request cancelled by user"}
    if str(say.code) != "0" or say.dress == "bare":
        return {"Body": {"stkCallback": said}}
    amount = push["Amount"] if say.amount is None else say.amount
    values: list[Any] = [float(amount) if say.amount is None else amount, receipt, None, int(TIME), push["PhoneNumber"]]
    items = [
        {"Name": name} | ({} if value is None else {"Value": value}) for name, value in zip(ITEMS, values, strict=True)
    ]
    if say.dress == "int":
        items[0]["Value"] = int(amount)
    elif say.dress == "text":
        said["ResultCode"] = str(say.code)
        items = [{**item, "Value": str(item.get("Value", ""))} for item in items]
    elif say.dress == "balance":
        items[2]["Value"] = "{Amount={CurrencyCode=KES, MinimumAmount=12.00, BasicAmount=0.12}}"
    elif say.dress == "shuffled":
        items = [*items[::-1], {"Name": "Extra", "Value": [1, {"a": None}]}]
    elif say.dress == "no-receipt":
        del items[1]
    return {"Body": {"stkCallback": said | {"CallbackMetadata": {"Item": items}}}}


def wrong_reversal(body: dict[str, Any]) -> web.Response | None:
    """What they refuse in a request for a reversal."""
    wrong = None
    if body["CommandID"] != "TransactionReversal" or body["RecieverIdentifierType"] != "11":
        wrong = "CommandID"
    elif type(body["Amount"]) is not int or body["Amount"] < 1:
        wrong = "Amount"
    elif any(word in body[name].lower() for name in ("ResultURL", "QueueTimeOutURL") for word in FORBIDDEN):
        wrong = "ResultURL"
    elif not (body["Initiator"] and body["SecurityCredential"] and body["TransactionID"]):
        wrong = "Initiator"
    elif len(body["Remarks"]) > 100 or len(body["Occasion"]) > 100:
        wrong = "Remarks"
    return refusal(400, "400.002.02", f"Bad Request - Invalid {wrong}") if wrong else None


def undone(asked: dict[str, Any], taken: dict[str, str], undo: Undo, code: int | str, receipt: str) -> dict[str, Any]:
    """Their result of a reversal; a failure has no parameters."""
    good = str(code) == "0"
    text = undo.text or ("The service request is processed successfully." if good else "The transaction is too old.")
    said = {
        "ResultType": 0, "ResultCode": code, "ResultDesc": text,
        "OriginatorConversationID": taken["OriginatorConversationID"], "ConversationID": taken["ConversationID"],
        "TransactionID": receipt, "ReferenceData": {"ReferenceItem": {"Key": "QueueTimeoutURL", "Value": ""}},
    }  # fmt: skip
    parameters = [
        {"Key": "DebitAccountBalance", "Value": "Utility Account|KES|7722179.62|7722179.62|0.00|0.00"},
        {"Key": "Amount", "Value": f"{asked['Amount']}.00"},
        {"Key": "OriginalTransactionID", "Value": undo.original or asked["TransactionID"]},
        {"Key": "TransCompletedTime", "Value": int(TIME)},
    ]
    return {"Result": said | ({"ResultParameters": {"ResultParameter": parameters}} if good else {})}
