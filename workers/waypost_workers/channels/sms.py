"""SMS by the organisation's own providers. A new provider that is asked by HTTP is a pure file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar

from waypost.notifications.domain import Message
from waypost.notifications.providers import africastalking, generic_http, twilio
from waypost.notifications.providers import twilio_lists as lists
from waypost.notifications.providers.accounts import ProviderAccount, ProviderName, TwilioConfig
from waypost.notifications.providers.exchange import Answer, Ask, Sms
from waypost.notifications.providers.twilio_lists import DayPage, Found, NotThere
from waypost.notifications.states import Outcome, OutcomeKind
from waypost_workers.channels.gateways import Gateways, NoAnswer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Speech:
    """How a provider is asked, and how its answer is read; each takes its own settings."""

    ask: Callable[[Any, Sms], Ask]
    read: Callable[[Any, Sms, Answer], Outcome]


SPEECHES: Final[Mapping[ProviderName, Speech]] = {
    ProviderName.TWILIO: Speech(twilio.ask, twilio.read),
    ProviderName.AFRICASTALKING: Speech(africastalking.ask, africastalking.read),
    ProviderName.HTTP: Speech(generic_http.ask, generic_http.read),
}


@dataclass(frozen=True, slots=True)
class SmsChannel:
    """The channel."""

    gateways: Gateways
    provider: str = "sms"

    async def send(self, message: Message) -> Outcome:
        """Try once. Unknown from when a connection was there until its answer was read."""
        account = message.account
        if account is None or account.provider not in SPEECHES:
            return Outcome(OutcomeKind.NOT_SENT, "no_provider")
        speech, sms = SPEECHES[account.provider], sms_of(message, account, self.gateways.clock.now())
        answer = await self.gateways.call(speech.ask(account.config, sms), writes=True)
        if isinstance(answer, NoAnswer):
            return _unanswered(account.provider, answer)
        return speech.read(account.config, sms, answer)


def sms_of(message: Message, account: ProviderAccount, now: datetime) -> Sms:
    """What the provider is to carry, and for how long from now."""
    until = message.valid_until
    return Sms(
        str(message.delivery_id), message.address, account.sender, message.text.body, message.report_url,
        int((until - now).total_seconds()) if until is not None else None,
    )  # fmt: skip


def _unanswered(provider: ProviderName, answer: NoAnswer) -> Outcome:
    kind = OutcomeKind.UNKNOWN if answer.begun else OutcomeKind.NOT_SENT
    return Outcome(kind, f"{provider}_{answer.word}", provider_failed=True)


@dataclass(frozen=True, slots=True)
class MessageLists:
    """Asks Twilio which messages it has. None: it could not be asked, or not understood."""

    gateways: Gateways

    async def to(self, account: ProviderAccount, address: str) -> tuple[Sequence[Found], bool] | None:
        """Those to a number, newest first, and whether there are older ones."""
        return await self._asked(account, lambda config: lists.look_up(config, address), lists.read_look_up)

    async def day(self, account: ProviderAccount, of: date, page: str | None) -> DayPage | None:
        """A page of those that were sent on a day (UTC)."""
        return await self._asked(account, lambda config: lists.day(config, of, page), lists.read_day)

    async def message(self, account: ProviderAccount, reference: str) -> Found | NotThere | None:
        """One of them."""
        return await self._asked(account, lambda config: lists.message(config, reference), lists.read_message)

    async def _asked(
        self, account: ProviderAccount, ask: Callable[[TwilioConfig], Ask], read: Callable[[Answer], T | None]
    ) -> T | None:
        if not isinstance(account.config, TwilioConfig):
            return None
        answer = await self.gateways.call(ask(account.config), writes=False, most_bytes=lists.MOST_BYTES)
        return None if isinstance(answer, NoAnswer) else read(answer)
