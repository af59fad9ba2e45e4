"""What goes to one member, or to few: a packet in the one form that they read, made once. Beside ``Event``, which goes
to a room; a connection's backlog takes both.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from waypost.realtime.events import framed


class Letter:
    """An Engine.IO packet: ``text`` with its binary ``attachments``, or ``packed``, which is binary as a whole."""

    __slots__ = ("_frame", "attachments", "packed", "text")

    is_latest: Final = False
    room: Final = ""

    def __init__(self, text: bytes = b"", attachments: Sequence[bytes] = (), packed: bytes | None = None) -> None:
        self.text = text
        self.attachments = attachments
        self.packed = packed
        self._frame: bytes | None = None

    @property
    def frame(self) -> bytes:
        """As WebSocket frames."""
        if self._frame is None:
            texts = [framed(self.text, is_text=True)] if self.packed is None else []
            self._frame = b"".join([*texts, *(framed(each, is_text=False) for each in self._binary())])
        return self._frame

    packed_frame = frame

    def polled(self, *, packed: bool) -> list[str]:  # noqa: ARG002 - it has the one form; an event has two
        """As Engine.IO packets in an answer to a poll, where what is binary is in base64."""
        texts = [self.text.decode()] if self.packed is None else []
        return texts + ["b" + base64.b64encode(each).decode() for each in self._binary()]

    def _binary(self) -> Sequence[bytes]:
        return self.attachments if self.packed is None else (self.packed,)


# Engine.IO's own packets.
CLOSE: Final = Letter(b"1")
PING: Final = Letter(b"2")
PROBED: Final = Letter(b"3probe")
NOOP: Final = Letter(b"6")


def close_frame(code: int, reason: str) -> bytes:
    """A WebSocket's Close with a status code and its reason (RFC 6455, section 5.5.1)."""
    payload = code.to_bytes(2, "big") + reason.encode()[:123]
    return bytes((0x88, len(payload))) + payload


def pong_frame(payload: bytes) -> bytes:
    """The answer to a WebSocket's Ping: the same payload, which is of 125 bytes at most (section 5.5.3)."""
    return bytes((0x8A, len(payload))) + payload
