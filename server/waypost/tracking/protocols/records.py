"""What every adapter stands on: what it finds, JSON that is read record by record, numbers in the apps' own units."""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from waypost.platform.codec import is_storable
from waypost.platform.telemetry import log
from waypost.tracking.domain import Report
from waypost.tracking.silence import Signal

RAW_BYTES: Final = 1024
MAX_KEY: Final = 200
LONGEST_NUMBER: Final = 40
KNOT_MPS: Final = 1852 / 3600
KMH_MPS: Final = 1 / 3.6
# Seconds below, milliseconds from there on (traccar/traccar, OsmAndProtocolDecoder.java).
SECONDS_BELOW: Final = 2_147_483_647
NO_TIME: Final = 1e300  # a thousand times as much may have no end
# What counts from 2001 where 1970 is meant (aaronpk/Overland-iOS#196) is this far behind.
EPOCH_2001_S: Final = 978_307_200

# So that a body of 8 MiB cannot become a hundred times as much in memory.
MAX_RECORD_BYTES: Final = 256 * 1024  # real ones have a few hundred
MAX_RECORDS: Final = 200_000  # in 8 MiB: 40 bytes each
MANY_COMMAS: Final = 1_000_000  # of fewer, each may end a record: 60 MB
PIECE_BYTES: Final = 64 * 1024

_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"|\[[^]["{}]*+\]|[\[\]{},]', re.DOTALL)  # text, a flat array, a mark
_CONTROL_TO_SPACE = bytes(range(256)).translate(bytes.maketrans(bytes(range(32)), b" " * 32))
_NO_NUMBER = re.compile(rb"(?<![^\s:,\[])[+-]?(?:nan|inf(?:inity)?)(?![^\s,\]}])", re.IGNORECASE)
_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_TRUE = frozenset({"true", "1", "yes"})


@dataclass(frozen=True, slots=True)
class Heard:
    """A sign of life without a location. ``kind``: what it was, in the app's own word; percent, None = unknown;
    ``signal``: what it says of the app's end, if it does.
    """

    kind: str
    battery_pct: float | None = None
    signal: Signal | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that can never be a location, to be kept with the reason."""

    raw: bytes
    why: str


Found: TypeAlias = Report | Heard | Fault


@dataclass(frozen=True, slots=True)
class Read:
    """What a request holds: ``found`` is read as it is asked for, record by record. ``first``: to be stored before the
    others, which are a backlog. ``records``: how many there are in all.
    """

    found: Iterable[Found] = ()
    first: Sequence[Found] = ()
    records: int = 1


class Unreadable(ValueError):
    """These bytes are not what they should be; the text says in what way."""


def fault(raw: bytes | msgspec.Raw, why: object) -> Fault:
    return Fault(bytes(raw)[:RAW_BYTES], str(why))


def value_of(raw: bytes | msgspec.Raw) -> Any:
    """The JSON value of one record. Also with NaN, an endless number or broken text in it: one field's own fault."""
    sent = bytes(raw)
    if len(sent) > MAX_RECORD_BYTES:
        raise Unreadable(f"a record is at most {MAX_RECORD_BYTES // 1024} KiB")
    try:
        return msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(mended(sent))  # knows numbers without an end
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {error}") from error


