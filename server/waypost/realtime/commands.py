"""What clients ask: each event finds its handler, and everything gets an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import AppError, Denied, Invalid, NotFound
from waypost.kernel.principal import Principal
from waypost.platform import codec
from waypost.platform.telemetry import log
from waypost.realtime.door import Connection, Door
from waypost.realtime.limits import Bucket, Rate, TooManyEvents, TooManyFailedJoins

SocketHandler = Callable[[Principal, str, object], Awaitable[msgspec.Struct | dict[str, object]]]
LONGEST_NAME_SHOWN = 60


class UnknownEvent(NotFound):
    """There is no such event."""

    code = "unknown-event"


class NotAnObject(Invalid):
    """The event's argument is an object."""

    code = "not-an-object"


@dataclass(frozen=True, slots=True)
class Handler:
    """``binary``: the argument may be bytes too; ``joins``: refusals are counted, so that nobody searches for rooms;
    ``rate``: the event's own, beside that of all events of a connection.
    """

    call: SocketHandler
    binary: bool = False
    joins: bool = False
    rate: Rate | None = None


def refusal(error: AppError) -> dict[str, object]:
    """An ack that says no."""
    return {"ok": False, "error": {"code": error.code, "detail": error.detail, "retry": error.retry, **error.extra}}


@dataclass(slots=True, repr=False)
class Commands:
    """Every event that clients may send."""

    door: Door
    clock: Clock
    handlers: dict[str, Handler] = field(default_factory=dict)

    async def answer(self, sid: str, name: str, arguments: Sequence[object]) -> dict[str, object]:
        """The ack of an event; never raises but ``CancelledError``."""
        try:
            return {"ok": True, **codec.plain(await self._handle(sid, name, arguments))}
        except AppError as error:
            return refusal(error)
        except Exception:  # noqa: BLE001 - the edge
            log.exception("event_failed", event_name=name if name in self.handlers else "unknown")
            return refusal(AppError("Something went wrong here."))

    async def _handle(self, sid: str, name: str, arguments: Sequence[object]) -> msgspec.Struct | dict[str, object]:
        connection, now = self.door.find(sid), self.clock.monotonic()
        if not connection.events.spend(now):
            raise TooManyEvents
        handler = self.handlers.get(name)
        if handler is None:
            raise UnknownEvent(f"There is no event {name[:LONGEST_NAME_SHOWN]!r}.")
        if handler.rate and not connection.rates.setdefault(name, Bucket(*handler.rate)).spend(now):
            raise TooManyEvents
        if not arguments or not isinstance(arguments[0], dict | bytes if handler.binary else dict):
            raise NotAnObject("The event's argument is an object.")
        if not handler.joins:
            return await handler.call(connection.principal, sid, arguments[0])
        return await self._join(handler, connection, arguments[0], now)

    async def _join(
        self, handler: Handler, connection: Connection, argument: object, now: float
    ) -> msgspec.Struct | dict[str, object]:
        if connection.failed_joins.is_empty(now):
            raise TooManyFailedJoins
        try:
            return await handler.call(connection.principal, connection.sid, argument)
        except (NotFound, Denied):
            connection.failed_joins.spend(now)
            raise
