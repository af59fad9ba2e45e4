"""The doors to PostgreSQL: ``transaction(org_id)`` and ``transaction(SYSTEM)``, and no other.

Both take a connection of the pool and set a role for the transaction alone (so that a pooler in transaction mode is
fine): ``waypost_app``, for which row-level security holds with the organisation that was named, or
``waypost_system``, which bypasses it and is for ingest, sign-in and sweeps. docs/decisions/0003-database-roles.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
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
BEGIN_TIMEOUT_S = 3.0  # a connection that says nothing for so long is dead, whatever its socket believes

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
    asyncpg.QueryCanceledError,  # by an operator or a time limit of the server's; ours is a TimeoutError
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


class DatabaseBusy(Unavailable):
    """Every connection to the database is in use; nothing of this request was promised. Send it again shortly."""

    code = "database-busy"


class NotKept(Exception):
    """A mistake of ours: a statement failed, its error was swallowed, and the transaction could not commit."""


class DatabaseUnusable(AppError):
    """The database cannot be used."""

    code = "database-unusable"


NO_ADDRESS = "that is not an address; a / # : @ or % in its password is written %2F %23 %3A %40 or %25"


async def _keep(_connection: object) -> None:
    """Instead of asyncpg's reset on release: no session state is ever made, so there is none to undo."""


@dataclass(slots=True)
class _Unit:
    """A transaction that the transactions opened below it, in the same task, become a part of."""

    pool: Pool
    connection: Connection
    scope: UUID | Literal[System.SYSTEM]
    task: asyncio.Task[object] | None
    afterwards: list[Callable[[], None]]


_unit: ContextVar[_Unit | None] = ContextVar("unit", default=None)
_afterwards: dict[Connection, list[Callable[[], None]]] = {}  # of the transactions that are open now


def after_commit(callback: Callable[[], None]) -> None:
    """Call once the unit of work that is going on has committed, never if it is undone; at once when there is none."""
    unit = _own_unit()
    if unit is None:
        callback()
    else:
        unit.afterwards.append(callback)


def after_commit_of(connection: Connection, callback: Callable[[], None]) -> None:
    """Call as soon as the transaction that this connection is in has committed, never if it is undone."""
    _afterwards[connection].append(callback)


def _own_unit() -> _Unit | None:
    """The unit of this very task: a child task inherits the variable, but must not share the connection."""
    unit = _unit.get()
    return unit if unit is not None and unit.task is asyncio.current_task() else None


@dataclass(slots=True)
class Waits:
    """How many are waiting for a connection just now."""

    now: int = 0

    def __enter__(self) -> None:
        self.now += 1

    def __exit__(self, *_: object) -> None:
        self.now -= 1


@dataclass(frozen=True, slots=True)
class Database:
    """A pool of connections, and the two scopes that a transaction may have."""

    pool: Pool
    system_pool: Pool
    wait_s: float = ACQUIRE_TIMEOUT_S
    waits: Waits = field(default_factory=Waits)

    @asynccontextmanager
    async def transaction(
        self,
        scope: UUID | Literal[System.SYSTEM],
        *,
        snapshot: bool = False,
        lock_timeout_ms: int | None = None,
    ) -> AsyncIterator[Connection]:
        """A transaction that sees one organisation, or (``SYSTEM``) all of them.

        ``snapshot``: read-only, and every statement sees the same moment. ``lock_timeout_ms``: who waits for a lock any
        longer fails with ``DatabaseAway``; within a unit of work it is not taken. Commits at the end, rolls back on any
        exception. ``DatabaseAway`` when the server cannot be reached, is restarting or has no connection to spare.
        """
        pool = self.system_pool if scope is SYSTEM else self.pool
        unit = _own_unit()
        if unit is not None and unit.pool is pool and not snapshot:
            async with _joined(unit, scope) as connection:
                yield connection
            return
        async with self._opened(pool, scope, snapshot=snapshot, lock_timeout_ms=lock_timeout_ms) as connection:
            yield connection

    @asynccontextmanager
    async def unit(self, org_id: UUID) -> AsyncIterator[Connection]:
        """One transaction around several: those that this task opens meanwhile commit with it or not at all.

        A part that fails is undone by itself (a savepoint); ``after_commit`` waits for the whole.
        """
        async with self._opened(self.pool, org_id) as connection:
            unit = _Unit(self.pool, connection, org_id, asyncio.current_task(), _afterwards[connection])
            token = _unit.set(unit)
            try:
                yield connection
            finally:
                _unit.reset(token)

    @asynccontextmanager
    async def _opened(
        self,
        pool: Pool,
        scope: UUID | Literal[System.SYSTEM],
        *,
        snapshot: bool = False,
        lock_timeout_ms: int | None = None,
    ) -> AsyncIterator[Connection]:
        with self.waits:
            connection = await _acquire(pool, self.wait_s)
        _afterwards[connection] = []
        try:
            await _start(pool, connection, _begin(scope, snapshot=snapshot, lock_timeout_ms=lock_timeout_ms))
            yield connection
            if await connection.execute("COMMIT") != "COMMIT":  # an error inside was swallowed: nothing was kept
                raise NotKept
            _call_all(_afterwards[connection])
        except AWAY as error:
            if isinstance(error, TimeoutError):
                _give_up(connection)
            raise _away(error) from error
        except asyncpg.InterfaceError as error:
            if _is_gone(connection):
                raise _away(error) from error
            raise  # a mistake of ours
        finally:
            del _afterwards[connection]
            await _let_go(pool, connection)

    async def close(self) -> None:
        """Close what is idle, wait for what is at work."""
        await self.pool.close()
        if self.system_pool is not self.pool:
            await self.system_pool.close()


