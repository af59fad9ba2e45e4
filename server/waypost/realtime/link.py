"""A node's ear at one server of the bus: a connection of its own that subscribes and reads, and is asked if it is deaf.

redis-py knows no sharded pub/sub, so the commands are written and the answers read as they are.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from waypost.platform.telemetry import log
from waypost.realtime.scripts import channel_of, partition_of, tag

OPENS_S = 2.0
PROBE_EVERY_S = 2.5  # so that who is deaf knows it within 5 s
ANSWERS_S = 2.0
CHANNELS_AT_ONCE = 100
READ_AT_ONCE = 64  # messages, then the others of the process have a turn
AWAY: Final = (RedisError, OSError, TimeoutError)


class Deaf(TimeoutError):
    """The connection stands, but nothing comes through it."""


class Lost(OSError):
    """The server took a subscription away: its slot has moved."""


@dataclass(eq=False, slots=True)
class Link:
    """Hears the rooms of some partitions of one server for as long as ``run`` goes.

    ``heard`` gets each message of a room, ``confirmed`` the room from where on that is so, ``opened`` is told once the
    server answers; none of them waits. ``publish`` sends a message to a channel past this connection.
    """

    connection: AbstractConnection
    partition: int  # one that this server has; the probe goes there
    heard: Callable[[str, bytes], None]
    confirmed: Callable[[str], None]
    publish: Callable[[str, str], Awaitable[object]]
    opened: Callable[[], None]
    rooms: dict[bytes, str] = field(default_factory=dict)  # by channel: what we want to hear here
    changes: dict[str, bool] = field(default_factory=dict)  # not yet told: True to subscribe, False to unsubscribe
    leaving: Counter[bytes] = field(default_factory=Counter)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    asked: bool = False  # a ping is due
    pong: asyncio.Event = field(default_factory=asyncio.Event)
    echo: asyncio.Event = field(default_factory=asyncio.Event)
    probe: str = ""

    def __post_init__(self) -> None:
        self.probe = f"{tag(self.partition)}:probe-{secrets.token_hex(8)}"

    def want(self, room: str) -> None:
        """Hear a room; ``confirmed`` tells from when on."""
        self.rooms[channel_of(room).encode()] = room
        self._change(room, subscribe=True)

    def drop(self, room: str) -> None:
        """Hear it no more."""
        if self.rooms.pop(channel_of(room).encode(), None) is not None:
            self._change(room, subscribe=False)

    def _change(self, room: str, *, subscribe: bool) -> None:
        self.changes[room] = subscribe
        self.wake.set()

    async def run(self) -> None:
        """Until the connection breaks, or is found to be deaf: one of ``AWAY``."""
        try:
            async with asyncio.timeout(OPENS_S):
                await self.connection.connect()  # type: ignore[no-untyped-call]
                await self.connection.send_command("SSUBSCRIBE", self.probe, check_health=False)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._write())
                tasks.create_task(self._probe())
        except BaseExceptionGroup as group:
            raise _cause(group) from group
        finally:
            await self.connection.disconnect(nowait=True)

    async def _read(self) -> None:
        while True:
            for _ in range(READ_AT_ONCE):
                self._take(await self.connection.read_response())
            await asyncio.sleep(0)  # what has come already is read without a pause

    def _take(self, message: object) -> None:
        if not isinstance(message, list):
            return
        kind, channel = message[0], message[1]
        if kind == b"smessage":
            if channel in self.rooms:
                self.heard(self.rooms[channel], message[2])
            elif channel == self.probe.encode():
                self.echo.set()
        elif kind == b"pong":
            self.pong.set()
        elif kind == b"ssubscribe":
            self.confirmed(self.rooms[channel]) if channel in self.rooms else self.opened()
        elif kind == b"sunsubscribe":
            self._taken_away(channel)

    def _taken_away(self, channel: bytes) -> None:
        if self.leaving[channel]:
            self.leaving[channel] -= 1
            self.leaving += Counter()  # without those that are none any more
        else:
            raise Lost("a subscription was taken away")

    async def _write(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            commands = list(self._commands())
            if commands:
                packed = self.connection.pack_commands(commands)
                async with asyncio.timeout(ANSWERS_S):
                    await self.connection.send_packed_command(packed, check_health=False)

    def _commands(self) -> Iterator[tuple[str, ...]]:
        """What has changed, the channels of a partition together: a cluster takes only those of one slot at once."""
        changes, self.changes = self.changes, {}
        together: dict[tuple[str, int], list[str]] = {}
        for room, subscribe in changes.items():
            name = "SSUBSCRIBE" if subscribe else "SUNSUBSCRIBE"
            together.setdefault((name, partition_of(room)), []).append(channel_of(room))
            if not subscribe:
                self.leaving[channel_of(room).encode()] += 1
        for (name, _), channels in together.items():
            for start in range(0, len(channels), CHANNELS_AT_ONCE):
                yield name, *channels[start : start + CHANNELS_AT_ONCE]
        if self.asked:
            self.asked = False
            yield ("PING",)

    async def _probe(self) -> None:
        """``Deaf`` when the connection does not answer, or what is published does not come back through it."""
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            self.pong.clear()
            self.echo.clear()
            self.asked = True
            self.wake.set()
            await _in_time(self.pong, "no answer")
            try:
                async with asyncio.timeout(ANSWERS_S):
                    await self.publish(self.probe, "")
            except ResponseError:  # the slot of the probe may be another's now
                raise
            except AWAY as error:  # that is another connection's trouble
                log.warning("bus_probe_unsent", reason=type(error).__name__)
            else:
                await _in_time(self.echo, "no echo")


async def _in_time(event: asyncio.Event, otherwise: str) -> None:
    try:
        async with asyncio.timeout(ANSWERS_S):
            await event.wait()
    except TimeoutError as error:
        raise Deaf(otherwise) from error


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What broke the connection; an error of ours before any of the network."""
    _, ours = group.split(AWAY)
    error: BaseException = ours or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
