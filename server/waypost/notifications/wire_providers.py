"""Bodies of message providers as they are given: nothing of them is ever shown again that is a secret."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost.notifications.providers import accounts
from waypost.notifications.providers.accounts import AFRICASTALKING_ROOT, TWILIO_ROOT, ProviderName
from waypost.notifications.providers_register import New
from waypost.platform.codec import NO_NUL, SOME_TEXT
from waypost.platform.queries import PageQuery

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]
Key = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+\Z")]
TwilioSid = Annotated[str, Meta(pattern=r"^[A-Z]{2}[0-9a-f]{32}\Z")]
Root = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^https?://[^\s/?#]+\Z")]
Address = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^https?://[^\x00-\x1f\x7f]+\Z")]
Sender = Annotated[str, Meta(max_length=254, pattern=NO_NUL)]
Weight = Annotated[int, Meta(ge=0, le=100)]
Price = Annotated[str, Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6})?\Z")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
AMinute = Annotated[int, Meta(ge=1, le=1_000_000)]
Network = Annotated[str, Meta(min_length=2, max_length=60, pattern=NO_NUL)]
Networks = Annotated[list[Network], Meta(max_length=200)]
Line = Annotated[str, Meta(min_length=1, max_length=500, pattern=NO_NUL)]
HeaderName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[!-~]+\Z")]
HeaderText = Annotated[str, Meta(max_length=1000, pattern=NO_NUL)]
Headers = Annotated[dict[HeaderName, HeaderText], Meta(max_length=20)]
Template = Annotated[str, Meta(max_length=5000, pattern=NO_NUL)]
Status = Annotated[int, Meta(ge=100, le=599)]
Statuses = Annotated[tuple[Status, ...], Meta(max_length=20)]
Word = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
Words = Annotated[tuple[Word, ...], Meta(max_length=50)]
Field = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)]
Host = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[!-~]+\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Pem = Annotated[str, Meta(min_length=1, max_length=10_000, pattern=NO_NUL)]


class MessageProvidersQuery(PageQuery):
    """``archived``: those put away instead."""

    archived: bool = False


class NewTwilio(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="twilio"):
    """Twilio. ``authToken`` signs its callbacks; ``keySid`` and ``keySecret``, an API key, may sign in in its place.
    ``serviceSid``: a messaging service, which chooses the sender.
    """

    account_sid: TwilioSid
    auth_token: Key
    key_sid: TwilioSid | None = None
    key_secret: Key | None = None
    service_sid: TwilioSid | None = None
    base_url: Root = TWILIO_ROOT

    def to_domain(self) -> accounts.TwilioConfig:
        return accounts.TwilioConfig(
            self.account_sid, self.auth_token, self.key_sid, self.key_secret, self.service_sid, self.base_url
        )


class NewAfricasTalking(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="africastalking"
):
    """Africa's Talking; its sandbox has an address of its own."""

    username: Name
    api_key: Key
    base_url: Root = AFRICASTALKING_ROOT

    def to_domain(self) -> accounts.AfricasTalkingConfig:
        return accounts.AfricasTalkingConfig(self.username, self.api_key, self.base_url)


class NewHttp(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="http"):
    """Any gateway that takes a message by HTTP. ``url``, ``body`` and the headers may hold ``{{ to }}``,
    ``{{ to_digits }}``, ``{{ from }}``, ``{{ text }}``, ``{{ id }}`` (ours) and ``{{ report }}`` (where it may report).
    See docs/notifications.md.
    """

    url: Address
    method: Literal["POST", "GET", "PUT"] = "POST"
    headers: Headers = {}
    body: Template = ""
    body_form: Literal["json", "form", "text"] = "json"
    ok_statuses: Statuses = (200, 201, 202)
    ok_path: Field | None = None
    ok_values: Words = ()
    id_path: Field | None = None
    not_taken_statuses: Statuses = (429, 503)
    repeatable: bool = False
    receipt_our_id: Field | None = None
    receipt_their_id: Field | None = None
    receipt_status: Field | None = None
    receipt_delivered: Words = ()
    receipt_undelivered: Words = ()
    inbound_from: Field | None = None
    inbound_to: Field | None = None
    inbound_text: Field | None = None
    inbound_id: Field | None = None

    def to_domain(self) -> accounts.HttpConfig:
        return accounts.HttpConfig(**_named(self))


class NewSmtp(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="smtp"):
    """A mail server. TLS is insisted on: ``starttls`` (port 587) or ``tls`` (465). With ``dkim…`` we sign ourselves."""

    host: Host
    port: Port | None = None
    tls: Literal["starttls", "tls"] = "starttls"
    user: Line | None = None
    password: Line | None = None
    dkim_domain: Host | None = None
    dkim_selector: Host | None = None
    dkim_key: Pem | None = None

    def to_domain(self) -> accounts.SmtpConfig:
        return accounts.SmtpConfig(**_named(self))


class NewApprise(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="apprise"):
    """An Apprise address, such as ``slack://…``: staff alerts go there too."""

    url: Annotated[str, Meta(min_length=4, max_length=2000, pattern=r"^[!-~]+\Z")]

    def to_domain(self) -> accounts.AppriseConfig:
        return accounts.AppriseConfig(self.url)


