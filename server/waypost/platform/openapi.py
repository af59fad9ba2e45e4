"""The API's description: OpenAPI 3.1 out of the route table and the structs of its bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from waypost.kernel import errors
from waypost.kernel.errors import AppError
from waypost.kernel.paging import BadCursor
from waypost.platform.bodies import (
    MAX_BODY_BYTES,
    MSGPACK,
    BadEncoding,
    BodyTooLarge,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from waypost.platform.caching import COMPRESS_FROM_BYTES
from waypost.platform.codec import NotJson, NotMsgpack
from waypost.platform.database import DatabaseAway, DatabaseBusy
from waypost.platform.idempotency import BadIdempotencyKey, KeyReused, StillRunning
from waypost.platform.limits import RateLimited
from waypost.platform.queries import PageQuery
from waypost.platform.routes import EVERYBODY, Cache, Route
from waypost.platform.schemas import REF, components_of, in_words, properties_of
from waypost.platform.secretbox import Unreadable
from waypost.platform.web import BadQuery, TokenMissing, status_of

PROBLEM = "application/problem+json"
_PART = re.compile(r"{([a-z_]+)}")
_READS = frozenset({"GET", "HEAD"})
_TILE = frozenset({"z", "x", "y"})  # of a map tile
_FILE: Mapping[str, Any] = {}  # text in a format of its own; of what form it is, its media type says

ABOUT = f"""Errors are problem details (RFC 9457); `code` is stable, `requestId` finds the request in the server's log.
Lists give `nextCursor` while there is more; `fields` picks fields. A resource's `ETag` goes into `If-Match` of a
change: 412 says that it was changed meanwhile. A POST that takes `Idempotency-Key` may be sent again with the same
key for a day. JSON above {COMPRESS_FROM_BYTES} bytes is compressed where it is not live. A body is at most
{MAX_BODY_BYTES} bytes."""


class FieldError(msgspec.Struct, rename="camel"):
    """One field that is not acceptable."""

    field: str
    detail: str


class Problem(msgspec.Struct, rename="camel"):
    """What went wrong (RFC 9457). Some codes carry more members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] = []


