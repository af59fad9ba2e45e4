"""What every adapter stands on: what it finds, JSON that is read record by record, numbers in the apps' own units."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from waypost.platform.codec import is_storable
from waypost.tracking.domain import Report
from waypost.tracking.silence import Signal

RAW_BYTES: Final = 1024
MAX_KEY: Final = 200
LONGEST_NUMBER: Final = 40
KNOT_MPS: Final = 1852 / 3600
KMH_MPS: Final = 1 / 3.6
# Seconds below, milliseconds from there on (traccar/traccar, OsmAndProtocolDecoder.java).
SECONDS_BELOW: Final = 2_147_483_647
# What counts from 2001 where 1970 is meant (aaronpk/Overland-iOS#196) is this far behind.
EPOCH_2001_S: Final = 978_307_200

# So that a body of 8 MiB cannot become a hundred times as much in memory.
MAX_RECORD_BYTES: Final = 256 * 1024  # real ones have a few hundred
MAX_RECORDS: Final = 200_000  # in 8 MiB: 40 bytes each
FEW_BYTES: Final = 64 * 1024
BYTES_A_COMMA: Final = 5  # locations have fewer
LENIENT_BYTES: Final = 1024 * 1024

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
    if len(bytes(raw)) > MAX_RECORD_BYTES:
        raise Unreadable(f"a record is at most {MAX_RECORD_BYTES // 1024} KiB")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(raw)


def object_of(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """The same for a record that is to be an object."""
    value = value_of(raw)
    if not isinstance(value, dict):
        raise Unreadable("a record is a JSON object")
    return value


def members_of(raw: bytes, names: tuple[str, ...]) -> dict[str, bytes]:
    """Those of the named members that a JSON object has, each as it was sent: a bad one does not spoil the others."""
    try:
        found = msgspec.json.decode(raw, type=_shape(names))
        members = zip(names, msgspec.structs.astuple(found), strict=True)
        return {name: bytes(member) for name, member in members if bytes(member)}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = _lenient(raw)
    if not isinstance(value, dict):
        raise Unreadable("the body is no JSON object")
    return {name: _written(value[name]) for name in names if name in value}


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
    if len(raw) > FEW_BYTES and raw.count(b",") > len(raw) // BYTES_A_COMMA:
        raise Unreadable("these are no locations")
    try:
        items: Sequence[bytes | msgspec.Raw] = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        items = [_written(item) for item in _lenient(raw)]
    if len(items) > MAX_RECORDS:
        raise Unreadable(f"at most {MAX_RECORDS} records a request")
    return items


def _lenient(raw: bytes | msgspec.Raw) -> Any:
    """As Python reads it: knows NaN, and takes broken text as it comes."""
    text = bytes(raw)
    if len(text) > LENIENT_BYTES:
        raise Unreadable("it is not JSON")
    try:
        return json.loads(text.decode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {error}") from error


def _written(value: object) -> bytes:
    try:
        return json.dumps(value).encode()
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error


def is_array(raw: bytes) -> bool:
    return raw[:32].lstrip().startswith(b"[")


def each(items: Iterable[bytes | msgspec.Raw], read: Any) -> Iterator[Found]:
    """What ``read`` makes of each item; an unreadable one is its own fault."""
    for item in items:
        try:
            yield read(item)
        except Unreadable as error:
            yield fault(item, error)


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
    return round(number * 1000) if number is not None else value


def ms_or_seconds(value: object) -> Any:
    """Epoch milliseconds from a number that may be either; text that is none as it is (ISO 8601, or a date in UTC)."""
    number = number_of(value)
    if number is None:
        return value
    return round(number * 1000) if number < SECONDS_BELOW else round(number)


def key_of(value: object) -> str | None:
    """The app's own id of a record as our key; None where it is none."""
    if isinstance(value, str) and 0 < len(value) <= MAX_KEY and is_storable(value):
        return f"id:{value}"
    return None


def is_nowhere(latitude: object, longitude: object) -> bool:
    """At 0,0: what a beacon or a receiver without a fix says."""
    return number_of(latitude) == 0 and number_of(longitude) == 0