class NewMessageProvider(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A way out. ``sender``: the number, name or e-mail address that messages come from. ``weight``: its share among
    those of its channel; 0: only when no other is well. ``price``: of a part of an SMS, or of a message. ``aMinute``:
    how many it takes. ``addresses``: networks that its reports come from; none: any.
    """

    name: Name
    config: NewTwilio | NewAfricasTalking | NewHttp | NewSmtp | NewApprise
    sender: Sender = ""
    weight: Weight = 100
    price: Price | None = None
    price_currency: Currency | None = None
    a_minute: AMinute | None = None
    addresses: Networks = []

    def to_domain(self) -> New:
        return New(
            self.name, self.config.to_domain(), self.sender, self.weight,
            Decimal(self.price) if self.price is not None else None, self.price_currency, self.a_minute, self.addresses,
        )  # fmt: skip


class TwilioChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="twilio"):
    """What is to change; what is left out stays."""

    account_sid: TwilioSid | UnsetType = UNSET
    auth_token: Key | UnsetType = UNSET
    key_sid: TwilioSid | None | UnsetType = UNSET
    key_secret: Key | None | UnsetType = UNSET
    service_sid: TwilioSid | None | UnsetType = UNSET
    base_url: Root | UnsetType = UNSET


class AfricasTalkingChange(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="africastalking"
):
    """What is to change."""

    username: Name | UnsetType = UNSET
    api_key: Key | UnsetType = UNSET
    base_url: Root | UnsetType = UNSET


class HttpChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="http"):
    """What is to change."""

    url: Address | UnsetType = UNSET
    method: Literal["POST", "GET", "PUT"] | UnsetType = UNSET
    headers: Headers | UnsetType = UNSET
    body: Template | UnsetType = UNSET
    body_form: Literal["json", "form", "text"] | UnsetType = UNSET
    ok_statuses: Statuses | UnsetType = UNSET
    ok_path: Field | None | UnsetType = UNSET
    ok_values: Words | UnsetType = UNSET
    id_path: Field | None | UnsetType = UNSET
    not_taken_statuses: Statuses | UnsetType = UNSET
    repeatable: bool | UnsetType = UNSET
    receipt_our_id: Field | None | UnsetType = UNSET
    receipt_their_id: Field | None | UnsetType = UNSET
    receipt_status: Field | None | UnsetType = UNSET
    receipt_delivered: Words | UnsetType = UNSET
    receipt_undelivered: Words | UnsetType = UNSET
    inbound_from: Field | None | UnsetType = UNSET
    inbound_to: Field | None | UnsetType = UNSET
    inbound_text: Field | None | UnsetType = UNSET
    inbound_id: Field | None | UnsetType = UNSET


class SmtpChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="smtp"):
    """What is to change."""

    host: Host | UnsetType = UNSET
    port: Port | None | UnsetType = UNSET
    tls: Literal["starttls", "tls"] | UnsetType = UNSET
    user: Line | None | UnsetType = UNSET
    password: Line | None | UnsetType = UNSET
    dkim_domain: Host | None | UnsetType = UNSET
    dkim_selector: Host | None | UnsetType = UNSET
    dkim_key: Pem | None | UnsetType = UNSET


class AppriseChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True, tag_field="provider", tag="apprise"):
    """What is to change."""

    url: Annotated[str, Meta(min_length=4, max_length=2000, pattern=r"^[!-~]+\Z")] | UnsetType = UNSET


class MessageProviderChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null empties a field, one that is left out stays."""

    name: Name | UnsetType = UNSET
    config: TwilioChange | AfricasTalkingChange | HttpChange | SmtpChange | AppriseChange | UnsetType = UNSET
    sender: Sender | UnsetType = UNSET
    weight: Weight | UnsetType = UNSET
    price: Price | None | UnsetType = UNSET
    price_currency: Currency | None | UnsetType = UNSET
    a_minute: AMinute | None | UnsetType = UNSET
    addresses: Networks | UnsetType = UNSET

    @property
    def provider(self) -> ProviderName | None:
        """Of which provider the changed settings are; None: they stay."""
        return None if isinstance(self.config, UnsetType) else _PROVIDERS[type(self.config)]

    def values(self) -> dict[str, Any]:
        """The fields that are named, those of ``config`` as their own."""
        values = _named(self)
        if not isinstance(self.config, UnsetType):
            values["config"] = _named(self.config)
        if isinstance(price := values.get("price"), str):
            values["price"] = Decimal(price)
        return values


_PROVIDERS: dict[type[Any], ProviderName] = {
    TwilioChange: ProviderName.TWILIO,
    AfricasTalkingChange: ProviderName.AFRICASTALKING,
    HttpChange: ProviderName.HTTP,
    SmtpChange: ProviderName.SMTP,
    AppriseChange: ProviderName.APPRISE,
}


class ProviderTest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """``to``: a phone number or an e-mail address; of an Apprise account, none."""

    to: Annotated[str, Meta(min_length=3, max_length=254, pattern=NO_NUL)] | None = None


def _named(body: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
