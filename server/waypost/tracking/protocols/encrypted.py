"""OwnTracks' encrypted objects: libsodium's secretbox. Needs pynacl, the extra ``owntracks``."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from waypost.tracking.protocols.records import Unreadable

try:
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox
except ImportError:  # the extra is not installed
    HAS_NACL = False
else:
    HAS_NACL = True

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24


def opened(data: Any, secret: str | None) -> bytes:
    """The plain text of ``data`` (base64 of nonce and ciphertext). ``Unreadable`` says why there is none."""
    if secret is None:
        raise Unreadable("it is encrypted, and no secret is set for this device")
    if not HAS_NACL:
        raise Unreadable("it is encrypted, and this server lacks pynacl: install waypost[owntracks]")
    try:
        box = base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except (binascii.Error, ValueError) as error:
        raise Unreadable("it is encrypted, and its data is no base64") from error
    if len(box) <= NONCE_BYTES:
        raise Unreadable("it is encrypted, and its data is too short")
    try:
        return bytes(SecretBox(key_of(secret)).decrypt(box))
    except CryptoError as error:
        raise Unreadable("it was encrypted with another secret than this device's") from error


def key_of(secret: str) -> bytes:
    """What the driver typed, padded with zero bytes (owntracks/booklet ``docs/features/encrypt.md``)."""
    return secret.encode()[:KEY_BYTES].ljust(KEY_BYTES, b"\0")
