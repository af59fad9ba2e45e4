"""What an account must be before it is saved: pure, but for the look at the address, which the caller brings."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from waypost.kernel.errors import invalid_field
from waypost.kernel.money import places
from waypost.kernel.sealed import Lost
from waypost.notifications.providers import checks, generic_http
from waypost.notifications.providers.accounts import (
    AfricasTalkingConfig,
    AppriseConfig,
    Config,
    HttpConfig,
    ProviderAccount,
    SmtpConfig,
    TwilioConfig,
)

Judge: TypeAlias = Callable[[str], str | None]
NARROWEST_V6: Final = 64  # of a client's IPv6 address no more is known here (platform/addresses.py)
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}")
_ALPHA: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&+-]{1,11}")  # 3GPP TS 23.040: eleven characters


def checked(account: ProviderAccount, judge: Judge) -> ProviderAccount:
    """The account as it may be saved; ``Invalid`` names what is wrong. ``judge``: why an address cannot be called."""
    if not isinstance(account.config, Lost):
        _check_config(account.config, account.sender, judge)
    _check_price(account)
    _check_sender(account)
    return replace(account, addresses=checked_networks(account.addresses))


def checked_networks(addresses: Sequence[str]) -> Sequence[str]:
    """Networks as they are kept, each once; ``Invalid`` names the one that is none."""
    networks: dict[str, None] = {}
    for index, text in enumerate(addresses):
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError as error:
            raise invalid_field(f"addresses[{index}]", str(error)) from error
        if isinstance(network, ipaddress.IPv6Network) and network.prefixlen > NARROWEST_V6:
            raise invalid_field(f"addresses[{index}]", "give the whole /64: IPv6 addresses are known here by that")
        networks[str(network)] = None
    return list(networks)


def _check_config(config: Config, sender: str, judge: Judge) -> None:
    match config:
        case TwilioConfig():
            if (config.key_sid is None) != (config.key_secret is None):
                raise invalid_field("config.keySecret", "an API key is keySid and keySecret together")
            if not sender and config.service_sid is None:
                raise invalid_field("sender", "the number to send from, or a messaging service (serviceSid)")
            _check_url("config.baseUrl", config.base_url, judge)
        case AfricasTalkingConfig():
            _check_url("config.baseUrl", config.base_url, judge)
        case HttpConfig():
            _check_url("config.url", generic_http.sample_url(config), judge)
            if (wrong := generic_http.complaint(config)) is not None:
                raise invalid_field(f"config.{wrong[0]}", wrong[1])
        case SmtpConfig() | AppriseConfig():
            checks.checked(config, sender)


def _check_url(field: str, url: str, judge: Judge) -> None:
    if (complaint := judge(url)) is not None:
        raise invalid_field(field, complaint)


def _check_price(account: ProviderAccount) -> None:
    if (account.price is None) != (account.price_currency is None):
        raise invalid_field("priceCurrency", "price and priceCurrency go together")
    if account.price_currency is not None:
        try:
            places(account.price_currency)
        except ValueError as error:
            raise invalid_field("priceCurrency", str(error)) from error


def _check_sender(account: ProviderAccount) -> None:
    sender = account.sender
    match account.config:
        case TwilioConfig() | AfricasTalkingConfig():
            if sender and not (_NUMBER.fullmatch(sender) or _ALPHA.fullmatch(sender)):
                raise invalid_field("sender", "a number such as +263771234567, a short code, or a name of 11 letters")
        case HttpConfig() | AppriseConfig():
            if not sender.isprintable():
                raise invalid_field("sender", "a number or a name in a line")
