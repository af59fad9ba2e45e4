"""SQL of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.payments import asked_once
from waypost.payments.prompt_domain import Prompt, PromptFilter, PromptState, Wake
from waypost.platform.database import Connection

_COLUMNS = """
p.org_id, p.id, p.provider_id, p.layby_id, p.phone, p.currency, p.amount_minor, p.token AS sealed, p.state,
p.created_at, p.updated_at, p.checkout_request_id AS request_id, p.merchant_request_id, p.result_code, p.result_text,
p.status_code, p.status_at, p.payment_id, p.asked_at, p.due_at, p.queries, p.tries, p.attempt,
p.request_id AS caused_by, p.created_by
"""
# Nothing where one is open already.
ADD = """
INSERT INTO prompts (org_id, id, provider_id, layby_id, phone, currency, amount_minor, token_hash, token, due_at,
                     request_id, created_by, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $10, $10)
ON CONFLICT (org_id, layby_id) WHERE state IN ('queued', 'asking', 'asked', 'in_doubt') DO NOTHING RETURNING id
"""
OPEN_OF = """
SELECT id FROM prompts
 WHERE org_id = $1 AND layby_id = $2 AND state IN ('queued', 'asking', 'asked', 'in_doubt')
"""
ACCOUNT_FOR = """
SELECT id FROM payment_providers
 WHERE org_id = $1 AND provider = 'daraja' AND currency = $2 AND archived_at IS NULL ORDER BY id LIMIT 1
"""
PHONE_OF = "SELECT phone FROM customers WHERE org_id = $1 AND id = $2"
BY_TOKEN = "SELECT org_id, id, provider_id FROM prompts WHERE token_hash = $1"  # noqa: S105 - a statement
FIND = f"SELECT {_COLUMNS} FROM prompts p WHERE p.org_id = $1 AND p.id = $2"  # noqa: S608
LOCK = f"{FIND} FOR UPDATE"
LOCK_BY_REQUEST = f"""
SELECT {_COLUMNS} FROM prompts p WHERE p.org_id = $1 AND p.checkout_request_id = $2 ORDER BY p.id LIMIT 1 FOR UPDATE
"""  # noqa: S608
LIST = f"""
SELECT {_COLUMNS} FROM prompts p
 WHERE p.org_id = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3
"""  # noqa: S608
LIST_BY_STATE = f"""
SELECT {_COLUMNS} FROM prompts p
 WHERE p.org_id = $1 AND p.state = $4 AND p.id < $2 ORDER BY p.id DESC LIMIT $3
"""  # noqa: S608
LIST_OF_LAYBY = f"""
SELECT {_COLUMNS} FROM prompts p
 WHERE p.org_id = $1 AND p.layby_id = $5 AND p.id < $2 AND ($4::text IS NULL OR p.state = $4)
 ORDER BY p.id DESC LIMIT $3
"""  # noqa: S608

DUE = asked_once.due("prompts", "p")
UNTOLD = asked_once.untold("prompts")
CLAIM = asked_once.claim("prompts", "p", _COLUMNS)
# Each of the following is fenced by the attempt, and says less than a callback that came meanwhile.
TAKEN = """
UPDATE prompts
   SET checkout_request_id = $4, merchant_request_id = $5, lease_until = NULL, updated_at = $6,
       state = CASE state WHEN 'asking' THEN 'asked' ELSE state END,
       due_at = CASE WHEN state = 'asking' AND result_code IS NULL THEN $7 ELSE due_at END
 WHERE org_id = $1 AND id = $2 AND attempt = $3 RETURNING state
"""
AGAIN = """
UPDATE prompts SET state = CASE state WHEN 'asking' THEN 'queued' ELSE state END, due_at = $4, lease_until = NULL,
       updated_at = $5
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'asking' RETURNING state
"""
DOUBTED = """
UPDATE prompts SET state = CASE state WHEN 'asking' THEN 'in_doubt' ELSE state END, lease_until = NULL, updated_at = $5,
       due_at = CASE WHEN state IN ('asking', 'in_doubt') AND result_code IS NULL THEN $4 ELSE due_at END,
       result_text = coalesce(result_text, $6)
 WHERE org_id = $1 AND id = $2 AND attempt = $3 RETURNING state
