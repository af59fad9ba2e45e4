"""One process with the faces of all providers of ours: ``python -m tests.fakes.provider --port N --script FILE --log
FILE``.

What happens to a message says the script (``plays.Script`` as JSON), or the test. What is taken goes with our reference
into the log, on the disk before it is answered: that file is the proof that nothing was sent twice. Beside the
providers' own addresses there are ``POST /fake/plays``, ``/fake/report-to`` and ``GET /fake/accepted``. A face adds its
own addresses: see ``faces``.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from tests.fakes.accepts import Accepted, AcceptLog
from tests.fakes.faces import FACES, Face
from tests.fakes.plays import Play, Plays, Receipt, Script


class FakeProvider:
    """``accepted``: what was taken, in order; ``calls``: face and fields of all that it was asked; ``answers``: of its
    receipts and inbound messages, status and body of what we answered.
    """

    def __init__(self, script: Script | None = None, log: Path | None = None) -> None:
        self.script = script or Script()
        self.plays = Plays(self.script)
        self.log = AcceptLog(log)
        self.report_to = dict(self.script.report_to)
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.answers: list[tuple[int, str]] = []
        self.numbers = count(1)
        self.port = 0
        self.faces: dict[str, Face] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> list[Accepted]:
        return self.log.kept

    @property
    def references(self) -> list[str]:
        return [each.reference for each in self.accepted]

    def play(self, *plays: Play) -> None:
        """What happens to the next messages."""
        self.plays.add(plays)

    async def take(
        self,
        request: web.Request,
        accepted: Accepted,
        *,
        answer: Callable[[Play], web.StreamResponse],
        refuse: Callable[[str | None], web.StreamResponse],
        report: Callable[[Receipt], Awaitable[Any]] | None = None,
        ordinary: Sequence[Receipt] = (),
        taken: Callable[[], None] = lambda: None,
    ) -> web.StreamResponse:
        """Do with a message what its play says: a face says how it answers, how it refuses, and how it reports;
        ``taken``: called once it is on the disk.
        """
        play = self.plays.next(accepted.face)
        if self.script.latency_s:
            await asyncio.sleep(self.script.latency_s)
        if (wrong := await self._not_taken(request, play, refuse)) is not None:
            return wrong
        await self.log.add(accepted)
        taken()
        receipts = ordinary if play.receipts is None else play.receipts
        if report is not None and receipts:
            for receipt in [each for each in receipts if each.before]:
                await self._report(report, receipt)
            self.begin(self._later(report, [each for each in receipts if not each.before]))
        if play.after_s:
            await asyncio.sleep(play.after_s)
        if play.answer == "drop":
            return _cut(request)
        if play.answer == "silent":
            await self._open.wait()
        if play.answer == "page":
            return web.Response(text="<html>Welcome</html>", content_type="text/html")
        return answer(play)

    async def _not_taken(
        self, request: web.Request, play: Play, refuse: Callable[[str | None], web.StreamResponse]
    ) -> web.StreamResponse | None:
        match play.answer:
            case "refuse":
                return refuse(play.code)
            case "unavailable":
                return web.Response(status=503, text="Service Unavailable")
            case "limit":
                headers = {"Retry-After": str(play.retry_after_s)}
                return web.json_response({"code": 20429, "message": "Too Many Requests"}, status=429, headers=headers)
            case "bad":
                return web.json_response({"error": "bad request"}, status=400)
            case "error":
                return web.Response(status=500, text="Internal Server Error")
            case "cut":
                return _cut(request)
            case "hang":
                await self._open.wait()
                return _cut(request)
        return None

    async def call(
        self, url: str, *, form: dict[str, str] | None = None, json: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Call back, once. Status 0: nobody answered."""
        assert self._session is not None
        status, text = 0, ""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(url, data=form, json=json, headers=headers) as response:
                status, text = response.status, await response.text()
        self.answers.append((status, text))
        return status, text

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Until all that it had to report is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _later(self, report: Callable[[Receipt], Awaitable[Any]], receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            await asyncio.sleep(receipt.after_s)
            await self._report(report, receipt)

    async def _report(self, report: Callable[[Receipt], Awaitable[Any]], receipt: Receipt) -> None:
        await asyncio.gather(*(report(receipt) for _ in range(receipt.copies)))

    def application(self) -> web.Application:
        app = web.Application()
        for face in self.faces.values():
            app.add_routes(face.routes())
        app.add_routes([
            web.post("/fake/plays", self._on_plays),
            web.post("/fake/report-to", self._on_report_to),
            web.get("/fake/accepted", self._on_accepted),
        ])  # fmt: skip
        return app

    async def _on_plays(self, request: web.Request) -> web.Response:
        self.play(*msgspec.json.decode(await request.read(), type=list[Play]))
        return web.json_response({})

    async def _on_report_to(self, request: web.Request) -> web.Response:
        """{face: address}: where a face reports whose requests do not say so."""
        self.report_to |= await request.json()
        return web.json_response({})

    async def _on_accepted(self, _request: web.Request) -> web.Response:
        return web.json_response([asdict(each) for each in self.accepted])

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[FakeProvider]:
        """It listens for as long as the block runs."""
        async with AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(aiohttp.ClientSession())
            for make in FACES:
                face = make(self)
                self.faces[face.name] = face
                await stack.enter_async_context(face.open())
            runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
            self.port = runner.addresses[0][1]
            try:
                yield self
            finally:
                self._open.set()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)


def _cut(request: web.Request) -> web.StreamResponse:
    """The line is cut; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def fake_provider(
    *plays: Play, script: Script | None = None, log: Path | None = None
) -> AsyncIterator[FakeProvider]:
    """One in this process."""
    fake = FakeProvider(script, log)
    fake.play(*plays)
    async with fake.running():
        yield fake


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, help="JSON: see plays.Script")
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    script = msgspec.json.decode(asked.script.read_bytes(), type=Script) if asked.script else Script()
    async with FakeProvider(script, asked.log).running(asked.port) as fake:
        print(fake.url, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
