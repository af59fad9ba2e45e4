"""The HTTP edge's own tools: problems (RFC 9457), bodies, answers, and the port by which a request is signed in."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError
from aiohttp.typedefs import Handler, Middleware

from waypost.kernel import errors
from waypost.kernel.errors import AppError
from waypost.kernel.paging import Page
from waypost.kernel.principal import Principal
from waypost.platform import bodies, codec
from waypost.platform.bodies import MAX_BODY_BYTES, BadEncoding
from waypost.platform.routes import Route, row_of
from waypost.platform.telemetry import log, request_id

T = TypeVar("T")

# The one table from an error's kind to an HTTP status.
STATUS: Mapping[type[AppError], int] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
RETRY_AFTER_S = 2

PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)
BODY: web.RequestKey[bytes] = web.RequestKey("body", bytes)  # once it was read
Authenticate = Callable[[str], Awaitable[Principal]]


class BadQuery(errors.Malformed):
    """A query parameter is not acceptable."""

    code = "bad-query"


class TokenMissing(errors.Unauthenticated):
    """Send `Authorization: Bearer TOKEN`."""

    code = "token-missing"


def status_of(error: AppError) -> int:
    """The HTTP status of an expected error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def problem(
    status: int, code: str, detail: str, extra: Mapping[str, object] = {}, *, retry_after_s: int | None = None
) -> web.Response:
    """An RFC 9457 answer. ``retry_after_s``: when the same request may succeed; None: never, as it is."""
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
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def problem_of(error: AppError, row: Route | None = None) -> web.Response:
    """The answer to an expected error, as the route says no."""
    asked_s = error.retry_after_s if isinstance(error, errors.TooMany) else None
    extra = error.extra
    if row is not None:
        leaf = row.refusing.leaf(type(error))
        error = error if isinstance(error, leaf) else leaf()
        extra = {**error.extra, row.refusing.shown_as: error.detail} if row.refusing.shown_as else error.extra
    retry_after_s = (asked_s or RETRY_AFTER_S) if error.retry else None
    response = problem(status_of(error), error.code, error.detail, extra, retry_after_s=retry_after_s)
    if isinstance(error, errors.TooMany):
        response.headers.update(error.headers)
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


# A prefix of this process and a number: as good as random, and no system call for each request.
_PREFIX, _number = secrets.token_hex(4), itertools.count(secrets.randbits(16))


def _new_request_id() -> str:
    return f"{_PREFIX}{next(_number) & 0xFFFFFFFF:08x}"


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer expected errors as problem details, unexpected ones as a bare 500 with a request id and one log line."""
    token = request_id.set(_new_request_id())
    try:
        response = await handler(request)
    except AppError as error:
        response = problem_of(error, row_of(request))
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


def authentication(authenticate: Authenticate, refused: Callable[[web.Request], Awaitable[None]]) -> Middleware:
    """Sign in who asks for a row of the route table that is not public, and see that it lets their role in.

    ``refused``: told of each token that is not good, before the refusal goes out; may raise what goes out instead.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        row = row_of(request)
        if row is not None and not row.public:
            try:
                principal = await authenticate((row.credential or bearer)(request))
            except errors.Unauthenticated:
                await refused(request)
                raise
            check_role(row, principal)
            request[PRINCIPAL] = principal
        return await handler(request)

    return middleware


def check_role(row: Route, principal: Principal) -> None:
    """``Denied``, with the words for whom it is, unless the row lets this principal in."""
    if principal.device_id is not None:
        if not row.devices:
            raise errors.Denied("This is for people who sign in, not for a device's token.")
    elif not row.roles:
        raise errors.Denied("This is for a device's token.")
    elif principal.role not in row.roles:
        raise errors.Denied(f"Your role is {principal.role}; this is for: {', '.join(sorted(row.roles))}.")


