"""Access tokens: JSON Web Tokens (RFC 7519), HMAC-SHA-256 with the installation's signing key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from waypost.identity.domain import Claims, TokenExpired, TokenInvalid

ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Makes and reads access tokens."""

    key: OctKey

    def issue(self, claims: Claims, now: datetime) -> str:
        """The signed text of ``claims``."""
        body: dict[str, object] = {
            "sub": str(claims.user_id),
            "org": str(claims.org_id),
            "sid": str(claims.session_id),
            "iat": int(now.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
        }
        return jwt.encode({"alg": ALGORITHM}, body, self.key)

    def read(self, text: str, now: datetime) -> Claims:
        """What a token says. ``TokenInvalid`` when it is not ours, ``TokenExpired`` when its time is over."""
        try:
            body = jwt.decode(text, self.key, algorithms=[ALGORITHM]).claims
            claims = Claims(
                user_id=UUID(body["sub"]),
                org_id=UUID(body["org"]),
                session_id=UUID(body["sid"]),
                expires_at=datetime.fromtimestamp(body["exp"], UTC),
            )
        except (JoseError, KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise TokenInvalid from error
        if claims.expires_at <= now:
            raise TokenExpired
        return claims


def signing_key(text: str) -> OctKey:
    """The key that a setting holds."""
    return OctKey.import_key(text.encode())
