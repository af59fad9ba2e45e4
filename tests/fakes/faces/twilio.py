"""Twilio's messages: created, listed, fetched; status callbacks and inbound messages with its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.fakes.accepts import Accepted
from tests.fakes.faces.base import Face
from tests.fakes.plays import Play, Receipt

SID, TOKEN = "AC" + "0" * 31 + "1", "a-token-of-twilio"
KEY_SID, KEY_SECRET = "SK" + "0" * 31 + "1", "a-secret-of-twilio"
SERVICE_SID, SENDER = "MG" + "0" * 31 + "1", "+15005550006"
ROOT = "/2010-04-01/Accounts/{sid}/Messages"
ORDINARY = (Receipt("sent"), Receipt("delivered"))
ERRORS = {
    "20003": (401, "Authenticate"), "20429": (429, "Too Many Requests"),
    "21211": (400, "The 'To' number is not a valid phone number."), "21408": (400, "Permission to send is not enabled"),
    "21610": (400, "Attempt to send to unsubscribed recipient"), "21614": (400, "'To' number is not a valid mobile"),
    "21602": (400, "Message body is required."), "21603": (400, "A 'From' phone number is required."),
    "21604": (400, "A 'To' phone number is required."), "21617": (400, "The message body exceeds 1600 characters."),
}  # fmt: skip


def signature(token: str, url: str, form: dict[str, str]) -> str:
    """X-Twilio-Signature."""
    text = url + "".join(f"{key}{value}" for key, value in sorted(form.items()))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def refusal(code: str | None) -> web.Response:
    status, message = ERRORS.get(code or "21211", (400, "Refused"))
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": int(code or "21211"), "message": message, "more_info": more, "status": status}
    return web.json_response(body, status=status)


class Twilio(Face):
    """``messages``: the resources, newest last. A message's own callbacks go to its StatusCallback."""

    name = "twilio"

    def __init__(self, fake: Any) -> None:
        super().__init__(fake)
        self.messages: dict[str, dict[str, Any]] = {}
        self.most_a_page = 1000

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post(ROOT + ".json", self.create),
            web.get(ROOT + ".json", self.list_messages),
            web.get(ROOT + "/{message}.json", self.fetch),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.fake.calls.append((self.name, form))
        if (wrong := _stranger(request) or _wrong(form)) is not None:
            return wrong
        resource = self._resource(request.match_info["sid"], form)
        reference = request.headers.get("Idempotency-Key", "")  # Twilio itself does not read it
        return await self.fake.take(
            request,
            Accepted(self.name, reference, resource["sid"], form["To"], form["Body"], {"from": str(resource["from"])}),
            answer=partial(self._answer, resource),
            refuse=refusal,
            report=partial(self._report, resource, form["StatusCallback"]) if "StatusCallback" in form else None,
            ordinary=ORDINARY,
        )

    def _answer(self, resource: dict[str, Any], _play: Play) -> web.Response:
        return web.json_response(resource, status=201)

    async def list_messages(self, request: web.Request) -> web.Response:
        if (wrong := _stranger(request)) is not None:
            return wrong
        taken = {each.id for each in self.fake.accepted}
        to, day = request.query.get("To"), request.query.get("DateSent")
        found = [
            m for m in reversed(self.messages.values())
            if m["sid"] in taken and to in (None, m["to"]) and day in (None, _day_of(m))
        ]  # fmt: skip
        size = min(int(request.query.get("PageSize", "50")), self.most_a_page)
        page = int(request.query.get("Page", "0"))
        start, uri = page * size, request.path
        shown = found[start : start + size]
        following = f"{uri}?{urlencode({**request.query, 'Page': page + 1, 'PageToken': 'PA' + 'x' * 32})}"
        return web.json_response({
            "messages": shown, "page": page, "page_size": size, "start": start, "end": start + len(shown) - 1,
            "uri": uri, "first_page_uri": uri, "next_page_uri": following if len(found) > start + size else None,
            "previous_page_uri": None,
        })  # fmt: skip

    async def fetch(self, request: web.Request) -> web.Response:
        if (wrong := _stranger(request)) is not None:
            return wrong
        resource = self.messages.get(request.match_info["message"])
        return web.json_response(resource) if resource else web.json_response({"code": 20404}, status=404)

    async def inbound(self, url: str, sender: str, to: str, text: str, **more: str) -> tuple[int, str]:
        """Somebody writes to a number; ``url``: the number's."""
        form = {"MessageSid": self._sid(), "AccountSid": SID, "From": sender, "To": to, "Body": text, "NumMedia": "0"}
        return await self._call(url, form | {"ApiVersion": "2010-04-01"} | more, forged=False)

    def becomes(self, sid: str, status: str, code: int | None = None) -> None:
        """What it is at the provider from now on; whether a callback tells of it is another thing."""
        resource = self.messages[sid]
        resource |= {"status": status, "error_code": code}
        resource["date_sent"] = resource["date_sent"] or format_datetime(datetime.now(UTC))

    async def _report(self, resource: dict[str, Any], url: str, receipt: Receipt) -> None:
        self.becomes(resource["sid"], receipt.status, int(receipt.code) if receipt.code else None)
        form = {
            "MessageSid": resource["sid"], "SmsSid": resource["sid"], "MessageStatus": receipt.status,
            "SmsStatus": receipt.status, "To": resource["to"], "From": resource["from"] or SENDER,
            "AccountSid": resource["account_sid"], "ApiVersion": "2010-04-01", "ChannelPrefix": "SMS",
        }  # fmt: skip
        if receipt.code:
            form["ErrorCode"] = receipt.code
        await self._call(url, form, forged=receipt.forged)

    async def _call(self, url: str, form: dict[str, str], *, forged: bool) -> tuple[int, str]:
        signed = "bm90IGEgc2lnbmF0dXJl" if forged else signature(TOKEN, url, form)
        return await self.fake.call(url, form=form, headers={"X-Twilio-Signature": signed})

    def _sid(self) -> str:
        return f"SM{next(self.fake.numbers):032x}"

    def _resource(self, account: str, form: dict[str, str]) -> dict[str, Any]:
        sid, service = self._sid(), form.get("MessagingServiceSid")
        now = format_datetime(datetime.now(UTC))
        uri = f"/2010-04-01/Accounts/{account}/Messages/{sid}.json"
        resource = {
            "sid": sid, "account_sid": account, "messaging_service_sid": service, "to": form["To"],
            "from": form.get("From"), "body": form["Body"], "status": "accepted" if service else "queued",
            "num_segments": "0" if service else "1", "num_media": "0", "direction": "outbound-api", "price": None,
            "price_unit": "USD", "error_code": None, "error_message": None, "api_version": "2010-04-01",
            "date_created": now, "date_updated": now, "date_sent": None, "uri": uri,
            "subresource_uris": {"media": uri.removesuffix(".json") + "/Media.json"},
        }  # fmt: skip
        self.messages[sid] = resource
        return resource


def _day_of(resource: dict[str, Any]) -> str | None:
    """When it was sent, as DateSent asks for it."""
    sent = resource["date_sent"]
    return parsedate_to_datetime(sent).date().isoformat() if sent else None


def _stranger(request: web.Request) -> web.Response | None:
    known = {f"{SID}:{TOKEN}", f"{KEY_SID}:{KEY_SECRET}"}
    said = request.headers.get("Authorization", "").removeprefix("Basic ")
    return None if base64.b64decode(said).decode() in known else refusal("20003")


def _wrong(form: dict[str, str]) -> web.Response | None:
    if not form.get("To"):
        return refusal("21604")
    if not form.get("Body"):
        return refusal("21602")
    if len(form["Body"]) > 1600:
        return refusal("21617")
    return None if form.get("From") or form.get("MessagingServiceSid") else refusal("21603")
