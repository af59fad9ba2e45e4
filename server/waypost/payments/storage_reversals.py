"""SQL of requests for a reversal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from waypost.payments import asked_once
from waypost.payments.domain import Payment
from waypost.payments.reversal_domain import ReversalRequest, ReversalState, Wake
from waypost.platform.database import Connection

_COLUMNS = """
r.org_id, r.id, r.provider_id, r.payment_id, r.receipt, r.currency, r.amount_minor, r.reason, r.token AS sealed,
r.state, r.created_at, r.updated_at, r.conversation_id, r.originator_id, r.result_code, r.result_text, r.reversal_id,
r.asked_at, r.due_at, r.tries, r.attempt, r.request_id AS caused_by, r.created_by
"""
# Nothing where one is open already, or a person has yet to find out what became of one.
ADD = """
INSERT INTO reversal_requests (org_id, id, provider_id, payment_id, receipt, currency, amount_minor, reason, token_hash,
                               token, due_at, request_id, created_by, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $11, $11)
ON CONFLICT (org_id, payment_id) WHERE state IN ('queued', 'asking', 'asked', 'in_doubt', 'review')
    DO NOTHING RETURNING id
"""
OPEN_OF = """
SELECT id FROM reversal_requests
 WHERE org_id = $1 AND payment_id = ANY($2::uuid[])
   AND state IN ('queued', 'asking', 'asked', 'in_doubt', 'review') LIMIT 1
"""
# By which account a payment came: that of its callback, of its prompt, or the oldest that there is for its currency.
ACCOUNT_OF = """
SELECT coalesce(
    (SELECT provider_id FROM callbacks WHERE org_id = $1 AND id = $2),
    (SELECT provider_id FROM prompts WHERE org_id = $1 AND id = $3),
    (SELECT id FROM payment_providers
      WHERE org_id = $1 AND provider = 'daraja' AND currency = $4 AND archived_at IS NULL ORDER BY id LIMIT 1))
"""
BY_TOKEN = "SELECT org_id, id, provider_id FROM reversal_requests WHERE token_hash = $1"  # noqa: S105 - a statement
FIND = f"SELECT {_COLUMNS} FROM reversal_requests r WHERE r.org_id = $1 AND r.id = $2"  # noqa: S608
LOCK = f"{FIND} FOR UPDATE"
NEWEST_OF = f"""
SELECT {_COLUMNS} FROM reversal_requests r WHERE r.org_id = $1 AND r.payment_id = $2 ORDER BY r.id DESC LIMIT 1
"""  # noqa: S608

DUE = asked_once.due("reversal_requests", "r")
UNTOLD = asked_once.untold("reversal_requests")
CLAIM = asked_once.claim("reversal_requests", "r", _COLUMNS)
# Each of the following is fenced by the attempt, and says less than a callback that came meanwhile.
TAKEN = """
UPDATE reversal_requests
   SET conversation_id = $4, originator_id = $5, lease_until = NULL, updated_at = $6,
       due_at = CASE state WHEN 'asking' THEN $7 ELSE due_at END,
       state = CASE state WHEN 'asking' THEN 'asked' ELSE state END
 WHERE org_id = $1 AND id = $2 AND attempt = $3
"""
AGAIN = """
UPDATE reversal_requests SET state = 'queued', due_at = $4, lease_until = NULL, updated_at = $5
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'asking'
"""
DOUBTED = """
UPDATE reversal_requests
   SET state = 'in_doubt', due_at = $4, lease_until = NULL, updated_at = $5, result_text = coalesce(result_text, $6)
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state IN ('asking', 'in_doubt', 'asked')
"""

# What callbacks, and those who settle, make of one.
NOTED = """
UPDATE reversal_requests SET result_text = $3, updated_at = $4 WHERE org_id = $1 AND id = $2
"""
ENDED = """
UPDATE reversal_requests SET state = $3, result_code = coalesce($4, result_code), result_text = $5, due_at = NULL,
       updated_at = $6
 WHERE org_id = $1 AND id = $2
"""
DONE = """
UPDATE reversal_requests SET state = 'reversed', reversal_id = $3, due_at = NULL, updated_at = $4
 WHERE org_id = $1 AND id = $2 AND state <> 'reversed' RETURNING id
"""
# A payment was undone by whatever road: what was asked for has happened.
DONE_BY_PAYMENT = """
UPDATE reversal_requests SET state = 'reversed', reversal_id = $4, due_at = NULL, updated_at = $5
 WHERE org_id = $1 AND payment_id = $2 AND amount_minor = $3
   AND state <> 'reversed'
RETURNING id
"""
ADD_QUESTION = """
INSERT INTO callbacks (org_id, id, provider_id, road, body, received_at, due_at, disposition, detail, amount_minor,
                       account_ref, done_at, reversal_request_id)
VALUES ($1, $2, $3, 'reversal', '', $4, $4, 'review', $5, $6, $7, $4, $8)
"""
# The questions that a request's end has answered; one that a person has in hand is theirs.
ANSWERED = """
WITH open AS (
    SELECT org_id, id FROM callbacks
     WHERE org_id = $1 AND reversal_request_id = $2 AND disposition = 'review' AND settled_at IS NULL
       FOR UPDATE SKIP LOCKED)
UPDATE callbacks c SET settled_at = $3, payment_id = $4 FROM open WHERE c.org_id = open.org_id AND c.id = open.id
RETURNING c.id
"""


@dataclass(frozen=True, slots=True)
class Door:
    """Whom a request's own token leads to."""

    org_id: UUID
    id: UUID
    provider_id: UUID


