"""Message providers as they are shown. No answer holds a secret but the addresses for reports, given with a token."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from waypost.kernel.sealed import Lost
from waypost.notifications.provider_trials import Trial
from waypost.notifications.providers import accounts
from waypost.notifications.providers.accounts import ProviderName
from waypost.notifications.providers_register import Shown
from waypost.platform.codec import Instant, instant, instant_or_none

PATH = "/api/v1/callbacks/messages"


class TwilioShown(msgspec.Struct, rename="camel", omit_defaults=True, tag_field="provider", tag="twilio"):
    """Twilio's settings without its secrets."""

    account_sid: str
    base_url: str
    key_sid: str | None = None
    service_sid: str | None = None


class AfricasTalkingShown(msgspec.Struct, rename="camel", tag_field="provider", tag="africastalking"):
    """Africa's Talking's settings without the key."""

    username: str
    base_url: str


class HttpShown(msgspec.Struct, rename="camel", omit_defaults=True, tag_field="provider", tag="http"):
    """A gateway's settings. Its address is shown without the query, its headers by their names alone: both may hold
    secrets; so may the body, of which is said only that it is there.
    """

    url: str
    method: str
    headers: list[str]
    has_body: bool
    body_form: str
    ok_statuses: list[int]
    not_taken_statuses: list[int]
    repeatable: bool
    ok_path: str | None = None
    ok_values: list[str] = []
    id_path: str | None = None
    receipt_our_id: str | None = None
    receipt_their_id: str | None = None
    receipt_status: str | None = None
    receipt_delivered: list[str] = []
    receipt_undelivered: list[str] = []
    inbound_from: str | None = None
    inbound_to: str | None = None
    inbound_text: str | None = None
    inbound_id: str | None = None


class SmtpShown(msgspec.Struct, rename="camel", omit_defaults=True, tag_field="provider", tag="smtp"):
    """A mail server's settings without password and key."""

    host: str
    tls: str
    port: int | None = None
    user: str | None = None
    dkim_domain: str | None = None
    dkim_selector: str | None = None


class AppriseShown(msgspec.Struct, rename="camel", tag_field="provider", tag="apprise"):
    """``service``: which it is; the rest of its address is a secret."""

    service: str


Config = TwilioShown | AfricasTalkingShown | HttpShown | SmtpShown | AppriseShown


class ProviderHealth(msgspec.Struct, rename="camel", omit_defaults=True):
    """How it does, as a worker saw it last; with a ``reason``, as this server sees it: its settings cannot be read, so
    it is out until they are given anew.
    """

    state: Literal["closed", "open", "half_open"]
    since: Instant | None = None
    reason: Literal["secret-unreadable"] | None = None


class MessageProvider(msgspec.Struct, rename="camel", omit_defaults=True):
    """A way out. ``config``: null when it cannot be read."""

    id: UUID
    channel: str
    provider: ProviderName
    name: str
    config: Config | None
    sender: str
    weight: int
    addresses: list[str]
    created_at: Instant
    version: int
    price: str | None = None
    price_currency: str | None = None
    a_minute: int | None = None
    health: ProviderHealth | None = None
    archived_at: Instant | None = None

    @classmethod
    def from_domain(cls, shown: Shown) -> MessageProvider:
        account = shown.account
        return cls(
            account.id, str(account.channel), account.provider, account.name, _config(account.config), account.sender,
            account.weight, list(account.addresses), instant(account.created_at), account.version,
            format(account.price.normalize(), "f") if account.price is not None else None, account.price_currency,
            account.a_minute, _health(shown), instant_or_none(account.archived_at),
        )  # fmt: skip


class ReportAddress(msgspec.Struct, rename="camel"):
    """Where a provider reports. Who knows it may report: keep it as a secret."""

    road: Literal["status", "inbound", "bounces", "opt-out"]
    url: str


class MessageProviderWithAddresses(MessageProvider, kw_only=True):
    """The same with the addresses to give to the provider; they are in this answer and in no later one."""

    callbacks: list[ReportAddress]

    @classmethod
    def of(cls, shown: Shown, token: str, root: str) -> MessageProviderWithAddresses:
        seen = MessageProvider.from_domain(shown)
        values = {name: getattr(seen, name) for name in MessageProvider.__struct_fields__}
        roads = ROADS[shown.account.provider]
        return cls(**values, callbacks=[ReportAddress(road, f"{root}{PATH}/{token}/{road}") for road in roads])


ROADS: dict[ProviderName, tuple[Literal["status", "inbound", "bounces", "opt-out"], ...]] = {
    ProviderName.TWILIO: ("status", "inbound"),
    ProviderName.AFRICASTALKING: ("status", "inbound", "opt-out"),
    ProviderName.HTTP: ("status", "inbound", "opt-out"),
    ProviderName.SMTP: ("bounces",),
    ProviderName.APPRISE: (),
}


class SentTest(msgspec.Struct, rename="camel"):
    """Where to see what becomes of a test message."""

    notification_id: UUID
    delivery_id: UUID

    @classmethod
    def from_domain(cls, trial: Trial) -> SentTest:
        return cls(trial.notification_id, trial.delivery_id)


def _health(shown: Shown) -> ProviderHealth | None:
    if not shown.account.is_readable:
        return ProviderHealth("open", reason="secret-unreadable")
    health = shown.health
    return ProviderHealth(health.state, instant(health.since)) if health else None  # type: ignore[arg-type]  # checked


def _config(config: accounts.Config | Lost) -> Config | None:
    match config:
        case Lost():
            return None
        case accounts.TwilioConfig():
            return TwilioShown(config.account_sid, config.base_url, config.key_sid, config.service_sid)
        case accounts.AfricasTalkingConfig():
            return AfricasTalkingShown(config.username, config.base_url)
        case accounts.HttpConfig():
            return _gateway(config)
        case accounts.SmtpConfig():
            return SmtpShown(
                config.host, config.tls, config.port, config.user, config.dkim_domain, config.dkim_selector
            )
        case accounts.AppriseConfig():
            return AppriseShown(config.url.partition("://")[0])


def _gateway(config: accounts.HttpConfig) -> HttpShown:
    shown: dict[str, Any] = {
        name: list(value) if isinstance(value := getattr(config, name), tuple) else value
        for name in HttpShown.__struct_fields__
        if name not in {"url", "headers", "has_body"}
    }
    parts = urlsplit(config.url)
    url = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return HttpShown(url=url, headers=sorted(config.headers), has_body=bool(config.body), **shown)
