"""A push message sealed for one browser (RFC 8291 over RFC 8188), and who we say that we are (VAPID, RFC 8292).

Written out here, in place of a library: the one there is waits for ever by default, follows redirects, reads answers of
any length, and writes into what it is given. The standard's own example is among the tests, and its decryption by the
library.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from waypost.notifications.push.domain import Keys, unpadded

MOST_BYTES: Final = 4096  # of a body, by RFC 8030, section 7.2
SALT_BYTES: Final = 16
HEAD_BYTES: Final = SALT_BYTES + 4 + 1 + 65
OVERHEAD: Final = HEAD_BYTES + 1 + 16  # with the mark of the last record and AES-GCM's tag
MOST_PLAIN: Final = MOST_BYTES - OVERHEAD
LIFE: Final = timedelta(hours=12)  # of a token; at most 24 hours are taken
COORDINATE_BYTES: Final = 32

Curve = ec.SECP256R1


def key_of(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """A private key from its 32 bytes."""
    return ec.derive_private_key(int.from_bytes(secret, "big"), Curve())


def new_secret() -> bytes:
    """The 32 bytes of a new private key."""
    return ec.generate_private_key(Curve()).private_numbers().private_value.to_bytes(COORDINATE_BYTES, "big")


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as the standards carry it."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def is_point(raw: bytes) -> bool:
    """Is it a public key of the curve?"""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(Curve(), raw)
    except ValueError:
        return False
    return True


def seal(plain: bytes, keys: Keys, *, salt: bytes, own: ec.EllipticCurvePrivateKey) -> bytes:
    """``plain`` (at most ``MOST_PLAIN`` bytes) for who holds ``keys``. ``salt`` and ``own``: new with each message."""
    if len(plain) > MOST_PLAIN:
        raise ValueError(f"at most {MOST_PLAIN} bytes")
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(Curve(), keys.p256dh)
    point = point_of(own.public_key())
    info = b"WebPush: info\x00" + keys.p256dh + point
    agreed = HKDF(hashes.SHA256(), 32, keys.auth, info).derive(own.exchange(ec.ECDH(), theirs))
    secret = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(agreed)
    nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(agreed)
    head = salt + MOST_BYTES.to_bytes(4, "big") + len(point).to_bytes(1, "big") + point
    return head + AESGCM(secret).encrypt(nonce, plain + b"\x02", None)


@dataclass(frozen=True, slots=True)
class Vapid:
    """This installation, as push services know it. ``subject``: where its operator is reached, a mailto: or https:."""

    key: ec.EllipticCurvePrivateKey
    subject: str

    @property
    def public_key(self) -> str:
        """What a browser subscribes with."""
        return unpadded(point_of(self.key.public_key()))

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The header for a push to ``endpoint``."""
        origin = urlsplit(endpoint)
        claims = {
            "aud": f"{origin.scheme}://{origin.netloc}",
            "exp": int((now + LIFE).timestamp()),
            "sub": self.subject,
        }
        signed = f"{_json({'typ': 'JWT', 'alg': 'ES256'})}.{_json(claims)}"
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")
        return f"vapid t={signed}.{unpadded(signature)}, k={self.public_key}"


def _json(value: object) -> str:
    return unpadded(json.dumps(value, separators=(",", ":")).encode())


def fitting(render: Callable[[str], bytes], text: str, most: int = MOST_PLAIN) -> bytes:
    """What ``render`` makes of as much of ``text`` as lets it have ``most`` bytes; cut where it must be, with an …"""
    whole = render(text)
    if len(whole) <= most:
        return whole
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(render(text[:middle].rstrip() + "…")) <= most:
            fits = middle
        else:
            too_long = middle
    return render(text[:fits].rstrip() + "…")
