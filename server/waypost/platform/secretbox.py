"""Secrets at rest: what must be read again is stored encrypted; what need not be is stored as a hash.

The first key encrypts, every key decrypts. To rotate: put a new key first, restart, run ``waypost secrets rotate``, and
drop the old key. Fernet (AES-128-CBC and HMAC-SHA256) of the ``cryptography`` package.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from waypost.kernel.errors import AppError
from waypost.kernel.sealed import Unreadable

__all__ = ["BadKeys", "SecretBox", "Unreadable", "new_key"]

KEY_BYTES = 32


class BadKeys(AppError):
    """`WAYPOST_ENCRYPTION_KEYS` is not a list of keys: each is 32 random bytes in base64, divided by commas."""

    code = "bad-encryption-keys"


@dataclass(frozen=True, slots=True)
class SecretBox:
    """Encrypts with the newest key, reads with any."""

    fernets: MultiFernet

    @classmethod
    def of(cls, keys: str) -> SecretBox:
        """From the setting. ``BadKeys`` when it is none."""
        try:
            raw = [base64.b64decode(key.strip(), altchars=b"-_", validate=True) for key in keys.split(",")]
        except (binascii.Error, ValueError) as error:
            raise BadKeys from error
        if any(len(key) != KEY_BYTES for key in raw):
            raise BadKeys
        return cls(MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in raw]))

    def seal(self, secret: bytes) -> str:
        """As it is stored."""
        return self.fernets.encrypt(secret).decode()

    def open(self, sealed: str) -> bytes:
        """What was sealed. ``Unreadable`` when no key fits."""
        try:
            return self.fernets.decrypt(sealed)
        except InvalidToken as error:
            raise Unreadable from error

    def renew(self, sealed: str) -> str:
        """The same secret under the newest key. ``Unreadable`` when no key fits."""
        try:
            return self.fernets.rotate(sealed).decode()
        except InvalidToken as error:
            raise Unreadable from error


def new_key() -> str:
    """A key for the setting."""
    return Fernet.generate_key().decode()