def bearer(request: web.Request) -> str:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenMissing
    return token.strip()


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The body as ``kind``; compressed ones are inflated up to the limit and no further."""
    return codec.decode(await raw_body(request), kind)


async def raw_body(request: web.Request) -> bytes:
    """The body as bytes, inflated; read once, kept for who asks again. The route's ``body_limit`` holds."""
    kept: bytes | None = request.get(BODY)
    if kept is not None:
        return kept
    row = row_of(request)
    limit = row.body_limit if row is not None else MAX_BODY_BYTES
    try:
        body = await bodies.read(request.content, request.headers.get("Content-Encoding"), limit)
    except (PayloadEncodingError, web.RequestPayloadError) as error:
        raise BadEncoding from error
    request[BODY] = body
    return body


async def read_optional_body(request: web.Request, kind: type[T]) -> T:
    """The same for a body that may be left out: then it is an empty object."""
    return await read_body(request, kind) if request.get(BODY) or request.can_read_body else codec.decode(b"{}", kind)


def path_id(request: web.Request, name: str, missing: type[errors.NotFound] = errors.NotFound) -> UUID:
    """An id in the path. What is no id at all names nothing: 404, as for any unknown one."""
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise missing from None


Q = TypeVar("Q", bound=msgspec.Struct)


def read_query(request: web.Request, kind: type[Q]) -> Q:
    """The query's parameters. ``BadQuery`` names the one that is unknown, twice there or not acceptable."""
    values = dict(request.query)
    if len(values) < len(request.query):
        raise BadQuery("A query parameter is given twice.")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadQuery(codec.complaint(error)) from error
    except UnicodeEncodeError as error:
        raise BadQuery("A query parameter is no Unicode text.") from error


def reply(value: object, status: int = 200) -> web.Response:
    """JSON. ``no-store`` until a route says otherwise: most of what we serve is live."""
    return web.Response(
        status=status,
        body=codec.encode(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


_NOT_PACKED = re.compile(rf"{bodies.MSGPACK}\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")


def reply_packed(request: web.Request, value: object) -> web.Response:
    """The same in msgpack for who accepts that by name."""
    accepted = request.headers.get("Accept", "")
    if bodies.MSGPACK not in accepted or _NOT_PACKED.search(accepted):
        return reply(value)
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=codec.pack(value), content_type=bodies.MSGPACK, headers=headers)


def reply_page(request: web.Request, page: Page[T], wire: Callable[[T], object]) -> web.Response:
    """A list: ``{"data", "nextCursor", "hasMore"}``, each row with the fields that the query asks for."""
    data = [wire(row) for row in page.data]
    if wanted := request.query.get("fields"):
        data = [_only(row, wanted) for row in data]
    return reply({"data": data, "nextCursor": page.next_cursor, "hasMore": page.next_cursor is not None})


def check_fields(row: Route, request: web.Request) -> None:
    """``BadQuery`` when ``fields`` names one that the rows of this list never have."""
    if not row.listing or (wanted := request.query.get("fields")) is None:
        return
    known = [field.encode_name for field in msgspec.structs.fields(row.answer)]
    if unknown := [name for name in wanted.split(",") if name not in known]:
        raise BadQuery(f"fields: there is no {', '.join(unknown)[:200]}; there are {', '.join(known)}")


def _only(row: object, wanted: str) -> dict[str, object]:
    whole = msgspec.to_builtins(row)
    return {name: whole[name] for name in wanted.split(",") if name in whole}


def reply_versioned(value: object, version: int, status: int = 200) -> web.Response:
    """JSON with an ETag: the version, and a hash of what the caller sees (names of other things are part of it)."""
    response = reply(value, status)
    body = response.body if isinstance(response.body, bytes) else b""
    response.headers["ETag"] = f'"{version}-{_digest(body)}"'
    return response


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=9).hexdigest()


_ETAG = re.compile(r'^"(\d{1,9})-[0-9a-f]+(?:-gzip)?"$')


def if_match(request: web.Request) -> int | None:
    """The version that a change expects to find, by the ETag in `If-Match`; None: any (also for ``*``).

    ``Stale`` for an ETag that is none of ours or weak: then it is surely not the present one.
    """
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    match = _ETAG.match(text)
    if match is None:
        raise errors.Stale
    return int(match[1])
