"""Migrations on rows of the previous form, and indexes that a killed build left broken."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.servers import KEYS, Servers
from waypost.kernel.principal import Principal, Role
from waypost.platform import migrations
from waypost.platform.embedded import provision
from waypost.platform.migrations import MigrationFailed
from waypost.settings import Settings
from waypost.wiring import open_services

# The first released form: what an installation of then holds.
RELEASED_FIRST = 4
TOKEN = "wpd_" + "o" * 32
OLD_ROWS = """
INSERT INTO organisations (org_id, name, settings, created_at)
VALUES ('{org}', 'Old Haulage', '{{"timeZone": "Africa/Harare"}}', now());
INSERT INTO users (id, name, phone, password_hash, created_at)
VALUES ('{user}', 'Old Owner', '+263771999001', 'x', now());
INSERT INTO memberships (org_id, user_id, role, created_at) VALUES ('{org}', '{user}', 'owner', now());
INSERT INTO drivers (org_id, id, name, created_at)
VALUES ('{org}', '{driver}', 'Old Driver', now() - interval '2 days');
INSERT INTO trucks (org_id, id, name, created_at) VALUES ('{org}', '{truck}', 'Old Truck', now());
INSERT INTO customers (org_id, id, name, phone, created_at)
VALUES ('{org}', '{customer}', 'Old Customer', '0771 999 002', now());
INSERT INTO devices (org_id, id, name, driver_id, truck_id, token_hash, created_at)
VALUES ('{org}', '{device}', 'Old Phone', '{driver}', '{truck}', sha256('{token}'), now() - interval '2 days');
INSERT INTO trips (org_id, id, reference, status, driver_id, truck_id, customer_id, started_at, created_at, updated_at)
VALUES ('{org}', '{trip}', 'OLD-1', 'started', '{driver}', '{truck}', '{customer}', now() - interval '1 day',
        now(), now());
"""
HELD = """
SELECT a.driver_id, a.truck_id, a.until_at, a.from_at <= d.created_at AS from_the_start
  FROM device_assignments a JOIN devices d ON d.org_id = a.org_id AND d.id = a.device_id
"""
ADD_TRIP = "INSERT INTO trips (org_id, id, reference, created_at, updated_at) VALUES ($1, $2, 'SAME', now(), now())"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A database without any schema, and a folder of migrations of its own."""

    servers: Servers
    name: str
    folder: Path

    @property
    def url(self) -> str:
        return self.servers.stack.database_dsn(user="waypost_owner", database=self.name)

    async def up(self) -> list[str]:
        return await migrations.up(self.url, self.folder, login="waypost")

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        conn = await asyncpg.connect(self.url)
        try:
            yield conn
        finally:
            await conn.close()


@pytest.fixture
async def fresh(servers: Servers, tmp_path: Path) -> AsyncIterator[Fresh]:
    name = f"fresh_{uuid4().hex[:12]}"
    await provision(servers.stack.postgres, name)
    try:
        yield Fresh(servers, name, tmp_path / "migrations")
    finally:
        await servers.drop_database(name)


async def test_rows_of_the_first_released_form_are_served_by_this_version(fresh: Fresh):
    fresh.folder.mkdir()
    for migration in sorted(migrations.directory().glob("*.sql"))[:RELEASED_FIRST]:
        shutil.copy(migration, fresh.folder)
    await fresh.up()
    names = ("org", "user", "driver", "truck", "customer", "device", "trip")
    ids = {name: uuid4() for name in names}
    async with fresh.connected() as conn:
        await conn.execute(OLD_ROWS.format(**ids, token=TOKEN))
    shutil.copytree(migrations.directory(), fresh.folder, dirs_exist_ok=True)
    assert len(await fresh.up()) == len(list(fresh.folder.glob("*.sql"))) - RELEASED_FIRST

    environment = {**fresh.servers.environment(fresh.name), **KEYS}
    async with open_services(Settings.from_env(environment)) as services:
        owner = Principal(ids["org"], Role.OWNER, user_id=ids["user"])
        trip = await services.trips.find(owner, ids["trip"])
        assert (trip.status, trip.driver_name, trip.customer_name) == ("started", "Old Driver", "Old Customer")
        phone = await services.devices.authenticate(TOKEN)
        assert (phone.device_id, phone.driver_id, phone.vehicle_id) == (ids["device"], ids["driver"], ids["truck"])
        assert (await services.rules.of(ids["org"])).time_zone == "Africa/Harare"
        async with services.database.transaction(ids["org"]) as conn:
            held = await conn.fetch(HELD)
        assert [tuple(row) for row in held] == [(ids["driver"], ids["truck"], None, True)]


INDEX = """-- migrate:up transaction:false
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS trips_reference ON trips (org_id, reference);
-- migrate:down
"""


async def test_an_index_that_a_broken_build_left_invalid_is_dropped_and_built_again(fresh: Fresh):
    shutil.copytree(migrations.directory(), fresh.folder)
    await fresh.up()
    org, one, two = uuid4(), uuid4(), uuid4()
    async with fresh.connected() as conn:
        await conn.execute("INSERT INTO organisations (org_id, name, created_at) VALUES ($1, 'O', now())", org)
        for trip in (one, two):
            await conn.execute(ADD_TRIP, org, trip)
    (fresh.folder / "0998_reference.sql").write_text(INDEX)
    with pytest.raises(MigrationFailed, match="could not create unique index"):
        await fresh.up()
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('trips_reference')"
    async with fresh.connected() as conn:
        assert await conn.fetchval(valid) is False  # what was left: it costs every write and serves no query
        await conn.execute("UPDATE trips SET reference = 'OTHER' WHERE id = $1", two)
    assert await fresh.up() == ["0998"]
    async with fresh.connected() as conn:
        assert await conn.fetchval(valid) is True


async def test_a_migration_that_does_not_get_its_lock_gives_up_soon_and_can_be_repeated(fresh: Fresh):
    shutil.copytree(migrations.directory(), fresh.folder)
    await fresh.up()
    (fresh.folder / "0998_column.sql").write_text(
        "-- migrate:up\nSET LOCAL lock_timeout = '200ms';\nALTER TABLE trips ADD COLUMN note text;\n-- migrate:down\n"
    )
    async with fresh.connected() as conn, conn.transaction():
        await conn.execute("LOCK TABLE trips IN ACCESS SHARE MODE")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            await asyncio.wait_for(fresh.up(), 10)
    assert await fresh.up() == ["0998"]


def test_every_migration_that_runs_in_a_transaction_bounds_its_wait_for_locks():
    for path in sorted(migrations.directory().glob("*.sql")):
        text = path.read_text()
        assert "lock_timeout" in text or "transaction:false" in text, path.name
