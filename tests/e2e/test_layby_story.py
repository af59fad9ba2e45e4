"""The whole story in processes: a phone is asked, the provider calls back, the customer hears, the layby is done."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.commands import clean_environment, free_port, serving
from tests.e2e.workers import PATHS, RELAY, WORKER, begin, finish
from tests.factories import organisation
from tests.fakes.daraja_shapes import KEY, PASSKEY, SECRET, SHORTCODE
from tests.tills import Shop
from tests.waiting import until
from waypost.payments.providers.accounts import DarajaConfig
from waypost.settings import Settings
from waypost.wiring import open_services

WITHIN_S = 90
PHONE = "+254708374149"
# Out of order, twice at once, before our own request returns, drifting types, busy, a token that runs out.
SCRIPT: Sequence[dict[str, Any]] = [
    {"answer": "busy"},
    {"before": True, "says": [{"dress": "text", "at_once": 3}]},
    {"answer": "expired"},
    {"says": [{"code": 1032}, {"dress": "shuffled", "after_s": 0.2, "at_once": 2}, {"code": "1032", "after_s": 0.1}]},
]


@dataclass(slots=True)
class Story:
    """A shop's server and what it says, with a fake Daraja beside it."""

    url: str
    token: str
    shop: Shop
    log: Path

    async def call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers) as response,
        ):
            answer = await response.json(content_type=None)
            assert response.status < 300, answer
            return answer

    async def reaches(self, path: str, **values: str) -> Any:
        """What is there, once its fields have these values."""

        async def look() -> Any:
            found = await self.call("GET", path)
            return found if all(found.get(name) == value for name, value in values.items()) else None

        return await until(look, WITHIN_S)

    def called(self) -> list[dict[str, Any]]:
        """What the fake was asked and answered."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@asynccontextmanager
async def fake_daraja(folder: Path) -> AsyncIterator[str]:
    """A process of its own; its address."""
    (folder / "script.json").write_text(json.dumps(list(SCRIPT)))
    options = ("--script", str(folder / "script.json"), "--log", str(folder / "log"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.daraja", *options, env=clean_environment() | {"PYTHONPATH": PATHS},
        stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield (await asyncio.wait_for(process.stdout.readline(), WITHIN_S)).decode().strip()
    finally:
        await finish(process)


@pytest.fixture
async def story(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Story]:
    port = free_port()
    async with fake_daraja(tmp_path) as provider:
        env = environment | {
            "WAYPOST_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "WAYPOST_PAYMENT_ROOTS": provider,
            "WAYPOST_CONSOLE_CHANNEL": "true",
            "WAYPOST_RELAY_POLL_S": "0.1",
        }
        async with open_services(Settings.from_env(env)) as services:
            await services.redis.flushall()
            org = await organisation(services)
            shop = await Shop.of(org)
            async with serving(env, port) as server:
                workers = [await begin(*module, env=env) for module in (WORKER, RELAY)]
                try:
                    yield Story(server.url, await org.token(), shop, tmp_path / "log")
                finally:
                    for process in workers:
                        await finish(process)


@pytest.mark.timeout(400)
async def test_from_a_prompt_to_the_order_with_every_fault_on_the_way(story: Story):
    await add_account(story)
    layby = await story.shop.layby()  # of 100.00, 30.00 paid
    path = f"/laybys/{layby.id}"
    for amount, balance in ((3000, 4000), (4000, 0)):
        wish = {"laybyId": str(layby.id), "phone": PHONE, "amountMinor": amount}
        prompt = await story.call("POST", "/payments/prompts", wish)
        await story.reaches(f"/payments/prompts/{prompt['id']}", state="paid")
        assert (await story.call("GET", path))["balanceMinor"] == balance
    done = await story.reaches(path, status="completed")
    assert done["order"]["number"]
    failures = await all_callbacks_are_done(story)
    await everything_is_told(story, failures)
    await story.shop.check()
    assert {row["status"] for row in story.called() if row["what"] == "answered"} == {200}
    assert [row["what"] for row in story.called() if row["what"] == "push"] == ["push"] * 4


async def add_account(story: Story) -> None:
    services = story.shop.services
    config = DarajaConfig(KEY, SECRET, PASSKEY, SHORTCODE, services.settings.payment_roots)
    await services.money.providers.add(story.shop.owner, name="Till", config=config, currency="KES")


async def all_callbacks_are_done(story: Story) -> int:
    """Two were booked, and their three repeats were not; how many of the two failures counted: one, unless the success
    that followed came to its turn before it.
    """

    async def dispositions() -> Counter[str] | None:
        rows = (await story.call("GET", "/callbacks"))["data"]
        found = Counter(row.get("disposition", "") for row in rows)
        return found if len(rows) == 7 and not found[""] else None

    found = await until(dispositions, WITHIN_S)
    assert found["applied"] == 2
    assert found["failed"] <= 1
    assert found["duplicate"] >= 3
    assert found.keys() <= {"applied", "duplicate", "failed", "ignored"}
    return found["failed"]


async def everything_is_told(story: Story, failures: int) -> None:
    """A receipt for each payment, that it is done, and the failure: each as a notification that went out."""

    async def told() -> list[str]:
        rows = (await story.call("GET", "/notifications"))["data"]
        return sorted(row["kind"] for row in rows)

    failed = ["payment_failed"] * failures
    expected = ["layby_completed", "layby_created", *failed, "payment_received", "payment_received"]

    async def all_told() -> bool:
        return await told() == expected

    await until(all_told, WITHIN_S)
