"""From an outbox row's payload to the bytes that subscribers get. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec

from waypost.platform import codec
from waypost.platform.codec import Instant, instant
from waypost.webhooks.catalogue import SUBJECT, EventType
from waypost.webhooks.wire_events import Data

MOST_BYTES: Final = 20_000  # Standard Webhooks: below 20 kB
LONGEST_TEXT: Final = 500


class Event(msgspec.Struct, rename="camel"):
    """What is sent. ``id``: as in ``webhook-id``, the same on each try; ``sequence`` grows with what is told, with
    gaps: the order of arrival is not promised. ``timestamp``: when it happened.
    """

    id: UUID
    type: str
    version: int
    sequence: int
    timestamp: Instant
    data: Data


@dataclass(frozen=True, slots=True)
class Reading:
    """What an outbox row says, for an event. ``values``: its data, camelCase."""

    type: EventType
    subject_kind: str
    subject_id: UUID | None
    values: Mapping[str, Any]


class _Notice(msgspec.Struct):
    """As much of a notice as an event needs."""

    customer_id: UUID | None
    subject_kind: str
    subject_id: UUID
    facts: dict[str, str] = {}
    user_id: UUID | None = None


def read(event_type: EventType, payload: str) -> Reading | None:
    """Of an outbox row's payload; None: it is for one of the staff. ``msgspec.MsgspecError`` when it cannot be read."""
    raw = msgspec.json.decode(payload, type=dict[str, Any])
    if "subject_id" not in raw:  # an event from its beginning, not a notice
        return Reading(event_type, "layby", UUID(str(raw["laybyId"])), raw)
    notice = msgspec.convert(raw, _Notice, strict=False)
    if notice.user_id is not None:
        return None
    values = {**notice.facts, event_type.subject: str(notice.subject_id)}
    if notice.customer_id is not None:
        values["customerId"] = str(notice.customer_id)
    return Reading(event_type, notice.subject_kind, notice.subject_id, values)


def data_of(reading: Reading) -> Data:
    """Its data with the types that the description names; where a fact is not of its type, what it is about alone."""
    kind = reading.type.data
    try:
        return msgspec.convert(_values(kind, reading.values), kind, strict=False)
    except (msgspec.MsgspecError, ValueError):
        return msgspec.convert({reading.type.subject: str(reading.subject_id)}, kind, strict=False)


def body_of(reading: Reading, event_id: UUID, sequence: int, at: datetime) -> str:
    """As it is sent, on each try. What would be too long loses its lists, then the ends of its texts."""
    event = Event(event_id, reading.type.name, reading.type.version, sequence, instant(at), data_of(reading))
    body = codec.encode(event)
    for shorter in (_without_lists, _with_short_texts):
        if len(body) < MOST_BYTES:
            break
        event.data = shorter(event.data)
        body = codec.encode(event)
    return body.decode()


def sample(event_type: EventType, subject_id: UUID | None = None) -> Reading:
    """An example of that type; ``test`` says that nothing of it happened."""
    about = subject_id or UUID(SUBJECT)
    values = {**event_type.example, event_type.subject: str(about), "test": True}
    return Reading(event_type, "test", about, values)


def _values(kind: type[Data], values: Mapping[str, Any]) -> dict[str, Any]:
    """What is said and known of; a list inside a fact is JSON."""
    fields = _fields(kind)
    known = {name: value for name, value in values.items() if name in fields and value not in ("", None)}
    return {name: _list(value) if fields[name] else value for name, value in known.items()}


@lru_cache
def _fields(kind: type[Data]) -> Mapping[str, bool]:
    """The names of its members, and which of them are lists."""
    return {field.encode_name: "list[" in str(field.type) for field in msgspec.structs.fields(kind)}


def _list(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) else value


def _without_lists(data: Data) -> Data:
    lists = [name for name in data.__struct_fields__ if isinstance(getattr(data, name), list)]
    return msgspec.structs.replace(data, **dict.fromkeys(lists, None))


def _with_short_texts(data: Data) -> Data:
    texts = {name: text for name in data.__struct_fields__ if isinstance(text := getattr(data, name), str)}
    return msgspec.structs.replace(data, **{name: text[:LONGEST_TEXT] for name, text in texts.items()})
