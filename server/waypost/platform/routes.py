"""The route table: what each route takes, answers and asks of its caller.

The application, the API's description, the matrix of who may do what and the fuzzing all read this one table, so a
route cannot be served and left undescribed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

from waypost.kernel.errors import AppError
from waypost.kernel.principal import Role
from waypost.platform.bodies import MAX_BODY_BYTES

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

EVERYBODY = frozenset(Role)


class Cache(Enum):
    """What a cache may do with an answer; the value is the header."""

    NO_STORE = "no-store"  # live, or secret
    PRIVATE = "private, no-cache"  # kept by who asked, and asked after each time by its ETag
    NO_CACHE = "no-cache"  # the same for everybody, and asked after each time
    IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Refusing:
    """How a route says no, where its callers cannot take it as everybody does.

    ``instead``: a kind of error, and what is answered in its place; ``shown_as``: the member in which a problem repeats
    its detail, for an app that shows it to whom it is about.
    """

    instead: Mapping[type[AppError], type[AppError]] = field(default_factory=dict)
    shown_as: str | None = None

    def leaf(self, leaf: type[AppError]) -> type[AppError]:
        """What is answered where ``leaf`` was raised."""
        return next((other for kind, other in self.instead.items() if issubclass(leaf, kind)), leaf)


@dataclass(frozen=True, slots=True)
class Route:
    """One row. ``answer`` and ``body``: the msgspec structs of ``wire.py``; ``listing``: a page of ``answer``.

    ``roles``: the people who may call it (whether they may see the thing it names is the service's to say);
    ``devices``: a device's token may. ``idempotent``: takes ``Idempotency-Key``; ``versioned``: answers an ``ETag`` of
    the version, and where it changes something takes ``If-Match``; ``costly``: few a minute are allowed.
    ``body_limit``: bytes of a body, inflated; ``packed``: what msgpack may hold beside ``body``; the route reads that
    too, and answers in it who asks for that.
    ``reads``: the media types that it reads leniently, and what is in them: no such body is refused for what is in it.
    ``credential``: finds the caller's token, where that is not in ``Authorization: Bearer``; ``refusing``: its own way
    to refuse.
    ``counted`` False: no limit of requests holds it: what a provider sends once may not come again.
    ``errors``: the leaves that its service raises, beside those that follow from the rest of the row.
    """

    method: str
    path: str
    handler: Handler
    answer: Any = None
    status: int = 200
    body: Any = None
    body_optional: bool = False
    body_limit: int = MAX_BODY_BYTES
    reads: Mapping[str, Any] = field(default_factory=dict)
    packed: Any = None
    query: Any = None
    roles: frozenset[Role] = EVERYBODY
    devices: bool = False
    public: bool = False
    credential: Callable[[web.Request], str] | None = None
    refusing: Refusing = Refusing()
    errors: tuple[type[AppError], ...] = ()
    listing: bool = False
    cache: Cache = Cache.NO_STORE
    idempotent: bool = False
    versioned: bool = False
    costly: bool = False
    counted: bool = True
    content_type: str = "application/json"
    other_types: tuple[str, ...] = ()  # that ``status`` may come in as well, as text
    other_answers: Mapping[int, Any] = field(default_factory=dict)  # status -> struct of its body, beside ``status``
    described: bool = True  # False: a page or a file, not a part of the API

    @property
    def tag(self) -> str:
        """The area it belongs to: the first word of its path."""
        parts = self.path.removeprefix("/api/v1").strip("/").split("/")
        return parts[0] or "pages"

    def definition(self) -> web.RouteDef:
        """As aiohttp takes it; the handler carries its row."""
        handler = self.handler

        async def answer(request: web.Request) -> web.StreamResponse:
            return await handler(request)

        answer.__dict__[_ROW] = self
        return web.RouteDef(self.method, self.path, answer, {})


_ROW = "waypost_route"


def row_of(request: web.Request) -> Route | None:
    """The row that answers ``request``; None for what is not in the table (Socket.IO) or does not exist."""
    row = getattr(request.match_info.handler, _ROW, None)
    return row if isinstance(row, Route) else None
