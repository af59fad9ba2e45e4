"""The events' description: AsyncAPI 3.0 out of the catalogue's rows and the structs of their bodies.

An operation of ours `receive`s a command and replies with its ack, or `send`s an event to a channel of hearers. All of
it goes over one Socket.IO namespace: who hears what is decided by the server, not by an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from waypost.kernel.errors import AppError
from waypost.platform.bodies import MSGPACK
from waypost.platform.schemas import components_of, in_words, properties_of

NAMESPACE: Final = "/"
COMMANDS, ACKS = "commands", "acks"
PLACE: Final[Mapping[str, Any]] = {
    "epoch": {"type": "string", "description": "The life of the room's counter."},
    "seq": {"type": "integer", "minimum": 0, "description": "The event's number in its room."},
}
FROM: Final = {
    "type": "integer",
    "minimum": 1,
    "description": "The first number that it stands for, of several; beyond `seq`: something is missing.",
}

ABOUT = """Socket.IO 5 over Engine.IO 4, by WebSocket, long-polling or an upgrade. Connect with `auth: {token}`; a
refused connect gives `connect_error` with the code as `message` and `{code, detail, retry}` as `data`. A command takes
one object and is answered by its ack; one of an unknown name by a refusal with the code `unknown-event`. An event of a
room carries the room's `epoch` and `seq`; docs/protocol.md has the rule by which clients miss nothing."""


class Asked(Protocol):
    """A command, as ``realtime.catalogue`` has it."""

    @property
    def name(self) -> str: ...
    @property
    def takes(self) -> Any: ...
    @property
    def gives(self) -> Any: ...
    @property
    def binary(self) -> Any: ...
    @property
    def words(self) -> str: ...
    @property
    def refusals(self) -> Sequence[type[AppError]]: ...


class Heard(Protocol):
    """An event that clients are told, as ``realtime.catalogue`` has it."""

    @property
    def name(self) -> str: ...
    @property
    def body(self) -> Any: ...
    @property
    def hearers(self) -> Sequence[Enum]: ...
    @property
    def words(self) -> str: ...
    @property
    def counted(self) -> bool: ...
    @property
    def spans(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class EventDescription:
    """Builds the document."""

    title: str
    version: str

    def document(self, commands: Iterable[Asked], told: Iterable[Heard]) -> dict[str, Any]:
        """The whole description."""
        asked, heard = list(commands), list(told)
        kinds = [kind for row in asked for kind in (row.takes, row.gives, row.binary) if kind is not None]
        schemas, components = components_of([*kinds, *(row.body for row in heard)])
        draft = _Draft(schemas, components)
        for command in asked:
            draft.command(command)
        for row in heard:
            draft.told(row)
        return {
            "asyncapi": "3.0.0",
            "info": {"title": f"{self.title} events", "version": self.version, "description": " ".join(ABOUT.split())},
            "defaultContentType": "application/json",
            "servers": _servers(),
            "channels": draft.channels,
            "operations": draft.operations,
            "components": {"schemas": components, "messages": draft.messages, "securitySchemes": _SECURITY},
        }


class _Draft:
    """The parts of a document, as they grow row by row."""

    def __init__(self, schemas: Mapping[Any, Any], components: Mapping[str, Any]) -> None:
        self.schemas, self.components = schemas, components
        self.channels: dict[str, dict[str, Any]] = {
            COMMANDS: {"address": NAMESPACE, "title": "What clients send", "messages": {}},
            ACKS: {"address": None, "title": "What the sender of a command is answered", "messages": {}},
        }
        self.operations: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, dict[str, Any]] = {}

    def command(self, row: Asked) -> None:
        key = operation_id(row.name)
        forms = [self._message(COMMANDS, key, row.name, row.words, self.schemas[row.takes])]
        if row.binary is not None:
            packed = self._message(COMMANDS, f"{key}Packed", row.name, "The same as bytes.", self.schemas[row.binary])
            self.messages[f"{key}Packed"]["contentType"] = MSGPACK
            forms.append(packed)
        yes = self._message(ACKS, f"{key}Ack", row.name, "It is done.", self._ack(row))
        no = self._message(ACKS, f"{key}Refused", row.name, _codes(row), _refusal(row))
        self.operations[key] = {
            "action": "receive",
            "channel": _ref("channels", COMMANDS),
            "summary": _summary(row.words),
            "description": row.words,
            "messages": forms,
            "reply": {"channel": _ref("channels", ACKS), "messages": [yes, no]},
        }

    def told(self, row: Heard) -> None:
        key = operation_id(row.name)
        for hearers in row.hearers:
            channel = operation_id(hearers.name.lower())
            title = f"{hearers.value[:1].upper()}{hearers.value[1:]}"
            self.channels.setdefault(channel, {"address": NAMESPACE, "title": title, "messages": {}})
            message = self._message(channel, key, row.name, row.words, self._body(row))
            self.operations[f"{key}To{channel[:1].upper()}{channel[1:]}"] = {
                "action": "send",
                "channel": _ref("channels", channel),
                "summary": _summary(row.words),
                "description": row.words,
                "messages": [message],
            }

    def _message(self, channel: str, key: str, name: str, words: str, payload: Mapping[str, Any]) -> dict[str, str]:
        """Put a message into its channel; the reference to it there."""
        self.messages[key] = {"name": name, "title": name, "summary": words, "payload": payload}
        self.channels[channel]["messages"][key] = _ref("components", "messages", key)
        return _ref("channels", channel, "messages", key)

    def _ack(self, row: Asked) -> dict[str, Any]:
        properties, required = ({}, []) if row.gives is None else self._members(row.gives)
        return _object({"ok": {"const": True}, **properties}, ["ok", *required])

    def _body(self, row: Heard) -> dict[str, Any]:
        properties, required = self._members(row.body)
        if not row.counted:
            return _object(properties, required)
        span = {"from": FROM} if row.spans else {}
        return _object({**properties, **PLACE, **span}, [*required, *PLACE])

    def _members(self, kind: Any) -> tuple[dict[str, Any], list[str]]:
        return properties_of(self.schemas[kind], self.components)


