"""JSON and msgpack in and out: msgspec, with our own words for what is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec

from waypost.kernel.errors import Invalid, Malformed, invalid_field

T = TypeVar("T")

# A moment as JSON carries it: ISO 8601 in UTC, milliseconds always.
Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]

_AT = re.compile(r"^(?P<what>.*?) - at `(?:key` in `)?\$?(?P<path>.*)`$", re.DOTALL)
_FIELD = re.compile(r"^Object (?:missing required|contains unknown) field `(?P<name>[^`]+)`$")

# PostgreSQL keeps no NUL in a text: refused at the edge, by name.
NO_NUL = r"^[^\x00]*\Z"
# The same, and not blank.
SOME_TEXT = r"^[^\x00]*[^\x00\s][^\x00]*\Z"

encode = msgspec.json.Encoder(decimal_format="string", uuid_format="canonical").encode
pack = msgspec.msgpack.Encoder(decimal_format="string", uuid_format="canonical").encode


class NotJson(Malformed):
    """The body is not JSON."""

    code = "not-json"


class NotMsgpack(Malformed):
    """The body is not msgpack."""

    code = "not-msgpack"


def decode(body: bytes, kind: type[T]) -> T:
    """``body`` as ``kind``. ``NotJson`` (400) if it cannot be read, ``Invalid`` (422) naming the field else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson(f"The body is not JSON: {error}") from error


def unpack(body: bytes, kind: type[T]) -> T:
    """The same for msgpack: ``NotMsgpack``, ``Invalid``."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotMsgpack(f"The body is not msgpack: {error}") from error


def convert(value: object, kind: type[T]) -> T:
    """The same for what a codec has read already (a Socket.IO argument)."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except UnicodeEncodeError as error:  # half a surrogate pair: Socket.IO's JSON may hold one
        raise Malformed("A text of the message is no Unicode.") from error
    except RecursionError as error:
        raise Malformed("The message is nested too deeply.") from error


def instant(at: datetime) -> Instant:
    """A moment in the one form that JSON carries."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_of_ms(ms: int) -> Instant:
    """The same of milliseconds since 1970; for many a second."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def instant_or_none(at: datetime | None) -> Instant | None:
    return instant(at) if at is not None else None


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def utc(at: datetime) -> datetime:
    """A moment that somebody sent, in UTC. ``ValueError`` for one outside 1970-2200, which no plan of ours means."""
    if not EARLIEST.timestamp() <= at.timestamp() < LATEST.timestamp():
        raise ValueError("give a moment between 1970 and 2200")
    return at.astimezone(UTC)


def is_storable(text: str) -> bool:
    """Can PostgreSQL keep it? Not a NUL, and not half a surrogate pair, which a socket's JSON may hold."""
    try:
        return "\0" not in text and bool(text.encode())
    except UnicodeEncodeError:
        return False


def plain(value: object) -> Any:
    """What Socket.IO's own encoder takes: dicts, lists, text and numbers."""
    return msgspec.to_builtins(value)


def complaint(error: msgspec.ValidationError) -> str:
    """What is wrong, in one line, named by its field."""
    return _invalid(error).detail


def _invalid(error: msgspec.ValidationError) -> Invalid:
    text = str(error)
    match = _AT.match(text)
    what, path = (match["what"], match["path"].lstrip(".")) if match else (text, "")
    if field := _FIELD.match(what):
        path = f"{path}.{field['name']}".lstrip(".")
        what = "is required" if "missing" in what else "is not known here"
    return invalid_field(path or "body", what[:1].lower() + what[1:])
