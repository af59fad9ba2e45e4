"""A push service and the browsers behind it (RFC 8030): what is taken is opened with the browser's own keys, by another
implementation than ours.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import http_ece
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.fakes.accepts import Accepted
from tests.fakes.faces.base import Face
from tests.fakes.plays import Play

MOST_BYTES = 4096


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(slots=True)
class Browser:
    """One that has subscribed. ``shown``: what its service worker got, with the headers that it came with."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey
    auth: bytes
    shown: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def subscription(self) -> dict[str, Any]:
        """Its ``PushSubscription.toJSON()``."""
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _text(point), "auth": _text(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}


class PushService(Face):
    """``browse()`` is a new browser. A play's ``code`` is a status: refuse with 410 and the browser is gone."""

    name = "push"

    def __init__(self, fake: Any) -> None:
        super().__init__(fake)
        self.browsers: list[Browser] = []

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post("/push/{number}", self.take)]

    def browse(self) -> Browser:
        endpoint = f"{self.fake.url}/push/{len(self.browsers)}"
        self.browsers.append(Browser(endpoint, ec.generate_private_key(ec.SECP256R1()), os.urandom(16)))
        return self.browsers[-1]

    async def take(self, request: web.Request) -> web.StreamResponse:
        browser, body = self.browsers[int(request.match_info["number"])], await request.read()
        headers = {name: request.headers.get(name, "") for name in ("TTL", "Topic", "Urgency", "Content-Encoding")}
        self.fake.calls.append((self.name, headers | {"length": str(len(body))}))
        if len(body) > MOST_BYTES:
            return web.Response(status=413)
        if not self._is_known(request):
            return web.Response(status=403)
        plain = http_ece.decrypt(body, private_key=browser.key, auth_secret=browser.auth, version="aes128gcm")
        shown = msgspec.json.decode(plain, type=dict[str, str])
        return await self.fake.take(
            request,
            Accepted(self.name, shown["id"], f"push-{next(self.fake.numbers)}", browser.endpoint, shown["body"]),
            answer=lambda _play: web.Response(status=201, headers={"Location": f"{self.fake.url}/m/{shown['id']}"}),
            refuse=self._refuse,
            taken=lambda: browser.shown.append((shown, headers)),
        )

    def _refuse(self, code: str | None) -> web.Response:
        return web.Response(status=int(code or Play().code or 410))

    def _is_known(self, request: web.Request) -> bool:
        """Is the token signed with the key beside it, for this origin, with somebody to write to?"""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        raw = base64.urlsafe_b64decode(parts["k"] + "=" * (-len(parts["k"]) % 4))
        key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": _text(raw[1:33]), "y": _text(raw[33:])})
        claims = jwt.decode(parts["t"], key, algorithms=["ES256"]).claims
        return scheme == "vapid" and claims["aud"] == self.fake.url and claims["sub"].startswith(("mailto:", "https:"))
