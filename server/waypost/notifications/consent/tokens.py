"""Addresses with a sealed token: where a recipient says "no more", and where a provider reports of one message.

A token is encrypted and authenticated by AES-SIV (RFC 5297) under a key made of the installation's signing key: nothing
is stored for it, it shows nothing of the recipient, and the same one comes out each time, so that a repeat of a message
is the same message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from waypost.notifications.addresses import ChannelName
from waypost.notifications.kinds import Group

STOP_PATH: Final = "/unsubscribe"
REPORT_PATH: Final = "/api/v1/callbacks/messages"
LONGEST_TOKEN: Final = 1_000
T = TypeVar("T", bound=msgspec.Struct)
_STOP, _REPORT, _HOUSE = b"stop", b"report", b"house"


class Stop(msgspec.Struct, frozen=True, array_like=True):
    """Who may switch off what: the kinds of ``group`` by ``channel``, of a customer or a member of staff, at
    ``address``.
    """

    org_id: UUID
    customer_id: UUID | None
    user_id: UUID | None
    group: Group
    channel: ChannelName
    address: str


class ReportTo(msgspec.Struct, frozen=True, array_like=True):
    """Whose report of which delivery comes by an address."""

    org_id: UUID
    provider_id: UUID
    delivery_id: UUID


class House(msgspec.Struct, frozen=True, array_like=True):
    """The installation's own mail server."""

    server: int = 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes and reads them. ``public_url`` None: nobody outside knows where we are, so no address is made."""

    public_url: str | None
    cipher: AESSIV

    @classmethod
    def of(cls, public_url: str | None, signing_key: str) -> Tokens:
        """From the settings."""
        key = hashlib.blake2b(signing_key.encode(), person=b"waypost telling", digest_size=64).digest()
        return cls(public_url.rstrip("/") if public_url else None, AESSIV(key))

    def stop_url(self, stop: Stop) -> str | None:
        """For the List-Unsubscribe header and the foot of an e-mail, of what may be switched off."""
        return f"{self.public_url}{STOP_PATH}/{self.stop_token(stop)}" if self.public_url else None

    def stop_token(self, stop: Stop) -> str:
        """The same without the address."""
        return self._seal(stop, _STOP)

    def report_url(self, to: ReportTo) -> str | None:
        """Where a provider reports of one delivery (Twilio's StatusCallback)."""
        return f"{self.public_url}{REPORT_PATH}/{self.report_token(to)}/status" if self.public_url else None

    def report_token(self, to: ReportTo) -> str:
        """The same without the address."""
        return self._seal(to, _REPORT)

    def read_report(self, token: str) -> ReportTo | None:
        """None: it is none of ours."""
        return self._open(token, ReportTo, _REPORT)

    def read_stop(self, token: str) -> Stop | None:
        """None: it is none of ours."""
        return self._open(token, Stop, _STOP)

    def house_token(self) -> str:
        """Of the address where the installation's own mail server hands on what came back."""
        return self._seal(House(), _HOUSE)

    def house_url(self) -> str:
        """That address; without a public URL only its path."""
        return f"{self.public_url or ''}{REPORT_PATH}/{self.house_token()}/bounces"

    def is_house(self, token: str) -> bool:
        """Is it that one?"""
        return self._open(token, House, _HOUSE) is not None

    def _seal(self, value: msgspec.Struct, use: bytes) -> str:
        sealed = self.cipher.encrypt(msgspec.msgpack.encode(value), [use])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _open(self, token: str, kind: type[T], use: bytes) -> T | None:
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return msgspec.msgpack.decode(self.cipher.decrypt(sealed, [use]), type=kind)
        except (binascii.Error, ValueError, InvalidTag, msgspec.MsgspecError):
            return None
