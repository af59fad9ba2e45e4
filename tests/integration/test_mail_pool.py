"""Connections that are kept: one that has died never makes us wrong about what became of a message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.mail import SENDER, Fault, mail_server
from tests.fakes.mail import MailServer as Sink
from tests.waiting import until
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Message, Text
from waypost.notifications.states import Outcome, OutcomeKind
from waypost_workers.channels.email import Email, MailServer
from waypost_workers.channels.mail_pool import IDLE_S, MOST_LINES, MOST_MESSAGES, MailPool, on_the_wire

ACCEPTED, NOT_SENT, REFUSED, UNKNOWN = OutcomeKind
FIRST = Message(
    org_id=UUID(int=1),
    delivery_id=UUID(int=1),
    notification_id=UUID(int=3),
    kind="trip_started",
    channel=ChannelName.EMAIL,
    address="chipo@example.com",
    recipient="Chipo",
    sender="Jacaranda",
    attempt=1,
    budget=8,
    text=Text("t", "Subject", "Body", "<p>Body</p>"),
)


def message(number: int) -> Message:
    return replace(FIRST, delivery_id=UUID(int=number))


@asynccontextmanager
async def channel(sink: Sink, timeout_s: float = 5.0, most: int = MOST_LINES) -> AsyncIterator[Email]:
    email = Email(MailServer("127.0.0.1", sink.port, "none"), SENDER, timeout_s, FakeClock(), MailPool(most))
    try:
        yield email
    finally:
        email.close()


def said(outcome: Outcome) -> tuple[OutcomeKind, str | None]:
    return outcome.kind, outcome.reason


async def test_messages_one_after_another_go_by_one_connection():
    async with mail_server() as sink, channel(sink) as email:
        for number in range(1, 6):
            assert (await email.send(message(number))).kind is ACCEPTED
        assert (len(sink.sessions), len(sink.accepted)) == (1, 5)


async def test_messages_at_once_go_by_no_more_connections_than_are_allowed():
    async with mail_server() as sink, channel(sink, most=3) as email:
        outcomes = await asyncio.gather(*(email.send(message(number)) for number in range(1, 31)))
        assert {outcome.kind for outcome in outcomes} == {ACCEPTED}
        assert (len(sink.sessions), len(set(sink.references))) == (3, 30)


@pytest.mark.parametrize(
    "fault", [Fault.CUT_AT_MAIL, Fault.CLOSING_AT_MAIL, Fault.CUT_AT_RCPT, Fault.CUT_AT_DATA, Fault.CLOSING_AT_DATA]
)
async def test_a_kept_connection_that_dies_before_the_message_costs_no_attempt(fault: Fault):
    async with mail_server() as sink, channel(sink) as email:
        await email.send(message(1))
        sink.faults.append(fault)
        assert (await email.send(message(2))).kind is ACCEPTED
        assert (len(sink.sessions), len(sink.accepted)) == (2, 2)


async def test_connections_that_died_while_nobody_looked_cost_no_attempt():
    async with mail_server() as sink, channel(sink) as email:
        await asyncio.gather(*(email.send(message(number)) for number in range(1, 4)))
        sink.cut_all()
        assert (await email.send(message(4))).kind is ACCEPTED
        assert len(sink.accepted) == 4


async def test_a_kept_connection_that_answers_nothing_is_left_for_a_new_one_in_time():
    async with mail_server() as sink, channel(sink, timeout_s=2.0) as email:
        await email.send(message(1))
        sink.faults.append(Fault.SILENT_AT_MAIL)
        assert (await email.send(message(2))).kind is ACCEPTED
        assert len(sink.accepted) == 2


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
@pytest.mark.parametrize(
    ("fault", "outcome", "accepted"),
    [
        (Fault.DROP, (UNKNOWN, "smtp_cut_off"), 0),
        (Fault.ACCEPT_THEN_DROP, (UNKNOWN, "smtp_cut_off"), 1),
        (Fault.CUT_IN_DATA, (UNKNOWN, "smtp_cut_off"), 0),
        (Fault.NONSENSE, (UNKNOWN, "smtp_unreadable"), 1),
        (Fault.NOT_NOW, (NOT_SENT, "smtp_data"), 0),
        (Fault.NEVER, (REFUSED, "smtp_data"), 0),
        (Fault.NO_SUCH_BOX, (REFUSED, "smtp_recipient"), 0),
        (Fault.BOX_BUSY, (NOT_SENT, "smtp_recipient"), 0),
    ],
)
async def test_what_became_of_a_message_is_the_same_by_a_kept_and_by_a_new_connection(
    fault: Fault, outcome: tuple[OutcomeKind, str], accepted: int, *, kept: bool
):
    async with mail_server() as sink, channel(sink) as email:
        if kept:
            await email.send(message(1))
        sink.faults.append(fault)
        assert said(await email.send(message(2))) == outcome
        assert len(sink.accepted) == accepted + kept


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.CUT_AT_MAIL, "smtp_cut_off"),
        (Fault.CLOSING_AT_MAIL, "smtp_sender"),
        (Fault.CUT_AT_RCPT, "smtp_cut_off"),
        (Fault.CUT_AT_DATA, "smtp_cut_off"),
        (Fault.CLOSING_AT_DATA, "smtp_data"),
    ],
)
async def test_a_new_connection_that_dies_before_the_message_means_surely_not_sent(fault: Fault, reason: str):
    async with mail_server() as sink, channel(sink) as email:
        sink.faults.append(fault)
        outcome = await email.send(message(1))
        assert (said(outcome), outcome.provider_failed, sink.accepted) == ((NOT_SENT, reason), True, [])


async def test_an_answer_that_never_comes_is_unknown_and_the_connection_is_not_used_again():
    async with mail_server() as sink, channel(sink, timeout_s=0.3) as email:
        sink.faults.append(Fault.ACCEPT_SLOWLY)
        assert said(await email.send(message(1))) == (UNKNOWN, "smtp_timeout")
        sink.released.set()  # the late "250" must not be taken for the next message's answer
        sink.faults.append(Fault.NEVER)
        assert said(await email.send(message(2))) == (REFUSED, "smtp_data")
        assert len(sink.sessions) == 2


async def test_after_a_refusal_the_same_connection_carries_the_next_message():
    async with mail_server() as sink, channel(sink) as email:
        sink.faults += [Fault.NO_SUCH_BOX, Fault.NEVER]
        assert [said(await email.send(message(number)))[0] for number in (1, 2, 3)] == [REFUSED, REFUSED, ACCEPTED]
        assert (len(sink.sessions), [mail.to for mail in sink.accepted]) == (1, [["chipo@example.com"]])


@pytest.mark.parametrize(
    ("fault", "suppress"),
    [(Fault.NO_SUCH_BOX, "hard_bounce"), (Fault.NO_SUCH_USER, None), (Fault.FILTERED, None), (Fault.BOX_BUSY, None)],
)
async def test_an_address_is_no_good_only_when_the_server_says_so_by_its_code(fault: Fault, suppress: str | None):
    async with mail_server() as sink, channel(sink) as email:
        sink.faults.append(fault)
        outcome = await email.send(message(1))
        assert (outcome.suppress, outcome.provider_failed) == (suppress, False)


async def test_a_connection_ends_when_it_has_idled_or_carried_enough():
    async with mail_server() as sink, channel(sink) as email:
        await email.send(message(1))
        assert isinstance(email.clock, FakeClock)
        await email.clock.advance(IDLE_S + 1)
        await email.send(message(2))
        assert len(sink.sessions) == 2
        for number in range(3, MOST_MESSAGES + 3):
            await email.send(message(number))
        assert len(sink.sessions) == 3


async def test_who_waits_for_a_free_connection_in_vain_has_surely_not_sent():
    async with mail_server() as sink, channel(sink, most=1) as email:
        sink.faults.append(Fault.ACCEPT_SLOWLY)
        first = asyncio.create_task(email.send(message(1)))
        await until(lambda: bool(sink.accepted))
        second = await replace(email, timeout_s=0.2).send(message(2))
        assert said(second) == (NOT_SENT, "smtp_timeout")
        sink.released.set()
        assert (await first).kind is ACCEPTED


async def test_a_try_that_is_cancelled_leaves_no_connection_behind():
    async with mail_server() as sink, channel(sink) as email:
        sink.faults.append(Fault.ACCEPT_SLOWLY)
        trying = asyncio.create_task(email.send(message(1)))
        await until(lambda: bool(sink.accepted))
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying
        assert (await email.send(message(2))).kind is ACCEPTED
        assert len(sink.sessions) == 2


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        (b"a\r\nb", b"a\r\nb\r\n.\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b".a\r\n..b\r\n", b"..a\r\n...b\r\n.\r\n"),
        (b"a\r.\rMAIL FROM:<x@y>\r", b"a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"),
    ],
    ids=["no-last-end", "lone-feed", "dots", "smuggled"],
)
def test_nothing_in_a_message_can_end_it(data: bytes, wire: bytes):
    assert on_the_wire(data) == wire
