"""``world``: drivers on the road in an installation, for a load generator.

Their trips began a day ago, since generators send fixes dated from twenty hours ago on, and those belong to a trip only
while it runs. They get an organisation of their own, in which no device is held to a number of requests or fixes.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp

from loadtest.errors import LoadtestError
from waypost.commands.common import read_settings, services_of
from waypost.identity.domain import DEVICE_TOKEN_BYTES, DEVICE_TOKEN_PREFIX, OrgSettings, TrackingLimits, token_hash
from waypost.kernel.ids import RANDOM_BITS, uuid7
from waypost.platform.database import SYSTEM, Connection
from waypost.platform.embedded import default_data_dir
from waypost.wiring import Services

BEGAN_BEFORE = timedelta(hours=24)
AT_ONCE = 1000
UNLIMITED = OrgSettings(tracking=TrackingLimits(requests_per_s=0, fixes_per_s=0))

ADD_DRIVERS = """
INSERT INTO drivers (org_id, id, name, created_at)
SELECT $1, i.id, i.name, $4 FROM unnest($2::uuid[], $3::text[]) AS i (id, name)
"""
ADD_DEVICES = """
INSERT INTO devices (org_id, id, name, driver_id, token_hash, created_at)
SELECT $1, i.id, i.name, i.driver_id, i.token_hash, $6
  FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::bytea[]) AS i (id, name, driver_id, token_hash)
"""
ADD_ASSIGNMENTS = """
INSERT INTO device_assignments (org_id, device_id, driver_id, from_at)
SELECT $1, i.device_id, i.driver_id, $4 FROM unnest($2::uuid[], $3::uuid[]) AS i (device_id, driver_id)
"""
ADD_TRIPS = """
INSERT INTO trips (org_id, id, reference, status, driver_id, started_at, created_at, updated_at)
SELECT $1, i.id, i.reference, 'started', i.driver_id, $5, $5, $5
  FROM unnest($2::uuid[], $3::text[], $4::uuid[]) AS i (id, reference, driver_id)
"""


@dataclass(frozen=True, slots=True)
class Driven:
    """A device on a running trip."""

    trip_id: UUID
    driver_id: UUID
    device_id: UUID
    token: str

    def line(self) -> str:
        """As load generators read it."""
        return f"{self.trip_id} {self.driver_id} {self.token}"


@dataclass(frozen=True, slots=True)
class World:
    """An organisation on the road."""

    org_id: UUID
    driven: Sequence[Driven]

    def write(self, path: Path) -> None:
        """One line a trip. It holds tokens, so it is the caller's own file (0600)."""
        path.touch(0o600)
        path.write_text("".join(f"{driven.line()}\n" for driven in self.driven))


async def make(
    services: Services,
    trips: int,
    *,
    settings: OrgSettings = UNLIMITED,
    began_before: timedelta = BEGAN_BEFORE,
    told: Callable[[int], None] = lambda _: None,
) -> World:
    """An organisation with ``trips`` drivers, each with a phone, on a trip for that long; ``told``: how many yet."""
    now = services.clock.now()
    began = now - began_before
    org_id = await services.identity.add_organisation(f"Load test {now:%Y-%m-%d %H:%M:%S}", settings)
    driven: list[Driven] = []
    while len(driven) < trips:
        some = [_driven(began) for _ in range(min(AT_ONCE, trips - len(driven)))]
        async with services.database.transaction(SYSTEM) as conn:
            await _add(conn, org_id, some, len(driven), began)
        driven += some
        told(len(driven))
    return World(org_id, driven)


def _driven(began: datetime) -> Driven:
    trip_id, driver_id, device_id = (uuid7(began, secrets.randbits(RANDOM_BITS)) for _ in range(3))
    return Driven(trip_id, driver_id, device_id, DEVICE_TOKEN_PREFIX + secrets.token_urlsafe(DEVICE_TOKEN_BYTES))


async def _add(conn: Connection, org_id: UUID, some: Sequence[Driven], first: int, began: datetime) -> None:
    numbers = range(first + 1, first + 1 + len(some))
    trips, drivers, devices = ([getattr(d, name) for d in some] for name in ("trip_id", "driver_id", "device_id"))
    hashes = [token_hash(d.token) for d in some]
    await conn.execute(ADD_DRIVERS, org_id, drivers, [f"Driver {n}" for n in numbers], began)
    await conn.execute(ADD_DEVICES, org_id, devices, [f"Phone {n}" for n in numbers], drivers, hashes, began)
    await conn.execute(ADD_ASSIGNMENTS, org_id, devices, drivers, began)
    await conn.execute(ADD_TRIPS, org_id, trips, [f"T-{n:06}" for n in numbers], drivers, began)


async def write_world(url: str, trips: int, out: Path, data: Path | None) -> World:
    """The command: into the database of the installation at ``url``, which must know the drivers afterwards."""
    check_writable(out)
    await _check_answers(url)
    settings = read_settings(data or default_data_dir())
    async with services_of(settings) as services:
        made = await make(services, trips, told=lambda done: _progress(done, trips))
    await _check_known(url, made.driven[0])
    made.write(out)
    return made


def check_writable(out: Path) -> None:
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise LoadtestError(f"--out {out}: that is a folder, or its folder is missing; name a file")


def _progress(done: int, of: int) -> None:
    print(f"\r{done} of {of} drivers on the road", end="\n" if done == of else "", file=sys.stderr, flush=True)


async def _check_answers(url: str) -> None:
    """Before anything is written."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"{url}/readyz") as response,
        ):
            if not response.ok:
                raise LoadtestError(f"{url} answers, but is not ready ({response.status}); look at {url}/readyz")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise LoadtestError(f"no Waypost answers at {url}: {error or 'no answer within 10 s'}") from error


async def _check_known(url: str, driven: Driven) -> None:
    headers = {"Authorization": f"Bearer {driven.token}"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(f"{url}/api/v1/trips/{driven.trip_id}", headers=headers) as response,
    ):
        if not response.ok:
            raise LoadtestError(
                f"{url} does not know the drivers that were just added ({response.status}): it works on another"
                " database. Set WAYPOST_DATABASE_URL, or name with --data the folder of its `waypost up`."
            )