def object_of(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """The same for a record that is to be an object."""
    value = value_of(raw)
    if not isinstance(value, dict):
        raise Unreadable("a record is a JSON object")
    return value


def members_of(raw: bytes, names: tuple[str, ...]) -> dict[str, bytes]:
    """Those of the named members that a JSON object has, each as it was sent: a bad one does not spoil the others."""
    try:
        found = _decoded(raw, _shape(names))
    except msgspec.ValidationError as error:
        raise Unreadable("the body is no JSON object") from error
    members = zip(names, msgspec.structs.astuple(found), strict=True)
    return {name: bytes(member) for name, member in members if bytes(member)}


@lru_cache(maxsize=256)
def _shape(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """An object of which only these members are looked at; the others take no memory."""
    columns = [f"member_{n}" for n in range(len(names))]
    nothing = msgspec.Raw(b"")
    return msgspec.defstruct(
        "Members", [(column, msgspec.Raw, nothing) for column in columns], rename=dict(zip(columns, names, strict=True))
    )


def items_of(raw: bytes) -> Sequence[bytes | msgspec.Raw]:
    """The items of a JSON array, each as it was sent; anything else is the one item."""
    if not is_array(raw):
        return [raw]
    many = f"at most {MAX_RECORDS} records a request"
    if raw.count(b",") > MANY_COMMAS and _has_too_many(raw):
        raise Unreadable(many)
    items: Sequence[bytes | msgspec.Raw] = _decoded(raw, list[msgspec.Raw])
    if len(items) > MAX_RECORDS:
        raise Unreadable(many)
    return items


def _has_too_many(raw: bytes) -> bool:
    """Items of an array, counted without making any."""
    depth, count = 1, 1
    for match in _STRUCTURE.finditer(raw, raw.index(b"[") + 1):
        mark = match[0]
        if mark == b"," and depth == 1:
            count += 1
            if count > MAX_RECORDS:
                return True
        elif mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
    return False


def _decoded(raw: bytes, kind: Any) -> Any:
    """The parts of a body; where one of its records is broken text or has NaN, mended. ``ValidationError``."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.json.decode(mended(raw), type=kind)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {error}") from error


def mended(raw: bytes) -> bytes:
    """What apps write that is no JSON, as the nearest that is: no control characters, null for NaN and the like,
    the mark of a lost character for half of a surrogate pair and for what is no UTF-8. In pieces, cut at commas.
    """
    text = raw.decode(errors="replace").encode().translate(_CONTROL_TO_SPACE)
    result, begin = bytearray(), 0
    while begin < len(text):
        end = text.find(b",", begin + PIECE_BYTES) + 1 or len(text)
        piece = _NO_NUMBER.sub(b"null", text[begin:end])
        result += _SURROGATE.sub(_whole, piece) if rb"\u" in piece else piece
        begin = end
    return bytes(result)


def _whole(match: re.Match[bytes]) -> bytes:
    pair: bytes | None = match[2]
    return match[0] if pair is not None else match[1] + rb"\ufffd"


def is_array(raw: bytes) -> bool:
    return raw[:32].lstrip().startswith(b"[")


def each(items: Iterable[bytes | msgspec.Raw], read: Any) -> Iterator[Found]:
    """What ``read`` makes of each item; an unreadable one is its own fault. So is one that we cannot read though we
    should: an app sends it for ever, and what follows behind it waits. The first of these is logged.
    """
    is_told = False
    for item in items:
        try:
            found = read(item)
        except Unreadable as error:
            found = fault(item, error)
        except Exception as error:  # noqa: BLE001 - whatever a phone may send
            found = fault(item, f"this server could not read it ({type(error).__name__})")
            if not is_told:
                is_told = True
                at = traceback.extract_tb(error.__traceback__)[-1]
                log.error("record_not_read", error=type(error).__name__, where=f"{at.name}:{at.lineno}")
        yield found


def numeric(value: object) -> Any:
    """The number that a text stands for; anything else as it is, for the screening to judge."""
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER and _NUMBER.fullmatch(text := value.strip()):
        return float(text) if any(mark in text for mark in ".eE") else int(text)
    return value


def number_of(value: object) -> float | None:
    """A finite number, also from text; None for anything else."""
    number = numeric(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    try:
        result = float(number)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def measure(value: object, factor: float = 1.0) -> float | None:
    """A measurement times ``factor``; what is negative or no number is unknown."""
    number = number_of(value)
    return number * factor if number is not None and number >= 0 else None


def percent(value: object) -> float | None:
    """A battery's charge in percent."""
    result = measure(value)
    return result if result is not None and result <= 100 else None  # noqa: PLR2004 - percent


def percent_of_level(value: object) -> float | None:
    """The same from a level of 0 to 1; above 1 it can only be percent already."""
    level = measure(value)
    if level is None:
        return None
    return percent(round(level * 100, 2) if level <= 1 else level)


def is_true(value: object) -> bool | None:
    """Yes or no, also as text; None = unknown."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value)
    return value.strip().lower() in _TRUE if isinstance(value, str) and value.strip() else None


def ms_of_seconds(value: object) -> Any:
    """Epoch milliseconds from seconds; anything else as it is, for the screening to judge."""
    number = number_of(value)
    return _ms(number) if number is not None else value


def ms_or_seconds(value: object) -> Any:
    """Epoch milliseconds from a number that may be either; text that is none as it is (ISO 8601, or a date in UTC)."""
    number = number_of(value)
    if number is None:
        return value
    return _ms(number) if number < SECONDS_BELOW else round(number)


def _ms(seconds: float) -> int:
    return round(seconds * 1000) if abs(seconds) < NO_TIME else round(seconds)


def key_of(value: object) -> str | None:
    """The app's own id of a record as our key; None where it is none."""
    if isinstance(value, str) and 0 < len(value) <= MAX_KEY and is_storable(value):
        return f"id:{value}"
    return None


def is_nowhere(latitude: object, longitude: object) -> bool:
    """At 0,0: what a beacon or a receiver without a fix says."""
    return number_of(latitude) == 0 and number_of(longitude) == 0
