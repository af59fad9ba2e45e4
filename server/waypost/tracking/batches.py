"""What a device reports, off the wire: a batch as JSON, msgpack rows or msgpack columns, over HTTP or a socket.

Every form gives the same reports. What is wrong with the whole (no JSON, no list, a column too short) is the request's
error; what is wrong with one location is that location's own outcome. So a batch is first read in one go, as phones
write it; only where that fails each location is read by itself, and of one that still cannot be read each value. No
value of ours is a list or an object, so none is ever made of what somebody sends: a mebibyte of brackets costs seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from waypost.platform import codec
from waypost.platform.bodies import UnsupportedMediaType
from waypost.platform.codec import is_storable
from waypost.tracking import compact
from waypost.tracking.compact import MAX_LOCATIONS, MAX_NUMBER, Columns, Envelope, TooManyLocations
from waypost.tracking.domain import Report
from waypost.tracking.wire_batches import (
    FIELDS,
    Form,
    Location,
    OddBatch,
    OddObject,
    PackedBatch,
    Pieces,
    PlainBatch,
    PlainLocation,
    PlainObject,
)

MAX_KEY_LENGTH = 200
RAW_BYTES = 1024
LONGEST_READ = 16 * 1024  # of a location in msgpack that is told as JSON
JSON = frozenset({"", "application/json", "application/octet-stream"})  # the last one says as much as nothing
MSGPACK = frozenset({"application/msgpack", "application/vnd.msgpack", "application/x-msgpack"})
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_ODD = (msgspec.MsgspecError, UnicodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Batch:
    """What was reported. ``sent_at``: the device's clock as it sent the batch, as it wrote it."""

    reports: list[Report]
    trip_id: UUID | None
    stream: UUID | None
    sent_at: object


@dataclass(slots=True)
class Sent:
    """The locations as they were sent, read again only when one of them is asked for; ``tell``: one as text.

    Reports refer to it, so it must not refer to them: the garbage collector does not follow reports.
    """

    read: Callable[[], Sequence[Any]]
    tell: Callable[[Any], bytes]
    locations: Sequence[Any] | None = None

    def raw_of(self, index: int) -> bytes:
        """One as JSON, where it can be, its first kilobyte."""
        if self.locations is None:
            self.locations = self.read()
        return self.tell(self.locations[index])[:RAW_BYTES]


class Language(NamedTuple):
    """How a language is read. ``brackets``: the first bytes of lists and objects; ``tell``: as for ``Sent``."""

    batch: Callable[[bytes, type[OddBatch]], OddBatch]
    location: Callable[[msgspec.Raw], PlainLocation]
    pieces: Callable[[msgspec.Raw], msgspec.Struct]
    value: Callable[[msgspec.Raw], Any]
    brackets: frozenset[int]
    tell: Callable[[msgspec.Raw], bytes]


def _as_json(value: object) -> bytes:
    try:
        return _write_anything(value)
    except (*_ODD, TypeError, ValueError):
        return repr(value).encode(errors="backslashreplace")


def _beginning(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:RAW_BYTES])


def _packed_as_json(raw: msgspec.Raw) -> bytes:
    """Base64 of what cannot be read, or is not worth it."""
    if len(memoryview(raw)) > LONGEST_READ:
        return _as_json(_beginning(raw))
    try:
        return _as_json(_MSGPACK.value(raw))
    except _ODD:
        return _as_json(bytes(raw))


_write_anything = msgspec.json.Encoder(enc_hook=repr).encode
_JSON = Language(
    codec.decode,
    msgspec.json.Decoder(PlainLocation).decode,
    msgspec.json.Decoder(Pieces).decode,
    msgspec.json.Decoder().decode,
    frozenset(b"[{"),
    _beginning,
)
_MSGPACK = Language(
    codec.unpack,
    msgspec.msgpack.Decoder(PlainLocation).decode,
    msgspec.msgpack.Decoder(Pieces).decode,
    msgspec.msgpack.Decoder().decode,
    frozenset([*range(0x80, 0xA0), *range(0xDC, 0xE0)]),
    _packed_as_json,
)
_read_json = msgspec.json.Decoder(PlainBatch).decode
_read_msgpack = msgspec.msgpack.Decoder(PackedBatch).decode
_NIL = b"\xc0"


def decode_http(content_type: str | None, body: bytes) -> Batch:
    """``content_type``: the header, None without one.

    ``UnsupportedMediaType``, ``NotJson``, ``NotMsgpack``, ``Invalid``, ``TooManyLocations``.
    """
    media = (content_type or "").partition(";")[0].strip().lower()
    if media in JSON:
        return decode_json(body)
    if media in MSGPACK:
        return decode_msgpack(body)
    raise UnsupportedMediaType(mediaType=media[:64])


