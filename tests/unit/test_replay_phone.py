"""What a good phone keeps, and what it makes of an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.replay.devices import Credential, ReplayError, match, read_devices
from waypost.replay.outbox import Outbox
from waypost.replay.rows import Row
from waypost.replay.transports import answer_of_ack, refusal_code
from waypost.replay.verdicts import Answer, Move, Verdict, backoff_s, judge, retry_after_s
from waypost.replay.wire import Envelope, Outcome, location

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROW = Row("v", 0, -17.8, 31.05)


def numbers(outbox: Outbox) -> list[int]:
    found = []
    while (batch := outbox.head()) is not None:
        found += [one.n for one in batch.locations]
        outbox.settle()
    return found


def test_what_is_unknown_or_negative_is_left_out_of_a_location():
    row = Row("v", 0, -17.8, 31.05, speed_mps=-1.0, heading_deg=0.0)
    sent = msgspec.json.encode(Envelope(1, "s", (location(row, 1_795_348_800_007, 3),)))
    one = {"latitude": -17.8, "longitude": 31.05, "timestamp": "2026-11-22T12:00:00.007Z", "n": 3, "heading": 0.0}
    assert msgspec.json.decode(sent) == {"sentAt": 1, "stream": "s", "locations": [one]}


def test_the_head_of_an_outbox_is_the_same_batch_until_it_is_settled():
    outbox = Outbox()
    outbox.add(ROW, 0)
    first = outbox.head()
    outbox.add(ROW, 1)
    assert outbox.head() is first
    outbox.settle()
    assert [one.n for one in outbox.head().locations] == [2]


def test_a_batch_holds_at_most_a_thousand_locations():
    outbox = Outbox()
    for _ in range(2_500):
        outbox.add(ROW, 0)
    assert len(outbox.head().locations) == 1000
    assert numbers(outbox) == list(range(1, 2_501))


def test_a_full_outbox_keeps_the_newest_and_counts_what_it_dropped():
    outbox = Outbox(capacity=3)
    for _ in range(5):
        outbox.add(ROW, 0)
    assert (outbox.dropped, len(outbox)) == (2, 3)
    assert numbers(outbox) == [3, 4, 5]


@given(st.integers(1, 60), st.lists(st.booleans(), max_size=200))
def test_splitting_and_settling_loses_no_number_and_keeps_their_order(fixes, splits):
    outbox, sent = Outbox(), []
    for _ in range(fixes):
        outbox.add(ROW, 0)
    decisions = iter(splits)
    while (batch := outbox.head()) is not None:
        if not (next(decisions, False) and outbox.split()):
            sent += [one.n for one in batch.locations]
            outbox.settle()
    assert sent == list(range(1, fixes + 1))


def test_one_location_that_is_too_large_cannot_be_split():
    outbox = Outbox()
    outbox.add(ROW, 0)
    assert outbox.head()
    assert not outbox.split()


@pytest.mark.parametrize(
    ("status", "move"),
    [(400, Move.DROP), (422, Move.DROP), (401, Move.STOP), (404, Move.STOP), (413, Move.SPLIT), (429, Move.AGAIN),
     (500, Move.AGAIN), (503, Move.AGAIN), (302, Move.STOP)],
)  # fmt: skip
def test_each_status_has_its_consequence(status, move):
    assert judge(Answer(status), 1, 0.0).move is move


def test_a_200_without_an_outcome_promises_nothing():
    assert judge(Answer(200), 1, 0.0) == Verdict(Move.AGAIN, 1.0, "200")
    assert judge(Answer(200, Outcome(1)), 1, 0.0).move is Move.DONE


def test_advice_to_send_less_often_is_followed_within_reason():
    assert judge(Answer(200, Outcome(1, next_ms=5000)), 1, 0.0).wait_s == 5
    assert judge(Answer(200, Outcome(1, next_ms=10**9)), 1, 0.0).wait_s == 60


def test_retry_after_is_honoured_up_to_a_cap():
    waits = [judge(Answer(503, retry_after_s=s), 1, 0.0).wait_s for s in (0.0, 7.0, 86_400.0)]
    assert waits == [1, 7, 300]


def test_waits_double_from_a_second_to_five_minutes_and_jitter_adds_up_to_a_half():
    assert [backoff_s(n, 0.0) for n in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 300, 300]
    assert backoff_s(1, 0.5) == 1.25


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0), ("-3", 0.0), ("soon", None), ("", None), (None, None)],
)
def test_retry_after_may_be_seconds_or_a_date(header, seconds):
    assert retry_after_s(header, NOON) == seconds


@pytest.mark.parametrize(
    ("ack", "status"),
    [
        ({"ok": True, "accepted": 1, "duplicates": 0, "rejected": [], "late": 0, "flagged": [], "latest": None}, 200),
        ({"ok": False, "error": {"code": "too-many", "detail": "", "retry": True}}, 429),
        ({"ok": False, "error": {"code": "unavailable", "detail": "", "retry": True}}, 503),
        ({"ok": False, "error": {"code": "busy-today", "detail": "", "retry": True}}, 503),
        ({"ok": False, "error": {"code": "trip-not-found", "detail": "", "retry": False}}, 404),
        ({"ok": False, "error": {"code": "token-revoked", "detail": "", "retry": False}}, 401),
        ({"ok": False, "error": {"code": "too-large", "detail": "", "retry": False}}, 413),
        ({"ok": False, "error": {"code": "whatever", "detail": "", "retry": False}}, 422),
        (None, 200),
    ],
)
def test_an_ack_is_read_in_the_terms_of_http(ack, status):
    answer = answer_of_ack(ack)
    assert answer.status == status
    assert (answer.outcome is not None) == bool(ack and ack["ok"])


def test_the_reason_of_a_refused_connection_is_found_where_it_may_be():
    assert refusal_code({"message": "no", "data": {"code": "token-revoked"}}) == "token-revoked"
    assert refusal_code({"message": "Unauthenticated"}) == "unauthenticated"
    assert refusal_code(None) == ""


def test_devices_are_matched_by_name_and_the_others_in_file_order():
    one, two, three = (Credential(name, f"t-{name}") for name in ("b", "spare", "other"))
    assert match(["a", "b", "c", "d"], [two, one, three]) == [two, one, three, None]


def test_a_devices_file_is_json_lines_and_a_bad_one_is_named(tmp_path: Path):
    path = tmp_path / "devices.jsonl"
    path.write_text('{"vehicle": "v", "token": "secret", "tripId": "t"}\n\n{"vehicle": "w", "token": "u"}\n')
    assert read_devices(path) == [Credential("v", "secret", "t"), Credential("w", "u")]
    assert "secret" not in repr(read_devices(path))
    path.write_text('{"vehicle": "v"}')
    with pytest.raises(ReplayError, match=r"devices\.jsonl:1: no device.*token"):
        read_devices(path)
    path.write_text("")
    with pytest.raises(ReplayError, match="no device; expected lines of"):
        read_devices(path)
