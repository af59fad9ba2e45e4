"""The demo: an organisation with people, drivers, trucks, customers and running trips, and who drives them.

What it made is kept in ``demo.json`` of the data folder (0600: it holds device tokens), so that a second start goes on
where the first one stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from uuid import UUID

import msgspec

from waypost import demo_laybys
from waypost.identity.domain import BadCredentials, OrgSettings, TrackingLimits
from waypost.identity.service import Identity
from waypost.kernel.principal import Principal, Role
from waypost.platform import keyfile
from waypost.replay.lines import van_names
from waypost.replay.recordings import Recording, choose
from waypost.replay.traces import load
from waypost.settings import BadSettings, Settings
from waypost.trips.domain import Move
from waypost.trips.service import NewTrip
from waypost.wiring import Services, open_services

ORGANISATION = "Jacaranda Deliveries"
RECEIVER = "Msasa Hardware"
PASSWORD = "waypost-demo"  # noqa: S105 - a demo on loopback; a random one is made when others can reach it
OWNER_PHONE, DISPATCHER_PHONE, RECEIVER_PHONE = "+263771000001", "+263771000002", "+263771000003"
SIMULATED_VANS = 25
RECORDED_VEHICLES = 400
FEW_ROWS = 30  # a file whose vehicles mostly have fewer fixes shows standing dots
MAX_GAP_S = 60
FIX_EVERY_S = 4
FASTEST_AUTO_SPEED = 60.0  # what the replay chooses at most by itself
AT_ONCE = 12
SAVE_EVERY = 48
EVERY_NTH_IS_RECEIVED = 20
FIRST = (
    "Tariro",
    "Tendai",
    "Rudo",
    "Farai",
    "Chipo",
    "Kuda",
    "Nyasha",
    "Simba",
    "Tatenda",
    "Rumbi",
    "Tapiwa",
    "Vimbai",
)
LAST = ("Moyo", "Ncube", "Sibanda", "Dube", "Chirwa", "Banda", "Phiri", "Mutasa", "Gumbo", "Zhou", "Mlambo")
SHOPS = (
    "Avondale Pharmacy",
    "Borrowdale Grocers",
    "Eastlea Motors",
    "Highfield Bakery",
    "Mbare Textiles",
    "Kambuzuma Electrical",
)


class Driven(msgspec.Struct, rename="camel"):
    """A vehicle of the demo: its name in the traces, its device's token, its running trip."""

    vehicle: str
    token: str
    trip_id: str


class State(msgspec.Struct, rename="camel"):
    """What ``demo.json`` keeps."""

    org_id: UUID | None = None
    owner_id: UUID | None = None
    receiver_id: UUID | None = None
    password: str = PASSWORD
    devices: list[Driven] = []
    has_laybys: bool = False


class Cast(msgspec.Struct, rename="camel"):
    """Who plays: chosen once for the same traces, since reading all of them takes seconds."""

    mark: str
    files: list[str]
    names: list[str]


