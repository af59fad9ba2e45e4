"""A subscriber of ours: checks what it gets with the published library of Standard Webhooks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from tests.fakes.accepts import Accepted
from tests.fakes.faces.base import Face
from tests.fakes.plays import Play


class WebhookReceiver(Face):
    """``/webhook/{name}`` takes what is signed with ``secrets[name]``, or anything while it has none. A play's ``code``
    is the status of a refusal (410). Names in ``hanging`` never answer; ``under_way``, ``most``: how many calls of a
    name there are, and were at once.
    """

    name = "webhook"

    def __init__(self, fake: Any) -> None:
        super().__init__(fake)
        self.secrets: dict[str, str] = {}
        self.headers: list[dict[str, str]] = []
        self.bad_signatures = 0
        self.hanging: set[str] = set()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._over = asyncio.Event()

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post("/webhook/{name}", self.take), web.post("/moved/webhook/{name}", self.moved)]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._over.set()

    async def moved(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"/webhook/{request.match_info['name']}")

    async def take(self, request: web.Request) -> web.StreamResponse:
        name, body = request.match_info["name"], await request.read()
        self.under_way[name] += 1
        self.most[name] = max(self.most[name], self.under_way[name])
        try:
            if name in self.hanging:
                await self._over.wait()
            return await self._take(request, name, body)
        finally:
            self.under_way[name] -= 1

    async def _take(self, request: web.Request, name: str, body: bytes) -> web.StreamResponse:
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.headers.append(headers)
        self.fake.calls.append((self.name, {"to": name, "id": headers.get("webhook-id", "")}))
        if not self._is_genuine(name, body, headers):
            self.bad_signatures += 1
            return web.json_response({"error": "signature"}, status=401)
        reference = headers.get("webhook-id", "")
        return await self.fake.take(
            request,
            Accepted(self.name, reference, f"wh-{next(self.fake.numbers)}", name, body.decode()),
            answer=self._answer,
            refuse=self._refuse,
        )

    def _is_genuine(self, name: str, body: bytes, headers: dict[str, str]) -> bool:
        secret = self.secrets.get(name)
        if secret is None:
            return True
        try:
            Verifier(secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True

    def _answer(self, _play: Play) -> web.Response:
        return web.Response(text="thank you")

    def _refuse(self, code: str | None) -> web.Response:
        return web.Response(status=int(code or "400"), text="no")
