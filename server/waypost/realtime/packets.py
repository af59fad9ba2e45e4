"""Socket.IO packets as clients send them and as we answer, in both codecs: read strictly, since anybody may connect.

The rules are those of the protocol's revision 5 and of its authors' parser: what that one refuses is refused here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgpack
import msgspec

from waypost.realtime.letters import Letter

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

MAX_ATTACHMENTS: Final = 8  # of a binary packet; each is bounded by the transport's own limit
MAX_DIGITS: Final = 19  # of a whole number; a longer one is taken as a float
MAX_NAMESPACE: Final = 255

# type, attachments, namespace (its query is no part of the name), id
_TEXT = re.compile(r"(?:([0-4])|([56])(\d{1,3})-)(?:(/[^,?]*)(?:\?[^,]*)?(?:,|\Z))?(\d{0,19})", re.ASCII)


class Malformed(ValueError):
    """No Socket.IO packet: whoever sends this does not speak the protocol."""


class Packet(NamedTuple):
    """One that was read. ``attachments``: how many are still to come; ``is_foreign``: it holds an extension type."""

    kind: int
    namespace: str
    id: int | None
    data: Any
    attachments: int = 0
    is_foreign: bool = False


def read_text(text: str) -> Packet:
    """The packet that ``text`` is, without its attachments. ``Malformed``."""
    match = _TEXT.match(text)
    if match is None:
        raise Malformed("type")
    plain, binary, count, namespace, number = match.groups()
    rest = text[match.end() :]
    data = _loads(rest) if rest else None
    attachments = int(count) if binary else 0
    if attachments > MAX_ATTACHMENTS:
        raise Malformed("attachments")
    return _checked(Packet(int(plain or binary), namespace or "/", int(number) if number else None, data, attachments))


def read_packed(packed: bytes) -> Packet:
    """The same of msgpack, where what is binary stands in its place."""
    foreign: list[int] = []

    def extension(code: int, _data: bytes) -> None:
        foreign.append(code)

    try:
        read = msgpack.unpackb(packed, ext_hook=extension, timestamp=1)
        kind, namespace, number, data = read["type"], read["nsp"], read.get("id"), read.get("data")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, msgpack.UnpackException) as error:
        raise Malformed("msgpack") from error
    if type(kind) is not int or not isinstance(namespace, str) or kind > CONNECT_ERROR:
        raise Malformed("fields")
    if number is not None and (type(number) is not int or number < 0):
        raise Malformed("id")
    return _checked(Packet(kind, namespace, number, data, 0, bool(foreign)))


def with_attachments(packet: Packet, attachments: Sequence[bytes]) -> Packet:
    """The packet whole: each placeholder gives way to what it stands for. ``Malformed`` if there is no such."""
    try:
        return packet._replace(data=_put_back(packet.data, attachments), attachments=0)
    except (IndexError, TypeError, RecursionError) as error:
        raise Malformed("placeholder") from error


def write(kind: int, namespace: str, data: object = None, *, number: int | None = None, packed: bool) -> Letter:
    """The packet to send, in the form that the member reads."""
    if packed:
        told: dict[str, object] = {"type": kind, "nsp": namespace}
        told |= ({} if data is None else {"data": data}) | ({} if number is None else {"id": number})
        return Letter(packed=msgpack.packb(told))
    attachments: list[bytes] = []
    data = _set_apart(data, attachments)
    shown = f"{kind + 3}{len(attachments)}-" if attachments else str(kind)
    place = "" if namespace == "/" else f"{namespace},"
    head = f"4{shown}{place}{'' if number is None else number}".encode()
    return Letter(head + (b"" if data is None else _dumps(data)), attachments)


def _checked(packet: Packet) -> Packet:
    data, kind = packet.data, packet.kind
    if kind == CONNECT:
        fits = data is None or isinstance(data, dict) or packet.is_foreign
    elif kind == DISCONNECT:
        fits = data is None
    elif kind in {EVENT, BINARY_EVENT}:
        fits = isinstance(data, list) and bool(data) and isinstance(data[0], str)
    else:
        fits = kind in {ACK, BINARY_ACK} and isinstance(data, list)
    if not fits or not packet.namespace.startswith("/") or len(packet.namespace) > MAX_NAMESPACE:
        raise Malformed("data")
    return packet


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_whole_number, parse_constant=_nothing)
    except (ValueError, RecursionError) as error:
        raise Malformed("JSON") from error


def _dumps(data: object) -> bytes:
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:  # half a surrogate pair that came in as an escape goes out as one
        return json.dumps(data, separators=(",", ":")).encode()


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _nothing(_name: str) -> None:
    """NaN and the infinities are no JSON."""


def _put_back(value: Any, attachments: Sequence[bytes]) -> Any:
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            number = value.get("num")
            if type(number) is not int or number < 0:
                raise TypeError("placeholder")
            return attachments[number]
        return {key: _put_back(inner, attachments) for key, inner in value.items()}
    if isinstance(value, list):
        return [_put_back(inner, attachments) for inner in value]
    return value


def _set_apart(value: object, attachments: list[bytes]) -> object:
    """``value`` with all that is binary in it replaced by the placeholder that the protocol has for it."""
    if isinstance(value, bytes | bytearray):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: _set_apart(inner, attachments) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_set_apart(inner, attachments) for inner in value]
    return value
