"""HTTP edge of providers that sign what they send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from waypost.payments.callbacks import CallbackElsewhere, Callbacks, CallbackUnknown
from waypost.payments.domain import Disposition
from waypost.payments.providers import signed
from waypost.payments.providers.accounts import ProviderName
from waypost.payments.providers.signed import SignatureInvalid
from waypost.platform.addresses import client_address
from waypost.platform.bodies import BadEncoding
from waypost.platform.routes import Route
from waypost.platform.secretbox import Unreadable
from waypost.platform.web import raw_body, reply

PATH: Final = "/api/v1/callbacks/signed/{token}"
ROAD: Final = "signed"
BODY_LIMIT: Final = 64 * 1024


class SignedTaken(msgspec.Struct, rename="camel", omit_defaults=True):
    """It is kept. ``disposition``: what became of it, where that is known already."""

    received: bool
    disposition: Disposition | None = None


@dataclass(frozen=True, slots=True)
class SignedRoutes:
    """Events of providers that sign them. ``refused``: told of each that may be a guess; may raise the refusal."""

    callbacks: Callbacks
    refused: Callable[[web.Request], Awaitable[None]]

    def routes(self) -> list[Route]:
        return [
            Route("POST", PATH, self.take, answer=SignedTaken, reads={"application/json": Any}, body_limit=BODY_LIMIT,
                  public=True, counted=False,
                  errors=(CallbackUnknown, CallbackElsewhere, SignatureInvalid, BadEncoding, Unreadable)),
        ]  # fmt: skip

    async def take(self, request: web.Request) -> web.Response:
        """An event of a provider that signs: checked over the bytes as they came, kept, booked; twice is once."""
        callbacks = self.callbacks
        try:
            door = await callbacks.door(request.match_info["token"], client_address(request))
            if door.account.provider is not ProviderName.SIGNED:
                raise CallbackUnknown
            body, now = await raw_body(request), callbacks.clock.now()
            signed.check(door.account.signed, request.headers, body, now)
        except (CallbackUnknown, SignatureInvalid):
            await self.refused(request)
            raise
        event_id = signed.read(ROAD, body, door.account, now).event_id
        ended = await callbacks.take(door.account, ROAD, body, client_address(request), event_id=event_id)
        return reply(SignedTaken(received=True, disposition=ended.disposition if ended else None))
