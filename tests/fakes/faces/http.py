"""A local gateway as there are many: JSON or form in, JSON out.

``/gateway/send`` drops a second request with the same id; ``/gateway/plain`` knows no ids of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web

from tests.fakes.accepts import Accepted
from tests.fakes.faces.base import Face
from tests.fakes.plays import Play, Receipt

KEY, SENDER = "a-key-of-the-gateway", "JACARANDA"
ORDINARY = (Receipt("DELIVRD"),)


class HttpGateway(Face):
    """Fields ``to``, ``from``, ``text``, ``id``; header ``X-Key``. Reports go, as JSON, to
    ``fake.report_to["http"]``.
    """

    name = "http"

    def __init__(self, fake: Any) -> None:
        super().__init__(fake)
        self.taken: dict[str, str] = {}

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/gateway/send", self.send),
            web.post("/gateway/plain", self.send),
            web.get("/gateway/plain", self.send),
        ]

    async def send(self, request: web.Request) -> web.StreamResponse:
        fields = await _fields(request)
        self.fake.calls.append((self.name, fields))
        if request.headers.get("X-Key") != KEY:
            return web.json_response({"status": "ERR", "error": "wrong key"}, status=401)
        ours = str(fields.get("id") or request.headers.get("Idempotency-Key", ""))
        drops = request.path.endswith("/send")
        if drops and ours in self.taken:
            return self._answer(self.taken[ours], None)
        theirs = f"gw-{next(self.fake.numbers)}"
        return await self.fake.take(
            request,
            Accepted(self.name, ours, theirs, fields.get("to", ""), fields.get("text", "")),
            answer=partial(self._answer, theirs),
            refuse=self._refuse,
            report=partial(self._report, ours, theirs),
            ordinary=ORDINARY,
            taken=partial(self.taken.__setitem__, ours, theirs),
        )

    def _answer(self, theirs: str, play: Play | None) -> web.Response:
        left_out = play is not None and play.answer == "missing"
        return web.json_response({"status": "OK", "messages": [] if left_out else [{"id": theirs}]})

    def _refuse(self, code: str | None) -> web.Response:
        return web.json_response({"status": "ERR", "error": code or "no such number"})

    async def _report(self, ours: str, theirs: str, receipt: Receipt) -> None:
        if (url := self.fake.report_to.get(self.name)) is not None:
            body = {"ref": ours, "messageId": theirs, "state": receipt.status}
            await self.fake.call(url, json=body | ({"error": receipt.code} if receipt.code else {}))

    async def inbound(self, url: str, sender: str, to: str, text: str) -> tuple[int, str]:
        """Somebody writes to the gateway's number."""
        body = {"msisdn": sender, "shortcode": to, "message": text, "uuid": f"in-{next(self.fake.numbers)}"}
        return await self.fake.call(url, json=body)


async def _fields(request: web.Request) -> dict[str, str]:
    """Of whichever form."""
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/json":
        return {key: str(value) for key, value in (await request.json()).items()}
    return {key: str(value) for key, value in (await request.post()).items()}
