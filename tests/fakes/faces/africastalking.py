"""Africa's Talking: bulk messages, whose answer says 201 whatever becomes of a recipient; reports and opt-outs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web

from tests.fakes.accepts import Accepted
from tests.fakes.faces.base import Face
from tests.fakes.plays import Play, Receipt

USERNAME, API_KEY, SENDER = "jacaranda", "a-key-of-africas-talking", "JACARANDA"
ORDINARY = (Receipt("Sent"), Receipt("Success"))
STATUSES = {
    "100": "Processed", "101": "Success", "102": "Queued", "401": "RiskHold", "402": "InvalidSenderId",
    "403": "InvalidPhoneNumber", "404": "UnsupportedNumberType", "405": "InsufficientBalance",
    "406": "UserInBlacklist", "407": "CouldNotRoute", "409": "DoNotDisturbRejection", "500": "InternalServerError",
    "501": "GatewayError", "502": "RejectedByGateway",
}  # fmt: skip


def answered(message: str, recipients: list[dict[str, Any]]) -> web.Response:
    """Without a charset: their own library reads JSON by that."""
    body = {"SMSMessageData": {"Message": message, "Recipients": recipients}}
    return web.Response(status=201, body=json.dumps(body).encode(), content_type="application/json")


class AfricasTalking(Face):
    """Reports go to ``fake.report_to["africastalking"]``. A play's ``code``: of a recipient (403), or a text such as
    "InvalidSenderId", which is answered without any; answer "missing": taken, and the recipient left out.
    """

    name = "africastalking"

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post("/version1/messaging", self.send)]

    async def send(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.fake.calls.append((self.name, form))
        if request.headers.get("apiKey") != API_KEY:
            return web.Response(status=401, text="The supplied authentication is invalid")
        message_id, number = f"ATXid_{next(self.fake.numbers):032x}", form.get("to", "")
        if not form.get("message"):
            return web.Response(status=400, text="Request is missing required form field 'message'")
        reference = request.headers.get("Idempotency-Key", "")
        return await self.fake.take(
            request,
            Accepted(self.name, reference, message_id, number, form["message"], {"from": form.get("from", "")}),
            answer=partial(self._answer, number, message_id),
            refuse=partial(self._refuse, number),
            report=partial(self._report, number, message_id),
            ordinary=ORDINARY,
        )

    def _answer(self, number: str, message_id: str, play: Play) -> web.Response:
        recipient = {
            "statusCode": 101, "number": number, "status": "Success", "cost": "KES 0.8000", "messageId": message_id,
        }  # fmt: skip
        return answered("Sent to 1/1 Total Cost: KES 0.8000", [] if play.answer == "missing" else [recipient])

    def _refuse(self, number: str, code: str | None) -> web.Response:
        if code is None or not code.isdigit():
            return answered(code or "InvalidSenderId", [])
        recipient = {
            "statusCode": int(code), "number": number, "status": STATUSES.get(code, "Unknown"), "cost": "0",
            "messageId": "None",
        }  # fmt: skip
        return answered("Sent to 0/1 Total Cost: 0", [recipient])

    async def _report(self, number: str, message_id: str, receipt: Receipt) -> None:
        if (url := self.fake.report_to.get(self.name)) is None:
            return
        form = {
            "id": message_id, "status": receipt.status, "phoneNumber": number, "networkCode": "63902",
            "retryCount": "0",
        }  # fmt: skip
        if receipt.code:
            form["failureReason"] = receipt.code
        await self.fake.call(url, form=form)

    async def inbound(self, url: str, sender: str, to: str, text: str, **more: str) -> tuple[int, str]:
        """Somebody writes to a short code; ``url``: that of incoming messages."""
        form = {
            "id": f"in-{next(self.fake.numbers)}", "from": sender, "to": to, "text": text,
            "date": "2026-11-22 09:15:00", "linkId": "28a92cdf-2d63-4ee3-93df-4233d3de0356", "networkCode": "63902",
        }  # fmt: skip
        return await self.fake.call(url, form=form | more)

    async def opt_out(self, url: str, sender: str, sender_id: str = SENDER) -> tuple[int, str]:
        """Somebody opts out of bulk messages; ``url``: that of opt-outs."""
        return await self.fake.call(url, form={"senderId": sender_id, "phoneNumber": sender})
