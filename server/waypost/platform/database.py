"""The doors to PostgreSQL: ``transaction(org_id)`` and ``transaction(SYSTEM)``, and no other.

Both take a connection of the pool and set a role for the transaction alone (so that a pooler in transaction mode is
fine): ``waypost_app``, for which row-level security holds with the organisation that was named, or
``waypost_system``, which bypasses it and is for ingest, sign-in and sweeps. docs/decisions/0003-database-roles.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from waypost.kernel.errors import AppError, Unavailable
from waypost.platform.telemetry import log

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class System(Enum):
    """The scope that sees every organisation."""

    SYSTEM = "system"


SYSTEM = System.SYSTEM

ACQUIRE_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 5.0

# What asyncpg raises when the server is away, going, coming, or full: a repeat may succeed.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # what a connection says that has just died under a statement
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,
)
# The same while connecting: refused logins too, since the server was fit when we started.
NO_CONNECTION = (
    *AWAY,
    asyncpg.InterfaceError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class DatabaseAway(Unavailable):
    """The database does not answer just now; nothing of this request was promised. Send it again shortly."""

    code = "database-away"


class DatabaseUnusable(AppError):
    """The database cannot be used."""

    code = "database-unusable"


async def _keep(_connection: object) -> None:
    """Instead of asyncpg's reset on release: no session state is ever made, so there is none to undo."""


@dataclass(frozen=True, slots=True)
class Database:
    """A pool of connections, and the two scopes that a transaction may have."""

    pool: Pool
    system_pool: Pool

    @asynccontextmanager
    async def transaction(
        self,
        scope: UUID | Literal[System.SYSTEM],
        *,
        snapshot: bool = False,
    ) -> AsyncIterator[Connection]:
        """A transaction that sees one organisation, or (``SYSTEM``) all of them.

        ``snapshot``: read-only, and every statement sees the same moment. Commits at the end, rolls back on any
        exception. ``DatabaseAway`` when the server cannot be reached, is restarting or has no connection to spare.
        """
        pool = self.system_pool if scope is SYSTEM else self.pool
        connection = await _acquire(pool)
        try:
            await connection.execute(_begin(scope, snapshot=snapshot))
            yield connection
            await connection.execute("COMMIT")
        except AWAY as error:
            raise _away(error) from error
        except asyncpg.InterfaceError as error:
            if _is_gone(connection):
                raise _away(error) from error
            raise  # a mistake of ours
        finally:
            await _let_go(pool, connection)

    async def close(self) -> None:
        """Close what is idle, wait for what is at work."""
        await self.pool.close()
        if self.system_pool is not self.pool:
            await self.system_pool.close()


def _begin(scope: UUID | Literal[System.SYSTEM], *, snapshot: bool) -> str:
    """One round trip: begin, role and organisation. A UUID's text holds nothing that could end a literal."""
    mode = " ISOLATION LEVEL REPEATABLE READ READ ONLY" if snapshot else ""
    if scope is SYSTEM:
        return f"BEGIN{mode}; SET LOCAL ROLE waypost_system"
    return f"BEGIN{mode}; SET LOCAL ROLE waypost_app; SET LOCAL waypost.org = '{UUID(int=scope.int)}'"


async def _acquire(pool: Pool) -> Connection:
    try:
        return await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
    except NO_CONNECTION as error:
        raise _away(error) from error


def _away(error: BaseException) -> DatabaseAway:
    log.warning("database_away", reason=type(error).__name__)
    return DatabaseAway()


def _is_gone(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # it died, and the pool has taken it back already
        return True


async def _let_go(pool: Pool, connection: Connection) -> None:
    """Undo what was not committed; a connection on which even that fails is thrown away."""
    try:
        if not _is_gone(connection) and connection.is_in_transaction():
            await connection.execute("ROLLBACK", timeout=ACQUIRE_TIMEOUT_S)
    except (*NO_CONNECTION, asyncpg.PostgresError):
        with suppress(asyncpg.InterfaceError):
            connection.terminate()
    finally:
        await pool.release(connection)  # type: ignore[arg-type]  # what acquire gave


async def open_database(url: str, system_url: str | None = None, *, minimum: int = 1, maximum: int = 20) -> Database:
    """Connect. ``system_url``: another login for the system scope; without it one login serves both.

    ``DatabaseUnusable`` with one clear line when the server cannot be reached or refuses us.
    """
    pool = await _open_pool(url, minimum, maximum)
    return Database(pool, await _open_pool(system_url, minimum, maximum) if system_url else pool)


async def _open_pool(url: str, minimum: int, maximum: int) -> Pool:
    try:
        return await asyncpg.create_pool(
            url,
            min_size=minimum,
            max_size=maximum,
            command_timeout=COMMAND_TIMEOUT_S,
            timeout=CONNECT_TIMEOUT_S,
            reset=_keep,
            server_settings={"application_name": "waypost"},
        )
    except (*AWAY, ValueError, asyncpg.PostgresError, asyncpg.ClientConfigurationError) as error:
        raise DatabaseUnusable(f"cannot use the database: {brief(error)}") from error


def brief(error: BaseException) -> str:
    """The first line of an error's text; its kind when it has none. No address of ours with a password in it."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "nothing listens at its address; is it, or the `waypost up` that brings it, running?"
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
