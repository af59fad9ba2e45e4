"""`Idempotency-Key`: a POST that comes again gets the answer of the first, and has its effect once.

The answer is kept in the very transaction of the effect: a crash leaves neither, and blocks nothing. Only an answer
that says yes is kept; after a refusal nothing was done, and the request may be tried again with the same key.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from waypost.kernel.clock import Clock
from waypost.kernel.errors import Conflict, Invalid, Malformed
from waypost.kernel.principal import Principal
from waypost.platform.database import Connection, Database
from waypost.platform.routes import row_of
from waypost.platform.secretbox import SecretBox
from waypost.platform.web import PRINCIPAL, raw_body

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")

# Held to the end of the transaction, and let go with it, however it ends.
TRY = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
KNOWN = "SELECT mark, status, answer, etag FROM idempotency_keys WHERE org_id = $1 AND caller_id = $2 AND key = $3"
KEEP = """
INSERT INTO idempotency_keys (org_id, caller_id, key, mark, status, answer, etag, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
FORGET = """
DELETE FROM idempotency_keys WHERE (org_id, caller_id, key) IN (
    SELECT org_id, caller_id, key FROM idempotency_keys WHERE created_at < $1 LIMIT $2)
"""


class BadIdempotencyKey(Malformed):
    """`Idempotency-Key` is 1 to 255 visible ASCII characters without blanks; a random UUID is a good one."""

    code = "bad-idempotency-key"


class KeyReused(Invalid):
    """This `Idempotency-Key` was used for another request; take a new one for each new request."""

    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__((self.__doc__ or "").replace("``", "`"))


class StillRunning(Conflict):
    """The first request with this `Idempotency-Key` is still running; ask again shortly."""

    code = "idempotency-running"
    retry = True


def idempotency(database: Database, box: SecretBox, clock: Clock) -> Middleware:
    """Runs the handler inside one unit of work with the key, where the route takes one and the caller sent one."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        row, key = row_of(request), request.headers.get(HEADER)
        if row is None or not row.idempotent or key is None:
            return await handler(request)
        if not _KEY.match(key):
            raise BadIdempotencyKey
        caller = request[PRINCIPAL]
        mark = hashlib.sha256(
            b"\0".join([row.method.encode(), request.path.encode(), await raw_body(request)])
        ).digest()
        async with database.unit(caller.org_id) as conn:
            if (known := await _replay(conn, caller, key, mark, box)) is not None:
                return known
            response = await handler(request)
            if isinstance(response, web.Response) and response.status < 300:  # noqa: PLR2004 - the answers that say yes
                await _keep(conn, caller, key, mark, box.seal(_body(response)), response, clock)
        return response

    return middleware


async def _replay(conn: Connection, caller: Principal, key: str, mark: bytes, box: SecretBox) -> web.Response | None:
    caller_id = caller.user_id or caller.device_id
    if not await conn.fetchval(TRY, f"{caller.org_id}:{caller_id}:{key}"):
        raise StillRunning
    row = await conn.fetchrow(KNOWN, caller.org_id, caller_id, key)
    if row is None:
        return None
    if row["mark"] != mark:
        raise KeyReused
    headers = {"Cache-Control": "no-store", REPLAYED: "true"} | ({"ETag": row["etag"]} if row["etag"] else {})
    body = box.open(row["answer"])
    return web.Response(status=row["status"], body=body, content_type="application/json", headers=headers)


async def _keep(
    conn: Connection, caller: Principal, key: str, mark: bytes, sealed: str, response: web.Response, clock: Clock
) -> None:
    await conn.execute(
        KEEP, caller.org_id, caller.user_id or caller.device_id, key, mark, response.status, sealed,
        response.headers.get("ETag"), clock.now(),
    )  # fmt: skip


async def forget_answers(conn: Connection, before: datetime, limit: int) -> int:
    """Delete answers that were given before that, ``limit`` at most; how many they were. Needs the system scope."""
    return int((await conn.execute(FORGET, before, limit)).split()[-1])


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""
