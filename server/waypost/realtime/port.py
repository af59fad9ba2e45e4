"""What the hub and the stack beneath it owe each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from aiohttp import web
from socketio import exceptions


class Refused(exceptions.ConnectionRefusedError):  # type: ignore[misc]  # the library is untyped
    """No connection for this client: ``Refused(code, {code, detail, retry})`` is what its ``connect_error`` gets."""


class Port(Protocol):
    """Who is told what clients do. Calls for one connection never overlap and keep its order."""

    async def connected(self, sid: str, request: web.Request, auth: object) -> None:
        """Take it in, or raise ``Refused``. What is sent to it meanwhile reaches it after the answer.

        ``request`` is that of the connection's first packet: its headers and address; its body is none of ours.
        """

    async def disconnected(self, sid: str) -> None:
        """It has gone; called once for each sid that ``connected`` was asked about, also if that refused it."""

    async def received(self, sid: str, name: str, arguments: list[object]) -> object:
        """An event. The result is the argument of the ack, if the client asked for one (a tuple: several)."""


@dataclass(frozen=True, slots=True)
class Options:
    """Bounds and times of every connection."""

    ping_interval_s: float = 25.0
    ping_timeout_s: float = 20.0
    max_payload_bytes: int = 1024 * 1024
    connect_timeout_s: float = 20.0  # for who never sends a CONNECT, or was refused and stays
    upgrade_timeout_s: float = 10.0
    origins: Sequence[str] | None = None  # beside the server's own host; "*": pages of any
    high_water_bytes: int = 64 * 1024  # of a transport's write buffer: beyond it a member is busy
    kernel_unsent_bytes: int = 128 * 1024  # of a socket, in the kernel
    backlog_bytes: int = 1024 * 1024  # beyond it, or beyond so many events, a member is cut
    backlog_events: int = 1000
    answers_bytes: int = 16 * 1024 * 1024  # of answers that it asked for and does not fetch
    stalled_s: float = 10.0  # a busy member that takes nothing for so long is cut
    abort_after_s: float = 5.0  # from Close to the end of the transport
    tick_s: float = 0.05
    deflate: bool = False  # read compressed frames; what is sent is shared by all members and never compressed
    waiting_events: int = 16  # of one connection while an earlier one is handled


@dataclass(slots=True)
class Counts:
    """Counters since the start, and at the end how things are now."""

    encoded: int = 0  # packets made for one member
    framed: int = 0  # frames made for a room
    written: int = 0  # deliveries that left at once
    queued: int = 0  # deliveries that had to wait
    conflated: int = 0
    dropped: int = 0  # still waiting when their member was cut or left
    cut: int = 0  # members that were too slow
    refused: int = 0  # packets that were none
    connections: int = 0
    busy_members: int = 0
    backlog_bytes: int = 0

    def plus(self, **now: int) -> Counts:
        """A copy that nobody changes any more."""
        return Counts(**{field.name: getattr(self, field.name) for field in fields(self)} | now)
