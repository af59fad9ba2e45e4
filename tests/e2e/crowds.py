"""Clients that keep journals in a storm, one for each road: TypeScript ones in a Node process, Python ones here."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from tests.e2e.journals import Journal
from tests.e2e.storms import Load
from waypost.client.client import WaypostClient
from waypost.client.link import Road
from waypost.client.membership import Ack, Handlers, Step
from waypost.client.room import RoomEvent

FOLDER = Path(__file__).parent / "js"
NODE = shutil.which("node")
Transports = tuple[Literal["websocket", "polling"], ...]
ROADS: dict[str, tuple[Transports, Literal["json", "msgpack"]]] = {
    "websocket": (("websocket",), "json"),
    "polling": (("polling",), "json"),
    "upgrade": (("polling", "websocket"), "json"),
    "msgpack websocket": (("websocket",), "msgpack"),
    "msgpack polling": (("polling",), "msgpack"),
}


class Crowd(Protocol):
    """Clients of one language."""

    async def cut(self, names: Sequence[str]) -> None:
        """Break their connections, without a word."""
        ...

    async def states(self) -> dict[str, Any]: ...

    async def journals(self) -> list[Journal]: ...


# The TypeScript client


@dataclass(slots=True)
class JsCrowd:
    """A Node process with a client for each road."""

    process: asyncio.subprocess.Process
    folder: Path
    lines: asyncio.Queue[dict[str, Any]] = field(default_factory=lambda: asyncio.Queue(1000))

    def tell(self, **command: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")

    async def said(self, word: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            told: dict[str, Any] = json.loads(line)
            if told["said"] == word:
                return told
        raise AssertionError("the clients' process has ended")

    async def cut(self, names: Sequence[str]) -> None:
        self.tell(do="cut", names=list(names))

    async def states(self) -> dict[str, Any]:
        self.tell(do="state")
        states: dict[str, Any] = (await self.said("state"))["states"]
        return states

    async def journals(self) -> list[Journal]:
        file = self.folder / "journals.json"
        self.tell(do="report", file=str(file))
        await self.said("report")
        return [Journal(**each) for each in json.loads(file.read_text())]


@asynccontextmanager
async def javascript(load: Load, folder: Path) -> AsyncIterator[Crowd]:
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        NODE, "storm.mjs", cwd=FOLDER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24
    )
    crowd = JsCrowd(process, folder)
    try:
        await crowd.said("ready")
        common = {"token": load.world.token, "trips": [truck.trip_id for truck in load.trucks]}
        clients = [
            {"name": name, "urls": turned(load.nodes.urls, at), "transports": transports, "codec": codec, **common}
            for at, (name, (transports, codec)) in enumerate(ROADS.items())
        ]
        crowd.tell(do="start", clients=clients)
        yield crowd
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


def turned(urls: Sequence[str], by: int) -> list[str]:
    """They begin at one node or the other."""
    return [urls[(by + at) % len(urls)] for at in range(len(urls))]


# The Python client


class Journalling(WaypostClient):
    """A client that keeps a journal."""

    def __init__(self, name: str, road: Road, load: Load) -> None:
        async def token(_: str | None) -> str:
            return load.world.token

        super().__init__(road, token, on_cut=lambda why: self.journal.cuts.append((why or {}).get("code")))
        self.journal = Journal(name)
        self.state: dict[str, dict[str, Any]] = {"trips": {}, "fleet": {}, "versions": {}}
        self._visits: list[object] = []
        self.join_fleet(self._of_fleet())
        for truck in load.trucks:
            self.join_trip(truck.trip_id, self._of_trip(truck.trip_id))

    def _hear(self, name: str, payload: object) -> None:
        if name.startswith(("trip:", "fleet:")) and isinstance(payload, dict) and "seq" in payload:
            if not any(self._visit is visit for visit in self._visits):
                self._visits.append(self._visit)
            room = "fleet" if name.startswith("fleet:") or payload.get("room") == "fleet" else payload["tripId"]
            first = payload.get("from", payload["seq"])
            self.journal.wire.append((len(self._visits), room, payload["epoch"], first, payload["seq"]))
        super()._hear(name, payload)

    def _of_fleet(self) -> Handlers:
        def snapshot(ack: Ack) -> None:
            self.journal.events["fleet"] += [(None, trip["id"], trip["version"]) for trip in ack["trips"]]
            self.state["versions"] |= {trip["id"]: trip["version"] for trip in ack["trips"]}
            self.state["fleet"] = {}
            for place in ack["positions"]:
                self._show(place, "snapshot")

        def event(event: RoomEvent) -> None:
            if event.name == "trip:event":
                self._changed("fleet", event)
            for place in event.payload.get("positions", ()):
                self._show(place, "event")

        return self._kept("fleet", Handlers(snapshot, event))

    def _show(self, place: Any, by: str) -> None:
        shown = self.journal.places.setdefault(f"vehicle {place['vehicleId']}", [])
        shown.append((by, place["recordedAt"], place.get("withdrawn")))
        self.state["fleet"][place["vehicleId"]] = place["recordedAt"]

    def _of_trip(self, trip_id: str) -> Handlers:
        by = "snapshot"

        def snapshot(ack: Ack) -> None:
            nonlocal by
            by = "snapshot"
            self.journal.events[trip_id].append((None, trip_id, ack["trip"]["version"]))
            self.state["versions"][trip_id] = ack["trip"]["version"]

        def event(event: RoomEvent) -> None:
            nonlocal by
            by = "event"
            if event.name == "trip:event":
                self._changed(trip_id, event)

        def position(place: Any) -> None:
            self.state["trips"][trip_id] = place and place["recordedAt"]
            if place:
                self.journal.places.setdefault(f"trip {trip_id}", []).append((by, place["recordedAt"], None))

        return self._kept(trip_id, Handlers(snapshot, event, position=position))

    def _changed(self, room: str, event: RoomEvent) -> None:
        trip = event.payload["trip"]
        self.journal.events[room].append((event.event_id, trip["id"], trip["version"]))
        versions = self.state["versions"]
        versions[trip["id"]] = max(versions.get(trip["id"], 0), trip["version"])

    def _kept(self, room: str, handlers: Handlers) -> Handlers:
        self.journal.events[room], steps = [], self.journal.steps.setdefault(room, [])
        last: list[RoomEvent] = []

        def event(event: RoomEvent) -> None:
            last[:] = [event]
            handlers.event(event)

        def step(step: Step) -> None:
            said = digest(last[0]) if last and (last[0].epoch, last[0].seq) == (step.epoch, step.seq) else None
            steps.append((step.by, step.epoch, step.first, step.seq, None if step.by == "snapshot" else said))

        return Handlers(handlers.snapshot, event, self._no, step, handlers.position)

    def _no(self, error: Any) -> None:
        self.journal.cuts.append(f"join {error.get('code')}")


def digest(event: RoomEvent) -> Any:
    payload = event.payload
    if "eventId" in payload:
        return payload["eventId"]
    if "locations" in payload:
        return ",".join(each["recordedAt"] for each in payload["locations"])
    return None


@dataclass(slots=True)
class PythonCrowd:
    clients: dict[str, Journalling]

    async def cut(self, names: Sequence[str]) -> None:
        for name in names:
            if (link := self.clients[name].link) is None:
                continue
            if link.transport == "websocket":
                await link._client.eio.ws.close()
            else:
                link.lost.set()

    async def states(self) -> dict[str, Any]:
        return {name: client.state for name, client in self.clients.items()}

    async def journals(self) -> list[Journal]:
        return [client.journal for client in self.clients.values()]


@asynccontextmanager
async def python(load: Load, _folder: Path) -> AsyncIterator[Crowd]:
    async with AsyncExitStack() as exits:
        clients = {}
        for at, (name, (transports, codec)) in enumerate(ROADS.items()):
            road = Road(tuple(turned(load.nodes.urls, at)), transports, codec)
            clients[name] = await exits.enter_async_context(Journalling(name, road, load))
        yield PythonCrowd(clients)
