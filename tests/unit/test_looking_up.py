"""What a provider's list of messages says of one that is in doubt."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import pytest

from waypost.notifications.looking import SKEW, SURE_AFTER, Doubt, Settled, StillOpen, judge
from waypost.notifications.providers import twilio_lists
from waypost.notifications.providers.accounts import TwilioConfig
from waypost.notifications.providers.exchange import Answer
from waypost.notifications.providers.reports import Report, Said
from waypost.notifications.providers.twilio_lists import Found
from waypost.notifications.states import Event

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + SURE_AFTER
TO = "+263771234567"
DOUBT = Doubt(UUID(int=1), UUID(int=2), UUID(int=3), TO, "Hello", NOON, NOON)
SENT = Found(Report(Said.SENT, "SM1", "queued"), TO, "Hello", NOON + timedelta(seconds=2))


@pytest.mark.parametrize(
    ("said", "event"),
    [(Said.SENT, Event.RECEIPT_SENT), (Said.NOTHING, Event.RECEIPT_SENT), (Said.DELIVERED, Event.DELIVERED),
     (Said.UNDELIVERED, Event.UNDELIVERED)],
)  # fmt: skip
def test_a_message_with_our_words_since_the_try_settles_it(said: Said, event: Event):
    settled = judge(DOUBT, [replace(SENT, report=Report(said, "SM1", reason="r"))], (), more=True, now=NOON)
    assert settled == Settled(event, "SM1", "r")


def test_nothing_to_that_number_after_long_enough_proves_that_it_was_never_taken():
    assert judge(DOUBT, [], (), more=False, now=LATER) == Settled(Event.ABSENT, reason="not_found")
    old = replace(SENT, created_at=NOON - SKEW - timedelta(seconds=1))
    assert judge(DOUBT, [old], (), more=True, now=LATER) == Settled(Event.ABSENT, reason="not_found")


STILL_OPEN: dict[str, Any] = {
    "not long enough": {"now": LATER - timedelta(seconds=1)},
    "the list does not reach back": {"more": True},
    "another text, perhaps ours in other letters": {"found": [replace(SENT, text="Hallo")]},
    "our words were not kept": {"doubt": replace(DOUBT, text=None), "found": [SENT]},
}


@pytest.mark.parametrize("why", STILL_OPEN)
def test_it_stays_in_doubt_while_the_list_does_not_say(why: str):
    of = {"doubt": DOUBT, "found": [], "more": False, "now": LATER} | STILL_OPEN[why]
    assert isinstance(judge(of["doubt"], of["found"], (), more=of["more"], now=of["now"]), StillOpen)


def test_a_message_that_is_another_deliverys_is_not_this_one():
    assert judge(DOUBT, [SENT], {"SM1"}, more=False, now=LATER) == Settled(Event.ABSENT, reason="not_found")
    second = replace(SENT, report=Report(Said.SENT, "SM2"), created_at=NOON + timedelta(seconds=3))
    settled = judge(DOUBT, [second, SENT], {"SM1"}, more=False, now=LATER)
    assert isinstance(settled, Settled)
    assert settled.reference == "SM2"


def row(**fields: Any) -> dict[str, Any]:
    return {"sid": "SM1", "to": TO, "body": "Hello", "status": "sent", "date_created": format_datetime(NOON)} | fields


def page(*rows: Any, more: bool = False) -> Answer:
    body = {"messages": list(rows), "next_page_uri": "/next" if more else None}
    return Answer(200, json.dumps(body).encode())


def test_twilios_list_is_read_with_its_times_and_whether_there_is_more():
    (found,), more = twilio_lists.read_look_up(page(row(), more=True)) or ((), False)
    assert (found.sid, found.to, found.text, found.created_at, found.report.said, more) == (
        "SM1", TO, "Hello", NOON, Said.SENT, True,
    )  # fmt: skip
    (failed,), _ = twilio_lists.read_look_up(page(row(status="undelivered", error_code=30006))) or ((), False)
    assert (failed.report.said, failed.report.reason) == (Said.UNDELIVERED, "twilio_landline")


@pytest.mark.parametrize(
    "answer",
    [Answer(503, b""), Answer(200, b"<html>"), Answer(200, b"{}"), page(row(date_created="?")), page(row(sid=None)),
     page("SM1")],
    ids=["503", "page", "empty", "time", "sid", "text"],
)  # fmt: skip
def test_a_list_that_cannot_be_read_whole_says_nothing(answer: Answer):
    found = twilio_lists.read_look_up(answer)
    assert found is None or len(found[0]) == 0


def test_the_number_is_asked_for_with_its_plus():
    asked = twilio_lists.look_up(TwilioConfig("AC" + "0" * 32, "t"), TO)
    assert asked.method == "GET"
    assert "To=%2B263771234567" in asked.url
