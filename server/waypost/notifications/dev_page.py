"""`/dev/outbox`: what the console channel has shown, for the developer at this very machine.

It holds customers' words and addresses and asks nobody to sign in. So it is there only while the console channel is on,
and only for a browser on the machine itself that came directly: not through a proxy, and not by a name that somebody
else may have pointed at us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from waypost.notifications.render import TEMPLATES
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.service import Notifications
from waypost.platform.addresses import is_from_here
from waypost.platform.pages import HEADERS
from waypost.platform.routes import Cache, Handler, Route

PAGE, STYLE = "outbox_page.html", "outbox_page.css"
KIND_WORDS: Mapping[str, str] = {"trip_started": "on its way", "trip_completed": "arrived"}


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DevOutbox:
    """The page and its style."""

    notifications: Notifications
    templates: Environment = field(default_factory=_environment)

    def routes(self) -> list[Route]:
        return [_route("/dev/outbox", self.page, "text/html"), _route("/dev/outbox.css", self.style, "text/css")]

    async def page(self, request: web.Request) -> web.Response:
        """The newest notices, newest first."""
        _check_is_here(request)
        notices = [_shown(recipient, delivery) for recipient, delivery in await self.notifications.on_console()]
        text = self.templates.get_template(PAGE).render(notices=notices)
        return _answer(text, "text/html")

    async def style(self, request: web.Request) -> web.Response:
        """The page's style."""
        _check_is_here(request)
        return _answer((TEMPLATES / STYLE).read_text(), "text/css")


def _route(path: str, handler: Handler, content_type: str) -> Route:
    return Route("GET", path, handler, public=True, cache=Cache.NO_STORE, content_type=content_type, described=False)


def _answer(text: str, content_type: str) -> web.Response:
    headers = {**HEADERS, "Cache-Control": Cache.NO_STORE.value}
    return web.Response(text=text, content_type=content_type, charset="utf-8", headers=headers)


def _check_is_here(request: web.Request) -> None:
    if not is_from_here(request):
        raise web.HTTPNotFound


def _shown(recipient: str, delivery: Delivery) -> dict[str, str]:
    at = delivery.updated_at.astimezone(UTC)
    return {
        "recipient": recipient,
        "address": delivery.address,
        "form": "e-mail" if "@" in delivery.address else "SMS",
        "kind": KIND_WORDS.get(delivery.kind, delivery.kind.replace("_", " ")),
        "state": str(delivery.state).replace("_", " "),
        "subject": delivery.subject or "",
        "body": delivery.body or "",
        "at": at.isoformat(timespec="seconds"),
        "at_words": f"{at:%d %b %Y, %H:%M:%S} UTC",
    }