def _call_all(callbacks: Sequence[Callable[[], None]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:  # noqa: BLE001 - it is committed: the others must be told all the same
            log.exception("after_commit_failed")


@asynccontextmanager
async def _joined(unit: _Unit, scope: UUID | Literal[System.SYSTEM]) -> AsyncIterator[Connection]:
    """A part of a unit of work, with a role of its own; undone alone when it fails."""
    connection, waiting, outer = unit.connection, len(unit.afterwards), unit.scope
    await connection.execute(f"SAVEPOINT part; {_become(scope)}")
    unit.scope = scope
    try:
        yield connection
    except BaseException:
        unit.scope = outer
        del unit.afterwards[waiting:]
        if not _is_gone(connection):
            await connection.execute(f"ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part; {_become(outer)}")
        raise
    unit.scope = outer
    await connection.execute(f"RELEASE SAVEPOINT part; {_become(outer)}")


def _begin(scope: UUID | Literal[System.SYSTEM], *, snapshot: bool, lock_timeout_ms: int | None) -> str:
    """One round trip: begin, role and organisation. A UUID's text holds nothing that could end a literal."""
    mode = " ISOLATION LEVEL REPEATABLE READ READ ONLY" if snapshot else ""
    patience = f"; SET LOCAL lock_timeout = {lock_timeout_ms:d}" if lock_timeout_ms is not None else ""
    return f"BEGIN{mode}; {_become(scope)}{patience}"


def _become(scope: UUID | Literal[System.SYSTEM]) -> str:
    if scope is SYSTEM:
        return "SET LOCAL ROLE waypost_system"
    return f"SET LOCAL ROLE waypost_app; SET LOCAL waypost.org = '{UUID(int=scope.int)}'"


async def _acquire(pool: Pool, wait_s: float) -> Connection:
    try:
        return await pool.acquire(timeout=wait_s)
    except NO_CONNECTION as error:
        if isinstance(error, TimeoutError) and pool.get_size() == pool.get_max_size() and not pool.get_idle_size():
            log.warning("database_busy", connections=pool.get_size())
            raise DatabaseBusy from error
        raise _away(error) from error


def _away(error: BaseException) -> DatabaseAway:
    log.warning("database_away", reason=type(error).__name__)
    return DatabaseAway()


def _is_gone(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # it died, and the pool has taken it back already
        return True


async def _start(pool: Pool, connection: Connection, begin: str) -> None:
    """The first round trip shows whether the connection lives. If it does not, the others of its time are suspect."""
    try:
        await connection.execute(begin, timeout=BEGIN_TIMEOUT_S)
    except TimeoutError:
        await pool.expire_connections()
        raise


def _give_up(connection: Connection) -> None:
    """Nothing more is said to a silent connection: each word to it would be waited for."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _let_go(pool: Pool, connection: Connection) -> None:
    """Undo what was not committed; a connection on which even that fails is thrown away."""
    try:
        if not _is_gone(connection) and connection.is_in_transaction():
            async with asyncio.timeout(BEGIN_TIMEOUT_S):  # what was cancelled is waited for too
                await connection.execute("ROLLBACK")
    except (*NO_CONNECTION, asyncpg.PostgresError):
        _give_up(connection)
    finally:
        with suppress(*NO_CONNECTION):  # it has been closed then
            await pool.release(connection)  # type: ignore[arg-type]  # what acquire gave


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How a pool is made. ``pooler``: PgBouncer in transaction mode stands between, so no statement stays prepared."""

    minimum: int = 1
    maximum: int = 20
    wait_s: float = ACQUIRE_TIMEOUT_S
    pooler: bool = False


async def open_database(url: str, system_url: str | None = None, size: PoolSize = PoolSize()) -> Database:
    """Connect. ``system_url``: another login for the system scope; without it one login serves both.

    ``DatabaseUnusable`` with one clear line when the server cannot be reached or refuses us.
    """
    pool = await _open_pool(url, size)
    return Database(pool, await _open_pool(system_url, size) if system_url else pool, size.wait_s)


# A transaction whose client is gone without a word holds its locks until somebody notices. A pooler has settings of its
# own, and takes none of these.
ABANDONED = {"idle_in_transaction_session_timeout": "15000"}


async def _open_pool(url: str, size: PoolSize) -> Pool:
    try:
        return await asyncpg.create_pool(
            url,
            min_size=min(size.minimum, size.maximum),
            max_size=size.maximum,
            command_timeout=COMMAND_TIMEOUT_S,
            timeout=CONNECT_TIMEOUT_S,
            reset=_keep,
            server_settings={"application_name": "waypost", **({} if size.pooler else ABANDONED)},
            statement_cache_size=0 if size.pooler else 100,
        )
    except (*AWAY, ValueError, asyncpg.PostgresError, asyncpg.ClientConfigurationError) as error:
        raise DatabaseUnusable(f"cannot use the database: {brief(error)}") from error


def brief(error: BaseException) -> str:
    """The first line of an error's text; its kind when it has none. No address of ours with a password in it."""
    if isinstance(error, ValueError | asyncpg.ClientConfigurationError):  # these quote parts of the address
        return NO_ADDRESS
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "nothing listens at its address; is it, or the `waypost up` that brings it, running?"
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
