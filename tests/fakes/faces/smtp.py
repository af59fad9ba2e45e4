"""A mail server, as ``tests.fakes.mail`` plays it, on a port of its own. The accept log's reference is the delivery's
id, which begins the Message-ID; a repeat has the same one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from aiohttp import web

from tests.fakes.accepts import Accepted
from tests.fakes.faces.base import Face
from tests.fakes.mail import Fault, Mail, MailServer, mail_server

FAULTS: Final[Mapping[str, Fault]] = {
    "refuse": Fault.NEVER,
    "bad": Fault.NEVER,
    "unavailable": Fault.NOT_NOW,
    "limit": Fault.NOT_NOW,
    "error": Fault.NOT_NOW,
    "cut": Fault.DROP,
    "hang": Fault.SILENT,
    "drop": Fault.ACCEPT_THEN_DROP,
    "silent": Fault.ACCEPT_SLOWLY,
    "page": Fault.NONSENSE,
    "missing": Fault.NONSENSE,
}


class Smtp(Face):
    """``server``: what tests see of it; ``GET /smtp`` says on which port it listens."""

    name = "smtp"
    server: MailServer

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.get("/smtp", self.where)]

    async def where(self, _request: web.Request) -> web.Response:
        return web.json_response({"port": self.server.port})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        numbers = count(1)

        async def note(mail: Mail) -> None:
            ours = mail.reference.strip("<>").partition("@")[0]
            accepted = Accepted(self.name, ours, f"mail-{next(numbers)}", mail.to[0], str(mail.message["Subject"]))
            await self.fake.log.add(accepted)

        async with mail_server() as server:
            self.server, server.before_answer, server.chance = server, note, self._fault
            yield

    def _fault(self) -> Fault | None:
        return FAULTS.get(self.fake.plays.next(self.name).answer)
