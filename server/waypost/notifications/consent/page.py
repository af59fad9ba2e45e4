"""`/unsubscribe/{token}`: the page behind the link in an e-mail, and the one-click form of RFC 8058.

A GET changes nothing, since scanners follow links. A POST needs no cookie and asks no question; one that is not the
page's own is a mail program's, which means "no more of these".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from waypost.notifications.consent.domain import StopUnknown
from waypost.notifications.consent.page_words import FALLBACK, WORDS, what, words_of
from waypost.notifications.consent.stopping import ONE_CLICK, PAGE, Act, Standing, Stopping, shown_address
from waypost.notifications.consent.tokens import STOP_PATH
from waypost.notifications.render import TEMPLATES
from waypost.platform.pages import HEADERS
from waypost.platform.routes import Cache, Handler, Route
from waypost.platform.web import raw_body

HTML, STYLE = "unsubscribe.html", "unsubscribe.css"
BODY_LIMIT: Final = 4 * 1024
FORM: Final = "application/x-www-form-urlencoded"


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StopPage:
    """The page and its style."""

    stopping: Stopping
    templates: Environment = field(default_factory=_environment)

    def routes(self) -> list[Route]:
        return [
            _route("GET", "/unsubscribe.css", self.style, "text/css"),
            _route("GET", STOP_PATH + "/{token}", self.look, "text/html"),
            _route("POST", STOP_PATH + "/{token}", self.act, "text/html"),
        ]

    async def look(self, request: web.Request) -> web.Response:
        """How it stands, and what can be done about it."""
        try:
            return self._page(await self.stopping.look(request.match_info["token"]))
        except StopUnknown:
            return self._unknown()

    async def act(self, request: web.Request) -> web.Response:
        """Do it, at once."""
        act = _asked(request.content_type, await raw_body(request))
        try:
            done = await self.stopping.act(
                request.match_info["token"], act or Act.THESE, ONE_CLICK if act is None else PAGE
            )
        except StopUnknown:
            return self._unknown()
        return self._page(done)

    async def style(self, _request: web.Request) -> web.Response:
        """The page's style."""
        return _answer((TEMPLATES / STYLE).read_text(), "text/css")

    def _page(self, standing: Standing) -> web.Response:
        language, words = words_of(standing.locale)
        facts = {
            "business": standing.business or words["us"],
            "address": shown_address(standing.address),
            "what": what(words, standing.group),
        }
        said = {name: text.format_map(facts) for name, text in words.items()}
        shown = {**_body(standing, said), "to": said["to"], "address": facts["address"], "title": said["title"]}
        return _answer(self.templates.get_template(HTML).render(language=language, **shown), "text/html")

    def _unknown(self) -> web.Response:
        words = WORDS[FALLBACK]
        text = self.templates.get_template(HTML).render(
            language=FALLBACK, title=words["unknown_title"], text=words["unknown"], address="", to="", done=False,
            acts=(), required="",
        )  # fmt: skip
        return _answer(text, "text/html", HTTPStatus.NOT_FOUND)


def _body(standing: Standing, said: Mapping[str, str]) -> dict[str, Any]:
    """What the page says, and its buttons."""
    again = {"what": Act.AGAIN, "words": said["again"], "plain": True}
    everything = {"what": Act.ALL, "words": said["stop_all"], "plain": True}
    if standing.all:
        return {"text": said["done_all"], "done": True, "acts": [again], "required": said["required"]}
    if standing.these:
        return {"text": said["done_these"], "done": True, "acts": [everything, again], "required": said["required"]}
    these = {"what": Act.THESE, "words": said["stop_these"], "plain": False}
    return {"text": said["ask"], "done": False, "acts": [these, everything], "required": said["required"]}


def _asked(content_type: str, body: bytes) -> Act | None:
    """Which button of the page; None: a mail program's one click."""
    if content_type != FORM:
        return None
    said = parse_qs(body.decode(errors="replace")).get("what", [""])[0]
    return next((act for act in Act if act == said), None)


def _route(method: str, path: str, handler: Handler, content_type: str) -> Route:
    return Route(
        method, path, handler, public=True, cache=Cache.NO_STORE, content_type=content_type, described=False,
        body_limit=BODY_LIMIT,
    )  # fmt: skip


def _answer(text: str, content_type: str, status: int = HTTPStatus.OK) -> web.Response:
    headers = {**HEADERS, "Cache-Control": Cache.NO_STORE.value, "Referrer-Policy": "no-referrer"}
    return web.Response(text=text, content_type=content_type, charset="utf-8", headers=headers, status=status)
