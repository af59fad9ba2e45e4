"""HTTP edge of the apps that drivers have already: each is told what it can live with.

What is stored, was stored before, or can never be stored is answered with success, since each of these apps holds back
all that follows behind a record that is refused (or, OwnTracks on iOS, throws it away). What may succeed later is 503.
See docs/apps/.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError

from waypost.directory.device_apps import DeviceApps
from waypost.identity.domain import DEVICE_TOKEN_PREFIX, TokenInvalid
from waypost.kernel.clock import Clock
from waypost.kernel.errors import AppError, Denied, TooMany, Unauthenticated, Unavailable
from waypost.platform.bodies import BadEncoding
from waypost.platform.routes import Refusing, Route
from waypost.platform.web import PRINCIPAL, TokenMissing, bearer, raw_body, reply
from waypost.tracking import wire_apps as wire
from waypost.tracking.app_reports import AppReports, Taken
from waypost.tracking.protocols import osmand, overland, owntracks, transistor
from waypost.tracking.protocols.records import Read, fault
from waypost.tracking.service import OnlyDevices

PATH: Final = "/api/v1/ingest"
BODY_LIMIT: Final = 8 * 1024 * 1024
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
CUT_OFF: Final = (PayloadEncodingError, web.RequestPayloadError)


class NotNow(Unavailable):
    """The server, or this phone's share of it, is busy; the app keeps what it has and sends it again by itself."""

    code = "not-now"


class TokenSuspended(Unavailable):
    """This token opens nothing; correct it in the app, which keeps what it has until then."""

    code = "token-suspended"


def device_token(request: web.Request) -> str:
    """The token in the path, or for an app that has fields for it the password of Basic, or Bearer."""
    if (token := request.match_info.get("device_token")) is not None:
        return token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return _basic(given.strip()) if scheme.lower() == "basic" else bearer(request)


def _basic(given: str) -> str:
    """RFC 7617; but Overland sends the pair as it is."""
    try:
        pair = given if ":" in given else base64.b64decode(given, validate=True).decode()
    except (binascii.Error, ValueError):
        raise TokenMissing from None
    parts = pair.split(":", 1)
    return next((part for part in parts if part.startswith(DEVICE_TOKEN_PREFIX)), parts[-1])


def refusing(*, grace: bool = False, shown_as: str | None = None) -> Refusing:
    """No 429, which some of them take for good; and one word for every token that is not a device's."""
    instead: dict[type[AppError], type[AppError]] = {TooMany: NotNow, Denied: TokenInvalid}
    if grace:
        instead |= {Unauthenticated: TokenSuspended, Denied: TokenSuspended}
    return Refusing(instead, shown_as)


