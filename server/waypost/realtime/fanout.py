"""The only file that touches private parts of python-socketio; tests/integration/test_pins.py pins each of them.

Here in its simple form: packets that are no packets end the connection quietly instead of filling the log, and what a
packet may hold is bounded.
"""

from __future__ import annotations

import json
import re
from typing import Any

import socketio

from waypost.platform.telemetry import log

MAX_ATTACHMENTS = 8  # of a binary packet; each is bounded by the transport's own limit
MAX_DIGITS = 19  # of a whole number; a longer one is taken as a float
_ATTACHMENTS = re.compile(r"[56](\d*)-")


class SocketJson:
    """The JSON of packets. What cannot be read becomes an event without a name, which is refused like any unknown."""

    @staticmethod
    def dumps(value: object, **options: Any) -> str:
        return json.dumps(value, **options)

    @staticmethod
    def loads(text: str, **_options: Any) -> Any:
        try:
            return json.loads(text, parse_int=_whole_number, parse_constant=_nothing)
        except (ValueError, RecursionError):
            return [""]


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _nothing(_name: str) -> None:
    """NaN and the infinities are no JSON."""


class StrictPacket(socketio.packet.Packet):  # type: ignore[misc]  # the library is untyped
    """Socket.IO's packet with our reading of JSON. (The server's ``json`` option would reach Engine.IO as well.)"""

    json = SocketJson


class StrictServer(socketio.AsyncServer):  # type: ignore[misc]  # the library is untyped
    """A malformed packet ends its connection."""

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        try:
            if isinstance(data, str) and (found := _ATTACHMENTS.match(data)) and int(found[1] or 0) > MAX_ATTACHMENTS:
                raise ValueError("too many attachments")
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:  # noqa: BLE001 - handlers answer for themselves: this is the protocol's
            log.info("packet_refused", reason=type(error).__name__)
            await self.eio.disconnect(eio_sid)
