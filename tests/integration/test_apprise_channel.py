"""Apprise: a place an account, its yes a yes, its no in doubt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import apprise
import pytest

from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Message, Text
from waypost.notifications.providers.accounts import AppriseConfig, Config, ProviderAccount, ProviderName, SmtpConfig
from waypost.notifications.states import OutcomeKind
from waypost_workers.channels.apprise import AppriseChannel

# Loading its plug-ins loads modules of Python that newer ones lack.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
MESSAGE = Message(
    org_id=UUID(int=1),
    delivery_id=UUID(int=2),
    notification_id=UUID(int=3),
    kind="alert_raised",
    channel=ChannelName.OTHER,
    address=str(UUID(int=9)),
    recipient="",
    sender="Jacaranda",
    attempt=1,
    budget=8,
    text=Text("t", "A provider is out", "Twilio does not answer"),
)


def of(config: Config) -> Message:
    account = ProviderAccount(
        UUID(int=1), UUID(int=9), ChannelName.OTHER, ProviderName.APPRISE, "Chat", config, "", 100,
        None, None, None, (), datetime(2026, 11, 22, tzinfo=UTC), 1,
    )  # fmt: skip
    return replace(MESSAGE, account=account)


@pytest.fixture
def channel() -> Iterator[AppriseChannel]:
    made = AppriseChannel(timeout_s=2.0)
    yield made
    made.close()


class Heard:
    """Discord, as far as Apprise's plug-in goes: no call leaves this machine."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.said = answer, list[tuple[str, str, float]]()

    def into(self, service: apprise.NotifyBase, body: str, title: str = "", **_more: object) -> bool:
        self.said.append((title, body, service.socket_read_timeout))
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, threading.Event):
            self.answer.wait(10)
        return bool(self.answer)

    def as_method(self) -> Any:
        def send(service: apprise.NotifyBase, **said: Any) -> bool:
            return self.into(service, **said)

        return send


def listening(monkeypatch: pytest.MonkeyPatch, answer: Any) -> Heard:
    heard = Heard(answer)
    plugin = type(apprise.Apprise.instantiate(DISCORD))
    monkeypatch.setattr(plugin, "send", heard.as_method())
    return heard


async def test_what_it_took_is_sent(channel: AppriseChannel, monkeypatch: pytest.MonkeyPatch):
    heard = listening(monkeypatch, answer=True)
    outcome = await channel.send(of(AppriseConfig(DISCORD)))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert heard.said == [("A provider is out", "Twilio does not answer", 1.0)]


@pytest.mark.parametrize("answer", [False, RuntimeError("no")], ids=["no", "an-error"])
async def test_its_no_is_in_doubt(channel: AppriseChannel, monkeypatch: pytest.MonkeyPatch, answer: Any):
    listening(monkeypatch, answer)
    outcome = await channel.send(of(AppriseConfig(DISCORD)))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.UNKNOWN, "apprise_failed")


async def test_who_does_not_answer_is_left_in_time(monkeypatch: pytest.MonkeyPatch):
    channel, released = AppriseChannel(timeout_s=0.2), threading.Event()
    listening(monkeypatch, released)
    outcome = await channel.send(of(AppriseConfig(DISCORD)))
    released.set()
    channel.close()
    assert (outcome.kind, outcome.reason) == (OutcomeKind.UNKNOWN, "apprise_timeout")


@pytest.mark.parametrize(
    "config",
    [AppriseConfig("json://127.0.0.1/"), AppriseConfig("discord://x"), SmtpConfig("mail.example")],
    ids=["inside", "no-address", "another"],
)
async def test_an_account_that_is_none_of_its_own_tries_nothing(channel: AppriseChannel, config: Config):
    outcome = await channel.send(of(config))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.REFUSED, "apprise_not_set_up")
