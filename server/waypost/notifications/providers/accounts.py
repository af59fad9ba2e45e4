"""What an organisation has with a provider of messages, and how it is reached. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec

from waypost.kernel.errors import NotFound
from waypost.kernel.sealed import Lost, Unreadable, anew
from waypost.notifications.addresses import ChannelName

TWILIO_ROOT: Final = "https://api.twilio.com"
AFRICASTALKING_ROOT: Final = "https://api.africastalking.com"
AFRICASTALKING_SANDBOX: Final = "https://api.sandbox.africastalking.com"
# The installation's own mail server (WAYPOST_SMTP_...), of every organisation that has none of its own.
HOUSE_SMTP: Final = UUID(int=1)
OLD_TOKEN_LIFE: Final = timedelta(days=1)  # of a token that was replaced


class MessageProviderNotFound(NotFound):
    """No such message provider, or none of yours."""

    code = "message-provider-not-found"


class ProviderName(StrEnum):
    """Whose shapes are spoken."""

    TWILIO = "twilio"
    AFRICASTALKING = "africastalking"
    HTTP = "http"
    SMTP = "smtp"
    APPRISE = "apprise"


class Hidden:
    """Its repr shows nothing of it: a log or a traceback must not hold a secret."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class TwilioConfig(Hidden, msgspec.Struct, frozen=True, rename="camel", tag_field="provider", tag="twilio"):
    """``key_sid`` and ``key_secret``: an API key, in place of the account's token, which also signs callbacks.
    ``service_sid``: a messaging service that chooses the sender.
    """

    account_sid: str
    auth_token: str
    key_sid: str | None = None
    key_secret: str | None = None
    service_sid: str | None = None
    base_url: str = TWILIO_ROOT


class AfricasTalkingConfig(
    Hidden, msgspec.Struct, frozen=True, rename="camel", tag_field="provider", tag="africastalking"
):
    """``username`` "sandbox" goes with its own root."""

    username: str
    api_key: str
    base_url: str = AFRICASTALKING_ROOT


class HttpConfig(Hidden, msgspec.Struct, frozen=True, rename="camel", tag_field="provider", tag="http"):
    """Any gateway. ``body`` and the values of ``headers`` are texts with ``{{ to }}``, ``{{ from }}``, ``{{ text }}``
    and ``{{ id }}`` (our delivery's), escaped for ``body_form``; ``url`` too.

    ``ok_statuses``: which HTTP answers mean success; with ``ok_path`` (dots, numbers for places in lists) the answer's
    JSON must hold one of ``ok_values`` there. ``id_path``: where its own id of the message stands. ``repeatable``: it
    drops a second request with the same id (which comes as ``Idempotency-Key`` too). ``not_taken_statuses``: which
    answers surely mean that it did not take it, so that it may be sent again. ``receipt_...``: the names in its
    receipts (form or JSON): of our id or its own, of the status, and which statuses mean what.
    """

    url: str
    method: Literal["POST", "GET", "PUT"] = "POST"
    headers: Mapping[str, str] = {}
    body: str = ""
    body_form: Literal["json", "form", "text"] = "json"
    ok_statuses: tuple[int, ...] = (200, 201, 202)
    ok_path: str | None = None
    ok_values: tuple[str, ...] = ()
    id_path: str | None = None
    not_taken_statuses: tuple[int, ...] = (429, 503)
    repeatable: bool = False
    receipt_our_id: str | None = None
    receipt_their_id: str | None = None
    receipt_status: str | None = None
    receipt_delivered: tuple[str, ...] = ()
    receipt_undelivered: tuple[str, ...] = ()
    inbound_from: str | None = None
    inbound_to: str | None = None
    inbound_text: str | None = None
    inbound_id: str | None = None


class SmtpConfig(Hidden, msgspec.Struct, frozen=True, rename="camel", tag_field="provider", tag="smtp"):
    """A mail server; ``port`` None: the usual one for ``tls``. ``dkim_...``: we sign ourselves. ``bounce_...``: as in
    ``HttpConfig``, of the mail provider's web hooks.
    """

    host: str
    port: int | None = None
    tls: Literal["starttls", "tls"] = "starttls"
    user: str | None = None
    password: str | None = None
    dkim_domain: str | None = None
    dkim_selector: str | None = None
    dkim_key: str | None = None


class AppriseConfig(Hidden, msgspec.Struct, frozen=True, rename="camel", tag_field="provider", tag="apprise"):
    """``url``: Apprise's, such as ``slack://…``; what is sent goes to whom it names."""

    url: str


Config: TypeAlias = TwilioConfig | AfricasTalkingConfig | HttpConfig | SmtpConfig | AppriseConfig


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """A way out. ``sender``: the number or name that it shows; ``weight``: its share among those of its channel, 0:
    only when no other is well; ``price``: of a part of an SMS, or a message; ``a_minute``: its own limit;
    ``addresses``: networks that its reports come from, empty: any; ``config``: ``Lost`` when its key is gone.
    """

    org_id: UUID
    id: UUID
    channel: ChannelName
    provider: ProviderName
    name: str
    config: Config | Lost
    sender: str
    weight: int
    price: Decimal | None
    price_currency: str | None
    a_minute: int | None
    addresses: Sequence[str]
    created_at: datetime
    version: int
    archived_at: datetime | None = None

    @property
    def is_readable(self) -> bool:
        """Can its settings be read? Else it is as one that is out."""
        return not isinstance(self.config, Lost)

    def readable(self) -> ProviderAccount:
        """Itself; ``Unreadable``."""
        if not self.is_readable:
            raise Unreadable
        return self


_NAMES: Final[Mapping[type[Any], tuple[ProviderName, ChannelName]]] = {
    TwilioConfig: (ProviderName.TWILIO, ChannelName.SMS),
    AfricasTalkingConfig: (ProviderName.AFRICASTALKING, ChannelName.SMS),
    HttpConfig: (ProviderName.HTTP, ChannelName.SMS),
    SmtpConfig: (ProviderName.SMTP, ChannelName.EMAIL),
    AppriseConfig: (ProviderName.APPRISE, ChannelName.OTHER),
}
_CONFIGS: Final[Mapping[ProviderName, type[Config]]] = {name: kind for kind, (name, _) in _NAMES.items()}


def config_anew(provider: ProviderName, fields: Mapping[str, Any]) -> Config:
    """Settings in place of those that cannot be read; ``Invalid`` names one that is missing."""
    return anew(_CONFIGS[provider], fields)


def name_of(config: Config) -> ProviderName:
    """Whose settings they are."""
    return _NAMES[type(config)][0]


def channel_of(config: Config) -> ChannelName:
    """By which channel it sends."""
    return _NAMES[type(config)][1]


def seal_form(config: Config) -> bytes:
    """As it is sealed and stored."""
    return msgspec.json.encode(config)


def of_seal_form(text: bytes) -> Config:
    """What ``seal_form`` wrote."""
    config: Config = msgspec.json.decode(text, type=Config)
    return config
