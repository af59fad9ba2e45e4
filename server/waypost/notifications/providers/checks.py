"""What cannot work with a mail server's or an Apprise account is said when it is saved. The packages that some of it
needs come as extras of this one; what is installed is looked at, not imported.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from waypost.kernel.errors import invalid_field
from waypost.notifications.addresses import ChannelName, is_address
from waypost.notifications.providers.accounts import AppriseConfig, Config, SmtpConfig

LEAST_BITS: Final = 1024  # RFC 8301
# Services whose hosts are their own: an address of these leads nowhere inside.
APPRISE_SERVICES: Final = frozenset(
    {
        "discord", "flock", "gchat", "line", "opsgenie", "pagerduty", "pbul", "pover", "prowl", "simplepush", "slack",
        "tgram", "twist", "webex", "wxteams", "zulip",
    }
)  # fmt: skip
_LABELS = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_ED25519 = re.compile(r"[A-Za-z0-9+/]{43}=")
_SCHEMA = re.compile(r"([a-z0-9]+)://[^\s]+")


def checked(config: Config, sender: str = "") -> Config:
    """The settings of an account, if they can be used here; ``Invalid`` names the field. ``sender``: of its mail."""
    if isinstance(config, SmtpConfig):
        _check_mail(config, sender)
    if isinstance(config, AppriseConfig):
        _check_apprise(config)
    return config


def apprise_service(url: str) -> str | None:
    """The service that an Apprise address is of, if it is one that may be used."""
    match = _SCHEMA.fullmatch(url)
    return match[1] if match and match[1] in APPRISE_SERVICES else None


def _check_mail(config: SmtpConfig, sender: str) -> None:
    if not is_address(ChannelName.EMAIL, sender):
        raise invalid_field("sender", "the e-mail address that its messages come from")
    if config.password is not None and config.user is None:
        raise invalid_field("config.user", "is needed with a password")
    parts = {"dkimDomain": config.dkim_domain, "dkimSelector": config.dkim_selector, "dkimKey": config.dkim_key}
    missing = [name for name, value in parts.items() if not value]
    if len(missing) == len(parts):
        return
    if missing:
        raise invalid_field(f"config.{missing[0]}", "domain, selector and key go together")
    _check_dkim(str(config.dkim_domain), str(config.dkim_selector), str(config.dkim_key), sender)


def _check_dkim(domain: str, selector: str, key: str, sender: str) -> None:
    if find_spec("dkim") is None:
        raise invalid_field("config.dkimKey", "to sign, this server needs the extra `dkim` (pip install waypost[dkim])")
    for name, value in (("config.dkimDomain", domain), ("config.dkimSelector", selector)):
        if _LABELS.fullmatch(value) is None:
            raise invalid_field(name, "a name such as mail.example.com")
    ours = sender.rpartition("@")[2].lower()
    if ours != domain.lower() and not ours.endswith(f".{domain.lower()}"):
        raise invalid_field("config.dkimDomain", "the domain of the sender, or one above it")
    if not _is_key(key):
        raise invalid_field(
            "config.dkimKey", f"a private RSA key of {LEAST_BITS} bits or more (PEM), or an Ed25519 one (base64)"
        )


def _is_key(key: str) -> bool:
    if "-----BEGIN" not in key:
        return _ED25519.fullmatch(key.strip()) is not None and find_spec("nacl") is not None
    try:
        read = load_pem_private_key(key.strip().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return isinstance(read, RSAPrivateKey) and read.key_size >= LEAST_BITS


def _check_apprise(config: AppriseConfig) -> None:
    if find_spec("apprise") is None:
        raise invalid_field("config.url", "this server needs the extra `apprise` (pip install waypost[apprise])")
    if apprise_service(config.url) is None:
        raise invalid_field("config.url", f"an Apprise address of {', '.join(sorted(APPRISE_SERVICES))}")
