"""A shop with a Daraja account: its callbacks' addresses, prompts, and a worker's turns, all in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from tests.fakes.daraja import Fake, running
from tests.fakes.daraja_shapes import KEY, PASSKEY, SECRET, SHORTCODE
from tests.tills import Shop
from waypost.laybys.domain import Layby
from waypost.payments.asking import Asking
from waypost.payments.prompt_domain import Prompt
from waypost.payments.prompts import Asked
from waypost.payments.providers.accounts import DARAJA_LIVE, DarajaConfig, ProviderAccount
from waypost.platform.database import SYSTEM
from waypost.wiring import Services
from waypost.wiring_work import asking_over
from waypost_workers.channels.daraja import daraja

PHONE = "+254708374149"
_numbers = count(1)


@dataclass(slots=True)
class Mobile:
    """``url``: where its server listens."""

    shop: Shop
    account: ProviderAccount
    token: str
    url: str = ""

    @property
    def services(self) -> Services:
        return self.shop.services

    async def call(self, road: str, body: object, *, token: str | None = None, **options: Any) -> tuple[int, Any]:
        """As Daraja does. ``body``: bytes go out as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.address(road, token), data=raw, headers=headers, **options) as response,
        ):
            answer = response.status, await response.json(content_type=None)
        await self.rest()
        return answer

    async def rest(self) -> None:
        """Until the server, which is in this process, has nothing at work any more."""
        while tasks := self.shop.services.money.callbacks.tasks:
            await asyncio.wait(set(tasks))

    def address(self, road: str, token: str | None = None) -> str:
        return f"{self.url}/api/v1/callbacks/daraja/{token or self.token}/{road}"

    async def confirm(self, reference: str, amount: object, receipt: str | None = None, **fields: object) -> str:
        """Somebody pays by the shop's number; the receipt."""
        receipt = receipt or new_receipt()
        assert await self.call("confirmation", paybill(reference, amount, receipt) | fields) == (200, OK)
        return receipt

    async def rows(self) -> list[Mapping[str, Any]]:
        """The callbacks, in order."""
        return await self.query("SELECT * FROM callbacks ORDER BY id")

    async def row(self) -> Mapping[str, Any]:
        """The newest callback."""
        return (await self.rows())[-1]

    async def became(self) -> list[str | None]:
        return [row["disposition"] for row in await self.rows()]

    async def query(self, statement: str, *arguments: object) -> list[Mapping[str, Any]]:
        async with self.services.database.transaction(SYSTEM) as conn:
            return [dict(row) for row in await conn.fetch(statement, *arguments)]

    async def sweep(self, *, later_s: float = 0) -> int:
        """One pass, as if all that is open had been put off until ``later_s`` ago; how many rows it took."""
        sets = "due_at = now() - interval '1 hour', received_at = received_at - $1::interval"
        await self.query(
            f"UPDATE callbacks SET {sets} WHERE disposition IS NULL RETURNING id", timedelta(seconds=later_s)
        )
        return await self.services.money.callback_sweep.run()

    async def prompt(self, layby: Layby, amount: int | None = None) -> Prompt:
        return await self.services.money.prompts.create(self.shop.owner, Asked(layby.id, PHONE, amount))

    async def read(self, prompt: Prompt) -> Prompt:
        return await self.services.money.prompts.find(self.shop.owner, prompt.id)

    async def asked(self, prompt: Prompt, request_id: str) -> Prompt:
        """As if a worker had asked, and this were the provider's name of it."""
        sets = "state = 'asked', checkout_request_id = $2, due_at = NULL, asked_at = now()"
        await self.query(f"UPDATE prompts SET {sets} WHERE id = $1 RETURNING id", prompt.id, request_id)
        return await self.read(prompt)

    def own_token(self, prompt: Prompt) -> str:
        """Of the address that was made for it."""
        return self.services.box.open(prompt.sealed).decode()


OK = {"ResultCode": 0, "ResultDesc": "Success"}
ACCEPTED = {"ResultCode": "0", "ResultDesc": "Accepted"}


