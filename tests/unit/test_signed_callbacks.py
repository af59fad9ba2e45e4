"""Signed events: the check of the signature, and what an event says."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from multidict import CIMultiDict

from waypost.payments.domain import Method
from waypost.payments.providers import signed
from waypost.payments.providers.accounts import (
    EventTypes,
    ProviderAccount,
    ProviderName,
    Secret,
    SignedConfig,
    normal_network,
    of_seal_form,
    seal_form,
)
from waypost.payments.providers.outcomes import Doubtful, Failed, Nothing, NotUnderstood, Paid, Reversed
from waypost.payments.providers.signed import SignatureInvalid, check, sign_standard, sign_stripe

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
NEW, OLD = "whsec_new_0123456789", "whsec_old_0123456789"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"id":"evt_1","amount": 1.00}'
CONFIG = SignedConfig((Secret(NEW), Secret(OLD, NOW + timedelta(hours=1)), Secret(STANDARD)))
ACCOUNT = ProviderAccount(
    UUID(int=1), UUID(int=2), ProviderName.SIGNED, "Cards", CONFIG, (), None, "KES", NOW - timedelta(days=1), 1
)


def stripe(*signatures: str, at: int = AT) -> CIMultiDict[str]:
    return CIMultiDict({"stripe-signature": ",".join([f"t={at}", *signatures])})


def v1(secret: str, body: bytes = BODY, at: int = AT) -> str:
    return sign_stripe(secret, body, at).split(",", 1)[1]


def standard(secret: str, body: bytes = BODY, at: int = AT, event_id: str = "msg_1") -> CIMultiDict[str]:
    signature = sign_standard(secret, event_id, body, at)
    return CIMultiDict({"Webhook-Id": event_id, "Webhook-Timestamp": str(at), "Webhook-Signature": signature})


def changed(headers: CIMultiDict[str], name: str, value: str) -> CIMultiDict[str]:
    copy = headers.copy()
    copy[name] = value
    return copy


GOOD = {
    "the present secret": stripe(v1(NEW)),
    "the one before, while it lasts": stripe(v1(OLD)),
    "one of several signatures": stripe("v1=00", v1(OLD), "v1=zz"),
    "beside a scheme that nobody knows": stripe("v0=6ffb", v1(NEW), "v2=ab"),
    "five minutes ago": stripe(v1(NEW, at=AT - 300), at=AT - 300),
    "five minutes ahead": stripe(v1(NEW, at=AT + 300), at=AT + 300),
    "standard webhooks": standard(STANDARD),
    "standard webhooks with a secret that is no base64": standard(NEW),
    "standard webhooks with several signatures": changed(
        standard(STANDARD), "Webhook-Signature", f"v1a,xx v1,AAAA {sign_standard(STANDARD, 'msg_1', BODY, AT)}"
    ),
}
BAD = {
    "no header": CIMultiDict[str](),
    "an empty one": stripe(),
    "another secret": stripe(v1("whsec_other_0123456789")),
    "another body": stripe(v1(NEW, BODY.replace(b"1.00", b"1.0"))),
    "another time than was signed": stripe(v1(NEW), at=AT + 1),
    "too old": stripe(v1(NEW, at=AT - 301), at=AT - 301),
    "too far ahead": stripe(v1(NEW, at=AT + 301), at=AT + 301),
    "no time": CIMultiDict({"Stripe-Signature": v1(NEW)}),
    "two times": CIMultiDict({"Stripe-Signature": f"t={AT},t={AT},{v1(NEW)}"}),
    "a time that is none": CIMultiDict({"Stripe-Signature": f"t=٣,{v1(NEW)}"}),
    "a right signature under another scheme": stripe(v1(NEW).replace("v1", "v0")),
    "letters that are no ASCII": stripe("v1=\u00e9\ud800"),
    "standard webhooks of another id": changed(standard(STANDARD), "Webhook-Id", "msg_2"),
    "standard webhooks without an id": standard(STANDARD, event_id=""),
    "standard webhooks, too old": standard(STANDARD, at=AT - 301),
}


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD.keys())
def test_a_good_signature_lets_the_event_in(headers: CIMultiDict[str]):
    check(CONFIG, headers, BODY, NOW)


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD.keys())
def test_any_other_is_refused(headers: CIMultiDict[str]):
    with pytest.raises(SignatureInvalid):
        check(CONFIG, headers, BODY, NOW)


def test_a_secret_that_was_replaced_ends_on_its_day():
    headers = stripe(v1(OLD, at=AT + 3600), at=AT + 3600)
    with pytest.raises(SignatureInvalid):
        check(CONFIG, headers, BODY, NOW + timedelta(hours=1))


def test_the_signature_is_the_one_of_the_vendors_documentation():
    by_hand = hmac.new(b"whsec_test", b'1492774577.{"a":1}', "sha256").hexdigest()
    assert sign_stripe("whsec_test", b'{"a":1}', 1492774577) == f"t=1492774577,v1={by_hand}"
    # The example of the specification of Standard Webhooks.
    body = b'{"test": 2432232314}'
    assert sign_standard(STANDARD, "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def event(kind: str, *, previous: dict[str, Any] | None = None, event_id: Any = "evt_1", **thing: Any) -> bytes:
    data: dict[str, Any] = {"object": thing} | ({"previous_attributes": previous} if previous else {})
    return json.dumps({"id": event_id, "type": kind, "created": AT - 5, "data": data}).encode()


def read(body: bytes) -> Any:
    return signed.read("signed", body, ACCOUNT, NOW).outcome


def paid(**thing: Any) -> Any:
    return read(event("payment.succeeded", **({"id": "pi_1", "amount": 25000, "currency": "kes"} | thing)))


def test_a_payment_is_read_with_its_reference():
    assert paid(metadata={"reference": "7K3MQ96"}) == Paid(
        "pi_1", 25000, NOW - timedelta(seconds=5), Method.CARD, account_ref="7K3MQ96"
    )


@pytest.mark.parametrize(
    ("thing", "account_ref"),
    [
        ({"metadata": {"reference": 7391}}, "7391"),
        ({"reference": "abc"}, "abc"),
        ({"client_reference_id": "abc"}, "abc"),
        ({"metadata": None}, None),
        ({"metadata": {"reference": ["x"]}}, None),
        ({"metadata": {"reference": "a\u0000b"}}, "a\ufffdb"),
        ({"metadata": {"reference": "\ud800"}}, "?"),
    ],
    ids=["a number", "beside the amount", "of a checkout", "none", "a list", "a NUL", "half a character"],
)
def test_a_reference_is_taken_from_where_it_may_be(thing: dict[str, Any], account_ref: str | None):
    assert paid(**thing).account_ref == account_ref


@pytest.mark.parametrize("amount", [25000, "25000", 25000.0], ids=repr)
def test_an_amount_may_be_a_whole_number_in_any_clothes(amount: object):
    assert paid(amount=amount).amount_minor == 25000


@pytest.mark.parametrize("amount", [True, None, 0, -1, 1.5, "250.00", "1e3", "", [1], 10**16, "٣", {}], ids=repr)
def test_any_other_amount_is_never_guessed(amount: object):
    assert isinstance(paid(amount=amount), Doubtful)


@pytest.mark.parametrize("currency", ["UGX", "ISK"])
def test_a_currency_that_is_written_in_hundredths_without_having_any_is_booked_whole_or_asked_about(currency: str):
    account = replace(ACCOUNT, currency=currency)

    def outcome(kind: str, **thing: Any) -> Any:
        return signed.read("signed", event(kind, currency=currency.lower(), **thing), account, NOW).outcome

    assert outcome("payment.succeeded", id="pi_1", amount=500_000).amount_minor == 5_000
    assert isinstance(outcome("payment.succeeded", id="pi_1", amount=500_050), Doubtful)
    charge = {"id": "ch_1", "amount": 900_00, "previous": {"amount_refunded": 0}}
    assert outcome("charge.refunded", amount_refunded=300_00, **charge).amount_minor == 300
    assert isinstance(outcome("charge.refunded", amount_refunded=300_01, **charge), Doubtful)


def test_what_was_received_counts_not_what_was_asked_for():
    assert paid(amount=25000, amount_received=20000).amount_minor == 20000


def test_another_currency_than_the_accounts_is_a_question():
    assert isinstance(paid(currency="usd"), Doubtful)
    assert isinstance(paid(currency=404), Doubtful)


def test_a_payment_without_an_id_is_a_question():
    assert isinstance(paid(id=None), Doubtful)


@pytest.mark.parametrize("created", [AT + 900, -5, "x", True, 10**30], ids=repr)
def test_a_time_that_cannot_be_is_when_it_came(created: object):
    body = json.dumps(
        {"id": "e", "type": "payment.succeeded", "created": created, "data": {"object": {"id": "p", "amount": 1}}}
    ).encode()
    assert read(body).paid_at == NOW


@pytest.mark.parametrize(
    ("kinds", "method"),
    [
        (["card"], Method.CARD),
        (["mobile_money"], Method.MOBILE),
        (["us_bank_account"], Method.BANK),
        (["crypto"], Method.OTHER),
        (["card", "mobile_money"], Method.CARD),
        ([[1]], Method.CARD),
    ],
    ids=str,
)
def test_the_way_of_a_payment_is_the_providers_where_it_is_one(kinds: list[Any], method: Method):
    assert paid(payment_method_types=kinds).method is method


def test_a_failure_says_why():
    error = {"code": "card_declined", "message": "Your card was declined."}
    body = event("payment_intent.payment_failed", id="pi_1", amount=5, last_payment_error=error)
    assert read(body) == Failed(None, "card_declined", "Your card was declined.", receipt="pi_1")


def test_a_refund_takes_back_what_it_names():
    body = event("payment.refunded", id="re_1", payment="pi_1", amount=100, currency="kes")
    assert read(body) == Reversed("re_1", "pi_1", 100, NOW - timedelta(seconds=5))


def test_of_a_charge_that_is_given_back_bit_by_bit_only_the_new_bit_counts():
    charge = {"id": "ch_1", "payment_intent": "pi_1", "amount": 900, "currency": "kes"}
    first = event("charge.refunded", previous={"amount_refunded": 0}, amount_refunded=300, **charge)
    second = event("charge.refunded", previous={"amount_refunded": 300}, amount_refunded=500, **charge)
    assert (read(first).amount_minor, read(first).receipt) == (300, "ch_1:300")
    assert (read(second).amount_minor, read(second).receipt) == (200, "ch_1:500")
    assert read(first).original_receipt == "pi_1"


def test_a_charge_that_is_given_back_whole_is_undone_whole():
    assert read(event("charge.refunded", id="ch_1", amount=900, amount_refunded=900)) == Reversed(
        "ch_1:900", "ch_1", None, NOW - timedelta(seconds=5)
    )


@pytest.mark.parametrize(
    "thing",
    [
        {"id": "re_1", "amount": 100},
        {"payment": "pi_1", "amount": 100},
        {"id": "re_1", "payment": "pi_1"},
        {"id": "re_1", "payment": "pi_1", "amount": 100, "currency": "usd"},
        {"id": "ch_1", "amount": 900, "amount_refunded": 300},
        {"id": "ch_1", "amount": 900, "amount_refunded": "x"},
    ],
    ids=["no payment", "no id", "no amount", "another currency", "in all, but what before", "in all, no number"],
)
def test_a_refund_that_is_not_clear_is_a_question(thing: dict[str, Any]):
    assert isinstance(read(event("charge.refunded", **thing)), Doubtful)


def test_a_dispute_is_a_question_of_its_own_even_if_the_payment_is_known():
    outcome = read(event("charge.dispute.created", id="dp_1", payment_intent="pi_1", amount=900))
    assert outcome == Doubtful("the payer disputes it (pi_1)", "dp_1", 900)


def test_other_events_move_nothing():
    assert isinstance(read(event("customer.created", id="cus_1")), Nothing)


def test_which_types_mean_what_is_the_accounts_to_say():
    own = SignedConfig((Secret(NEW),), EventTypes(succeeded=("order.paid",)))
    account = ProviderAccount(UUID(int=1), UUID(int=2), ProviderName.SIGNED, "Shop", own, (), None, "KES", NOW, 1)
    outcome = signed.read("signed", event("order.paid", id="o1", amount=5), account, NOW).outcome
    assert isinstance(outcome, Paid)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"type":"payment.succeeded"}',
        b'{"type":1,"data":{"object":{}}}',
        b'{"type":"payment.succeeded","data":{"object":[]}}',
        b'{"type":"a","type":"payment.succeeded","data":{"object":{}}}',
        b'{"type":"payment.succeeded","data":{"object":{"amount":NaN}}}',
        b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
    ids=["nothing", "list", "null", "no UTF-8", "no data", "type", "object", "twice", "NaN", "deep", "digits"],
)
def test_what_is_no_event_is_kept_for_a_person(body: bytes):
    assert isinstance(read(body), NotUnderstood)


def test_a_number_beyond_all_money_is_a_question():
    assert isinstance(read(event("payment.succeeded", id="p").replace(b'"p"', b'"p","amount":1e400')), Doubtful)


def test_an_event_without_an_id_is_known_by_what_it_is_about():
    said = signed.read("signed", event("payment.disputed", event_id=None, id="dp_1", amount=5), ACCOUNT, NOW)
    assert said.event_id == "payment.disputed:dp_1"
    named = signed.read("signed", event("payment.disputed", event_id="evt_9", id="dp_1", amount=5), ACCOUNT, NOW)
    assert named.event_id == "evt_9"


def test_an_account_is_sealed_and_read_back_whole_and_shows_no_secret():
    assert of_seal_form(seal_form(CONFIG)) == CONFIG
    assert NEW not in repr(CONFIG)
    assert NEW not in repr(ACCOUNT)


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ((), "unknown", True),
        (("196.201.214.200/32",), "196.201.214.200", True),
        (("196.201.214.0/24",), "196.201.214.7", True),
        (("196.201.214.200/32",), "196.201.214.201", False),
        (("196.201.214.200/32",), "unknown", False),
        (("2001:db8::/48",), "2001:db8:0:1::/64", True),
        (("2001:db8::/48",), "2001:db9::/64", False),
        (("2001:db8::/48",), "196.201.214.200", False),
    ],
    ids=str,
)
def test_callbacks_come_from_the_networks_that_are_named(networks: tuple[str, ...], address: str, allowed: bool):
    account = ProviderAccount(
        UUID(int=1), UUID(int=2), ProviderName.SIGNED, "Cards", CONFIG, networks, None, "KES", NOW, 1
    )
    assert account.lets_in(address) is allowed


def test_a_network_is_kept_in_one_form():
    assert normal_network(" 196.201.214.200 ") == "196.201.214.200/32"
    assert normal_network("2001:DB8::/32") == "2001:db8::/32"
    for text in ("2001:db8::1", "here", "196.201.214.0/33"):
        with pytest.raises(ValueError, match=r"\w"):
            normal_network(text)