def decode_socket(data: object) -> Batch:
    """The argument of `tracking:ping`: an object, or bytes that hold msgpack. Errors as those of ``decode_http``."""
    if isinstance(data, bytes | bytearray):
        return decode_msgpack(bytes(data))
    sent = Sent(lambda: codec.convert(data, OddObject).locations, _as_json)
    try:
        batch = msgspec.convert(data, PlainObject)
    except _ODD:
        odd = codec.convert(data, OddObject)
        _check_number(odd.locations)
        return _batch(odd, [_converted(item) for item in odd.locations], odd.sent_at, sent)
    return _batch(batch, batch.locations, batch.sent_at, sent)


def decode_json(body: bytes) -> Batch:
    """``NotJson``, ``Invalid``, ``TooManyLocations``."""
    try:
        batch = _read_json(body)
    except _ODD:
        return _odd(body, _JSON)
    return _batch(batch, batch.locations, _value(batch.sent_at, _JSON), _sent(body, _JSON))


def decode_msgpack(body: bytes) -> Batch:
    """Rows or, where there is a `v`, columns. ``NotMsgpack``, ``Invalid``, ``TooManyLocations``."""
    try:
        batch = _read_msgpack(body)
    except _ODD:
        if bytes(codec.unpack(body, Form).v) in (b"", _NIL):
            return _odd(body, _MSGPACK)
        return _of_columns(codec.unpack(body, Columns))
    if batch.v is not None:
        return _of_columns(batch)
    if batch.locations is None:
        return _odd(body, _MSGPACK)
    return _batch(batch, batch.locations, _value(batch.sent_at, _MSGPACK), _sent(body, _MSGPACK))


def _batch(
    envelope: Envelope | PlainObject | OddObject,
    locations: Sequence[PlainLocation | Location | None],
    sent_at: object,
    sent: Sent,
) -> Batch:
    """None is one that could not be read: it becomes an empty report, which is rejected as malformed."""
    _check_number(locations)
    stream = f"{envelope.stream}:" if envelope.stream is not None else None
    reports = [
        Report(
            index, each.latitude, each.longitude, each.timestamp, each.accuracy, each.speed, each.heading,
            each.altitude, each.battery, each.mock, _key(stream, each.n, each.id), each.age, sent,
        )
        if each is not None
        else Report(index, raw=sent, malformed=True)
        for index, each in enumerate(locations)
    ]  # fmt: skip
    return Batch(reports, envelope.trip_id, envelope.stream, sent_at)


def _odd(body: bytes, language: Language) -> Batch:
    batch = language.batch(body, OddBatch)
    _check_number(batch.locations)
    locations = [_location(raw, language) for raw in batch.locations]
    return _batch(batch, locations, _value(batch.sent_at, language), _sent(body, language))


def _location(raw: msgspec.Raw, language: Language) -> PlainLocation | None:
    """By itself and, where one of its values is odd, value by value."""
    try:
        return language.location(raw)
    except _ODD:
        pass
    try:
        pieces = language.pieces(raw)
        return PlainLocation(*[_piece(getattr(pieces, name), language) for name in FIELDS])
    except _ODD:
        return None


def _piece(raw: msgspec.Raw, language: Language) -> Any:
    """A value that is no list and no object; None for one that is, and where there is none."""
    start = bytes(memoryview(raw)[:1])
    if not start or start[0] in language.brackets:
        return None
    value = language.value(raw)
    # msgpack has a type of its own for moments; here they are milliseconds since 1970, as JSON may say them.
    return (value - EPOCH) // MILLISECOND if type(value) is datetime else value


def _value(raw: msgspec.Raw, language: Language) -> Any:
    """The same; None as well for one that cannot be read."""
    try:
        return _piece(raw, language)
    except _ODD:
        return None


def _converted(item: object) -> Location | None:
    try:
        return msgspec.convert(item, Location)
    except _ODD:
        return None


def _of_columns(columns: Columns) -> Batch:
    sent = Sent(lambda: [_told(report) for report in compact.reports(columns)], _as_json)
    sent_at = _value(columns.sent_at, _MSGPACK)
    return Batch(compact.reports(columns, sent), columns.trip_id, columns.stream, sent_at)


def _check_number(locations: Sequence[object]) -> None:
    if len(locations) > MAX_LOCATIONS:
        raise TooManyLocations(limit=MAX_LOCATIONS)


def _key(stream: str | None, n: object, own: object) -> str | None:
    """The client's own key: its number in the stream, or the id that it gave."""
    if stream is not None and type(n) is int and 0 <= n <= MAX_NUMBER:
        return f"{stream}{n}"
    if isinstance(own, str) and 0 < len(own) <= MAX_KEY_LENGTH and is_storable(own):
        return f"id:{own}"
    return None


def _sent(body: bytes, language: Language) -> Sent:
    return Sent(lambda: language.batch(body, OddBatch).locations, language.tell)


def _told(report: Report) -> dict[str, object]:
    """A location of columns as JSON would have had it."""
    names = ("latitude", "longitude", "timestamp", "accuracy", "speed", "heading", "altitude", "battery", "mock")
    told = {name: getattr(report, name) for name in names}
    if report.key is not None:
        told["n"] = int(report.key.partition(":")[2])
    return {name: value for name, value in told.items() if value is not None}
