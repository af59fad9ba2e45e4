"""A delivery's moves, what becomes of an attempt, and whom to tell how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON
from waypost.notifications.addresses import ChannelName, is_address, one_line
from waypost.notifications.kinds import KINDS
from waypost.notifications.states import (
    MAX_ATTEMPTS,
    NEVER,
    NEXT,
    Event,
    Outcome,
    OutcomeKind,
    State,
    after_attempt,
    moved_by,
    wait_s,
)

# The reference's table, section 3, written down once more and by hand.
TABLE = {
    "pending": {
        "withheld": "suppressed",
        "held": "pending",
        "guarded": "cancelled",
        "too_late": "expired",
        "unfit": "failed",
        "claim": "sending",
        "doubt_stays": "in_doubt",
        "receipt_sent": "sent",
        "delivered": "delivered",
        "undelivered": "undelivered",
    },
    "sending": {
        "accepted": "sent",
        "not_sent": "pending",
        "spent": "dead",
        "refused": "failed",
        "unknown": "in_doubt",
        "lease_out": "in_doubt",
        "doubt_stays": "in_doubt",
        "receipt_sent": "sent",
        "delivered": "delivered",
        "undelivered": "undelivered",
    },
    "in_doubt": {
        "accepted": "sent",
        "not_sent": "pending",
        "spent": "dead",
        "refused": "failed",
        "unknown": "in_doubt",
        "doubt_stays": "in_doubt",
        "repeat": "pending",
        "send_again": "pending",
        "absent": "pending",
        "let_be": "failed",
        "receipt_sent": "sent",
        "delivered": "delivered",
        "undelivered": "undelivered",
    },
    "sent": {"delivered": "delivered", "undelivered": "undelivered"},
    "delivered": {"undelivered": "undelivered"},
    "failed": {"replay": "pending", "receipt_sent": "sent", "delivered": "delivered"},
    "dead": {"replay": "pending"},
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", list(Event))
def test_a_delivery_moves_as_the_table_says_and_no_other_way(state: State, event: Event):
    assert NEXT.get((state, event)) == TABLE.get(state, {}).get(event)


def test_only_a_claim_leads_to_sending_and_never_straight_from_doubt():
    assert [key for key, state in NEXT.items() if state is State.SENDING] == [(State.PENDING, Event.CLAIM)]
    assert (State.SENDING, Event.REPEAT) not in NEXT


def test_what_is_final_is_moved_by_nobody():
    for state in (State.SUPPRESSED, State.CANCELLED, State.EXPIRED, State.UNDELIVERED):
        assert [event for event in Event if state in moved_by(event)] == []


RECEIPTS = (Event.RECEIPT_SENT, Event.DELIVERED, Event.UNDELIVERED)
RANK = {State.PENDING: 0, State.FAILED: 0, State.SENDING: 1, State.IN_DOUBT: 1, State.SENT: 2} | dict.fromkeys(
    (State.DELIVERED, State.UNDELIVERED), 3
)


def test_a_receipt_never_lowers_the_rank_of_a_delivery():
    for (state, event), after in NEXT.items():
        if event in RECEIPTS:
            assert RANK[after] >= RANK[state]


@pytest.mark.parametrize("start", [State.PENDING, State.SENDING, State.IN_DOUBT, State.SENT])
@pytest.mark.parametrize("receipts", [p for n in (1, 2, 3) for p in permutations(RECEIPTS, n)], ids="-".join)
def test_receipts_lead_to_the_same_state_in_whatever_order_and_however_often_they_come(
    start: State, receipts: tuple[Event, ...]
):
    def after(events: Sequence[Event]) -> State:
        state = start
        for event in events:
            state = NEXT.get((state, event), state)
        return state

    assert after(receipts) == after(receipts[::-1]) == after((*receipts, *receipts)) == after(sorted(receipts))


def judged(kind: OutcomeKind, tried: int = 1, **outcome: object):
    return after_attempt(Outcome(kind, "why", **outcome), tried=tried, now=NOON, base_s=30, jitter=0)


def test_waits_double_and_then_the_delivery_is_dead():
    verdicts = [judged(OutcomeKind.NOT_SENT, tried) for tried in range(1, 9)]
    assert [(v.due_at - NOON).seconds for v in verdicts if v.due_at] == [30, 60, 120, 240, 480, 960, 1920]
    assert [v.state for v in verdicts] == [State.PENDING] * 7 + [State.DEAD]


def test_a_wait_is_never_longer_than_an_hour_and_a_tenth():
    assert wait_s(8, 30, 0) == 3600
    assert wait_s(10_000, 30, 0.999) < 3960.1


@given(st.integers(1, 100), st.floats(0, 0.999))
def test_jitter_adds_up_to_a_tenth_and_takes_nothing_away(tried: int, jitter: float):
    plain = wait_s(tried, 30, 0)
    assert plain <= wait_s(tried, 30, jitter) <= plain * 1.1


def test_what_the_provider_asks_to_wait_is_a_floor_and_no_ceiling():
    assert judged(OutcomeKind.NOT_SENT, retry_after_s=300).due_at == NOON + timedelta(seconds=300)
    assert judged(OutcomeKind.NOT_SENT, retry_after_s=3).due_at == NOON + timedelta(seconds=30)
    assert judged(OutcomeKind.NOT_SENT, retry_after_s=1e12).due_at == NOON + timedelta(days=1)


@pytest.mark.parametrize("tried", range(1, MAX_ATTEMPTS + 2))
def test_an_unknown_outcome_is_in_doubt_whichever_try_it_was(tried: int):
    assert judged(OutcomeKind.UNKNOWN, tried).state is State.IN_DOUBT


def test_a_refusal_is_final_at_the_first_try_and_acceptance_has_no_reason():
    assert judged(OutcomeKind.REFUSED).state is State.FAILED
    accepted = after_attempt(Outcome(OutcomeKind.ACCEPTED), tried=1, now=NOON, base_s=30, jitter=0)
    assert (accepted.state, accepted.reason) == (State.SENT, None)


@pytest.mark.parametrize(("kind", "tried"), [(OutcomeKind.REFUSED, 2), (OutcomeKind.NOT_SENT, MAX_ATTEMPTS)])
def test_what_an_earlier_try_may_have_sent_stays_in_doubt_and_is_not_repeated_by_itself(kind: OutcomeKind, tried: int):
    verdict = after_attempt(Outcome(kind, "why"), tried=tried, now=NOON, base_s=30, jitter=0, doubted=True)
    assert (verdict.state, verdict.reason, verdict.due_at) == (State.IN_DOUBT, "why", NEVER)


EMAIL = ChannelName.EMAIL


@pytest.mark.parametrize(
    "address",
    [
        "", "chipo", "@example.com", "chipo@", "chipo@exa mple.com", "chipo@example.com\r\nRCPT TO:<x@y>", "a@b\n",
        "<chipo@example.com>", "chipo@example.com>", "a@b@c", ".chipo@example.com", "a..b@example.com",
        "chïpo@example.com", "a" * 250 + "@b.co", '"chipo dube"@example.com',
    ],
)  # fmt: skip
def test_what_is_no_mail_address_is_not_handed_to_a_mail_server(address: str):
    assert not is_address(EMAIL, address)


@pytest.mark.parametrize("address", ["chipo@example.com", "c.d+shop@mail.co.zw", "o'neill@example.com", "a@localhost"])
def test_ordinary_mail_addresses_are_taken(address: str):
    assert is_address(EMAIL, address)


@given(st.text())
def test_one_line_is_one_line_however_the_text_was_broken(text: str):
    line = one_line(text, 40)
    assert len(line) <= 40
    assert line.splitlines() in ([], [line])


def test_every_kind_has_a_channel_and_its_own_name():
    assert all(kind.channels and kind.name == name for name, kind in KINDS.items())