class Info(msgspec.Struct, rename="camel"):
    """What ``--info`` writes."""

    url: str
    phone: str
    password: str
    org_id: UUID
    trip_ids: list[str]
    device_token: str


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What was asked for. ``traces`` None: simulated vans. ``private``: others can reach it, so no known password."""

    traces: Path | None
    speed: float | None
    vehicles: int | None  # None: as many as suit the source
    private: bool


def plan_demo(plan: DemoPlan, folder: Path) -> Demo:
    """Read the traces once to learn which vehicles will drive (blocking: a second or two)."""
    if plan.traces is None:
        return Demo(plan, folder, [], van_names(plan.vehicles or SIMULATED_VANS))
    cast = _remembered(plan, folder)
    if cast is None:
        by_file: dict[Path, list[Recording]] = {}
        for recording in load([plan.traces]):
            by_file.setdefault(recording.source, []).append(recording)
        lively = [file for file, found in by_file.items() if median(map(len, found)) >= FEW_ROWS] or list(by_file)
        chosen = choose([by_file[file] for file in lively], plan.vehicles or RECORDED_VEHICLES)
        cast = Cast(_mark(plan), [str(file) for file in lively], [recording.name for recording in chosen])
    return Demo(plan, folder, [Path(file) for file in cast.files], cast.names, cast)


def _remembered(plan: DemoPlan, folder: Path) -> Cast | None:
    """What the last start chose, if these are the very same traces."""
    try:
        cast = msgspec.json.decode((folder / "demo-cast.json").read_bytes(), type=Cast)
    except (OSError, msgspec.MsgspecError):
        return None
    return cast if cast.mark == _mark(plan) else None


def _mark(plan: DemoPlan) -> str:
    """Stands for the traces and the number of vehicles."""
    files = sorted(plan.traces.iterdir()) if plan.traces and plan.traces.is_dir() else [plan.traces or Path()]
    marks = [f"{file.absolute()}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join([str(plan.vehicles), *marks]).encode()).hexdigest()


@dataclass(slots=True)
class Demo:
    """The demo of one data folder. ``names``: the vehicles that this start drives."""

    plan: DemoPlan
    folder: Path
    files: Sequence[Path]
    names: Sequence[str]
    cast: Cast | None = None
    state: State = field(default_factory=State)

    async def seed(self, settings: Settings) -> None:
        """Make what is not there yet. The settings are the server's own."""
        if self._file.exists():
            self.state = msgspec.json.decode(self._file.read_bytes(), type=State)
        async with open_services(settings) as services:
            if self.plan.private and self.state.password == PASSWORD:
                if self.state.org_id is not None:
                    raise BadSettings(f"the demo in {self.folder} has a known password: take another --data")
                self.state.password = secrets.token_urlsafe(12)
            if self.state.org_id is None:
                self._save()  # the password, before anybody has it
                await self._people(services)
                self._save()
            await self._limits(services)
            await self._vehicles(services)
            await self._laybys(services)
        self._save()
        if self.cast is not None:
            keyfile.write_private(self.folder / "demo-cast.json", msgspec.json.encode(self.cast))
        keyfile.write_private(self.devices_file, b"\n".join(msgspec.json.encode(d) for d in self._driven()) + b"\n")

    async def _people(self, services: Services) -> None:
        identity = services.identity
        org_id, owner_id = await self._person(identity, "Tariro Moyo", Role.OWNER, OWNER_PHONE, ORGANISATION)
        await self._person(identity, "Rudo Ncube", Role.DISPATCHER, DISPATCHER_PHONE, org_id)
        receiver, _ = await self._person(identity, "Simba Banda", Role.VIEWER, RECEIVER_PHONE, RECEIVER)
        self.state.org_id, self.state.receiver_id, self.state.owner_id = org_id, receiver, owner_id

    async def _person(
        self, identity: Identity, name: str, role: Role, phone: str, org: UUID | str
    ) -> tuple[UUID, UUID]:
        """A person, and their organisation if ``org`` is a new one's name. Who is there since a start that was
        interrupted is taken as they are.
        """
        try:
            user = (await identity.sign_in(phone=phone, email=None, password=self.state.password)).user
        except BadCredentials:
            org_id = org if isinstance(org, UUID) else await identity.add_organisation(org)
            password = self.state.password
            return org_id, await identity.add_user(org_id=org_id, name=name, role=role, password=password, phone=phone)
        return user.org_id, user.id

    async def _limits(self, services: Services) -> None:
        """A recording that plays N times as fast moves N times as fast: the organisation's limits follow."""
        if self.state.org_id is not None:
            faster = max(1.0, self.plan.speed or (FASTEST_AUTO_SPEED if self.files else 1.0))
            limits = TrackingLimits(max_speed_mps=TrackingLimits().max_speed_mps * faster)
            await services.identity.save_settings(
                self.state.org_id, OrgSettings("Africa/Harare", limits, demo_laybys.SELLING)
            )

    async def _laybys(self, services: Services) -> None:
        """Once; those of a start that was interrupted stay as they are."""
        if not self.state.has_laybys and self.state.org_id is not None:
            self.state.has_laybys = True
            self._save()
            await demo_laybys.seed(services, Principal(self.state.org_id, Role.OWNER, user_id=self.state.owner_id))

    async def _vehicles(self, services: Services) -> None:
        """A driver, a truck, a device and a running trip for each vehicle that has none yet."""
        known = {driven.vehicle for driven in self.state.devices}
        new = [name for name in self.names if name not in known]
        if not new or self.state.org_id is None:
            return
        owner = Principal(self.state.org_id, Role.OWNER, user_id=self.state.owner_id)
        shops = [await _shop(services, owner, number, name) for number, name in enumerate(SHOPS)]
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, name: str) -> Driven:
            async with turns:
                return await self._vehicle(services, owner, number, name, shops[number % len(shops)])

        for first in range(0, len(new), SAVE_EVERY):
            some = new[first : first + SAVE_EVERY]
            number = len(self.state.devices)
            self.state.devices += await asyncio.gather(*(one(number + n, name) for n, name in enumerate(some)))
            self._save()

    async def _vehicle(self, services: Services, owner: Principal, number: int, name: str, shop: UUID) -> Driven:
        directory, trips = services.directory, services.trips
        driver = await directory.add_driver(owner, name=f"{FIRST[number % len(FIRST)]} {LAST[number % len(LAST)]}")
        truck_id = await directory.add_truck(owner, name=name)
        _, token = await directory.add_device(owner, name=f"Phone of {name}", driver_id=driver.id, truck_id=truck_id)
        received = number % EVERY_NTH_IS_RECEIVED == 0
        new = NewTrip(
            reference=f"JD-{number + 1:04}",
            driver_id=driver.id,
            truck_id=truck_id,
            customer_id=shop,
            destination_org_id=self.state.receiver_id if received else None,
            origin="Depot",
            destination=SHOPS[number % len(SHOPS)],
        )
        trip = await trips.create(owner, new)
        await trips.move(owner, trip.id, Move.START)
        return Driven(name, token, str(trip.id))

    def replay_arguments(self, url: str) -> list[str]:
        """How the drivers are started: ``waypost replay`` with these."""
        arguments = ["replay", "--url", url, "--devices", str(self.devices_file), "--loop", "--align"]
        if not self.files:
            return [*arguments, "--simulate", str(len(self.names))]
        arguments += ["--max-gap", str(MAX_GAP_S), "--vehicles", str(self.plan.vehicles or RECORDED_VEHICLES)]
        if self.plan.speed is not None:
            arguments += ["--speed", str(self.plan.speed)]
        else:
            arguments += ["--fix-every", str(FIX_EVERY_S)]
        return [*arguments, *(str(file) for file in self.files)]

    def words(self) -> list[str]:
        """The logins, for people to read."""
        what = "recorded" if self.files else "simulated"
        return [
            f"  demo: {len(self.names)} {what} vehicles of {ORGANISATION} are on their way",
            f"  sign in:  {OWNER_PHONE}  {self.state.password}   (owner; {DISPATCHER_PHONE}: dispatcher)",
            f"            {RECEIVER_PHONE}  {self.state.password}   (viewer of {RECEIVER}, who receives some trips)",
        ]

    def write_info(self, path: Path, url: str) -> None:
        """The same for programs, as JSON (0600)."""
        if self.state.org_id is None:
            return
        driven = self._driven()
        trip_ids = [d.trip_id for d in driven]
        info = Info(url, OWNER_PHONE, self.state.password, self.state.org_id, trip_ids, driven[0].token)
        keyfile.write_private(path, msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n")

    def _driven(self) -> list[Driven]:
        """This start's vehicles, in their order."""
        by_name = {driven.vehicle: driven for driven in self.state.devices}
        return [by_name[name] for name in self.names if name in by_name]

    @property
    def _file(self) -> Path:
        return self.folder / "demo.json"

    @property
    def devices_file(self) -> Path:
        """The tokens that the drivers play with."""
        return self.folder / "demo-devices.jsonl"

    def _save(self) -> None:
        keyfile.write_private(self._file, msgspec.json.encode(self.state))


async def _shop(services: Services, owner: Principal, number: int, name: str) -> UUID:
    """A customer with addresses that reach nobody: made-up numbers, and names under a domain that never exists."""
    email = f"orders@{name.lower().replace(' ', '-')}.example"
    return await services.directory.add_customer(owner, name=name, phone=f"+26377200{number:04}", email=email)
