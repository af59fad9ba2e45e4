"""HTTP edge of templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from waypost.kernel.errors import Invalid, Stale
from waypost.kernel.principal import TELLERS, WATCHERS
from waypost.notifications.words import wire
from waypost.notifications.words.desk import OWNERS, Draft, TemplateDesk, Which
from waypost.notifications.words.domain import Shown, TemplateNotFound, TooManyTemplates
from waypost.platform.routes import Cache, Route
from waypost.platform.web import (
    PRINCIPAL,
    if_match,
    read_body,
    read_query,
    reply,
    reply_page,
    reply_versioned,
)

PATH: Final = "/api/v1/templates"
ONE: Final = PATH + "/{kind}/{form}/{locale}"


@dataclass(frozen=True, slots=True)
class TemplateRoutes:
    """What customers and staff are told, in whose words."""

    desk: TemplateDesk

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_kinds, answer=wire.TemplateBook, roles=WATCHERS, cache=Cache.PRIVATE),
            Route("POST", PATH + "/preview", self.preview, answer=wire.TemplatePreviews, body=wire.AskedPreview,
                  roles=TELLERS, errors=(TemplateNotFound, Invalid)),
            Route("GET", ONE, self.get, answer=wire.Template, roles=WATCHERS, cache=Cache.PRIVATE,
                  errors=(TemplateNotFound,), versioned=True),
            Route("PUT", ONE, self.save, answer=wire.Template, body=wire.NewWords, roles=OWNERS,
                  errors=(TemplateNotFound, TooManyTemplates, Invalid, Stale), versioned=True),
            Route("GET", ONE + "/versions", self.list_versions, answer=wire.TemplateVersion, listing=True,
                  query=wire.VersionsQuery, roles=WATCHERS, cache=Cache.PRIVATE, errors=(TemplateNotFound,)),
            Route("POST", ONE + "/use", self.use, answer=wire.Template, body=wire.UseVersion, roles=OWNERS,
                  errors=(TemplateNotFound, Stale), versioned=True),
        ]  # fmt: skip

    async def list_kinds(self, request: web.Request) -> web.Response:
        """Every kind of notice, the facts that its words may use, and where the organisation has words of its own."""
        return reply(wire.book(self.desk.renderer, await self.desk.chosen(request[PRINCIPAL])))

    async def preview(self, request: web.Request) -> web.Response:
        """How words read with examples, from the barest to the longest; of an SMS the parts and what they cost."""
        body = await read_body(request, wire.AskedPreview)
        draft = Draft(body.body, body.subject) if body.body is not None else None
        which = Which.of(body.kind, body.form, body.locale)
        shown = await self.desk.preview(request[PRINCIPAL], which, draft, body.version, body.samples)
        return reply(wire.TemplatePreviews([wire.TemplatePreview.from_domain(each) for each in shown]))

    async def get(self, request: web.Request) -> web.Response:
        """The words that are used for a kind, form and language."""
        return _reply(await self.desk.find(request[PRINCIPAL], _which(request)))

    async def save(self, request: web.Request) -> web.Response:
        """Use words of your own from now on: a new version, which is tried with every example before it is kept."""
        body, expected = await read_body(request, wire.NewWords), if_match(request)
        draft = Draft(body.body, body.subject, body.note)
        return _reply(await self.desk.save(request[PRINCIPAL], _which(request), draft, expected=expected))

    async def list_versions(self, request: web.Request) -> web.Response:
        """Your own versions, newest first."""
        query = read_query(request, wire.VersionsQuery)
        page = await self.desk.versions(request[PRINCIPAL], _which(request), query.limit, query.cursor)
        return reply_page(request, page, wire.TemplateVersion.from_domain)

    async def use(self, request: web.Request) -> web.Response:
        """Go back to an older version, or to Waypost's own words."""
        body, expected = await read_body(request, wire.UseVersion), if_match(request)
        return _reply(await self.desk.use(request[PRINCIPAL], _which(request), body.version, expected=expected))


def _which(request: web.Request) -> Which:
    parts = request.match_info
    return Which.of(parts["kind"], parts["form"], parts["locale"])


def _reply(shown: Shown) -> web.Response:
    return reply_versioned(wire.Template.from_domain(shown), shown.version or 0)
