"""Daraja as it behaves, faults and all: ``python -m tests.fakes.daraja --port N --script FILE --log FILE``.

It asks no phone: what the customer does, and what goes wrong on the way, a ``Play`` says, one for each push, from a
script (a JSON list of them) or from the test. What it is asked and what it is answered goes into the log, a JSON object
a line. Beside Daraja's own addresses there are ``POST /fake/pay``, ``/fake/reverse`` and ``/fake/play``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from tests.fakes.daraja_shapes import (
    ERRORS,
    KEY,
    PASSKEY,
    SECRET,
    SHORTCODE,
    TIME,
    Play,
    Undo,
    callback,
    refusal,
    undone,
    wrong_push,
    wrong_reversal,
)


@dataclass(slots=True)
class Fake:
    """``calls``: path and body of what it was asked; ``pushes``, ``reversals``: those that it took; ``trouble``:
    what registrations are refused with, of ``ERRORS``; ``answers``: status and body of what its callbacks were
    answered.
    """

    plays: deque[Play] = field(default_factory=deque)
    undos: deque[Undo] = field(default_factory=deque)
    trouble: deque[str] = field(default_factory=deque)
    log: Path | None = None
    port: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pushes: list[dict[str, Any]] = field(default_factory=list)
    reversals: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    played: dict[str, Play] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get("/oauth/v1/generate", self.token),
            web.post("/mpesa/stkpush/v1/processrequest", self.push),
            web.post("/mpesa/stkpushquery/v1/query", self.query),
            web.post("/mpesa/c2b/v2/registerurl", self.register),
            web.post("/mpesa/reversal/v1/request", self.take_back),
            web.post("/fake/pay", self.on_pay),
            web.post("/fake/reverse", self.on_reverse),
            web.post("/fake/play", self.on_play),
        ]

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(self.routes())
        return app

    async def token(self, request: web.Request) -> web.Response:
        """The lifetime is text, as it is with them."""
        expected = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != expected or request.query.get("grant_type") != "client_credentials":
            return refusal(400, "400.008.01", "Invalid Authentication passed")
        token = f"token{next(self.numbers)}"
        self.tokens.add(token)
        self._note("token", {})
        return web.json_response({"access_token": token, "expires_in": "3599"})

    async def push(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self._note("push", body)
        if (wrong := self._wrong(request, body) or wrong_push(body)) is not None:
            return wrong
        play = self.plays.popleft() if self.plays else Play()
        if play.answer in ERRORS:
            if play.answer == "expired":
                self.tokens.clear()
            return refusal(*ERRORS[play.answer])
        if play.answer == "page":
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        self.pushes.append(body)
        number = next(self.numbers)
        taken = {
            "MerchantRequestID": f"29115-{number}-1", "CheckoutRequestID": f"ws_CO_2211202609150{number:04}",
            "ResponseCode": "0", "ResponseDescription": "Success. Request accepted for processing",
            "CustomerMessage": "Success. Request accepted for processing",
        }  # fmt: skip
        self.played[taken["CheckoutRequestID"]] = play
        telling = self._begin(self._tell(body, taken, play))
        if play.before:
            await telling
        if play.answer == "silent":
            await asyncio.Event().wait()
        return web.json_response(taken)

    async def take_back(self, request: web.Request) -> web.StreamResponse:
        """Asked to reverse a payment: an answer now, and a result later; or as its ``Undo`` says."""
        body = await request.json()
        self._note("reversal", body)
        if (wrong := self._wrong(request, None) or wrong_reversal(body)) is not None:
            return wrong
        undo = self.undos.popleft() if self.undos else Undo()
        if undo.answer in ERRORS:
            return refusal(*ERRORS[undo.answer])
        if undo.answer == "page":
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        self.reversals.append(body)
        number = next(self.numbers)
        taken = {
            "OriginatorConversationID": f"71840-{number}-1", "ConversationID": f"AG_20261122_{number:020}",
            "ResponseCode": "0", "ResponseDescription": "Accept the service request successfully.",
        }  # fmt: skip
        telling = self._begin(self._tell_undone(body, taken, undo))
        if undo.before:
            await telling
        if undo.answer == "silent":
            await asyncio.Event().wait()
        return web.json_response(taken)

    async def _tell_undone(self, asked: dict[str, Any], taken: dict[str, str], undo: Undo) -> None:
        if undo.timeout:
            await self._call(asked["QueueTimeOutURL"], {"Result": {"ResultCode": 1, "ResultDesc": "Timed out"}})
        receipt = self.receipt()
        for code in undo.results:
            await asyncio.sleep(undo.after_s)
            await self._call(asked["ResultURL"], undone(asked, taken, undo, code, receipt))

    async def query(self, request: web.Request) -> web.Response:
        """A transaction that is being processed is an error without a ResultCode, as it is with them."""
        body = await request.json()
        self._note("query", body)
        if (wrong := self._wrong(request, body)) is not None:
            return wrong
        play = self.played.get(body["CheckoutRequestID"])
        status = play.status if play else "pending"
        if status == "page":
            return web.Response(status=503, text="<html>", content_type="text/html")
        if status == "pending":
            return refusal(500, "500.001.1001", "The transaction is being processed")
        return web.json_response({
            "ResponseCode": "0", "ResponseDescription": "The service request has been accepted successsfully",
            "MerchantRequestID": "m", "CheckoutRequestID": body["CheckoutRequestID"], "ResultCode": str(status),
            "ResultDesc": "The service request is processed successfully." if str(status) == "0" else "Not paid",
        })  # fmt: skip

    async def register(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._note("register", body)
        if (wrong := self._wrong(request, None)) is not None:
            return wrong
        if self.trouble:
            return refusal(*ERRORS[self.trouble.popleft()])
        if self.urls:
            return refusal(500, "500.003.1001", "Urls are already registered")
        self.urls = {"confirmation": body["ConfirmationURL"], "validation": body["ValidationURL"]}
        return web.json_response(
            {"OriginatorCoversationID": "1", "ResponseCode": "0", "ResponseDescription": "Success"}
        )

    async def on_pay(self, request: web.Request) -> web.Response:
        """{reference, amount, receipt?, msisdn?, validate?}: somebody pays by the shop's number."""
        return web.json_response(await self.pay(**await request.json()))

    async def on_reverse(self, request: web.Request) -> web.Response:
        """{url, receipt, original, amount}."""
        return web.json_response(await self.reverse(**await request.json()))

    async def on_play(self, request: web.Request) -> web.Response:
        """A list of plays for the next pushes."""
        self.plays.extend(msgspec.json.decode(await request.read(), type=list[Play]))
        return web.json_response({})

    async def pay(
        self,
        reference: str,
        amount: Any,
        receipt: str | None = None,
        msisdn: str = "25470****149",
        *,
        validate: bool = False,
    ) -> list[Any]:
        """Validation, if it was asked for, and confirmation; what each was answered. A refusal ends it."""
        body = {
            "TransactionType": "Pay Bill", "TransID": receipt or self.receipt(), "TransTime": TIME,
            "TransAmount": amount, "BusinessShortCode": SHORTCODE, "BillRefNumber": reference, "InvoiceNumber": "",
            "OrgAccountBalance": "", "ThirdPartyTransID": "", "MSISDN": msisdn, "FirstName": "Chipo",
            "MiddleName": "", "LastName": "",
        }  # fmt: skip
        answers = []
        if validate:
            answers.append(await self._call(self.urls["validation"], body))
            if answers[-1][1].get("ResultCode") != "0":
                return answers
        return [*answers, await self._call(self.urls["confirmation"], body | {"OrgAccountBalance": "49197.00"})]

    async def reverse(self, url: str, receipt: str, original: str, amount: str) -> Any:
        parameters = [{"Key": "OriginalTransactionID", "Value": original}, {"Key": "Amount", "Value": amount}]
        result = {
            "ResultType": 0, "ResultCode": 0, "ResultDesc": "The service request is processed successfully.",
            "OriginatorConversationID": "o", "ConversationID": "c", "TransactionID": receipt,
            "ResultParameters": {"ResultParameter": parameters}, "ReferenceData": {},
        }  # fmt: skip
        return await self._call(url, {"Result": result})

    def receipt(self) -> str:
        return f"RKT{next(self.numbers):07}"

    async def settled(self) -> None:
        """Until all callbacks are answered."""
        while self.tasks:
            await asyncio.wait(self.tasks)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _begin(self, telling: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(telling)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _tell(self, push: dict[str, Any], taken: dict[str, str], play: Play) -> None:
        receipt = self.receipt()
        for say in play.says:
            await asyncio.sleep(say.after_s)
            body = callback(push, taken, say, say.receipt or receipt)
            await asyncio.gather(*(self._call(push["CallBackURL"], body) for _ in range(say.at_once)))

    async def _call(self, url: str, body: Any) -> tuple[int, Any]:
        """Once: who does not answer, or says 5xx, is not called again."""
        status, answer = 0, None
        with suppress(aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
            async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
                status, answer = response.status, await response.json(content_type=None)
        self.answers.append((status, answer))
        self._note("answered", {"status": status, "answer": answer, "callback": body})
        return status, answer

    def _wrong(self, request: web.Request, body: dict[str, Any] | None) -> web.Response | None:
        """Not signed in, or the password is none."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return refusal(*ERRORS["expired"])
        if body is None:
            return None
        expected = base64.b64encode(f"{SHORTCODE}{PASSKEY}{body['Timestamp']}".encode()).decode()
        return None if body["Password"] == expected else refusal(500, "500.001.1001", "Wrong credentials")

    def _note(self, what: str, body: dict[str, Any]) -> None:
        self.calls.append((what, body))
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(json.dumps({"what": what, **body}) + "\n")


@asynccontextmanager
async def running(fake: Fake, port: int = 0) -> AsyncIterator[Fake]:
    """It listens for as long as the block runs."""
    runner = web.AppRunner(fake.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    fake.port = runner.addresses[0][1]
    try:
        yield fake
    finally:
        await fake.close()
        await runner.cleanup()


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.daraja", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, help="a JSON list of plays")
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    plays = msgspec.json.decode(asked.script.read_bytes(), type=list[Play]) if asked.script else []
    async with running(Fake(deque(plays), log=asked.log), asked.port) as fake:
        print(fake.url, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
