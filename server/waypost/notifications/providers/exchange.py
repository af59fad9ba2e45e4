"""What is asked of a provider and what it answers, as plain values; and what an HTTP answer means in general. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from waypost.notifications.states import Outcome, OutcomeKind

FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
LONGEST_REFERENCE: Final = 200
MOST_COST: Final = Decimal(10**9)  # for one message; more is a mistake of somebody's


@dataclass(frozen=True, slots=True)
class Sms:
    """One message to one number. ``id``: our delivery's; ``sender``: "" where the provider chooses; ``validity_s``:
    after it the provider need not deliver it any more.
    """

    id: str
    to: str
    sender: str
    text: str
    report_url: str | None = None
    validity_s: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """``retry_after_s``: of its header, if it has one that can be read."""

    status: int
    body: bytes
    retry_after_s: float | None = None


def form(fields: Mapping[str, str]) -> bytes:
    """As a browser sends it."""
    return urlencode(fields).encode()


def object_of(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object that a body is; None: it is none."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def word(value: object) -> str:
    """A name or a number in an answer, as text; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return "".join(each for each in str(value).strip() if each.isprintable())[:LONGEST_REFERENCE]


def number(value: object) -> int | None:
    """A whole number, also as text."""
    text = word(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004


def cost(text: object) -> tuple[Decimal | None, str | None]:
    """Of "KES 0.8000": amount and currency; neither where it cannot be read."""
    currency, _, amount = text.strip().partition(" ") if isinstance(text, str) else ("", "", "")
    if len(currency) != 3 or not (currency.isascii() and currency.isupper()):  # noqa: PLR2004 - ISO 4217
        return None, None
    found = decimal(amount)
    return (found, currency) if found is not None else (None, None)


def decimal(text: object) -> Decimal | None:
    """An amount that costs something like a message."""
    try:
        found = Decimal(str(text).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found < MOST_COST else None


def unread(provider: str, answer: Answer) -> Outcome:
    """What an answer means of which nothing is known but its status: it is not ours to say that it was not sent."""
    status = answer.status
    if status in {401, 403}:
        return Outcome(OutcomeKind.NOT_SENT, f"{provider}_credentials", status=status, provider_failed=True)
    if status == 429:  # noqa: PLR2004 - RFC 6585
        return Outcome(OutcomeKind.NOT_SENT, f"{provider}_rate", status=status, retry_after_s=answer.retry_after_s)
    if 400 <= status < 500:  # noqa: PLR2004 - RFC 9110, 15.5
        return Outcome(OutcomeKind.REFUSED, f"{provider}_http_{status}", status=status)
    failed = status >= 500  # noqa: PLR2004 - RFC 9110, 15.6
    reason = f"{provider}_http_{status}" if failed else f"{provider}_unreadable"
    return Outcome(OutcomeKind.UNKNOWN, reason, status=status, provider_failed=failed)
