"""One delivery, over a real database and a real mail server: told once, whoever tries, however often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from tests.fakes.mail import SENDER, Fault
from tests.notices import ALL_DUE, LEASE_OUT, World, changed, telling
from tests.servers import Servers, database_away
from tests.waiting import until
from waypost.kernel.clock import SystemClock
from waypost.kernel.errors import Unavailable
from waypost.notifications.domain import Message
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.platform.database import Connection
from waypost.trips.domain import Move

DATABASE_TIMEOUT_S = 5


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


async def everything(world: World) -> None:
    """Keep all promises, and try all deliveries that are due."""
    await world.relay.expand()
    for row in await world.rows():
        await world.attempt(row["id"])


async def test_a_started_and_a_completed_trip_tell_its_customer(world: World):
    customer = await world.customer("Chipo Dube", email="chipo@example.com")
    trip = await world.trip(customer, reference="JD-0042")
    await everything(world)
    await world.services.trips.move(world.org.owner, trip.id, Move.COMPLETE)
    await everything(world)
    assert [mail.message["Subject"] for mail in world.mail.accepted] == [
        "Harare Haulage: your delivery is on its way",
        "Harare Haulage: your delivery is complete",
    ]
    assert [mail.to for mail in world.mail.accepted] == [["chipo@example.com"]] * 2
    text = world.mail.accepted[0].message.get_body(("plain",))
    assert text is not None
    assert "Your delivery JD-0042 has just set out to 12 Jason Moyo Ave." in text.get_content()
    assert [row["state"] for row in await world.rows()] == ["sent", "sent"]


async def test_what_is_promised_commits_with_the_trip_or_not_at_all(world: World):
    trip = await world.trip(await world.customer(), move=None)

    async def start_and_fail() -> None:
        async with world.services.database.unit(world.org.org_id):
            await world.services.trips.move(world.org.owner, trip.id, Move.START)
            assert await world.services.trips.find(world.org.owner, trip.id)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await start_and_fail()
    assert await world.query("SELECT * FROM outbox") == []
    assert await world.relay.expand() == 0


async def test_a_trip_without_a_customer_and_one_that_was_cancelled_before_anybody_was_told_tell_nobody(world: World):
    await world.trip(None)
    trip = await world.trip(await world.customer(), move=None)
    await world.services.trips.move(world.org.owner, trip.id, Move.CANCEL)
    await everything(world)
    assert world.mail.accepted == []


async def test_the_same_delivery_tried_twice_and_by_ten_at_once_is_one_mail(world: World):
    delivery = await world.told()
    await asyncio.gather(*(world.attempt(delivery) for _ in range(10)))
    await world.attempt(delivery)
    assert len(world.mail.accepted) == 1
    row = await world.row(delivery)
    assert (row["state"], row["attempt"]) == ("sent", 1)
    assert [a["outcome"] for a in await world.attempts()] == ["accepted"]


async def test_a_retry_is_not_sent_before_it_is_due(world: World):
    world.mail.faults.append(Fault.NOT_NOW)
    delivery = await world.told()
    await world.attempt(delivery)
    row = await world.row(delivery)
    assert (row["state"], row["reason"], world.mail.accepted) == ("pending", "smtp_data", [])
    assert 30 <= (row["due_at"] - row["updated_at"]).total_seconds() <= 33
    await world.attempt(delivery)
    assert world.mail.accepted == []
    await world.query(ALL_DUE)
    await world.attempt(delivery)
    assert len(world.mail.accepted) == 1
    assert [(a["outcome"], a["status"]) for a in await world.attempts()] == [("not_sent", 451), ("accepted", 250)]


async def test_a_delivery_refused_eight_times_for_now_is_dead(world: World):
    world.mail.faults.extend([Fault.BOX_BUSY] * 9)
    delivery = await world.told()
    for _ in range(10):
        await world.query(ALL_DUE)
        await world.attempt(delivery)
    row = await world.row(delivery)
    assert (row["state"], row["attempt"], row["reason"]) == ("dead", 8, "smtp_recipient")
    assert len(world.mail.faults) == 1  # the ninth was never tried


@pytest.mark.parametrize(
    ("fault", "state", "reason", "accepted"),
    [
        (Fault.NO_SUCH_BOX, "failed", "smtp_recipient", 0),
        (Fault.NEVER, "failed", "smtp_data", 0),
        (Fault.NOT_NOW, "pending", "smtp_data", 0),
        (Fault.BOX_BUSY, "pending", "smtp_recipient", 0),
        (Fault.DROP, "in_doubt", "smtp_cut_off", 0),
        (Fault.ACCEPT_THEN_DROP, "in_doubt", "smtp_cut_off", 1),
        (Fault.NONSENSE, "in_doubt", "smtp_unreadable", 1),
    ],
)
async def test_each_fault_of_the_mail_server_leads_where_it_must(
    world: World, fault: Fault, state: str, reason: str, accepted: int
):
    world.mail.faults.append(fault)
    delivery = await world.told()
    await world.attempt(delivery)
    row = await world.row(delivery)
    assert (row["state"], row["reason"], len(world.mail.accepted)) == (state, reason, accepted)


async def test_a_server_slower_than_the_time_a_try_may_take_leaves_it_in_doubt(environment: dict[str, str]):
    async with telling(environment, WAYPOST_DELIVERY_SEND_TIMEOUT_S="0.5") as world:
        world.mail.faults.append(Fault.ACCEPT_SLOWLY)
        delivery = await world.told()
        await world.attempt(delivery)
        row = await world.row(delivery)
        assert (row["state"], row["reason"]) == ("in_doubt", "smtp_timeout")


async def test_a_mail_server_that_is_not_there_means_surely_not_sent(world: World):
    away = await world.with_settings(smtp_port=1)
    delivery = await away.told()
    await away.attempt(delivery)
    row = await world.row(delivery)
    assert (row["state"], row["reason"]) == ("pending", "smtp_connect")


@asynccontextmanager
async def latin_server(taken: list[bytes]) -> AsyncIterator[int]:
    """A mail server that answers in Latin-1, as old ones do; its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                taken.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 2.0.0 Accept\xe9 \x00 queued as 1\r\n")
            elif line.upper().startswith(b"QUIT"):
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_mail_server_that_answers_in_latin_1_has_taken_the_mail_once(world: World):
    taken: list[bytes] = []
    async with latin_server(taken) as port:
        there = await world.with_settings(smtp_port=port)
        delivery = await there.told()
        for _ in range(3):
            await there.attempt(delivery)
            await there.query(LEASE_OUT)
            await there.query(ALL_DUE)
            await there.relay.sweep()
    row = await world.row(delivery)
    assert (row["state"], row["provider_ref"], len(taken)) == ("sent", "2.0.0 Accept?   queued as 1", 1)


