"""Rules of webhooks: the schedule, rests and ends, signatures, what an event says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Verifier

from waypost.notifications import kinds
from waypost.notifications.domain import Notice
from waypost.notifications.kinds import ANSWERS, EVENTS, KINDS, Group
from waypost.webhooks import bodies, rules, signing
from waypost.webhooks.catalogue import ALL, NO_EVENT, OF_KIND, TEST, TYPES
from waypost.webhooks.domain import Health, OffReason, Secret, State
from waypost.webhooks.rules import Outcome, after_try, health_after, off_after, outcome_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REFUSED = Outcome(taken=False, reason="http_500", status=500)
EVENT = UUID("0193b5d5-7c3f-7000-8000-000000000001")
LAYBY = UUID("0193b5d5-7c3f-7000-8000-000000000002")
CUSTOMER = UUID("0193b5d5-7c3f-7000-8000-000000000003")


def wait_s(tried: int, jitter: float = 0.5, outcome: Outcome = REFUSED) -> float:
    verdict = after_try(outcome, tried=tried, now=NOON, jitter=jitter)
    assert verdict.due_at is not None
    return (verdict.due_at - NOON).total_seconds()


def test_the_waits_are_those_of_standard_webhooks_and_then_it_is_dead():
    assert [round(wait_s(n)) for n in range(1, 8)] == [5, 300, 1800, 7200, 18_000, 36_000, 36_000]
    assert after_try(REFUSED, tried=8, now=NOON, jitter=0.5).state is State.DEAD


@given(st.integers(1, 7), st.floats(0, 1, exclude_max=True))
def test_each_wait_is_within_a_fifth_of_its_length(tried: int, jitter: float):
    length_s = rules.WAITS[tried - 1].total_seconds()
    assert 0.8 * length_s - 1e-3 <= wait_s(tried, jitter) <= 1.2 * length_s + 1e-3


def test_a_retry_after_is_a_floor_and_a_day_its_roof():
    asked = Outcome(taken=False, reason="http_503", status=503, retry_after_s=90)
    assert wait_s(1, outcome=asked) == 90
    assert wait_s(2, outcome=asked) == 300
    assert wait_s(1, outcome=Outcome(taken=False, status=503, retry_after_s=1e9)) == 86_400


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_taken(status: int):
    assert after_try(outcome_of(status, None, None), tried=1, now=NOON, jitter=0).state is State.SENT


@pytest.mark.parametrize(
    ("status", "reason"), [(301, "redirected"), (307, "redirected"), (400, "http_400"), (500, "http_500")]
)
def test_everything_else_is_tried_again_a_redirect_too(status: int, reason: str):
    verdict = after_try(outcome_of(status, None, None), tried=1, now=NOON, jitter=0)
    assert (verdict.state, verdict.reason) == (State.PENDING, reason)


def test_410_ends_the_delivery_and_switches_the_webhook_off():
    gone = outcome_of(410, None, None)
    assert after_try(gone, tried=1, now=NOON, jitter=0).state is State.FAILED
    assert off_after(health_after(Health(), gone, NOON, 0), gone, NOON) is OffReason.GONE


def test_five_days_in_which_nothing_was_taken_switch_it_off_and_not_a_second_less():
    failing = Health(failing_since=NOON)
    assert off_after(failing, REFUSED, NOON + timedelta(days=5)) is OffReason.FAILING
    assert off_after(failing, REFUSED, NOON + timedelta(days=5, seconds=-1)) is None


def test_one_that_takes_something_has_a_clean_record():
    before = Health(NOON - timedelta(days=9), 40, NOON)
    taken = outcome_of(204, None, None)
    assert health_after(before, taken, NOON, 0) == Health()
    assert off_after(Health(), taken, NOON) is None


def test_it_rests_from_the_third_failure_in_a_row_longer_each_time_up_to_ten_minutes():
    health, rests = Health(), []
    for _ in range(10):
        health = health_after(Health(health.failing_since, health.failures, None), REFUSED, NOON, 0)
        rests.append((health.slow_until - NOON).total_seconds() if health.slow_until else 0)
    assert rests == [0, 0, 30, 60, 120, 240, 480, 600, 600, 600]
    assert health.failing_since == NOON


@pytest.mark.parametrize("status", [429, 502, 504])
def test_what_says_slow_down_gets_a_rest_at_once(status: int):
    assert health_after(Health(), outcome_of(status, None, None), NOON, 0).slow_until == NOON + timedelta(seconds=30)
    asked = health_after(Health(), outcome_of(status, 120, None), NOON, 0)
    assert asked.slow_until == NOON + timedelta(seconds=120)


def test_a_rest_is_never_shortened_by_another_try_that_fails():
    resting = Health(NOON, 5, NOON + timedelta(hours=1))
    assert health_after(resting, REFUSED, NOON, 0).slow_until == NOON + timedelta(hours=1)


def test_while_it_fails_one_at_a_time_is_tried():
    assert rules.at_once(Health()) == rules.AT_ONCE
    assert rules.at_once(Health(NOON, rules.BREAK_AT)) == 1


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), (" 30 ", 30), (None, None), ("", None), ("Wed, 21 Oct 2026", None), ("-1", None)]
)
def test_a_retry_after_is_read_in_seconds(header: str | None, seconds: float | None):
    assert rules.retry_after_s(header) == seconds


def test_the_published_vector_is_signed_as_published():
    signature = signing.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200))
def test_the_published_library_accepts_what_we_sign(key: bytes, text: str):
    body = json.dumps({"text": text}).encode()
    secret = signing.secret_of(key)
    headers = signing.headers([Secret(secret)], str(EVENT), datetime.now(UTC), body)
    assert Verifier(secret).verify(body, dict(headers)) == {"text": text}


def test_while_a_secret_rotates_both_sign_and_after_a_day_the_new_one_alone():
    old, new = signing.secret_of(b"o" * 32), signing.secret_of(b"n" * 32)
    both = signing.with_new([Secret(old)], new, NOON)
    assert both == (Secret(new), Secret(old, NOON + timedelta(days=1)))
    during = signing.headers(both, "id", NOON + timedelta(hours=23), b"{}")["webhook-signature"].split(" ")
    at = int((NOON + timedelta(hours=23)).timestamp())
    assert during == [signing.sign(secret, "id", at, b"{}") for secret in (new, old)]
    after = signing.headers(both, "id", NOON + timedelta(days=1), b"{}")["webhook-signature"]
    assert after == signing.sign(new, "id", int((NOON + timedelta(days=1)).timestamp()), b"{}")


def test_an_older_secret_is_not_given_a_longer_life_by_a_second_rotation():
    first = signing.with_new([Secret("whsec_YQ==")], "whsec_Yg==", NOON)
    second = signing.with_new(first, "whsec_Yw==", NOON + timedelta(hours=1))
    assert [each.until for each in second] == [None, NOON + timedelta(hours=25), NOON + timedelta(days=1)]


def test_every_kind_that_a_customer_or_a_subscriber_is_told_of_has_an_event():
    told = ({kind.name for kind in KINDS.values() if kind.group is not Group.STAFF} | EVENTS) - ANSWERS
    assert told - set(OF_KIND) == set()
    assert set(OF_KIND) - set(KINDS) - EVENTS == set()
    assert {kind.name for kind in KINDS.values() if kind.name not in OF_KIND} == NO_EVENT
    assert len({each.name for each in ALL}) == len(ALL)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_fact_of_an_example_is_a_field_of_its_data_and_of_its_type(name: str):
    event_type = TYPES[name]
    body = json.loads(bodies.body_of(bodies.sample(event_type), EVENT, 7, NOON))
    fields = {field.encode_name for field in msgspec.structs.fields(event_type.data)}
    assert set(body["data"]) == ({*event_type.example} & fields) | {event_type.subject, "test"}
    assert (body["id"], body["type"], body["sequence"]) == (str(EVENT), name, 7)
    assert (body["version"], body["timestamp"]) == (1, "2026-11-22T12:00:00.000Z")
    assert all(isinstance(value, int) for key, value in body["data"].items() if key.endswith("Minor"))


def notice(kind: str, facts: dict[str, str], user_id: UUID | None = None) -> bodies.Reading | None:
    payload = msgspec.json.encode(Notice(CUSTOMER, "layby", LAYBY, facts, user_id=user_id)).decode()
    return bodies.read(OF_KIND[kind], payload)


def test_a_notice_becomes_data_with_numbers_dates_and_lists():
    facts = {
        "reference": "LB-1", "currency": "KES", "balanceMinor": "450000", "nextDueMinor": "", "nextDueDate": "",
        "finalDate": "2027-02-01", "status": "active", "goods": '[{"name":"Sofa","quantity":"1","totalMinor":"6000"}]',
        "cancelling": "[]", "receipt": "",
    }  # fmt: skip
    reading = notice(kinds.LAYBY_CREATED, facts)
    assert reading is not None
    assert json.loads(bodies.body_of(reading, EVENT, 1, NOON))["data"] == {
        "laybyId": str(LAYBY), "customerId": str(CUSTOMER), "reference": "LB-1", "currency": "KES",
        "balanceMinor": 450000, "finalDate": "2027-02-01", "status": "active",
        "goods": [{"name": "Sofa", "quantity": 1, "totalMinor": 6000}],
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(OF_KIND))
def test_whatever_the_facts_are_there_is_a_body_with_what_it_is_about(kind: str):
    for odd in ({}, {"balanceMinor": "x", "at": "y", "goods": "[", "schedule": "{}", "days": "1.5", "item": "none"}):
        reading = notice(kind, odd)
        assert reading is not None
        data = json.loads(bodies.body_of(reading, EVENT, 1, NOON))["data"]
        assert data[OF_KIND[kind].subject] == str(LAYBY)


def test_a_notice_to_one_of_the_staff_is_no_event():
    assert notice(kinds.LAYBY_CREATED, {}, user_id=CUSTOMER) is None


def test_a_fact_of_another_type_than_described_leaves_what_it_is_about():
    reading = notice(kinds.LAYBY_CREATED, {"balanceMinor": "much", "reference": "LB-1"})
    assert reading is not None
    assert json.loads(bodies.body_of(reading, EVENT, 1, NOON))["data"] == {"laybyId": str(LAYBY)}


def test_what_would_be_too_long_loses_its_lists_and_then_the_ends_of_its_texts():
    goods = json.dumps([{"name": "Sofa" * 20, "quantity": "1", "totalMinor": "1"}] * 400)
    reading = notice(kinds.LAYBY_CREATED, {"reference": "LB-1", "goods": goods})
    assert reading is not None
    body = bodies.body_of(reading, EVENT, 1, NOON)
    assert len(body.encode()) < bodies.MOST_BYTES
    assert json.loads(body)["data"] == {"laybyId": str(LAYBY), "customerId": str(CUSTOMER), "reference": "LB-1"}
    long = notice(kinds.LAYBY_CREATED, {"reference": "é" * 30_000})
    assert long is not None
    body = bodies.body_of(long, EVENT, 1, NOON)
    assert len(body.encode()) < bodies.MOST_BYTES
    assert json.loads(body)["data"]["reference"] == "é" * bodies.LONGEST_TEXT


def test_an_example_says_that_nothing_of_it_happened():
    body = json.loads(bodies.body_of(bodies.sample(TYPES[TEST], LAYBY), EVENT, 1, NOON))
    assert body["data"] == {"webhookId": str(LAYBY), "test": True}
