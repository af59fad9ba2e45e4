"""The channel of SMS against the fake providers, over real HTTP: what each fault does to a message; and the vendors'
own libraries against the same fakes, so that these behave as the vendors do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from africastalking.SMS import SMSService
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from tests.fakes import accepts
from tests.fakes.clock import FakeClock
from tests.fakes.faces import africastalking as talking
from tests.fakes.faces import http as gateway
from tests.fakes.faces import twilio
from tests.fakes.plays import Chance, Play, Receipt, Script
from tests.fakes.provider import FakeProvider, fake_provider
from waypost.kernel.clock import SystemClock
from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Message, Text
from waypost.notifications.providers.accounts import (
    AfricasTalkingConfig,
    Config,
    HttpConfig,
    ProviderAccount,
    TwilioConfig,
    name_of,
)
from waypost.notifications.states import Outcome, OutcomeKind
from waypost.platform.guarded import Guard
from waypost_workers.channels.gateways import gateways, retry_after_s
from waypost_workers.channels.sms import SmsChannel

ACCEPTED, NOT_SENT, REFUSED, UNKNOWN = OutcomeKind
TO = "+263771234567"
LOOPBACK = Guard.of("127.0.0.0/8")
Make = Callable[[FakeProvider], ProviderAccount]


def account(config: Config, sender: str) -> ProviderAccount:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    return ProviderAccount(
        UUID(int=1), UUID(int=2), ChannelName.SMS, name_of(config), "x", config, sender, 100, None, None, None, (), now,
        1,
    )  # fmt: skip


def by_twilio(fake: FakeProvider) -> ProviderAccount:
    return account(TwilioConfig(twilio.SID, twilio.TOKEN, base_url=fake.url), twilio.SENDER)


def by_talking(fake: FakeProvider) -> ProviderAccount:
    return account(AfricasTalkingConfig(talking.USERNAME, talking.API_KEY, fake.url), talking.SENDER)


def by_gateway(fake: FakeProvider) -> ProviderAccount:
    config = HttpConfig(
        f"{fake.url}/gateway/send", headers={"X-Key": gateway.KEY},
        body='{"to": "{{ to }}", "from": "{{ from }}", "text": "{{ text }}", "id": "{{ id }}"}', ok_path="status",
        ok_values=("OK",), id_path="messages.0.id", repeatable=True,
    )  # fmt: skip
    return account(config, gateway.SENDER)


MAKERS: dict[str, Make] = {"twilio": by_twilio, "africastalking": by_talking, "http": by_gateway}


def message(by: ProviderAccount | None, delivery_id: UUID | None = None, **more: Any) -> Message:
    return Message(
        org_id=UUID(int=1), delivery_id=delivery_id or uuid4(), notification_id=uuid4(), kind="trip_started",
        channel=ChannelName.SMS, address=TO, recipient="Chipo", sender="Jacaranda", attempt=1, budget=8,
        text=Text("t", "", "Your delivery is on its way: “today” €5 ñ"), account=by, **more,
    )  # fmt: skip


@asynccontextmanager
async def channel(timeout_s: float = 5.0, guard: Guard = LOOPBACK, **more: Any) -> AsyncIterator[SmsChannel]:
    async with gateways(guard, SystemClock(), timeout_s, **more) as reached:
        yield SmsChannel(reached)


@pytest.mark.parametrize("name", MAKERS)
async def test_a_message_that_is_taken_is_on_the_providers_disk_with_our_reference(name: str, tmp_path: Path):
    log = tmp_path / "accepted.jsonl"
    async with fake_provider(log=log) as fake, channel() as sms:
        sent = message(MAKERS[name](fake))
        said = await sms.send(sent)
    (taken,) = accepts.read(log)
    assert (said.kind, said.reference) == (ACCEPTED, taken.id)
    assert (taken.face, taken.reference, taken.to, taken.text) == (name, str(sent.delivery_id), TO, sent.text.body)


# answer of the provider -> what becomes of the message with (Twilio, Africa's Talking, the gateway)
FAULTS: dict[str, tuple[Play, OutcomeKind, OutcomeKind, OutcomeKind]] = {
    "unavailable": (Play("unavailable"), NOT_SENT, UNKNOWN, NOT_SENT),
    "limit": (Play("limit", retry_after_s=3), NOT_SENT, NOT_SENT, NOT_SENT),
    "bad": (Play("bad"), REFUSED, REFUSED, REFUSED),
    "error": (Play("error"), UNKNOWN, UNKNOWN, UNKNOWN),
    "cut": (Play("cut"), UNKNOWN, UNKNOWN, UNKNOWN),
    "drop": (Play("drop"), UNKNOWN, UNKNOWN, UNKNOWN),
    "page": (Play("page"), UNKNOWN, UNKNOWN, UNKNOWN),
    "hang": (Play("hang"), UNKNOWN, UNKNOWN, UNKNOWN),
    "silent": (Play("silent"), UNKNOWN, UNKNOWN, UNKNOWN),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_of_a_provider_ends_in_its_class(name: str, fault: str):
    play, *kinds = FAULTS[fault]
    async with fake_provider(play) as fake, channel(timeout_s=1.0) as sms:
        said = await sms.send(message(MAKERS[name](fake)))
        taken = len(fake.accepted)
    assert said.kind is kinds[list(MAKERS).index(name)]
    assert taken == (play.answer in {"drop", "page", "silent"})
    assert said.reason is not None
    assert said.reason.startswith(name)
    if fault == "limit":
        assert said.retry_after_s == 3.0


@pytest.mark.parametrize("name", MAKERS)
async def test_where_nobody_listens_nothing_was_sent(name: str):
    async with fake_provider() as fake:
        by = MAKERS[name](fake)
    async with channel() as sms:
        said = await sms.send(message(by))
    assert (said.kind, said.reason, said.provider_failed) == (NOT_SENT, f"{name}_connect", True)


async def test_an_address_inside_is_not_called_whatever_the_account_says():
    async with fake_provider() as fake, channel(guard=Guard.of("")) as sms:
        said = await sms.send(message(by_gateway(fake)))
    assert (said.kind, said.reason) == (NOT_SENT, "http_connect")
    assert fake.calls == []


async def test_a_201_of_africas_talking_with_a_refused_recipient_is_not_sent():
    async with fake_provider(Play("refuse", code="406"), Play("refuse", code="InvalidSenderId")) as fake:
        async with channel() as sms:
            blacklisted = await sms.send(message(by_talking(fake)))
            nobody = await sms.send(message(by_talking(fake)))
        assert fake.accepted == []
    assert (blacklisted.kind, blacklisted.status, blacklisted.suppress) == (REFUSED, 406, "opted_out")
    assert (nobody.kind, nobody.provider_failed) == (NOT_SENT, True)


@pytest.mark.parametrize("name", ["africastalking", "http"])
async def test_a_message_that_the_answer_does_not_name_is_in_doubt(name: str):
    async with fake_provider(Play("missing")) as fake, channel() as sms:
        said = await sms.send(message(MAKERS[name](fake)))
    assert said.kind is UNKNOWN


async def test_a_gateway_that_drops_repeats_takes_a_message_in_doubt_once():
    async with fake_provider(Play("drop")) as fake, channel() as sms:
        sent = message(by_gateway(fake))
        first, again = await sms.send(sent), await sms.send(sent)
        assert fake.references == [str(sent.delivery_id)]
    assert (first.kind, again.kind) == (UNKNOWN, ACCEPTED)


async def test_without_an_account_nothing_is_sent():
    async with channel() as sms:
        assert await sms.send(message(None)) == Outcome(NOT_SENT, "no_provider")


async def test_the_checkpoint_comes_once_the_request_is_written_and_before_its_answer():
    points: list[str] = []
    async with fake_provider(Play("hang")) as fake, channel(1.0, checkpoint=points.append) as sms:
        await sms.send(message(by_twilio(fake)))
    assert points == ["after_write"]


async def test_many_messages_at_once_are_each_taken_once():
    script = Script(chances=(Chance(0.2, Play("unavailable")), Chance(0.1, Play("drop"))), seed=7)
    async with fake_provider(script=script) as fake, channel() as sms:
        sent = [message(by_twilio(fake)) for _ in range(60)]
        said = await asyncio.gather(*(sms.send(each) for each in sent))
        taken = set(fake.references)
        assert len(taken) == len(fake.references)
    for each, outcome in zip(sent, said, strict=True):
        is_taken = str(each.delivery_id) in taken
        assert outcome.kind in ({ACCEPTED, UNKNOWN} if is_taken else {NOT_SENT}), outcome
    assert {outcome.kind for outcome in said} == {ACCEPTED, NOT_SENT, UNKNOWN}


async def test_receipts_come_in_the_order_of_the_script_twice_or_never():
    plays = [
        Play(receipts=(Receipt("delivered", copies=2), Receipt("sent", before=True))),
        Play(receipts=()),
        Play(receipts=(Receipt("undelivered", code="30006", forged=True),)),
    ]
    async with fake_provider(*plays) as fake, channel() as sms:
        for _ in plays:
            await sms.send(message(by_twilio(fake), report_url=f"{fake.url}/fake/report-to"))
        await fake.settled()
        assert len(fake.answers) == 4


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0), ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0), ("soon", None),
     ("-3", None), (None, None)],
)  # fmt: skip
def test_retry_after_is_a_number_of_seconds_or_a_date(text: str | None, seconds: float | None):
    assert retry_after_s(text, datetime(2026, 11, 22, 12, tzinfo=UTC)) == seconds


class ToTheFake(TwilioHttpClient):  # type: ignore[misc]  # theirs has no types
    """Twilio's own client, with another address for theirs."""

    root: ClassVar[str] = ""

    def request(self, method: str, url: str, *arguments: Any, **named: Any) -> Response:
        return super().request(method, url.replace("https://api.twilio.com", self.root), *arguments, **named)