async def test_a_reference_that_cannot_be_written_does_not_hide_that_it_was_taken(world: World):
    class Odd:
        provider = "odd"

        async def send(self, message: Message) -> Outcome:
            return Outcome(OutcomeKind.ACCEPTED, reference="not \udce9 text")

    delivery = await world.told()
    await changed(world.deliveries, channels={"email": Odd()}).attempt(world.org.org_id, delivery)
    row = await world.row(delivery)
    assert (row["state"], row["provider_ref"]) == ("sent", None)


class Holding:
    """A channel that is asked and does not answer until it may."""

    provider = "held"

    def __init__(self, channel: object) -> None:
        self.channel, self.asked, self.may = channel, asyncio.Event(), asyncio.Event()

    async def send(self, message: Message) -> Outcome:
        self.asked.set()
        await self.may.wait()
        outcome: Outcome = await self.channel.send(message)  # type: ignore[attr-defined]
        return outcome


async def test_an_expired_lease_is_put_in_doubt_and_a_late_answer_settles_it(world: World):
    held = Holding(world.deliveries.channels["email"])
    world.deliveries = changed(world.deliveries, channels={"email": held})
    delivery = await world.told()
    trying = asyncio.create_task(world.attempt(delivery))
    await held.asked.wait()
    await world.relay.sweep()
    assert (await world.row(delivery))["state"] == "sending"
    await world.query(LEASE_OUT)
    await world.relay.sweep()
    row = await world.row(delivery)
    assert (row["state"], row["reason"], row["lease_until"]) == ("in_doubt", "lease_ran_out", None)
    held.may.set()
    await trying
    assert (await world.row(delivery))["state"] == "sent"
    assert [a["outcome"] for a in await world.attempts()] == ["accepted"]


