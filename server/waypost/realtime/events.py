"""An event of a room in every form that a member may need: encoded once by who publishes, framed once on each node.

Where it comes from decides nothing here: the bus gives it ``epoch`` and ``seq``, which stand at the end of its object,
so that whoever numbers it need not read it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgpack
import msgspec

from waypost.platform import codec

# Of these only the newest counts, so a member that is behind gets them joined; all others reach it one by one.
LATEST: Final = frozenset({"trip:location", "fleet:positions"})

_TEXT_FRAME, _BINARY_FRAME = 0x81, 0x82  # FIN and the opcode (RFC 6455, section 5.2)
_SHORT, _MEDIUM = 126, 1 << 16
_EVENT = 2  # Socket.IO's packet type


class Place(NamedTuple):
    """Where a room stands: the life of its counter and the number of its last event (0: none yet)."""

    epoch: str
    seq: int


class Outgoing(NamedTuple):
    """An event on its way to the bus. ``head``: its packet up to where ``epoch`` and ``seq`` stand.

    ``key``: a repeat under the same key within some minutes is not published again.
    """

    room: str
    name: str
    head: bytes
    attachments: tuple[bytes, ...] = ()
    skip: int = 0  # numbers to leave out before this event's own
    key: str | None = None


def outgoing(room: str, name: str, body: object, *, key: str | None = None) -> Outgoing:
    """Encode an event; ``body`` is a struct or a mapping, and what it holds of bytes goes beside the text."""
    attachments: list[bytes] = []
    text = codec.encode(body if isinstance(body, msgspec.Struct) else _set_apart(body, attachments))
    kind = b"45%d-" % len(attachments) if attachments else b"42"
    inner = text[:-1] + (b"," if len(text) > len("{}") else b"")
    return Outgoing(room, name, b'%s["%s",%s' % (kind, name.encode(), inner), tuple(attachments), key=key)


def _set_apart(value: object, attachments: list[bytes]) -> object:
    """``value`` with every ``bytes`` in it replaced by the placeholder that the protocol has for it."""
    if isinstance(value, bytes):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, Mapping):
        return {key: _set_apart(inner, attachments) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_set_apart(inner, attachments) for inner in value]
    return value


def _put_back(value: Any, attachments: Sequence[bytes]) -> Any:
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            return attachments[value["num"]]
        return {key: _put_back(inner, attachments) for key, inner in value.items()}
    if isinstance(value, list):
        return [_put_back(inner, attachments) for inner in value]
    return value


class Event:
    """One event of one room; each of its forms is made when it is first asked for, and then shared by all members."""

    __slots__ = ("_body", "_frame", "_packed", "_packed_frame", "attachments", "epoch", "first", "name", "room", "seq",
                 "text")  # fmt: skip

    def __init__(self, sent: Outgoing, place: Place, first: int | None = None) -> None:
        self.room = sent.room
        self.name = sent.name
        self.epoch, self.seq = place
        self.first = place.seq if first is None else first  # of the numbers that it stands for
        begin = b"" if first is None or first == place.seq else b'"from":%d,' % first
        end = b'%b"epoch":"%b","seq":%d}]' % (begin, place.epoch.encode(), place.seq)
        self.text = sent.head + end  # an Engine.IO text packet
        self.attachments = sent.attachments
        self._body: dict[str, Any] | None = None
        self._frame: bytes | None = None
        self._packed: bytes | None = None
        self._packed_frame: bytes | None = None

    @property
    def is_latest(self) -> bool:
        """Does only the newest of its kind count?"""
        return self.name in LATEST

    @property
    def body(self) -> dict[str, Any]:
        """Its object, as clients of either codec read it. Not to be changed."""
        if self._body is None:
            body = msgspec.json.decode(self.text[self.text.index(b"[") :])[1]
            self._body = _put_back(body, self.attachments) if self.attachments else body
        return self._body

    @property
    def frame(self) -> bytes:
        """For WebSocket members that read JSON: one frame for the text and one for each attachment."""
        if self._frame is None:
            parts = [framed(self.text, is_text=True), *(framed(each, is_text=False) for each in self.attachments)]
            self._frame = b"".join(parts)
        return self._frame

    @property
    def packed(self) -> bytes:
        """For members that read msgpack: the whole packet."""
        if self._packed is None:
            packet = {"type": _EVENT, "data": [self.name, self.body], "nsp": "/"}
            self._packed = msgpack.packb(packet)
        return self._packed

    @property
    def packed_frame(self) -> bytes:
        """The same as a WebSocket frame."""
        if self._packed_frame is None:
            self._packed_frame = framed(self.packed, is_text=False)
        return self._packed_frame

    def polled(self, *, packed: bool) -> list[str]:
        """As Engine.IO packets in an answer to a poll, where what is binary is in base64."""
        binary = [self.packed] if packed else self.attachments
        texts = [] if packed else [self.text.decode()]
        return texts + ["b" + base64.b64encode(each).decode() for each in binary]


def framed(payload: bytes, *, is_text: bool) -> bytes:
    """A final, unmasked WebSocket frame (RFC 6455, section 5.2)."""
    opcode, size = _TEXT_FRAME if is_text else _BINARY_FRAME, len(payload)
    if size < _SHORT:
        return bytes((opcode, size)) + payload
    if size < _MEDIUM:
        return bytes((opcode, _SHORT)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, _SHORT + 1)) + size.to_bytes(8, "big") + payload
