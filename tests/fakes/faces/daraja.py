"""Daraja: M-Pesa, as ``tests.fakes.daraja`` plays it. Its own plays come by ``POST /fake/play``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.fakes import daraja
from tests.fakes.faces.base import Face


class DarajaFace(Face):
    """``daraja``: its state."""

    name = "daraja"

    def __init__(self, fake: Any) -> None:
        super().__init__(fake)
        self.daraja = daraja.Fake()

    def routes(self) -> Sequence[web.RouteDef]:
        return self.daraja.routes()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        yield
        await self.daraja.close()