async def test_an_answer_of_an_earlier_attempt_settles_nothing(world: World):
    held = Holding(world.deliveries.channels["email"])
    slow = changed(world.deliveries, channels={"email": held})
    world.mail.faults.append(Fault.NO_SUCH_BOX)  # what the slow one will hear
    delivery = await world.told()
    trying = asyncio.create_task(slow.attempt(world.org.org_id, delivery))
    await held.asked.wait()
    await world.query(LEASE_OUT)
    await world.relay.sweep()
    await world.query(ALL_DUE)
    await world.relay.sweep()
    assert (await world.row(delivery))["state"] == "pending"
    held.may.set()
    await trying
    row = await world.row(delivery)
    assert (row["state"], row["attempt"]) == ("pending", 1)
    await world.attempt(delivery)
    assert (await world.row(delivery))["state"] == "sent"


async def test_no_connection_is_held_while_a_message_is_sent(environment: dict[str, str]):
    async with telling(environment, WAYPOST_POOL_MAX="1") as world:
        held = Holding(world.deliveries.channels["email"])
        world.deliveries = changed(world.deliveries, channels={"email": held})
        delivery = await world.told()
        trying = asyncio.create_task(world.attempt(delivery))
        await held.asked.wait()
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            assert (await world.row(delivery))["state"] == "sending"
        held.may.set()
        await trying


async def test_a_channel_that_breaks_leaves_it_in_doubt(world: World):
    class Broken:
        provider = "broken"

        async def send(self, message: Message) -> Outcome:
            raise ZeroDivisionError

    delivery = await world.told()
    await changed(world.deliveries, channels={"email": Broken()}).attempt(world.org.org_id, delivery)
    row = await world.row(delivery)
    assert (row["state"], row["reason"]) == ("in_doubt", "channel_failed")


async def test_a_worker_without_the_channel_leaves_it_to_others(world: World):
    delivery = await world.told()
    await changed(world.deliveries, channels={}).attempt(world.org.org_id, delivery)
    row = await world.row(delivery)
    assert (row["state"], row["reason"]) == ("pending", "channel_off")


async def test_a_notice_is_not_sent_for_a_trip_that_was_cancelled_meanwhile(world: World):
    trip = await world.trip(await world.customer())
    await world.relay.expand()
    await world.services.trips.move(world.org.owner, trip.id, Move.CANCEL)
    (row,) = await world.rows()
    await world.attempt(row["id"])
    row = await world.row(row["id"])
    assert (row["state"], row["reason"], row["attempt"]) == ("cancelled", "trip_cancelled", 0)
    assert world.mail.accepted == []


async def test_a_notice_is_not_sent_to_a_customer_whose_trip_it_is_no_more(world: World):
    trip = await world.trip(await world.customer())
    await world.relay.expand()
    other = await world.customer("Rudo Ncube")
    await world.services.trips.change(world.org.owner, trip.id, {"customer_id": other})
    (row,) = await world.rows()
    await world.attempt(row["id"])
    assert (await world.row(row["id"]))["reason"] == "customer_changed"


async def test_that_it_is_on_its_way_is_not_said_once_it_has_arrived(world: World):
    trip = await world.trip(await world.customer())
    await world.services.trips.move(world.org.owner, trip.id, Move.COMPLETE)
    await everything(world)
    assert [mail.message["Subject"] for mail in world.mail.accepted] == ["Harare Haulage: your delivery is complete"]
    assert [(row["state"], row["reason"]) for row in await world.rows()] == [
        ("cancelled", "trip_completed"),
        ("sent", None),
    ]


class Behind(SystemClock):
    """A machine whose clock is a little late."""

    def now(self) -> datetime:
        return super().now() - timedelta(seconds=2)


async def test_a_worker_whose_clock_is_a_little_behind_sends_what_the_relay_found_due(world: World):
    delivery = await world.told()
    await changed(world.deliveries, clock=Behind()).attempt(world.org.org_id, delivery)
    assert (await world.row(delivery))["state"] == "sent"