def new_receipt() -> str:
    return f"RKM{next(_numbers):07}"


def paybill(reference: str, amount: object, receipt: str) -> dict[str, object]:
    return {
        "TransactionType": "Pay Bill", "TransID": receipt, "TransTime": "20261122063845", "TransAmount": amount,
        "BusinessShortCode": SHORTCODE, "BillRefNumber": reference, "InvoiceNumber": "",
        "OrgAccountBalance": "49197.00", "ThirdPartyTransID": "", "MSISDN": "25470****149", "FirstName": "Chipo",
        "MiddleName": "", "LastName": "",
    }  # fmt: skip


def stk(request_id: str, amount: object, receipt: str | None) -> dict[str, Any]:
    """Paid; ``receipt`` None: without the details."""
    said = {"MerchantRequestID": "m", "CheckoutRequestID": request_id, "ResultCode": 0, "ResultDesc": "Done"}
    items = [
        {"Name": "Amount", "Value": amount}, {"Name": "MpesaReceiptNumber", "Value": receipt}, {"Name": "Balance"},
        {"Name": "TransactionDate", "Value": 20261122091500}, {"Name": "PhoneNumber", "Value": 254708374149},
    ]  # fmt: skip
    return {"Body": {"stkCallback": said | ({} if receipt is None else {"CallbackMetadata": {"Item": items}})}}


def stk_failed(request_id: str, code: object = 1032, text: str = "Request cancelled by user") -> dict[str, Any]:
    said = {"MerchantRequestID": "m", "CheckoutRequestID": request_id, "ResultCode": code, "ResultDesc": text}
    return {"Body": {"stkCallback": said}}


def reversal(original: str, receipt: str, amount: str, **fields: object) -> dict[str, Any]:
    parameters = [{"Key": "OriginalTransactionID", "Value": original}, {"Key": "Amount", "Value": amount}]
    result = {
        "ResultType": 0, "ResultCode": 0, "ResultDesc": "The service request is processed successfully.",
        "TransactionID": receipt, "ResultParameters": {"ResultParameter": parameters}, "ReferenceData": {},
    }  # fmt: skip
    return {"Result": result | fields}


async def mobile(
    shop: Shop, server: TestServer | None = None, *, base_url: str = DARAJA_LIVE, **options: Any
) -> Mobile:
    """``options``: of the account."""
    config = DarajaConfig(KEY, SECRET, PASSKEY, SHORTCODE, base_url)
    account, token = await shop.services.money.providers.add(
        shop.owner, name="Till", config=config, currency="KES", **options
    )
    return Mobile(shop, account, token, str(server.make_url("/")).rstrip("/") if server else "")


@dataclass(slots=True)
class Asker:
    """A worker's turns at prompts, against a fake provider."""

    mobile: Mobile
    fake: Fake
    asking: Asking

    async def turn(self, prompt: Prompt, *, due: bool = False) -> Prompt:
        """One turn; ``due``: whatever its time. How it stands then."""
        if due:
            due_now = "due_at = now() - interval '1 hour', lease_until = NULL"
            await self.mobile.query(f"UPDATE prompts SET {due_now} WHERE id = $1 RETURNING id", prompt.id)
        await self.asking.ask(prompt.org_id, prompt.id)
        return await self.mobile.read(prompt)


@asynccontextmanager
async def asker(shop: Shop, server: TestServer, *, timeout_s: float = 10.0, **options: Any) -> AsyncIterator[Asker]:
    """With an account at a fake provider, which calls ``server`` back."""
    services = shop.services
    async with running(Fake()) as fake, daraja(services.clock, timeout_s) as client:
        register = replace(services.money.providers, roots=frozenset({fake.url}))
        allowed = replace(services, money=replace(services.money, providers=register))
        till = await mobile(Shop(replace(shop.org, services=allowed)), server, base_url=fake.url, **options)
        yield Asker(till, fake, replace(asking_over(allowed, client), public_url=till.url))