def a_client(fake: FakeProvider, token: str = twilio.TOKEN) -> Client:
    http = ToTheFake()
    type(http).root = fake.url
    return Client(twilio.SID, token, http_client=http)


async def test_twilios_own_library_sends_lists_and_reads_refusals():
    async with fake_provider(Play(), Play("refuse", code="21610")) as fake:
        client = a_client(fake)

        def create() -> Any:
            return client.messages.create(to=TO, from_=twilio.SENDER, body="Hello")

        created = await asyncio.to_thread(create)
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(create)
        (listed,) = await asyncio.to_thread(client.messages.list, to=TO)
        with pytest.raises(TwilioRestException) as stranger:
            await asyncio.to_thread(a_client(fake, "wrong").messages("SM1").fetch)
        assert [each.id for each in fake.accepted] == [created.sid]
    assert (created.status, created.num_segments, created.to) == ("queued", "1", TO)
    assert (refused.value.code, refused.value.status) == (21610, 400)
    assert (listed.sid, listed.body, listed.date_created.tzinfo) == (created.sid, "Hello", UTC)
    assert (stranger.value.code, stranger.value.status) == (20003, 401)


async def test_africas_talkings_own_library_sends_and_reads_refusals():
    async with fake_provider(Play(), Play("refuse", code="403")) as fake:
        service = SMSService(talking.USERNAME, talking.API_KEY)
        service._baseUrl = f"{fake.url}/version1"
        sent = await asyncio.to_thread(service.send, "Hello", [TO], talking.SENDER)
        refused = await asyncio.to_thread(service.send, "Hello", [TO], talking.SENDER)
        (taken,) = fake.accepted
    (recipient,) = sent["SMSMessageData"]["Recipients"]
    assert (recipient["statusCode"], recipient["number"], recipient["messageId"]) == (101, TO, taken.id)
    assert refused["SMSMessageData"]["Recipients"][0]["statusCode"] == 403


