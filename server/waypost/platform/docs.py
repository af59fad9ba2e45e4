"""`/api/openapi.json`, `/api/asyncapi.json`, and `/docs`: both for people, as one page without scripts or outside
requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup

from waypost.platform import codec
from waypost.platform.openapi import Description
from waypost.platform.pages import HEADERS
from waypost.platform.routes import Cache, Route

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class DocsRoutes:
    """Made once, when first asked for. ``describe_events`` makes their AsyncAPI document."""

    description: Description
    described: Sequence[Route]
    describe_events: Callable[[], dict[str, Any]]

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/openapi.json", self.document, answer=dict[str, Any], public=True, cache=Cache.NO_CACHE),
            Route("GET", "/api/asyncapi.json", self.events, answer=dict[str, Any], public=True, cache=Cache.NO_CACHE),
            Route("GET", "/docs", self.page, public=True, cache=Cache.NO_CACHE, content_type="text/html",
                  described=False),
            Route("GET", "/docs/docs.css", self.style, public=True, cache=Cache.NO_CACHE, content_type="text/css",
                  described=False),
        ]  # fmt: skip

    @cached_property
    def json(self) -> bytes:
        return codec.encode(self._document)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return self.description.document([*self.described, *self.routes()])

    @cached_property
    def _events(self) -> dict[str, Any]:
        return self.describe_events()

    @cached_property
    def events_json(self) -> bytes:
        return codec.encode(self._events)

    @cached_property
    def html(self) -> str:
        environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape())
        environment.filters["words"] = _words
        return environment.get_template("docs.html").render(
            info=self._document["info"],
            areas=_areas(self._document),
            events=_events(self._events),
            sent=_sent(self._document),
            schemas=sorted(self._document["components"]["schemas"].items()),
            members=self._members_of,
            kind=_kind,
            name=_name,
        )

    def _members_of(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema itself, also where the payload only refers to it."""
        return self._events["components"]["schemas"][name] if (name := _name(payload)) else payload

    async def document(self, _request: web.Request) -> web.Response:
        """This description: OpenAPI 3.1."""
        return web.Response(body=self.json, content_type="application/json")

    async def events(self, _request: web.Request) -> web.Response:
        """The description of the Socket.IO events: AsyncAPI 3.0."""
        return web.Response(body=self.events_json, content_type="application/json")

    async def page(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.html.encode(), content_type="text/html", charset="utf-8", headers=HEADERS)

    async def style(self, _request: web.Request) -> web.Response:
        return web.Response(body=(TEMPLATES / "docs.css").read_bytes(), content_type="text/css", headers=HEADERS)


def _words(text: str) -> Markup:
    """What stands between backticks as code, all of it escaped."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _areas(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The operations of each area, as the page shows them."""
    areas: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            areas[operation["tags"][0]].append({"path": path, "method": method.upper(), **operation})
    return areas


def _events(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every event once, as the page shows it: its message, who hears it, and what a command is answered."""
    messages, channels = document["components"]["messages"], document["channels"]
    found: dict[str, dict[str, Any]] = {}
    for operation in document["operations"].values():
        key = _name(operation["messages"][0]) or ""
        event = found.setdefault(key, {**messages[key], "id": key, "text": operation["description"], "hearers": []})
        if operation["action"] == "send":
            event["hearers"].append(channels[_name(operation["channel"])]["title"])
        else:
            event["ack"], event["refusal"] = (messages[_name(each)] for each in operation["reply"]["messages"])
    return list(found.values())


def _sent(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every type of event that subscribers are sent, with the schema of its data and an example as text."""
    found = []
    for name, operations in document["webhooks"].items():
        body = operations["post"]["requestBody"]["content"]["application/json"]
        example = codec.encode(body["example"]).decode()
        found.append({"name": name, "words": operations["post"]["description"], "example": example}
                     | {"data": body["schema"]["properties"]["data"]})  # fmt: skip
    return found


def _name(schema: Mapping[str, Any]) -> str | None:
    """The component that a schema refers to, if it does."""
    return str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else None


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if name := _name(schema):
        return name
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"]))
    if "const" in schema:
        return str(schema["const"]).lower()
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{words} ({schema['format']})" if "format" in schema else words
