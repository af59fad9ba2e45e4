"""The forms of a batch, and of a location in it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.tracking.compact import MAX_LOCATIONS, Columns, Envelope


class Location(msgspec.Struct, rename="camel", gc=False):
    """One location of a batch. Anything may be in a field: what is wrong with one is that location's own outcome."""

    latitude: Annotated[Any, Meta(description="WGS 84 degrees; needed")] = None
    longitude: Annotated[Any, Meta(description="WGS 84 degrees; needed")] = None
    timestamp: Annotated[Any, Meta(description="ISO 8601, or milliseconds since 1970; needed")] = None
    accuracy: Annotated[Any, Meta(description="metres")] = None
    speed: Annotated[Any, Meta(description="metres a second")] = None
    heading: Annotated[Any, Meta(description="degrees clockwise from north")] = None
    altitude: Annotated[Any, Meta(description="metres")] = None
    battery: Annotated[Any, Meta(description="percent")] = None
    mock: Annotated[Any, Meta(description="true: the phone says that the location is made up")] = None
    n: Annotated[Any, Meta(description="the whole number that it has in the stream")] = None
    id: Annotated[Any, Meta(description="instead of a stream and n: the client's own id, a text")] = None
    age: Annotated[Any, Meta(description="milliseconds from the measurement to the sending")] = None


class FixBatch(msgspec.Struct, rename="camel"):
    """`POST /tracking/ping` and `tracking:ping`. Fields that are not known are ignored: driver apps differ."""

    locations: Annotated[list[Location], Meta(min_length=1, max_length=MAX_LOCATIONS)]
    trip_id: UUID | None = None
    driver_id: Annotated[Any, Meta(description="never overrides the token")] = None
    stream: Annotated[UUID | None, Meta(description="made at install; n counts in it")] = None
    sent_at: Annotated[Any, Meta(description="the device's clock as it sends, as a timestamp")] = None


class PlainLocation(msgspec.Struct, rename="camel", gc=False):
    """A location as phones write it. Whatever is not like this is no error, but slower to read."""

    latitude: float
    longitude: float
    timestamp: int | float | str
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    altitude: float | None = None
    battery: float | None = None
    mock: bool | None = None
    n: int | None = None
    id: str | None = None
    age: float | None = None


# The same in pieces: each value as it was sent.
FIELDS = tuple(field.name for field in msgspec.structs.fields(PlainLocation))
Pieces = msgspec.defstruct("Pieces", [(name, msgspec.Raw, msgspec.Raw()) for name in FIELDS], rename="camel")


class PlainBatch(Envelope, kw_only=True, rename="camel"):
    """All of it as phones write it."""

    locations: Annotated[list[PlainLocation], Meta(min_length=1)]


class PackedBatch(Columns, kw_only=True, rename="camel"):
    """The same in msgpack, or columns."""

    locations: Annotated[list[PlainLocation], Meta(min_length=1)] | None = None


class OddBatch(Envelope, kw_only=True, rename="camel"):
    """Locations that are read one by one."""

    locations: Annotated[list[msgspec.Raw], Meta(min_length=1)]


class PlainObject(msgspec.Struct, rename="camel"):
    """A batch from a codec that has read it already."""

    locations: Annotated[list[PlainLocation], Meta(min_length=1)]
    trip_id: UUID | None = None
    stream: UUID | None = None
    sent_at: Any = None


class OddObject(msgspec.Struct, rename="camel"):
    """The same, to be read one by one."""

    locations: Annotated[list[Any], Meta(min_length=1)]
    trip_id: UUID | None = None
    stream: UUID | None = None
    sent_at: Any = None


class Form(msgspec.Struct):
    """Which form msgpack has: columns say their version."""

    v: msgspec.Raw = msgspec.Raw()