"""
ASKED_ABOUT = """
UPDATE prompts SET status_code = coalesce($4, status_code), status_at = coalesce($5, status_at), queries = queries + 1,
       due_at = $6, lease_until = NULL, updated_at = $7
 WHERE org_id = $1 AND id = $2 AND attempt = $3 RETURNING state
"""

# What callbacks, and those who settle, make of a locked prompt.
PAID = """
UPDATE prompts SET state = 'paid', payment_id = $3, result_code = '0', due_at = NULL, updated_at = $4,
       checkout_request_id = coalesce(checkout_request_id, $5)
 WHERE org_id = $1 AND id = $2
"""
ENDED = """
UPDATE prompts SET state = $3, result_code = coalesce($4, result_code), result_text = $5, due_at = NULL,
       updated_at = $6, checkout_request_id = coalesce(checkout_request_id, $7)
 WHERE org_id = $1 AND id = $2
"""
NOTED = """
UPDATE prompts SET result_code = $3, result_text = $4, due_at = $5, updated_at = $6,
       checkout_request_id = coalesce(checkout_request_id, $7)
 WHERE org_id = $1 AND id = $2
"""
ASK_NOW = """
UPDATE prompts SET due_at = $3, queries = 0, updated_at = $3, checkout_request_id = coalesce(checkout_request_id, $4)
 WHERE org_id = $1 AND id = $2
"""

LAST_ID = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Door:
    """Whom a prompt's own token leads to."""

    org_id: UUID
    id: UUID
    provider_id: UUID


async def add(conn: Connection, prompt: Prompt, token_hash: bytes) -> bool:
    """Keep a new prompt; False, and nothing kept, when its layby has an open one."""
    p = prompt
    added = await conn.fetchval(
        ADD, p.org_id, p.id, p.provider_id, p.layby_id, p.phone, p.currency, p.amount_minor, token_hash, p.sealed,
        p.created_at, p.caused_by, p.created_by,
    )  # fmt: skip
    return added is not None


async def open_of(conn: Connection, org_id: UUID, layby_id: UUID) -> UUID | None:
    found: UUID | None = await conn.fetchval(OPEN_OF, org_id, layby_id)
    return found


async def account_for(conn: Connection, org_id: UUID, currency: str) -> UUID | None:
    """The organisation's account that asks phones for this currency, the oldest of them."""
    found: UUID | None = await conn.fetchval(ACCOUNT_FOR, org_id, currency)
    return found


async def phone_of(conn: Connection, org_id: UUID, customer_id: UUID) -> str | None:
    found: str | None = await conn.fetchval(PHONE_OF, org_id, customer_id)
    return found


async def by_token(conn: Connection, token_hash: bytes) -> Door | None:
    """Needs the system scope."""
    row = await conn.fetchrow(BY_TOKEN, token_hash)
    return Door(**row) if row else None


async def find(conn: Connection, org_id: UUID, prompt_id: UUID, *, lock: bool = False) -> Prompt | None:
    return _row(await conn.fetchrow(LOCK if lock else FIND, org_id, prompt_id))


async def lock_by_request(conn: Connection, org_id: UUID, request_id: str) -> Prompt | None:
    """By the provider's name of it."""
    return _row(await conn.fetchrow(LOCK_BY_REQUEST, org_id, request_id))


async def list_prompts(
    conn: Connection, org_id: UUID, wanted: PromptFilter, after: UUID | None, limit: int
) -> list[Prompt]:
    """Newest first, ``limit + 1`` of them."""
    page = org_id, after or LAST_ID, limit + 1
    if wanted.layby_id is not None:
        rows = await conn.fetch(LIST_OF_LAYBY, *page, wanted.state, wanted.layby_id)
    elif wanted.state is not None:
        rows = await conn.fetch(LIST_BY_STATE, *page, wanted.state)
    else:
        rows = await conn.fetch(LIST, *page)
    return [found for row in rows if (found := _row(row)) is not None]


