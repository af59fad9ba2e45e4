"""The example receiver of docs/webhooks.md takes what we sign, once, and nothing else."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestClient

from waypost.webhooks import bodies, signing
from waypost.webhooks.catalogue import TYPES
from waypost.webhooks.domain import Secret

DOCS = Path(__file__).resolve().parents[2] / "docs"
SECRET = signing.secret_of(b"s" * 32)
EVENT = UUID("0193b5d5-7c3f-7000-8000-000000000001")
Client = Callable[[Any], Awaitable["TestClient[Any, Any]"]]


def receiver() -> Any:
    spec = importlib.util.spec_from_file_location("webhook_receiver", DOCS / "examples" / "webhook_receiver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build(SECRET)


async def test_the_example_takes_an_event_once_and_refuses_what_is_forged(
    aiohttp_client: Client, capsys: pytest.CaptureFixture[str]
):
    client = await aiohttp_client(receiver())
    now = datetime.now(UTC)
    body = bodies.body_of(bodies.sample(TYPES["payment.received"]), EVENT, 7, now).encode()
    headers = signing.headers([Secret(SECRET)], str(EVENT), now, body)
    statuses = [(await client.post("/waypost", data=body, headers=headers)).status for _ in range(2)]
    forged = await client.post("/waypost", data=body.replace(b"150000", b"150001"), headers=headers)
    odd = await client.post("/waypost", data=body, headers=headers | {"webhook-signature": "nothing"})
    assert statuses == [204, 204]
    assert (forged.status, odd.status) == (401, 401)
    assert capsys.readouterr().out.count("payment.received") == 1


def test_the_body_that_the_page_shows_is_one_of_ours():
    page = (DOCS / "webhooks.md").read_text()
    shown = json.loads(page.split("```json\n")[1].split("```")[0])
    made = json.loads(bodies.body_of(bodies.sample(TYPES["payment.received"]), EVENT, 7, datetime.now(UTC)))
    assert shown.keys() == made.keys()
    assert set(shown["data"]) - {"customerId"} <= set(made["data"])