@dataclass(frozen=True, slots=True)
class SentEvent:
    """A type of event that subscribers are sent. ``data``: the struct of its `data`; ``example``: a whole body."""

    name: str
    words: str
    version: int
    data: type[msgspec.Struct]
    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Description:
    """Builds the document. ``refusals``: what anyone who has to sign in may hear (identity's, which we cannot name)."""

    title: str
    version: str
    refusals: tuple[type[AppError], ...]
    sent: Sequence[SentEvent] = ()

    def document(self, routes: Iterable[Route]) -> dict[str, Any]:
        """The whole description of the rows that are ``described``."""
        rows = [route for route in routes if route.described]
        schemas, components = _schemas(rows, [event.data for event in self.sent])
        paths: dict[str, dict[str, Any]] = {}
        for row in rows:
            paths.setdefault(public_path(row.path), {})[row.method.lower()] = self._operation(row, schemas, components)
        return {
            "openapi": "3.1.0",
            "info": {"title": self.title, "version": self.version, "description": ABOUT},
            "paths": paths,
            "webhooks": {event.name: {"post": _sending(event, schemas)} for event in self.sent},
            "components": {
                "schemas": components,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"bearer": []}],
            "tags": [{"name": tag} for tag in dict.fromkeys(row.tag for row in rows)],
        }

    def _operation(self, row: Route, schemas: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
        words = " ".join((row.handler.__doc__ or "").split())
        operation: dict[str, Any] = {
            "operationId": operation_id(row),
            "summary": words.split(". ")[0].rstrip("."),
            "description": f"{words}\n\n{_who(row)}",
            "tags": [row.tag],
            "parameters": _parameters(row, schemas, components),
            "responses": _merged(_answers(row, schemas, components), self._problems(row)),
        }
        if row.body is not None:
            content = {"application/json": {"schema": schemas[row.body]}}
            if row.packed is not None:
                content[MSGPACK] = {"schema": {"anyOf": [schemas[row.body], schemas[row.packed]]}}
            operation["requestBody"] = {"required": not row.body_optional, "content": content}
        if row.reads:
            read = {kind: {"schema": schemas[body]} for kind, body in row.reads.items()}
            operation["requestBody"] = {"required": False, "content": read}
        if row.public or row.credential is not None:
            operation["security"] = []
        return operation

    def _problems(self, row: Route) -> dict[str, Any]:
        return {
            str(status): {
                "description": "; ".join(f"`{leaf.code}`: {in_words(leaf).rstrip('.')}" for leaf in leaves) + ".",
                "content": {PROBLEM: {"schema": _problem_schema(status, leaves)}},
            }
            for status, leaves in self.errors_of(row).items()
        }

    def errors_of(self, row: Route) -> dict[int, list[type[AppError]]]:
        """Every expected error of a row, by status: its own leaves, and what follows from the row itself."""
        leaves: list[type[AppError]] = [errors.Malformed, DatabaseAway, DatabaseBusy, BadQuery, AppError]
        if not row.public:
            leaves += [TokenMissing, *self.refusals, errors.Denied]
        if row.path.startswith("/api/v1"):
            leaves.append(RateLimited)
        if row.body is not None:
            leaves += [NotJson, BadEncoding, BodyTooLarge, UnsupportedEncoding, errors.Invalid]
        if row.packed is not None:
            leaves += [NotMsgpack, UnsupportedMediaType]
        if row.listing:
            leaves.append(BadCursor)
        if row.idempotent:
            leaves += [BadIdempotencyKey, StillRunning, KeyReused, Unreadable]
        if row.versioned and row.method not in _READS and _PART.search(row.path):
            leaves.append(errors.Stale)
        if row.reads:
            leaves += [BodyTooLarge, UnsupportedEncoding]
        found: dict[int, list[type[AppError]]] = {}
        for leaf in dict.fromkeys(row.refusing.leaf(leaf) for leaf in [*leaves, *row.errors]):
            found.setdefault(status_of(leaf.__new__(leaf)), []).append(leaf)
        return dict(sorted(found.items()))


def operation_id(row: Route) -> str:
    """Unique: the area and the handler's name."""
    name = getattr(row.handler, "__name__", "handler")
    owner = type(getattr(row.handler, "__self__", None)).__name__.removesuffix("Routes")
    return f"{owner}.{name}"


def public_path(path: str) -> str:
    """Parts of a path as the document calls them: ``{trip_id}`` -> ``{tripId}``."""
    return _PART.sub(lambda part: f"{{{_camel(part[1])}}}", path)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _schemas(rows: Sequence[Route], others: Sequence[Any] = ()) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each body and answer, and the components that they refer to."""
    kinds: list[Any] = [Problem, *others]
    for row in rows:
        told = (row.answer, row.body, row.packed, row.query, *row.other_answers.values(), *row.reads.values())
        kinds += [kind for kind in told if kind is not None]
    return components_of(kinds)


def _sending(event: SentEvent, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    """As the one who receives it would describe it."""
    members: dict[str, Any] = {
        "id": {"type": "string", "format": "uuid", "description": "As in `webhook-id`: the same on each try."},
        "type": {"const": event.name},
        "version": {"const": event.version},
        "sequence": {"type": "integer", "description": "Grows, with gaps; the order of arrival is not promised."},
        "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
        "data": schemas[event.data],
    }
    schema = {"type": "object", "properties": members, "required": list(members)}
    headers = [
        _header("webhook-id", "Tells a repeat: drop what you have seen."),
        _header("webhook-timestamp", "Of this try, in seconds since 1970.", r"^[0-9]+$"),
        _header("webhook-signature", "Standard Webhooks' signatures, divided by spaces.", r"^v1,"),
    ]
    return {
        "operationId": f"webhook.{event.name}",
        "summary": event.words.rstrip("."),
        "description": event.words,
        "tags": ["webhooks"],
        "security": [],
        "parameters": [header | {"required": True} for header in headers],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": event.example}},
        },
        "responses": {
            "2XX": {"description": "Taken. Anything else is tried again later."},
            "410": {"description": "Gone: the webhook is switched off."},
        },
    }


def _who(row: Route) -> str:
    if row.public:
        return "Anybody may call it."
    if row.credential is not None:
        return "For a device: its token signs it in."
    people = "any role" if row.roles == EVERYBODY else ", ".join(sorted(row.roles))
    return f"For: {' and '.join(filter(None, [people, 'devices' if row.devices else '']))}."


def _parameters(row: Route, schemas: Mapping[Any, Any], components: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": _camel(name), "in": "path", "required": True, "schema": _path_schema(name)}
        for name in _PART.findall(row.path)
    ]
    if row.query is not None:
        found += _query_parameters(row, properties_of(schemas[row.query], components)[0])
    if row.idempotent:
        found.append(_header("Idempotency-Key", "The same for each sending of one request.", r"^[!-~]{1,255}$"))
    if row.versioned and row.method not in _READS and _PART.search(row.path):
        found.append(_header("If-Match", "The `ETag` of what you have seen."))
    if row.method in _READS and row.cache is Cache.PRIVATE:
        found.append(_header("If-None-Match", "The `ETag` of what you have: 304 when it is still so."))
    return found


def _path_schema(name: str) -> dict[str, Any]:
    if name in _TILE:
        return {"type": "integer", "minimum": 0}
    return {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string", "minLength": 1}


def _header(name: str, words: str, pattern: str | None = None) -> dict[str, Any]:
    schema = {"type": "string"} | ({"pattern": pattern} if pattern else {})
    return {"name": name, "in": "header", "required": False, "description": words, "schema": schema}


def _query_parameters(row: Route, members: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for field in msgspec.structs.fields(row.query):
        schema = members[field.encode_name]
        parameter = {"name": field.encode_name, "in": "query", "required": field.required, "schema": _optional(schema)}
        if field.name == "fields" and issubclass(row.query, PageQuery):
            known = [each.encode_name for each in msgspec.structs.fields(row.answer)]
            items = {"type": "array", "minItems": 1, "maxItems": 20, "items": {"enum": known}}
            parameter |= {"schema": items, "style": "form", "explode": False}
        found.append(parameter)
    return found


def _optional(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that is not given is left out; there is no null in a query."""
    kept = {name: value for name, value in schema.items() if name != "default" or value is not None}
    if "anyOf" in kept:
        kinds = [kind for kind in kept.pop("anyOf") if kind.get("type") != "null"]
        kept |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return kept


def _answers(row: Route, schemas: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    found = {str(row.status): _answer(row, row.status, row.answer, schemas, components)}
    for status, kind in row.other_answers.items():
        found[str(status)] = _answer(row, status, kind, schemas, components)
    if row.method in _READS and row.cache in (Cache.PRIVATE, Cache.NO_CACHE):
        found["304"] = {"description": "It is still what `If-None-Match` names."}
    return found


def _merged(answers: dict[str, Any], problems: Mapping[str, Any]) -> dict[str, Any]:
    """One entry a status: where an answer and problems share one, it has the content of both."""
    for status, problem in problems.items():
        answer = answers.setdefault(status, {"description": "", "content": {}})
        answer["description"] = "; ".join(filter(None, [answer["description"], problem["description"]]))
        answer["content"] = {**answer.get("content", {}), **problem["content"]}
    return answers


def _answer(
    row: Route, status: int, kind: Any, schemas: Mapping[Any, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    words = " ".join((kind.__doc__ or "").split()) if isinstance(kind, type) else "Done."  # not of list[...]
    told: dict[str, Any] = {"description": f"A page. {words}" if row.listing else words}
    if kind is not None:
        schema = _page(kind, schemas, components) if row.listing and status == row.status else schemas[kind]
        told["content"] = {row.content_type: {"schema": schema}}
        if row.packed is not None and status == row.status:
            told["content"][MSGPACK] = {"schema": schema}
    elif row.content_type != "application/json":
        told["content"] = {row.content_type: {"schema": {"type": "string"}}}
    if status == row.status:
        told.setdefault("content", {}).update({name: {"schema": _FILE} for name in row.other_types})
    if row.versioned:
        told["headers"] = {"ETag": {"schema": {"type": "string"}}}
    return told


def _page(kind: Any, schemas: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    """A list's answer: whole rows, or with ``fields`` parts of them."""
    part = {"type": "object", "properties": components[kind.__name__]["properties"], "additionalProperties": False}
    return {
        "type": "object",
        "required": ["data", "nextCursor", "hasMore"],
        "properties": {
            "data": {"type": "array", "items": {"anyOf": [schemas[kind], part]}},
            "nextCursor": {"type": ["string", "null"]},
            "hasMore": {"type": "boolean"},
        },
    }


def _problem_schema(status: int, leaves: Sequence[type[AppError]]) -> dict[str, Any]:
    narrowed = {"status": {"const": status}, "code": {"enum": sorted({leaf.code for leaf in leaves})}}
    return {"allOf": [{"$ref": REF.format(name="Problem")}, {"properties": narrowed}]}
