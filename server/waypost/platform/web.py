"""The HTTP edge's own tools: problems (RFC 9457), bodies, answers, and the port by which a request is signed in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, TransferEncodingError
from aiohttp.typedefs import Handler, Middleware

from waypost.kernel import errors
from waypost.kernel.errors import AppError
from waypost.kernel.paging import Page, parse_limit
from waypost.kernel.principal import Principal
from waypost.platform import codec
from waypost.platform.telemetry import log, request_id

T = TypeVar("T")
H = TypeVar("H", bound=Callable[..., Awaitable[web.StreamResponse]])

MAX_BODY_BYTES = 1024 * 1024

# The one table from an error's kind to an HTTP status.
STATUS: Mapping[type[AppError], int] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
RETRY_AFTER_S = 2

PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)
Authenticate = Callable[[str], Awaitable[Principal]]


class BodyTooLarge(errors.TooLarge):
    """The body is larger than 1 MiB (counted after decompression); send less at a time."""

    code = "body-too-large"


class BadEncoding(errors.Malformed):
    """The body could not be decompressed as its Content-Encoding says."""

    code = "bad-encoding"


class BadQuery(errors.Malformed):
    """A query parameter is not acceptable."""

    code = "bad-query"


class TokenMissing(errors.Unauthenticated):
    """Send `Authorization: Bearer TOKEN`."""

    code = "token-missing"


def public(handler: H) -> H:
    """Mark a handler that needs nobody signed in."""
    handler.__dict__["public"] = True
    return handler


def status_of(error: AppError) -> int:
    """The HTTP status of an expected error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def problem(
    status: int, code: str, detail: str, extra: Mapping[str, object] = {}, *, retry: bool = False
) -> web.Response:
    """An RFC 9457 answer. ``retry``: say after how many seconds the same request may succeed."""
    body = {
        **extra,
        "type": f"/problems/{code}",
        "title": code.replace("-", " "),
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request_id.get(),
    }
    response = web.Response(status=status, body=codec.encode(body), content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    if retry:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _of_aiohttp(error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals (no such route, wrong method) in the same form."""
    code = HTTPStatus(error.status).phrase.lower().replace(" ", "-")
    response = problem(error.status, code, f"{error.reason}.")
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _template(request: web.Request) -> str:
    """The route's template, never the path itself: that may hold a token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer expected errors as problem details, unexpected ones as a bare 500 with a request id and one log line."""
    token = request_id.set(secrets.token_hex(8))
    try:
        response = await handler(request)
    except AppError as error:
        response = problem(status_of(error), error.code, error.detail, error.extra, retry=error.retry)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        response = _of_aiohttp(error)
    except (asyncio.CancelledError, ConnectionResetError):
        raise
    except Exception:  # noqa: BLE001 - the edge: nothing unexpected may leave but as a bare 500
        log.exception("request_failed", method=request.method, path=_template(request))
        response = problem(500, "internal-error", "Something went wrong here; the request id finds it in our log.")
    finally:
        current = request_id.get()
        request_id.reset(token)
    if not response.prepared:
        response.headers["X-Request-Id"] = current or ""
    return response


def authentication(authenticate: Authenticate) -> Middleware:
    """Sign in every request to the API whose handler is not ``public``."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.handler
        if (
            request.path.startswith("/api/")
            and request.match_info.http_exception is None
            and not getattr(route, "public", False)
        ):
            request[PRINCIPAL] = await authenticate(bearer(request))
        return await handler(request)

    return middleware


def bearer(request: web.Request) -> str:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenMissing
    return token.strip()


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The body as ``kind``; compressed ones are inflated up to the limit and no further."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyTooLarge(limitBytes=MAX_BODY_BYTES) from error
    except (ContentEncodingError, TransferEncodingError, web.RequestPayloadError) as error:
        raise BadEncoding from error
    return codec.decode(raw, kind)


async def read_optional_body(request: web.Request, kind: type[T]) -> T:
    """The same for a body that may be left out: then it is an empty object."""
    return await read_body(request, kind) if request.can_read_body else codec.decode(b"{}", kind)


def path_id(request: web.Request, name: str, missing: type[errors.NotFound] = errors.NotFound) -> UUID:
    """An id in the path. What is no id at all names nothing: 404, as for any unknown one."""
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise missing from None


def query_id(request: web.Request, name: str) -> UUID | None:
    """An optional id in the query."""
    text = request.query.get(name)
    try:
        return UUID(text) if text is not None else None
    except ValueError:
        raise BadQuery(f"{name} is not an id") from None


def query_choice(request: web.Request, name: str, choices: Mapping[str, T], default: T) -> T:
    """An optional word of the query out of a few."""
    text = request.query.get(name)
    if text is None:
        return default
    if text not in choices:
        raise BadQuery(f"{name} is one of {', '.join(choices)}")
    return choices[text]


def paging(request: web.Request) -> tuple[int, str | None]:
    """The limit and cursor that a list's query asks for."""
    return parse_limit(request.query.get("limit")), request.query.get("cursor")


def reply(value: object, status: int = 200) -> web.Response:
    """JSON. ``no-store`` until a route says otherwise: most of what we serve is live."""
    return web.Response(
        status=status,
        body=codec.encode(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def reply_page(page: Page[T], wire: Callable[[T], object]) -> web.Response:
    """A list: ``{"data", "nextCursor", "hasMore"}``."""
    data = [wire(row) for row in page.data]
    return reply({"data": data, "nextCursor": page.next_cursor, "hasMore": page.next_cursor is not None})