async def due(conn: Connection, now: datetime, again_after: timedelta, limit: int) -> list[Wake]:
    """Prompts that no worker holds, each given out once in ``again_after``. Needs the system scope."""
    rows = await conn.fetch(DUE, now, again_after, limit)
    return [Wake(row["org_id"], row["id"], row["attempt"], row["request_id"]) for row in rows]


async def untold(conn: Connection, wakes: Sequence[Wake]) -> None:
    """The queue could not be told of these."""
    await conn.executemany(UNTOLD, [(wake.org_id, wake.prompt_id, wake.attempt) for wake in wakes])


async def claim(conn: Connection, org_id: UUID, prompt_id: UUID, now: datetime, lease: timedelta) -> Prompt | None:
    """Take a due prompt for one attempt: ASKING, if the provider is to be asked for it, else it is to be asked about.
    None when it is not due, or somebody else's.
    """
    return _row(await conn.fetchrow(CLAIM, org_id, prompt_id, now, lease))


async def taken(
    conn: Connection, prompt: Prompt, request_id: str, merchant_request_id: str | None, now: datetime, due_at: datetime
) -> bool:
    """The provider has it; False: another attempt has begun, and nothing is written."""
    return bool(
        await conn.fetchval(
            TAKEN, prompt.org_id, prompt.id, prompt.attempt, request_id, merchant_request_id, now, due_at
        )
    )


async def again(conn: Connection, prompt: Prompt, due_at: datetime, now: datetime) -> bool:
    """The provider was busy: the same once more, then."""
    return bool(await conn.fetchval(AGAIN, prompt.org_id, prompt.id, prompt.attempt, due_at, now))


async def doubted(conn: Connection, prompt: Prompt, due_at: datetime, now: datetime, why: str) -> bool:
    """Nobody knows whether the provider has it."""
    return bool(await conn.fetchval(DOUBTED, prompt.org_id, prompt.id, prompt.attempt, due_at, now, why))


async def asked_about(
    conn: Connection,
    prompt: Prompt,
    code: str | None,
    status_at: datetime | None,
    due_at: datetime | None,
    now: datetime,
) -> bool:
    """What the provider said when it was asked; ``status_at`` None: nothing that decides anything."""
    return bool(
        await conn.fetchval(ASKED_ABOUT, prompt.org_id, prompt.id, prompt.attempt, code, status_at, due_at, now)
    )


async def paid(conn: Connection, prompt: Prompt, payment_id: UUID, now: datetime, request_id: str | None) -> None:
    await conn.execute(PAID, prompt.org_id, prompt.id, payment_id, now, request_id)


async def ended(
    conn: Connection,
    prompt: Prompt,
    state: PromptState,
    now: datetime,
    *,
    code: str | None,
    text: str,
    request_id: str | None = None,
) -> None:
    """It ends unpaid, or as a question. ``code`` None: what was said before stays."""
    await conn.execute(ENDED, prompt.org_id, prompt.id, state, code, text, now, request_id)


async def noted(
    conn: Connection, prompt: Prompt, code: str, text: str, due_at: datetime, now: datetime, request_id: str | None
) -> None:
    """A failure that may not be the last word: the status is asked then."""
    await conn.execute(NOTED, prompt.org_id, prompt.id, code, text, due_at, now, request_id)


async def ask_now(conn: Connection, prompt: Prompt, now: datetime, request_id: str | None) -> None:
    """Its status is wanted, whatever state it is in."""
    await conn.execute(ASK_NOW, prompt.org_id, prompt.id, now, request_id)


def _row(row: Record | None) -> Prompt | None:
    if row is None:
        return None
    values: dict[str, Any] = {**dict(row), "state": PromptState(row["state"])}
    return Prompt(**values)
