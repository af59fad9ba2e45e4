"""What the catalogue says of tenancy and roles; the migrations themselves."""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from tests.factories import Org
from tests.servers import Servers
from waypost.platform import migrations
from waypost.platform.migrations import MigrationFailed
from waypost.wiring import Services

# People may belong to several organisations; the runner's own tables know none.
EXEMPT = {"users", "heartbeats", "house_keys", "schema_migrations", "schema_checksums"}
# Who receives a trip or an invoice reads it too: the indexes that lead with the other organisation.
LEADS = {"org_id", "destination_org_id", "counterparty_org_id"}

TABLES = """
SELECT c.relname, c.relrowsecurity, c.relkind,
       (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
       pg_get_userbyid(c.relowner) AS owner
  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
COMPOSITE_INDEXES = """
SELECT t.relname AS table, i.relname AS index, a.attname AS lead
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
 WHERE t.relnamespace = 'public'::regnamespace AND x.indnkeyatts > 1
"""
VERB = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
FIRST_COLUMN = "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 1"


async def test_every_table_leads_with_its_organisation_and_has_a_policy(services: Services):
    async with services.database.pool.acquire() as conn:
        tables = await conn.fetch(TABLES)
        assert {t["relname"] for t in tables} >= {"organisations", "trips", "fixes", "positions", "devices"}
        for table in tables:
            name = table["relname"]
            assert table["owner"] == "waypost_owner"
            if name in EXEMPT:
                continue
            assert await conn.fetchval(FIRST_COLUMN, name) == "org_id", name
            assert table["relrowsecurity"], name
            assert table["policies"] > 0, name
        for index in await conn.fetch(COMPOSITE_INDEXES):
            assert index["lead"] in LEADS or index["table"] in EXEMPT, index["index"]


async def test_no_role_at_run_time_is_a_superuser_and_only_system_sees_past_the_wall(services: Services):
    roles = "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname LIKE 'waypost%'"
    async with services.database.pool.acquire() as conn:
        found = {r["rolname"]: (r["rolsuper"], r["rolbypassrls"]) for r in await conn.fetch(roles)}
    assert found == {
        "waypost": (False, False),
        "waypost_owner": (False, False),
        "waypost_app": (False, False),
        "waypost_system": (False, True),
    }


async def test_a_query_that_forgets_the_organisation_reads_nothing(services: Services, org: Org):
    await org.phone()
    async with services.database.pool.acquire() as conn:
        names = [t["relname"] for t in await conn.fetch(TABLES)]
        for name in names:
            await conn.execute("BEGIN; SET LOCAL ROLE waypost_app")
            try:
                assert await conn.fetchval(f"SELECT count(*) FROM {name}") == 0, name
            except asyncpg.InsufficientPrivilegeError:
                pass  # better still
            finally:
                await conn.execute("ROLLBACK")


async def test_a_login_without_a_role_reads_nothing_at_all(services: Services):
    async with services.database.pool.acquire() as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.fetchval("SELECT count(*) FROM trips")


async def test_partitions_are_made_once_however_many_ask(services: Services):
    moment = datetime(2024, 2, 29, tzinfo=UTC)

    async def make() -> str:
        from waypost.platform.database import SYSTEM

        async with services.database.transaction(SYSTEM) as conn:
            return str(await conn.fetchval("SELECT waypost_make_fix_partition($1)", moment))

    assert set(await asyncio.gather(*(make() for _ in range(5)))) == {"fixes_20240226"}


async def test_migrating_again_does_nothing_and_many_at_once_agree(servers: Servers):
    name = await servers.create_database()
    url = servers.stack.database_dsn(user="waypost_owner", database=name)
    try:
        assert await migrations.up(url, login="waypost") == []
        assert await asyncio.gather(*(migrations.up(url, login="waypost") for _ in range(4))) == [[]] * 4
        assert all(m.applied_at and not m.changed for m in await migrations.status(url))
    finally:
        await servers.drop_database(name)


async def test_an_edited_migration_is_refused(servers: Servers, tmp_path: Path):
    name = await servers.create_database()
    url = servers.stack.database_dsn(user="waypost_owner", database=name)
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.directory(), folder)
    (folder / "0002_directory.sql").write_text("-- migrate:up\nSELECT 1;\n-- migrate:down\n")
    try:
        with pytest.raises(MigrationFailed, match="changed after being applied"):
            await migrations.up(url, folder, login="waypost")
    finally:
        await servers.drop_database(name)


async def test_a_broken_migration_leaves_nothing_of_itself_and_says_why(servers: Servers, tmp_path: Path):
    name = await servers.create_database()
    url = servers.stack.database_dsn(user="waypost_owner", database=name)
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.directory(), folder)
    (folder / "0999_broken.sql").write_text(
        "-- migrate:up\nCREATE TABLE half_done (id int);\nSELECT nonsense();\n-- migrate:down\n"
    )
    try:
        with pytest.raises(MigrationFailed, match="nonsense"):
            await migrations.up(url, folder, login="waypost")
        conn = await servers.stack.postgres.connect(name)
        try:
            assert await conn.fetchval("SELECT to_regclass('half_done')") is None
        finally:
            await conn.close()
    finally:
        await servers.drop_database(name)


SERVER = Path(__file__).resolve().parents[2] / "server"
# Wherever SQL is: in a feature's storage, and where a platform's part or the hub keeps something of its own.
WITH_SQL = [
    *sorted(".".join(path.relative_to(SERVER).with_suffix("").parts) for path in SERVER.rglob("storage*.py")),
    "waypost.platform.heartbeats",
    "waypost.platform.idempotency",
    "waypost.realtime.outbox",
]


@pytest.mark.parametrize("module", WITH_SQL)
async def test_every_statement_is_one_that_the_schema_understands(services: Services, module: str):
    storage = importlib.import_module(module)
    statements = {n: text for n, text in vars(storage).items() if n.isupper() and VERB.match(str(text).strip())}
    assert statements
    async with services.database.pool.acquire() as conn:
        await conn.execute("BEGIN; SET LOCAL ROLE waypost_system")
        for text in statements.values():
            if text.strip() != storage.__dict__.get("POSITION", "").strip():  # a beginning that others go on with
                await conn.prepare(text)
        await conn.execute("ROLLBACK")
