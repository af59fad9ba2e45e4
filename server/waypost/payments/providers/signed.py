"""Providers that sign what they send: Stripe's signature or that of Standard Webhooks, and events in Stripe's manner.

Read in stripe/stripe-python (``_webhook.py``) and in the specification of Standard Webhooks. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from waypost.kernel.errors import Unauthenticated
from waypost.kernel.money import LARGEST_MINOR
from waypost.payments.domain import Method
from waypost.payments.providers.accounts import ProviderAccount, SignedConfig
from waypost.payments.providers.outcomes import (
    Doubtful,
    Failed,
    Nothing,
    NotUnderstood,
    Outcome,
    Paid,
    Reversed,
    Said,
)
from waypost.payments.providers.strict_json import NotStrict, clean, read_object

STRIPE: Final = "Stripe-Signature"
STANDARD: Final = "webhook-signature"
STANDARD_ID: Final = "webhook-id"
STANDARD_TIME: Final = "webhook-timestamp"
TOLERANCE_S: Final = 300  # both ways: the vendor's library bounds the past alone
SCHEME: Final = "v1"  # any other is ignored
STANDARD_PREFIX: Final = "whsec_"
MOST_SIGNATURES: Final = 20
MOST_DIGITS: Final = 17
LATEST_S: Final = 4_102_444_800  # 2100: a time beyond it is none
# Of no decimals by ISO 4217, and written with two all the same (Stripe's "special case" currencies).
IN_HUNDREDTHS: Final = frozenset({"ISK", "UGX"})
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
METHODS: Final[Mapping[str, Method]] = {
    "card": Method.CARD,
    "card_present": Method.CARD,
    "mobile_money": Method.MOBILE,
    "bank_transfer": Method.BANK,
    "customer_balance": Method.BANK,
    "us_bank_account": Method.BANK,
    "sepa_debit": Method.BANK,
}


class SignatureInvalid(Unauthenticated):
    """The signature is missing, too old, or not of this body and a secret that we know."""

    code = "signature-invalid"


def check(config: SignedConfig, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """``SignatureInvalid`` unless a good secret signed these very bytes, within five minutes of now.

    ``headers``: whatever their case (a multidict). Compared in constant time.
    """
    secrets = config.good(now)
    given = [*_stripe(headers, body, secrets, now), *_standard(headers, body, secrets, now)]
    good = False
    for signature, expected in given:
        good |= hmac.compare_digest(signature, expected)
    if not good:
        raise SignatureInvalid


def sign_stripe(secret: str, body: bytes, at: int) -> str:
    """The header, as the provider makes it."""
    return f"t={at},{SCHEME}={_hmac(secret.encode(), f'{at}.'.encode() + body).hex()}"


def sign_standard(secret: str, event_id: str, body: bytes, at: int) -> str:
    """The header ``webhook-signature``, as the provider makes it."""
    content = f"{event_id}.{at}.".encode() + body
    return f"{SCHEME},{base64.b64encode(_hmac(_standard_key(secret), content)).decode()}"


def _stripe(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> Iterator[tuple[bytes, bytes]]:
    """Each signature that was given, with one that would be right."""
    pairs = [part.strip().partition("=") for part in headers.get(STRIPE, "").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == SCHEME][:MOST_SIGNATURES]
    if len(times) != 1 or not _is_near(times[0], now):
        return
    for secret in secrets:
        expected = _hmac(secret.encode(), times[0].encode() + b"." + body).hex().encode()
        for signature in signatures:
            yield _bytes(signature), expected


def _standard(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> Iterator[tuple[bytes, bytes]]:
    event_id, at = headers.get(STANDARD_ID, ""), headers.get(STANDARD_TIME, "")
    pairs = [part.partition(",") for part in headers.get(STANDARD, "").split(" ")]
    signatures = [value for name, _, value in pairs if name == SCHEME][:MOST_SIGNATURES]
    if not event_id or not _is_near(at, now):
        return
    for secret in secrets:
        content = _bytes(event_id) + b"." + at.encode() + b"." + body
        expected = base64.b64encode(_hmac(_standard_key(secret), content))
        for signature in signatures:
            yield _bytes(signature), expected


def _is_near(seconds: str, now: datetime) -> bool:
    return bool(_SECONDS.fullmatch(seconds)) and abs(now.timestamp() - int(seconds)) <= TOLERANCE_S


def _hmac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)


def _standard_key(secret: str) -> bytes:
    """The secret is base64 after its prefix; one that is not stands for itself."""
    try:
        return base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _bytes(header: str) -> bytes:
    return header.encode(errors="surrogatepass")


def read(road: str, body: bytes, account: ProviderAccount, now: datetime) -> Said:  # noqa: ARG001 - it has one road
    """What an event says. ``now``: when it came."""
    try:
        event = read_object(body)
    except NotStrict as error:
        return Said(NotUnderstood(str(error)))
    kind, thing = event.get("type"), _part(event.get("data"), "object")
    if not isinstance(kind, str) or thing is None:
        return Said(NotUnderstood("no event: type or data.object is missing"))
    outcome = _outcome(account.signed, kind, _Event(event, thing, account.currency, now))
    return Said(outcome, _event_id(event, kind, thing))


def _event_id(event: Mapping[str, Any], kind: str, thing: Mapping[str, Any]) -> str | None:
    """The event's own, or one that follows from what it is about."""
    if (event_id := _text(event.get("id"))) is not None:
        return event_id
    thing_id = _text(thing.get("id"))
    return clean(f"{kind}:{thing_id}") if thing_id is not None and thing.get("amount_refunded") is None else None


