"""Which workers and relays are at work: a row each, kept fresh. Of the whole installation, so in no organisation."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Unavailable
from waypost.platform.database import SYSTEM, Connection, Database
from waypost.platform.telemetry import log

# Their age is by the database's clock, since several machines are compared.
BEAT = """
INSERT INTO heartbeats (name, kind, host, pid, started_at, beat_at, detail) VALUES ($1, $2, $3, $4, $5, now(), $6)
ON CONFLICT (name) DO UPDATE SET beat_at = now(), detail = excluded.detail
"""
AGES = """
SELECT name, kind, host, pid, extract(epoch FROM now() - beat_at)::float8 AS age_s, detail FROM heartbeats
 WHERE beat_at > now() - interval '1 day' ORDER BY kind, name
"""
BEATS_MISSED = 3
SLOW_BEAT_S = 15.0  # a busy machine may beat late
FORGET = "DELETE FROM heartbeats WHERE name = $1 OR beat_at < now() - interval '1 day'"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process that was at work ``age_s`` seconds ago; one that stopped as it should has none."""

    name: str
    kind: str
    host: str
    pid: int
    age_s: float
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Heart:
    """This process. ``kind``: "worker" or "relay"; ``detail``: asked at each beat."""

    kind: str
    started_at: datetime
    name: str
    detail: Callable[[], Mapping[str, object]]

    async def beat_for_ever(self, database: Database, clock: Clock, every_s: float) -> None:
        """Keep the row fresh until cancelled, then take it away. The database may be away meanwhile."""
        try:
            while True:
                try:
                    async with database.transaction(SYSTEM) as conn:
                        await beat(conn, self)
                except Unavailable:
                    log.warning("heartbeat_missed", kind=self.kind)
                await clock.sleep(every_s)
        finally:
            await self._stop(database)

    async def _stop(self, database: Database) -> None:
        try:
            async with database.transaction(SYSTEM) as conn:
                await forget(conn, self.name)
        except Unavailable:
            log.warning("heartbeat_left", kind=self.kind)


def heart(kind: str, clock: Clock, detail: Callable[[], Mapping[str, object]] = dict) -> Heart:
    """A new process's."""
    return Heart(kind, clock.now(), f"{kind}-{secrets.token_hex(6)}", detail)


async def beat(conn: Connection, of: Heart) -> None:
    """Say that it is at work. Needs the system scope, as all here."""
    detail = msgspec.json.encode(of.detail()).decode()
    await conn.execute(BEAT, of.name, of.kind, socket.gethostname(), os.getpid(), of.started_at, detail)


async def ages(conn: Connection) -> list[Heartbeat]:
    """Who was at work within the last day, and how long ago."""
    rows = await conn.fetch(AGES)
    return [Heartbeat(**{**dict(row), "detail": msgspec.json.decode(row["detail"])}) for row in rows]


async def at_work(conn: Connection, every_s: float) -> list[Heartbeat]:
    """Those that have not missed several beats in a row; ``every_s``: how often they beat."""
    late_s = max(BEATS_MISSED * every_s, SLOW_BEAT_S)
    return [beat for beat in await ages(conn) if beat.age_s <= late_s]


async def forget(conn: Connection, name: str) -> None:
    """Take away a process that has ended, and those of which nothing was heard for a day."""
    await conn.execute(FORGET, name)
