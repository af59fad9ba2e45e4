"""What a face is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from aiohttp import web

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider


class Face:
    """One provider as it behaves. ``open``: what runs beside the web server, such as another port, for as long."""

    name: ClassVar[str]

    def __init__(self, fake: FakeProvider) -> None:
        self.fake = fake

    def routes(self) -> Sequence[web.RouteDef]:
        return ()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        yield