async def add(conn: Connection, request: ReversalRequest, token_hash: bytes) -> bool:
    """Keep a new request; False, and nothing kept, when its payment has an open one."""
    r = request
    added = await conn.fetchval(
        ADD, r.org_id, r.id, r.provider_id, r.payment_id, r.receipt, r.currency, r.amount_minor, r.reason, token_hash,
        r.sealed, r.created_at, r.caused_by, r.created_by,
    )  # fmt: skip
    return added is not None


async def open_of(conn: Connection, org_id: UUID, payment_ids: Sequence[UUID]) -> UUID | None:
    """An open request for one of these payments."""
    found: UUID | None = await conn.fetchval(OPEN_OF, org_id, payment_ids)
    return found


async def account_of(conn: Connection, payment: Payment) -> UUID | None:
    found: UUID | None = await conn.fetchval(
        ACCOUNT_OF, payment.org_id, payment.callback_id, payment.prompt_id, payment.currency
    )
    return found


async def by_token(conn: Connection, token_hash: bytes) -> Door | None:
    """Needs the system scope."""
    row = await conn.fetchrow(BY_TOKEN, token_hash)
    return Door(**row) if row else None


async def find(conn: Connection, org_id: UUID, request_id: UUID, *, lock: bool = False) -> ReversalRequest | None:
    return _row(await conn.fetchrow(LOCK if lock else FIND, org_id, request_id))


async def newest_of(conn: Connection, org_id: UUID, payment_id: UUID) -> ReversalRequest | None:
    return _row(await conn.fetchrow(NEWEST_OF, org_id, payment_id))


async def due(conn: Connection, now: datetime, again_after: timedelta, limit: int) -> list[Wake]:
    """Requests that no worker holds, each given out once in ``again_after``. Needs the system scope."""
    rows = await conn.fetch(DUE, now, again_after, limit)
    return [Wake(row["org_id"], row["id"], row["attempt"], row["request_id"]) for row in rows]


async def untold(conn: Connection, wakes: Sequence[Wake]) -> None:
    """The queue could not be told of these."""
    await conn.executemany(UNTOLD, [(wake.org_id, wake.id, wake.attempt) for wake in wakes])


async def claim(
    conn: Connection, org_id: UUID, request_id: UUID, now: datetime, lease: timedelta
) -> ReversalRequest | None:
    """Take a due one for one attempt: ASKING, if the provider is to be asked; None: not due, or somebody else's."""
    return _row(await conn.fetchrow(CLAIM, org_id, request_id, now, lease))


async def taken(
    conn: Connection, request: ReversalRequest, names: tuple[str, str | None], now: datetime, due_at: datetime
) -> None:
    """The provider has it; ``names``: the conversation's, and the originator's."""
    await conn.execute(TAKEN, request.org_id, request.id, request.attempt, *names, now, due_at)


async def again(conn: Connection, request: ReversalRequest, due_at: datetime, now: datetime) -> None:
    """The provider was busy: the same once more, then."""
    await conn.execute(AGAIN, request.org_id, request.id, request.attempt, due_at, now)


async def doubted(conn: Connection, request: ReversalRequest, due_at: datetime, now: datetime, why: str) -> None:
    """Nobody knows whether the provider has it."""
    await conn.execute(DOUBTED, request.org_id, request.id, request.attempt, due_at, now, why)


async def noted(conn: Connection, request: ReversalRequest, text: str, now: datetime) -> None:
    await conn.execute(NOTED, request.org_id, request.id, text, now)


async def ended(
    conn: Connection, request: ReversalRequest, state: ReversalState, now: datetime, *, code: str | None, text: str
) -> None:
    """It ends without a reversal, or as a question. ``code`` None: what was said before stays."""
    await conn.execute(ENDED, request.org_id, request.id, state, code, text, now)


async def done(conn: Connection, org_id: UUID, request_id: UUID, reversal_id: UUID, now: datetime) -> list[UUID]:
    """It has happened; itself, unless that was known."""
    return [row["id"] for row in await conn.fetch(DONE, org_id, request_id, reversal_id, now)]


async def done_by_payment(
    conn: Connection, org_id: UUID, payment_id: UUID, amount_minor: int, reversal_id: UUID, now: datetime
) -> list[UUID]:
    """So much of a payment was undone: the requests that asked for it."""
    rows = await conn.fetch(DONE_BY_PAYMENT, org_id, payment_id, amount_minor, reversal_id, now)
    return [row["id"] for row in rows]


async def add_question(conn: Connection, request: ReversalRequest, callback_id: UUID, now: datetime, why: str) -> None:
    """What a person has to find out."""
    r = request
    await conn.execute(ADD_QUESTION, r.org_id, callback_id, r.provider_id, now, why, r.amount_minor, r.receipt, r.id)


async def answered(
    conn: Connection, org_id: UUID, request_id: UUID, now: datetime, reversal_id: UUID | None
) -> list[UUID]:
    """No question about it stays open; those that were."""
    return [row["id"] for row in await conn.fetch(ANSWERED, org_id, request_id, now, reversal_id)]


def _row(row: Record | None) -> ReversalRequest | None:
    if row is None:
        return None
    values: dict[str, Any] = {**dict(row), "state": ReversalState(row["state"])}
    return ReversalRequest(**values)