async def test_the_guard_is_asked_inside_the_transaction_that_claims(world: World):
    states: list[str] = []

    async def guard(conn: Connection, due: object) -> str | None:
        states.append(str(await conn.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")))
        await conn.execute("UPDATE deliveries SET reason = 'seen by the guard'")
        return None

    delivery = await world.told()
    deliveries = changed(world.deliveries, guards={"trip_started": guard}, channels={})
    await deliveries.attempt(world.org.org_id, delivery)
    assert states == ["True"]  # the row was locked by this very transaction already


async def test_a_notice_that_comes_too_late_expires(world: World):
    delivery = await world.told()
    await world.query("UPDATE notifications SET valid_until = now() - interval '1 second'")
    await world.attempt(delivery)
    row = await world.row(delivery)
    assert (row["state"], row["attempt"], world.mail.accepted) == ("expired", 0, [])


async def test_a_customer_without_an_address_and_a_bad_address_are_kept_with_their_reason(world: World):
    await world.told(email=None)
    customer = await world.customer()
    await world.query("UPDATE customers SET email = 'nobody at home' WHERE id = $1", customer)  # of an older version
    await world.trip(customer)
    await world.relay.expand()
    assert [(r["state"], r["reason"], r["channel"]) for r in await world.rows()] == [
        ("suppressed", "no_address", "email"),
        ("suppressed", "bad_address", "email"),
    ]


async def test_without_any_channel_the_reason_is_kept(environment: dict[str, str]):
    async with telling(environment) as world:
        none = await world.with_settings(smtp_host=None)
        await none.told()
        (row,) = await world.rows()
        assert (row["state"], row["reason"]) == ("suppressed", "channel_off")


async def test_a_name_with_line_breaks_or_markup_adds_neither_a_header_nor_markup(world: World):
    evil = 'Chipo\r\nBcc: thief@example.com\r\n\r\n<img src=x onerror="alert(1)"> {{ 7 * 7 }} "Dube" <t@example.com>'
    delivery = await world.told(evil, email="chipo@example.com")
    await world.attempt(delivery)
    (mail,) = world.mail.accepted
    assert mail.to == ["chipo@example.com"]
    assert set(mail.message.keys()) == {
        "Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "Feedback-ID", "MIME-Version",
        "Content-Type", "X-PM-Metadata-delivery-id",
    } | {"X-Peer", "X-MailFrom", "X-RcptTo"} & set(mail.message.keys())  # fmt: skip
    assert [address.addr_spec for address in mail.message["To"].addresses] == ["chipo@example.com"]
    html = mail.message.get_body(("html",))
    assert html is not None
    assert "<img" not in html.get_content()
    assert "&lt;img src=x" in html.get_content()
    assert "{{ 7 * 7 }}" in html.get_content()


async def test_the_headers_say_who_sent_it_and_that_no_person_did(world: World):
    delivery = await world.told("Tendai Möyo")
    await world.attempt(delivery)
    (mail,) = world.mail.accepted
    message = mail.message
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"].addresses[0].addr_spec == SENDER
    assert message["From"].addresses[0].display_name == "Harare Haulage"
    assert message["To"].addresses[0].display_name == "Tendai Möyo"
    assert message["Date"].datetime.tzinfo is not None
    assert mail.raw.isascii()
    assert message.get_body(("plain",)) is not None
    assert message.get_body(("html",)) is not None


async def test_a_long_name_full_of_commas_stays_one_address(world: World):
    name = 'Moyo, Sons & Daughters (Pvt.) Ltd, "the shop" of Harare; and of Bulawayo: <since@example.org>'
    delivery = await world.told(name, email="chipo@example.com")
    await world.attempt(delivery)
    (mail,) = world.mail.accepted
    assert [address.addr_spec for address in mail.message["To"].addresses] == ["chipo@example.com"]


async def test_an_answer_that_comes_while_the_database_is_away_is_kept_and_written_later(
    world: World, servers: Servers
):
    """The mail is taken; to forget that would be to leave it in doubt, or to send it again."""
    held = Holding(world.deliveries.channels["email"])
    world.deliveries = changed(world.deliveries, channels={"email": held})
    delivery = await world.told()
    trying = asyncio.create_task(world.attempt(delivery))
    await held.asked.wait()
    async with database_away(servers):
        held.may.set()
        await until(lambda: world.mail.accepted)
        with pytest.raises(Unavailable):
            await world.row(delivery)
        assert not trying.done()
    await trying
    assert (await world.row(delivery))["state"] == "sent"
    assert len(world.mail.accepted) == 1