def operation_id(name: str) -> str:
    """An event's name as the document's keys may be: `trip:join` -> ``tripJoin``."""
    first, *rest = name.replace(":", "_").replace("-", "_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "/".join(("#", *path))}


def _object(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _refusal(row: Asked) -> dict[str, Any]:
    error = {
        "code": {"enum": sorted({leaf.code for leaf in row.refusals})},
        "detail": {"type": "string"},
        "retry": {"type": "boolean", "description": "May the very same command succeed later?"},
    }
    told = {**_object(error, list(error)), "additionalProperties": True}  # some codes say more: a limit, the fields
    return _object({"ok": {"const": False}, "error": told}, ["ok", "error"])


def _codes(row: Asked) -> str:
    return "; ".join(f"`{leaf.code}`: {in_words(leaf).rstrip('.')}" for leaf in row.refusals) + "."


def _summary(words: str) -> str:
    return words.split(". ", maxsplit=1)[0].rstrip(".")


_SECURITY: Final = {
    "token": {
        "type": "apiKey",
        "in": "user",
        "description": "`auth: {token}` of the connect: a person's access token, or a device's token.",
    }
}
_HOST: Final = {"default": "localhost:8080", "description": "Where this server is reached."}


def _servers() -> dict[str, Any]:
    paths = {
        "json": ("/socket.io/", "The standard parser."),
        "msgpack": ("/socket.io/msgpack/", "socket.io-msgpack-parser."),
    }
    return {
        name: {
            "host": "{host}",
            "pathname": path,
            "protocol": "ws",
            "protocolVersion": "13",
            "title": title,
            "description": "Socket.IO; `wss` behind TLS.",
            "variables": {"host": _HOST},
            "security": [_ref("components", "securitySchemes", "token")],
        }
        for name, (path, title) in paths.items()
    }
