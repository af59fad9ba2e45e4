"""The roles and the database that the server works with; run as a superuser, as often as you like.

Nobody who serves a request is a superuser: that one sees through row-level security and ignores a REVOKE. The server
logs in as ``waypost``, which has no rights of its own, and takes one of two roles for each transaction (``SET ROLE``):
``waypost_app``, for which row-level security holds, or ``waypost_system``, which bypasses it. Migrations log in as
``waypost_owner``.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import asyncpg

if TYPE_CHECKING:  # generic in its stubs only
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

LOGIN = "waypost"
OWNER = "waypost_owner"
APP = "waypost_app"
SYSTEM = "waypost_system"
LONGEST_NAME_BYTES = 63
ONE_AT_A_TIME = 0x77617970  # "wayp": the advisory lock of this module

PLAIN = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
ATTRIBUTES = {
    APP: f"NOLOGIN {PLAIN} NOBYPASSRLS",
    SYSTEM: f"NOLOGIN {PLAIN} BYPASSRLS",
    OWNER: f"LOGIN {PLAIN} NOBYPASSRLS",
    LOGIN: f"LOGIN {PLAIN} NOINHERIT NOBYPASSRLS",
}


class Superuser(Protocol):
    """Who can open a superuser's connection to any database of one server, as ``Postgres`` can."""

    async def connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        """The caller closes it."""


async def provision(server: Superuser, database: str = "waypost", *, login: str = LOGIN, owner: str = OWNER) -> None:
    """Make the roles, the database and its rights, or put right what is there."""
    outside = await server.connect("postgres")
    try:
        await provision_roles(outside, login=login, owner=owner)
        await provision_database(outside, database, login=login, owner=owner)
    finally:
        await outside.close()
    inside = await server.connect(database)
    try:
        await provision_schema(inside, owner=owner)
    finally:
        await inside.close()


async def provision_roles(
    conn: "Connection",
    *,
    login: str = LOGIN,
    owner: str = OWNER,
    login_password: str | None = None,
    owner_password: str | None = None,
) -> None:
    """The four roles with exactly these attributes. A password is set only where given: None keeps what is there."""
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock($1)", ONE_AT_A_TIME)
        await _role(conn, APP, ATTRIBUTES[APP])
        await _role(conn, SYSTEM, ATTRIBUTES[SYSTEM])
        await _role(conn, owner, ATTRIBUTES[OWNER], owner_password)
        await _role(conn, login, ATTRIBUTES[LOGIN], login_password)
        await conn.execute(f"GRANT {APP}, {SYSTEM} TO {quoted(login)} WITH INHERIT FALSE, SET TRUE")


async def provision_database(conn: "Connection", database: str, *, login: str = LOGIN, owner: str = OWNER) -> None:
    """The database, its owner, and who may connect. Not inside a transaction: CREATE DATABASE refuses one."""
    name = quoted(database)
    if not await conn.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
        with suppress(asyncpg.DuplicateDatabaseError):  # somebody else's start was faster
            await conn.execute(f"CREATE DATABASE {name} OWNER {quoted(owner)}")
    await conn.execute(f"ALTER DATABASE {name} OWNER TO {quoted(owner)}")
    await conn.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    await conn.execute(f"GRANT CONNECT ON DATABASE {name} TO {quoted(login)}")


async def provision_schema(conn: "Connection", *, owner: str = OWNER) -> None:
    """The schema ``public`` of the database that ``conn`` is connected to: only the owner makes things in it."""
    await conn.execute(f"ALTER SCHEMA public OWNER TO {quoted(owner)}")
    await conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


async def _role(conn: "Connection", name: str, attributes: str, password: str | None = None) -> None:
    if not await conn.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
        await conn.execute(f"CREATE ROLE {quoted(name)} {attributes}")
    await conn.execute(f"ALTER ROLE {quoted(name)} {attributes}")
    if password is not None:
        literal = await conn.fetchval("SELECT quote_literal($1::text)", password)
        await conn.execute(f"ALTER ROLE {quoted(name)} PASSWORD {literal}")


def quoted(name: str) -> str:
    """A name as an SQL identifier. ValueError for one that PostgreSQL would cut or cannot hold."""
    if not name or "\0" in name or len(name.encode()) > LONGEST_NAME_BYTES:
        raise ValueError(f"not a name for a role or a database: {name!r}")
    return '"' + name.replace('"', '""') + '"'