async def test_what_a_message_costs_is_taken_from_the_answer():
    async with fake_provider() as fake, channel() as sms:
        said = await sms.send(message(by_talking(fake)))
    assert (said.cost, said.cost_currency) == (Decimal("0.8000"), "KES")


async def test_twilio_need_not_bring_what_is_no_longer_valid():
    async with fake_provider() as fake, channel() as sms:
        noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
        at_noon = replace(sms, gateways=replace(sms.gateways, clock=FakeClock(noon)))
        await at_noon.send(message(by_twilio(fake), valid_until=noon + timedelta(minutes=30)))
        ((_, asked),) = fake.calls
    assert asked["ValidityPeriod"] == "1800"


async def test_the_fake_provider_runs_by_itself_with_a_script_and_a_log(tmp_path: Path):
    script, log = tmp_path / "script.json", tmp_path / "accepted.jsonl"
    script.write_text('{"plays": [{"answer": "refuse", "code": "405"}]}')
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.provider", "--script", script, "--log", log,
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert running.stdout is not None
        url = (await running.stdout.readline()).decode().strip()
        by = account(AfricasTalkingConfig(talking.USERNAME, talking.API_KEY, url), talking.SENDER)
        async with channel() as sms:
            said = [(await sms.send(message(by))).kind for _ in range(2)]
    finally:
        running.terminate()
        await running.wait()
    assert said == [NOT_SENT, ACCEPTED]
    assert len(accepts.read(log)) == 1
