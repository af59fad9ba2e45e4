"""Questions to what Waypost needs: the database and its roles, Redis, the mail server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiosmtplib
from redis.asyncio import Redis
from redis.exceptions import RedisError

from waypost.commands.findings import Finding, asked
from waypost.kernel.errors import AppError
from waypost.platform import migrations
from waypost.platform.database import SYSTEM, Database, DatabaseUnusable, PoolSize, open_database
from waypost.platform.redis import check_redis, open_redis
from waypost.settings import Settings, reveal

SMTP_TIMEOUT_S = 8.0
TELLS_NO_LIE_S = 5.0  # clocks further apart than that make tokens and due times go wrong

ROLES = """
SELECT r.rolname AS login, r.rolsuper AS superuser,
       coalesce((SELECT pg_has_role(r.rolname, a.oid, 'SET') FROM pg_roles a WHERE a.rolname = 'waypost_app'), FALSE)
           AS app,
       coalesce((SELECT pg_has_role(r.rolname, s.oid, 'SET') FROM pg_roles s WHERE s.rolname = 'waypost_system'), FALSE)
           AS system
  FROM pg_roles r WHERE r.rolname = session_user
"""


class RedisEvicts(AppError):
    """Redis may throw away what it holds when its memory is full."""

    code = "redis-evicts"


class MailServerUnusable(AppError):
    """The mail server cannot be used."""

    code = "mail-server-unusable"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database with a connection or two; ``DatabaseUnusable``."""
    url = reveal(settings.database_url)
    if url is None:
        raise DatabaseUnusable("WAYPOST_DATABASE_URL is not set")
    database = await open_database(url, reveal(settings.database_system_url), size=PoolSize(minimum=1, maximum=2))
    try:
        yield database
    finally:
        await database.close()


async def version(database: Database) -> str:
    async with database.pool.acquire() as conn:
        return f"PostgreSQL {await conn.fetchval('SHOW server_version')}"


async def roles(database: Database, *, second_login: bool) -> Finding:
    """May the login take the run-time roles, and is it less than a superuser?"""
    async with database.pool.acquire() as conn:
        row = await conn.fetchrow(ROLES)
    if row is None:
        return Finding("roles", "the login is not known to the server", "check WAYPOST_DATABASE_URL")
    wanted = {"waypost_app": row["app"]} | ({} if second_login else {"waypost_system": row["system"]})
    if lacks := [name for name, may in wanted.items() if not may]:
        return Finding("roles", f"{row['login']} may not take {', '.join(lacks)}", "run `waypost migrate up`")
    if row["superuser"]:
        return Finding("roles", f"{row['login']} is a superuser", "connect as a login without rights of its own")
    return Finding("roles", f"{row['login']} takes {', '.join(wanted)}")


async def migrated(database: Database) -> Finding:
    """Does the database have every migration of this version?"""

    async def look() -> str:
        await migrations.check(database)
        return f"at this version ({len(migrations.files(migrations.directory()))})"

    return await asked("migrations", look, "run `waypost migrate up`")


async def clocks(database: Database, now_s: float) -> Finding:
    """How far apart the database's clock and ours are."""
    async with database.transaction(SYSTEM) as conn:
        apart_s = float(await conn.fetchval("SELECT extract(epoch FROM clock_timestamp())")) - now_s
    cure = None if abs(apart_s) <= TELLS_NO_LIE_S else "set both clocks by a time server (NTP)"
    return Finding("clocks", f"{abs(apart_s):.1f} s apart", cure)


async def redis(settings: Settings) -> Finding:
    """Does Redis answer, and does it keep what it is given?"""

    async def look() -> str:
        client = open_redis(str(reveal(settings.redis_url)))
        try:
            await check_redis(client)
            return await _eviction(client)
        finally:
            await client.aclose()

    return await asked("Redis", look, "check WAYPOST_REDIS_URL and the server; set maxmemory-policy noeviction")


async def _eviction(client: Redis) -> str:
    with suppress(RedisError):  # a hosted one does not tell
        found = await client.config_get("maxmemory*")
        limit, policy = int(found.get("maxmemory", 0)), str(found.get("maxmemory-policy", "noeviction"))
        if limit and policy != "noeviction":
            raise RedisEvicts(f"answers, but drops keys when full (maxmemory {limit}, {policy}): wake-ups get lost")
        return f"answers, {policy}" + (f", at most {limit // 2**20} MiB" if limit else ", no memory limit")
    return "answers; it does not tell whether it drops keys when full"


async def mail(settings: Settings) -> Finding:
    """Does the mail server let us in? Nothing is sent."""

    async def look() -> str:
        client = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            cert_bundle=str(settings.smtp_ca_file) if settings.smtp_ca_file else None,
            username=settings.smtp_user,
            password=reveal(settings.smtp_password),
            timeout=SMTP_TIMEOUT_S,
        )
        try:
            async with client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailServerUnusable(f"{settings.smtp_host}: {error or type(error).__name__}") from error
        return f"{settings.smtp_host} lets us in"

    return await asked("mail server", look, "check WAYPOST_SMTP_HOST, its port, TLS and login")