@dataclass(frozen=True, slots=True)
class AppRoutes:
    """What drivers' own apps report. ``grace``: OwnTracks is told 503 where others are told 401."""

    reports: AppReports
    apps: DeviceApps
    clock: Clock
    grace: bool = False

    def routes(self) -> list[Route]:
        """With the token in the path."""
        return self._rows("/{device_token}")

    def _rows(self, token: str) -> list[Route]:
        """A row for each app, and a GET for who opens the address in a browser to see whether it is right."""
        row = partial(
            Route, credential=device_token, roles=frozenset(), devices=True, query=wire.Ignored, refusing=refusing(),
            body_limit=BODY_LIMIT,
        )  # fmt: skip
        lenient, telling = refusing(grace=self.grace), refusing(shown_as="error")
        osmand_at, owntracks_at, overland_at, transistor_at = (
            f"{PATH}/{app}{token}" for app in ("osmand", "owntracks", "overland", "transistor")
        )
        return [
            row("GET", osmand_at, self.osmand_by_query, query=wire.OsmAndFields),
            row("POST", osmand_at, self.osmand, query=wire.OsmAndFields,
                reads={FORM: wire.OsmAndFields, JSON: wire.TransistorBody}),
            row("GET", owntracks_at, self.try_owntracks, answer=list[wire.Command], refusing=lenient),
            row("POST", owntracks_at, self.owntracks, answer=list[wire.Command], refusing=lenient,
                reads={JSON: wire.OwnTracksMessage}),
            row("GET", overland_at, self.try_overland, answer=wire.OverlandTaken, refusing=telling),
            row("POST", overland_at, self.overland, answer=wire.OverlandTaken, refusing=telling,
                reads={JSON: wire.OverlandBatch}),
            row("GET", transistor_at, self.try_transistor, answer=wire.Taken),
            row("POST", transistor_at, self.transistor, answer=wire.Taken, reads={JSON: wire.TransistorBody}),
        ]  # fmt: skip

    async def osmand_by_query(self, request: web.Request) -> web.Response:
        """One fix of Traccar Client or OsmAnd in the query. Without any it only tells whether the address is right."""
        return await self.osmand(request) if request.method == "GET" and request.query else _empty()

    async def osmand(self, request: web.Request) -> web.Response:
        """One fix of Traccar Client or OsmAnd: in the query, a form, or JSON. Success has no body."""

        async def read(body: bytes) -> Read:
            return osmand.read(request.query.items(), request.content_type, body, self.clock.now())

        await self._take(request, "osmand", read)
        return _empty()

    async def try_owntracks(self, _request: web.Request) -> web.Response:
        """Whether an address for OwnTracks is right."""
        return reply([])

    async def owntracks(self, request: web.Request) -> web.Response:
        """One message of OwnTracks. What is no location is understood and set aside; the answer is always `[]`."""

        async def read(body: bytes) -> Read:
            secret = await self.apps.owntracks_secret(*_ids(request)) if b"encrypted" in body else None
            return owntracks.read(body, self.clock.now(), secret)

        await self._take(request, "owntracks", read)
        return reply([])

    async def try_overland(self, _request: web.Request) -> web.Response:
        """Whether an address for Overland is right; the app shows the name that it gets."""
        return reply(wire.OverlandTaken())

    async def overland(self, request: web.Request) -> web.Response:
        """A batch of Overland. A refusal says in `error`, too, what is wrong."""

        async def read(body: bytes) -> Read:
            return overland.read(body, self.clock.now())

        await self._take(request, "overland", read)
        return reply(wire.OverlandTaken())

    async def try_transistor(self, _request: web.Request) -> web.Response:
        """Whether an address for the transistorsoft SDK is right."""
        return reply(wire.Taken())

    async def transistor(self, request: web.Request) -> web.Response:
        """Locations of an app with the transistorsoft SDK: one, or any number."""

        async def read(body: bytes) -> Read:
            template = await self.apps.transistor(*_ids(request))
            return transistor.read(body, self.clock.now(), template or transistor.PLAIN)

        taken = await self._take(request, "transistor", read)
        return reply(wire.Taken(taken.accepted, taken.duplicates, taken.rejected))

    async def _take(self, request: web.Request, source: str, read: Callable[[bytes], Awaitable[Read]]) -> Taken:
        """A body that was damaged before it was packed stays so however often it comes: kept, like a bad record."""
        try:
            body = await raw_body(request)
        except BadEncoding as error:
            if isinstance(error.__cause__, CUT_OFF):
                raise
            found = Read([fault(b"", error.detail)])
        else:
            found = await read(body)
        return await self.reports.take(request[PRINCIPAL], found, source)


class AppHeaderRoutes(AppRoutes):
    """The same for apps that have fields for a name and a password, or for a token: nothing secret in the path."""

    def routes(self) -> list[Route]:
        """With the token in a header."""
        return self._rows("")


def _ids(request: web.Request) -> tuple[UUID, UUID]:
    """The organisation and the device that the token stands for."""
    principal = request[PRINCIPAL]
    if principal.device_id is None:
        raise OnlyDevices
    return principal.org_id, principal.device_id


def _empty() -> web.Response:
    return web.Response(headers={"Cache-Control": "no-store"})
