"""``recovery``: a node dies, and all its clients come to another at once: when has each what it missed?"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from loadtest.idle import SPARE_FILES, allow_files
from loadtest.ingest import say
from loadtest.percentiles import percentiles
from loadtest.sockets import Json, Refusal, Socket
from loadtest.stand import Stand
from loadtest.walkers import Reports, Walker
from loadtest.world import World
from waypost.platform.codec import instant_of_ms

CLIENTS = 2000
TRIPS = 50
FIXES_PER_S = 100  # all the time, through the node that stays
BEFORE_S, AWAY_S, AFTER_S = 3.0, 1.0, 2.0
AT_ONCE = 50
DOOMED, KEPT = 0, 1
RECOVERED_WITHIN_S = 60
AGAIN_WITHIN_S = 1.0
READ = Json().read


@dataclass(slots=True)
class Client:
    """One that keeps the client rule, and a log of all it was told."""

    trip_id: str
    token: str
    epoch: str = ""
    seq: int = 0
    log: list[str] = field(default_factory=list)  # the times of the fixes, as they were applied
    early: list[Mapping[str, Any]] | None = None  # heard before the join's ack
    gaps: int = 0
    repeats: int = 0
    missed: int = 0  # events that the last join gave
    refused: int = 0  # times that it was told to try again
    socket: Socket | None = None

    async def join(self, url: str) -> bool:
        """Connect and join, from where it stood; is it told what it missed? Else the snapshot replaces what it has."""
        since = {"since": {"epoch": self.epoch, "seq": self.seq}} if self.epoch else {}
        self.early = []
        self.socket = await Socket.to(url, self.token, heard=self._heard)
        answer = await self.socket.call("trip:join", {"tripId": self.trip_id, **since})
        early, self.early = self.early, None
        if not answer["recovered"]:
            self.epoch, self.seq = answer["epoch"], answer["seq"]
        self.missed = len(answer["missed"])
        for body in (*(event["data"] for event in answer["missed"]), *early):
            self._apply(body)
        return bool(answer["recovered"])

    def _heard(self, payload: bytes) -> None:
        _, body = READ(payload)[1]
        if "seq" not in body:
            return
        if self.early is not None:
            self.early.append(body)
        else:
            self._apply(body)

    def _apply(self, body: Mapping[str, Any]) -> None:
        """The client rule: old ones are dropped, and a number left out is a gap."""
        if body["epoch"] != self.epoch:
            self.gaps += 1
        elif body["seq"] > self.seq:
            self.gaps += body.get("from", body["seq"]) > self.seq + 1
            self.seq = body["seq"]
            for fix in body.get("locations", ()):
                self._move(fix["recordedAt"])

    def _move(self, at: str) -> None:
        """The newest by its own time wins; one that is told again under another number changes nothing."""
        if self.log and at <= self.log[-1]:
            self.repeats += 1
        else:
            self.log.append(at)


async def recovery(clients: int = CLIENTS) -> dict[str, Any]:
    """All of them on one of two nodes, which is killed; fixes go on through the other."""
    allow_files(2 * clients + SPARE_FILES)
    async with AsyncExitStack() as exits:
        stand = await exits.enter_async_context(Stand.open(nodes=0))
        doomed = await exits.enter_async_context(stand.node())
        await exits.enter_async_context(stand.node())
        world = await stand.world(TRIPS)
        token = await stand.sign_in(world.org_id)
        everyone = [Client(str(world.driven[number % TRIPS].trip_id), token) for number in range(clients)]
        exits.callback(_close, everyone)
        say(f"{clients:,} clients join {TRIPS} trips")
        for at in range(0, clients, AT_ONCE):
            await asyncio.gather(*(_at_last(client, stand.urls[DOOMED]) for client in everyone[at : at + AT_ONCE]))
        for client in everyone:
            client.refused = 0
        acked = await _storm(stand, world, everyone, doomed)
    return _figures(everyone, acked)


@dataclass(slots=True)
class Acked:
    """What was reported, and how the return went."""

    fixes: dict[str, list[str]]  # trip -> times
    recovered: list[bool] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    all_s: float = 0.0
    reports_refused: int = 0


async def _storm(stand: Stand, world: World, everyone: Sequence[Client], doomed: asyncio.subprocess.Process) -> Acked:
    """Kill their node, let them miss something, then bring them back in the same moment."""
    found = Acked(defaultdict(list))
    reports = await Reports.to(stand.urls[KEPT], 1, patient=True)  # one connection: a trip's fixes keep their order

    def note(walker: Walker, at_ms: int, _moment: float) -> None:
        found.fixes[str(walker.driven.trip_id)].append(instant_of_ms(at_ms))

    over = asyncio.Event()
    posting = asyncio.create_task(_report(reports, [Walker(d, n) for n, d in enumerate(world.driven)], note, over))
    try:
        await asyncio.sleep(BEFORE_S)
        say("their node dies")
        doomed.kill()
        await doomed.wait()
        await asyncio.sleep(AWAY_S)
        began = time.monotonic()

        async def come_back(client: Client) -> None:
            found.recovered.append(await _at_last(client, stand.urls[KEPT]))
            found.took.append(time.monotonic() - began)

        async with asyncio.timeout(RECOVERED_WITHIN_S):
            await asyncio.gather(*(come_back(client) for client in everyone))
        found.all_s = time.monotonic() - began
        await asyncio.sleep(AFTER_S)
        over.set()
        await posting
        found.reports_refused = reports.refused
        await asyncio.sleep(AFTER_S)
    finally:
        posting.cancel()
        reports.close()
    return found


async def _at_last(client: Client, url: str) -> bool:
    """Again and again, as clients do, while the server asks for it."""
    while True:
        try:
            return await client.join(url)
        except Refusal as refusal:
            if not refusal.retry:
                raise
        client.refused += 1
        if client.socket is not None:
            client.socket.close()
        await asyncio.sleep(random.uniform(0, AGAIN_WITHIN_S))


async def _report(reports: Reports, walkers: Sequence[Walker], acked: Callable[..., None], over: asyncio.Event) -> None:
    while not over.is_set():
        await reports.steadily(walkers, FIXES_PER_S, len(walkers) / FIXES_PER_S, acked)


def _figures(everyone: Sequence[Client], acked: Acked) -> dict[str, Any]:
    """``exact``: clients whose log is, fix for fix and in order, what their trip reported."""
    exact = sum(client.log == acked.fixes[client.trip_id] for client in everyone)
    found = {
        "clients": len(everyone),
        "all_recovered_s": round(acked.all_s, 2),
        "recovered": sum(acked.recovered),
        "exact": exact,
        "told_to_try_again": sum(client.refused for client in everyone),
        "reports_refused": acked.reports_refused,
        "gaps": sum(client.gaps for client in everyone),
        "repeats": sum(client.repeats for client in everyone),
        "events_missed": {
            "least": min(client.missed for client in everyone),
            "most": max(client.missed for client in everyone),
        },
        "back": percentiles(acked.took),
    }
    say(f"  all back after {found['all_recovered_s']} s, {found['recovered']} recovered, {exact} told exactly all")
    return found


def _close(everyone: Sequence[Client]) -> None:
    for client in everyone:
        if client.socket is not None:
            client.socket.close()