class _Event:
    """An event's parts, by the names that they may have."""

    def __init__(
        self, event: Mapping[str, Any], thing: Mapping[str, Any], currency: str, received_at: datetime
    ) -> None:
        self.event, self.thing, self.currency, self.received_at = event, thing, currency, received_at

    @property
    def id(self) -> str | None:
        return _text(self.thing.get("id"))

    @property
    def reference(self) -> str | None:
        """What the payment is for, as whoever began it wrote it there."""
        metadata = _part(self.thing, "metadata") or {}
        found = (metadata.get("reference"), self.thing.get("reference"), self.thing.get("client_reference_id"))
        return next((text for value in found if (text := _text(value)) is not None), None)

    @property
    def payment(self) -> str | None:
        """What a refund or a dispute is about: the payment's own id."""
        found = (self.thing.get(name) for name in ("payment_intent", "payment", "charge"))
        return next((text for value in found if (text := _text(value)) is not None), None)

    @property
    def amount(self) -> int | None:
        received = self.thing.get("amount_received")
        return self.minor(self.thing.get("amount") if received in (None, 0) else received)

    def minor(self, value: object) -> int | None:
        """In minor units of the account's currency; None for what is none, or finer than it has."""
        minor = _minor(value)
        if minor is None or self.currency not in IN_HUNDREDTHS:
            return minor
        whole, rest = divmod(minor, 100)
        return whole if not rest else None

    @property
    def at(self) -> datetime:
        """When it happened, by the provider's word; when it came to us, where that is missing or ahead."""
        for seconds in (self.event.get("created"), self.thing.get("created")):
            if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 < seconds < LATEST_S:
                return min(datetime.fromtimestamp(seconds, UTC), self.received_at)
        return self.received_at

    @property
    def method(self) -> Method:
        kinds = self.thing.get("payment_method_types")
        first = kinds[0] if isinstance(kinds, list) and len(kinds) == 1 else None
        return METHODS.get(first, Method.OTHER) if isinstance(first, str) else Method.CARD

    @property
    def is_of_currency(self) -> bool:
        """Of the account's, or it names none."""
        named = self.thing.get("currency")
        return named is None or (isinstance(named, str) and named.upper() == self.currency)

    def doubtful(self, why: str) -> Doubtful:
        """With its own id for a receipt: what it is about may well be booked, and all the same this is a question."""
        about = f"{why} ({self.payment})" if self.payment is not None else why
        return Doubtful(about, self.id, self.amount, self.reference)


def _outcome(config: SignedConfig, kind: str, event: _Event) -> Outcome:
    types = config.events
    if kind in types.succeeded:
        return _paid(event)
    if kind in types.failed:
        return _failed(event)
    if kind in types.refunded:
        return _refunded(event)
    if kind in types.disputed:
        return event.doubtful("the payer disputes it")
    return Nothing(clean(f"events of type {kind} move nothing here"))


def _paid(event: _Event) -> Outcome:
    if event.id is None:
        return event.doubtful("paid, without an id")
    if (amount := event.amount) is None:
        return event.doubtful("paid, without an amount in minor units")
    if not event.is_of_currency:
        return event.doubtful(f"paid in another currency than {event.currency}")
    phone = (_part(event.thing, "billing_details") or {}).get("phone")
    return Paid(
        receipt=event.id,
        amount_minor=amount,
        paid_at=event.at,
        method=event.method,
        account_ref=event.reference,
        payer=_text(phone),
    )


def _failed(event: _Event) -> Outcome:
    error = _part(event.thing, "last_payment_error") or {}
    code = _text(error.get("code")) or _text(event.thing.get("failure_code")) or "failed"
    text = _text(error.get("message")) or _text(event.thing.get("failure_message")) or ""
    return Failed(None, code, text, account_ref=event.reference, receipt=event.id)


def _refunded(event: _Event) -> Outcome:
    """A refund of its own, or a charge with what has been given back of it in all."""
    if event.id is None:
        return event.doubtful("a refund without an id")
    if not event.is_of_currency:
        return event.doubtful(f"a refund in another currency than {event.currency}")
    if event.thing.get("amount_refunded") is not None:
        return _refunded_in_all(event, event.id)
    if event.payment is None:
        return event.doubtful("a refund that names no payment")
    if (amount := event.amount) is None:
        return event.doubtful("a refund without an amount in minor units")
    return Reversed(event.id, event.payment, amount, event.at)


def _refunded_in_all(event: _Event, charge: str) -> Outcome:
    """Only the difference is new; a charge that is given back whole is undone whole."""
    total, whole = event.minor(event.thing["amount_refunded"]), event.minor(event.thing.get("amount"))
    if total is None:
        return event.doubtful("a refund without an amount in minor units")
    before = (_part(event.event.get("data"), "previous_attributes") or {}).get("amount_refunded")
    given_back = 0 if before == 0 else event.minor(before)
    if given_back is None and total != whole:
        return event.doubtful("a refund that does not say what was given back before")
    amount = total - given_back if given_back is not None else None
    if amount is not None and amount <= 0:
        return event.doubtful("a refund of nothing")
    return Reversed(clean(f"{charge}:{total}"), event.payment or charge, amount, event.at)


def _part(value: object, name: str) -> Mapping[str, Any] | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else None


def _text(value: object) -> str | None:
    """Some text, also where a number stands for it."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    return clean(value) if isinstance(value, str) and value.strip() else None


def _minor(value: object) -> int | None:
    """Minor units: a whole number above nothing, or its digits; None for all else."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,16}", value, re.ASCII):
        value = int(value)
    if isinstance(value, Decimal) and abs(value.adjusted()) < MOST_DIGITS and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST_MINOR:
        return None
    return value
