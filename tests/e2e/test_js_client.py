"""The official JavaScript client works unchanged: by WebSocket, long-polling and the upgrade, in JSON and msgpack."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Api
from tests.factories import Org
from tests.integration.test_http_tracking import location, ping
from tests.waiting import until

FOLDER = Path(__file__).parent / "js"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no `node` here"),
    pytest.mark.skipif(not (FOLDER / "node_modules").is_dir(), reason="run `npm ci` in tests/e2e/js first"),
]


@dataclass(slots=True)
class JsClient:
    """A Node process with one socket; ``lines`` is all it has said."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def tell(self, **command: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")

    async def listen(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.lines.append(json.loads(line))

    async def hears(self, matching: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first such line, said already or to come."""
        return (await until(lambda: [line for line in self.lines if matching(line)]))[0]

    async def said(self, word: str) -> dict[str, Any]:
        return await self.hears(lambda line: line["said"] == word)

    async def event(self, name: str) -> Any:
        return (await self.hears(lambda line: line["said"] == "event" and line["event"] == name))["data"]

    async def ask(self, event: str, data: object) -> Any:
        """The ack of an event."""
        number = next(self.numbers)
        self.tell(do="emit", id=number, event=event, data=data)
        line = await self.hears(lambda line: line["said"] == "ack" and line["id"] == number)
        assert line["error"] is None
        return line["ack"]


@asynccontextmanager
async def javascript(url: str, codec: str = "json", **options: object) -> AsyncIterator[JsClient]:
    """A client that has been told to connect there."""
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        NODE, "client.mjs", cwd=FOLDER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    client = JsClient(process)
    listening = asyncio.create_task(client.listen())
    try:
        client.tell(do="connect", url=url, codec=codec, options=options)
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)
        if process.returncode is None:
            process.kill()
            await process.wait()
        await listening


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("transports", "first", "last"),
    [
        (["websocket"], "websocket", "websocket"),
        (["polling"], "polling", "polling"),
        (["polling", "websocket"], "polling", "websocket"),
    ],
    ids=["websocket", "polling", "upgrade"],
)
async def test_a_joined_trip_is_heard_by_every_transport(
    api: Api, org: Org, transports: list[str], first: str, last: str, codec: str
):
    phone = await org.phone()
    assert phone.trip is not None
    trip = str(phone.trip.id)
    async with javascript(api.url, codec, transports=transports, auth={"token": await org.token()}) as client:
        assert (await client.said("open"))["transport"] == first
        await client.said("connect")
        if first != last:
            assert (await client.said("upgrade"))["transport"] == last
        joined = await client.ask("trip:join", {"tripId": trip})
        assert joined.keys() == {"ok", "trip", "position", "epoch", "seq", "recovered", "missed"}
        assert (joined["ok"], joined["trip"]["id"], joined["recovered"]) == (True, trip, False)
        fleet = await client.ask("fleet:join", {})
        assert [each["id"] for each in fleet["trips"]] == [trip]
        await ping(api, phone, location(0, latitude=-17.25))
        event = await client.event("trip:location")
        assert (event["tripId"], event["epoch"], event["seq"]) == (trip, joined["epoch"], joined["seq"] + 1)
        assert event["locations"][0]["latitude"] == -17.25
        assert (await client.event("fleet:positions"))["positions"][0]["tripId"] == trip
        assert await client.ask("trip:leave", {"tripId": trip}) == {"ok": True}
        client.tell(do="disconnect")
        assert (await client.said("disconnect"))["reason"] == "io client disconnect"


async def test_a_phone_reports_and_its_ack_is_the_http_answer(api: Api, org: Org):
    phone, sent = await org.phone(), [location(2, n=1), location(1, latitude=555), "nothing"]
    async with javascript(api.url, transports=["websocket"], auth={"token": phone.token}) as client:
        ack = await client.ask("tracking:ping", {"locations": sent})
        assert (ack["ok"], ack["accepted"], len(ack["rejected"])) == (True, 1, 2)
        assert ack.keys() - {"ok"} == (await ping(api, phone, *sent)).keys()
        refused = await client.ask("fleet:join", {})
        assert (refused["ok"], refused["error"]["code"], refused["error"]["retry"]) == (False, "denied", False)
        assert refused["error"]["detail"]
        assert (await client.ask("nothing", {}))["error"]["code"] == "unknown-event"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(
    ("auth", "code"),
    [({}, "token-missing"), ({"token": "wrong"}, "token-invalid"), ({"token": "wpd_x"}, "token-invalid")],
)
async def test_a_refused_connect_gives_its_code_to_connect_error(
    api: Api, transport: str, auth: dict[str, str], code: str
):
    async with javascript(api.url, transports=[transport], auth=auth) as client:
        refused = await client.said("connect_error")
        assert (refused["message"], refused["data"]["code"]) == (code, code)


async def test_who_is_cut_off_is_told_so(api: Api, org: Org):
    phone = await org.phone()
    async with javascript(api.url, transports=["websocket"], auth={"token": phone.token}) as client:
        await client.said("connect")
        await org.services.directory.revoke_device(org.owner, phone.device_id)
        assert (await client.said("disconnect"))["reason"] == "io server disconnect"
