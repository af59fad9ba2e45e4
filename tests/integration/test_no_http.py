"""What is no HTTP request is answered and logged without a word of it: there is a token in its address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from waypost.commands.serve import LONGEST_LINE_BYTES
from waypost.platform.connections import Runner

TOKEN = "wpd_" + "s" * 32
PATH = f"/api/v1/ingest/osmand/{TOKEN}"
REST = "HTTP/1.1\r\nHost: x\r\n"
WRONG = {
    "blank in the query": f"GET {PATH}?lat=1&timestamp=2026-11-22 10:00:00 {REST}\r\n",
    "version": f"GET {PATH}?lat=1 HTTP/9.9\r\nHost: x\r\n\r\n",
    "too long": f"GET {PATH}?x={'a' * (LONGEST_LINE_BYTES + 1)} {REST}\r\n",
    "control character": f"GET /x {REST}Authorization: Bearer {TOKEN}\x01\r\n\r\n",
    "method": f"G\xc4T {PATH} {REST}\r\n",
    "port": f"GET http://a:99999999{PATH} {REST}\r\n",
}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    runner = Runner(web.Application(), access_log=None, max_line_size=LONGEST_LINE_BYTES)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("name", WRONG)
async def test_nothing_of_it_is_repeated(
    port: int, name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(WRONG[name].encode("latin-1"))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].endswith(b"400 Bad Request")
    assert json.loads(body)["code"] == "not-http"
    told = "".join(capfd.readouterr()) + caplog.text
    assert "request_not_read" in told
    assert TOKEN not in told + answer.decode()
