"""Every event and ack that a test's socket gets is compared with the description of the events that the server gives.

Stricter than a client would be: a member that is not described is wrong too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from tests.described import ROOT, absolute


@dataclass(slots=True)
class Events:
    """The document, ready to be asked. ``wrong``: what was found."""

    messages: Mapping[str, Any]
    registry: Registry[Any]
    told: dict[str, str]  # an event's name -> the key of its message
    commands: dict[str, list[str]]  # a command's name -> the keys of its acks
    validators: dict[str, Draft7Validator] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Events:
        closed = _closed(document)
        resource = Resource(contents=closed, specification=DRAFT7)
        messages = closed["components"]["messages"]
        told, commands = {}, {}
        for operation in closed["operations"].values():
            keys = [_last(each) for each in operation["messages"]]
            if operation["action"] == "send":
                told[messages[keys[0]]["name"]] = keys[0]
            else:
                commands[messages[keys[0]]["name"]] = [_last(each) for each in operation["reply"]["messages"]]
        return cls(messages, Registry().with_resource(ROOT, resource), told, commands)

    def wrong_of(self, name: str, *bodies: Any) -> list[str]:
        """What is not as described in an event that was told."""
        if name not in self.told:
            return [f"{name} is not described"]
        if len(bodies) != 1:
            return [f"{name} came with {len(bodies)} arguments"]
        return self._wrong(self.told[name], name, bodies[0])

    def wrong_ack(self, name: object, ack: Any) -> list[str]:
        """The same of a command's ack, and of the events in it that were missed."""
        if not isinstance(name, str) or name not in self.commands:
            known = isinstance(ack, dict) and ack.get("ok") is False and ack["error"]["code"] == "unknown-event"
            return [] if known else [f"{name!r} is not described, and answered {ack}"]
        if not isinstance(ack, dict):
            return [f"{name}: the ack is {ack!r}"]
        yes, no = self.commands[name]
        found = self._wrong(yes if ack.get("ok") is True else no, name, ack)
        for missed in _missed(ack):
            found += self.wrong_of(missed["event"], missed["data"])
        return found

    def _wrong(self, key: str, name: str, body: Any) -> list[str]:
        if key not in self.validators:
            self.validators[key] = Draft7Validator(absolute(self.messages[key]["payload"]), registry=self.registry)
        return [f"{name}: {error.json_path}: {error.message}" for error in self.validators[key].iter_errors(body)]


def _missed(ack: Mapping[str, Any]) -> Iterator[Any]:
    """Of the room that was joined, or of several."""
    for name, value in ack.items():
        if name == "missed":
            yield from value
        elif isinstance(value, Mapping):
            yield from _missed(value)


def _last(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _closed(value: Any) -> Any:
    """The same document, in which an object has no members but those that are described."""
    if isinstance(value, list):
        return [_closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    closed = {key: _closed(each) for key, each in value.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


_known: list[Events] = []


async def events_of(url: str) -> Events | None:
    """What the server at ``url`` describes, which is the same for all of ours; None of one that describes nothing."""
    if not _known:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/asyncapi.json") as response:
            if response.status != 200:
                return None
            _known.append(Events.of(await response.json()))
    return _known[0]
