"""SQL that forgets what providers and phones said. Needs the system scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

from waypost.platform.database import Connection

Forget: TypeAlias = Callable[[Connection, datetime, int], Awaitable[int]]

# What is still to be worked on, or to be settled by a person, stays whole.
EMPTY_CALLBACKS = """
WITH old AS (
    SELECT org_id, id FROM callbacks
     WHERE disposition IS NOT NULL AND body <> '' AND done_at < $1
       AND (disposition NOT IN ('review', 'quarantined') OR settled_at < $1)
     ORDER BY done_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE callbacks c SET body = '' FROM old WHERE c.org_id = old.org_id AND c.id = old.id
"""
EMPTY_STATEMENTS = """
WITH old AS (
    SELECT org_id, id FROM payment_statements
     WHERE state IN ('done', 'failed') AND body <> '' AND finished_at < $1
     ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE payment_statements s SET body = '' FROM old WHERE s.org_id = old.org_id AND s.id = old.id
"""
# As ``Prompt.masked_phone`` shows it.
MASK_PHONES = """
WITH old AS (
    SELECT org_id, id FROM prompts
     WHERE state IN ('paid', 'failed') AND phone NOT LIKE '…%' AND updated_at < $1
     ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE prompts p SET phone = '…' || right(p.phone, 3) FROM old WHERE p.org_id = old.org_id AND p.id = old.id
"""


async def empty_callbacks(conn: Connection, before: datetime, limit: int) -> int:
    return _count(await conn.execute(EMPTY_CALLBACKS, before, limit))


async def empty_statements(conn: Connection, before: datetime, limit: int) -> int:
    return _count(await conn.execute(EMPTY_STATEMENTS, before, limit))


async def mask_phones(conn: Connection, before: datetime, limit: int) -> int:
    return _count(await conn.execute(MASK_PHONES, before, limit))


def _count(status: str) -> int:
    return int(status.rsplit(maxsplit=1)[-1])
