"""SQL of sending: what is due, claims with their leases, what became of a try.

Leases are the one thing that the database's own clock decides, since several machines compare them; all other times
are given. Who locks a webhook and a delivery of it locks the webhook first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from waypost.platform.database import Connection
from waypost.webhooks.domain import Due, State, Wake, Webhook
from waypost.webhooks.rules import AT_ONCE, BREAK_AT, TRIES, Outcome, Verdict

# Each webhook's share: as many as may be under way beside those that are, and those that workers were told of.
POKE = f"""
WITH waiting AS (
    SELECT w.org_id, w.id,
           CASE WHEN w.failures >= {BREAK_AT} THEN 1 ELSE {AT_ONCE} END
           - (SELECT count(*) FROM webhook_deliveries u
               WHERE u.org_id = w.org_id AND u.webhook_id = w.id AND u.state = 'sending')
           - (SELECT count(*) FROM webhook_deliveries g
               WHERE g.org_id = w.org_id AND g.webhook_id = w.id AND g.state = 'pending' AND g.poked_at > $2) AS free
      FROM webhooks w
     WHERE w.state = 'on' AND w.archived_at IS NULL AND (w.slow_until IS NULL OR w.slow_until <= $1)
       AND EXISTS (SELECT FROM webhook_deliveries d
                    WHERE d.org_id = w.org_id AND d.webhook_id = w.id AND d.state = 'pending' AND d.due_at <= $1)),
due AS (
    SELECT d.org_id, d.id FROM waiting CROSS JOIN LATERAL (
        SELECT d.org_id, d.id FROM webhook_deliveries d
         WHERE d.org_id = waiting.org_id AND d.webhook_id = waiting.id AND d.state = 'pending' AND d.due_at <= $1
           AND (d.poked_at IS NULL OR d.poked_at <= $2)
         ORDER BY d.due_at, d.id LIMIT greatest(waiting.free, 0) FOR UPDATE SKIP LOCKED) d
     LIMIT $3)
UPDATE webhook_deliveries t SET poked_at = $1 FROM due
 WHERE t.org_id = due.org_id AND t.id = due.id AND t.state = 'pending'
RETURNING t.org_id, t.webhook_id, t.id, t.attempt + 1 AS attempt
"""  # noqa: S608
UNPOKE = """
UPDATE webhook_deliveries SET poked_at = NULL
 WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND state = 'pending'
"""
# A worker has died, or lost the database: nobody knows whether it was taken, and the receiver drops a repeat.
SWEEP = f"""
WITH lost AS (
    SELECT org_id, id, attempt FROM webhook_deliveries WHERE state = 'sending' AND lease_until < now()
     LIMIT $3 FOR UPDATE SKIP LOCKED),
tried AS (
    UPDATE webhook_attempts a SET finished_at = $1, outcome = 'lost', reason = 'lease_out' FROM lost
     WHERE a.org_id = lost.org_id AND a.delivery_id = lost.id AND a.attempt = lost.attempt AND a.finished_at IS NULL)
UPDATE webhook_deliveries d
   SET state = CASE WHEN d.attempt - (d.budget - {TRIES}) >= {TRIES} THEN 'dead' ELSE 'pending' END,
       reason = 'lease_out', due_at = $2, lease_until = NULL, poked_at = NULL, updated_at = $1
  FROM lost WHERE d.org_id = lost.org_id AND d.id = lost.id
RETURNING d.org_id, d.id
"""  # noqa: S608
UNDER_WAY = "SELECT count(*) FROM webhook_deliveries WHERE org_id = $1 AND webhook_id = $2 AND state = 'sending'"
# A worker's clock may be behind that of the relay, which has found it due: so a claim is some seconds generous.
_CLAIM = """
UPDATE webhook_deliveries d
   SET state = 'sending', reason = NULL, attempt = d.attempt + 1, lease_until = now() + $4::interval, poked_at = NULL,
       updated_at = $3
  FROM webhook_events e
 WHERE d.org_id = $1 AND d.webhook_id = $2 AND e.org_id = d.org_id AND e.id = d.event_id AND d.state = 'pending'
"""
_CLAIMED = "RETURNING d.org_id, d.id, d.webhook_id, d.event_id, d.attempt, d.budget, e.body"
CLAIM = f"{_CLAIM} AND d.id = $5 AND d.due_at <= $3::timestamptz + interval '5 seconds' {_CLAIMED}"
CLAIM_NEXT = f"""
{_CLAIM}
   AND d.id = (SELECT n.id FROM webhook_deliveries n
                WHERE n.org_id = $1 AND n.webhook_id = $2 AND n.state = 'pending' AND n.due_at <= $3
                  AND (n.poked_at IS NULL OR n.poked_at <= $5)
                ORDER BY n.due_at, n.id LIMIT 1 FOR UPDATE SKIP LOCKED)
{_CLAIMED}
"""  # noqa: S608
START = "INSERT INTO webhook_attempts (org_id, delivery_id, attempt, started_at) VALUES ($1, $2, $3, $4)"
SETTLE = """
UPDATE webhook_deliveries
   SET state = $4, reason = $5, due_at = coalesce($6, due_at), lease_until = NULL, poked_at = NULL, updated_at = $7
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state = 'sending'
RETURNING id
"""
# One whose lease ran out while its answer came was taken all the same, unless another try has begun.
TAKEN_LATE = """
UPDATE webhook_deliveries SET state = 'sent', reason = NULL, lease_until = NULL, poked_at = NULL, updated_at = $4
 WHERE org_id = $1 AND id = $2 AND attempt = $3 AND state IN ('pending', 'dead')
RETURNING id
"""
FINISH = """
UPDATE webhook_attempts SET finished_at = $4, outcome = $5, reason = $6, status = $7, answer = $8,
       latency_ms = greatest(0, extract(epoch FROM $4 - started_at) * 1000)::integer
 WHERE org_id = $1 AND delivery_id = $2 AND attempt = $3
"""
IS_FAILING = "SELECT EXISTS (SELECT FROM webhooks WHERE org_id = $1 AND id = $2 AND failing_since IS NOT NULL)"


async def poke(conn: Connection, now: datetime, again_s: float, limit: int) -> list[Wake]:
    """Due deliveries that no worker was told of lately, each webhook's share; they count as told now."""
    rows = await conn.fetch(POKE, now, now - timedelta(seconds=again_s), limit)
    return [Wake(row["org_id"], row["webhook_id"], row["id"], row["attempt"]) for row in rows]


async def unpoke(conn: Connection, ids: Sequence[tuple[UUID, UUID]]) -> None:
    """No worker has these, (organisation, id): they are due as before."""
    await conn.execute(UNPOKE, [org_id for org_id, _ in ids], [each for _, each in ids])


async def sweep(conn: Connection, now: datetime, again_at: datetime, limit: int) -> list[UUID]:
    """Let out again what nobody finishes any more; their ids."""
    return [row["id"] for row in await conn.fetch(SWEEP, now, again_at, limit)]


async def under_way(conn: Connection, webhook: Webhook) -> int:
    """How many deliveries of a locked webhook are being sent."""
    return int(await conn.fetchval(UNDER_WAY, webhook.org_id, webhook.id))


async def claim(
    conn: Connection,
    webhook: Webhook,
    delivery_id: UUID | None,
    now: datetime,
    *,
    lease_s: float,
    again_s: float,
) -> Due | None:
    """Take a due delivery of a locked webhook for one attempt; None: it is finished, not due, or another's.

    ``delivery_id`` None: the one that is due for longest, of those that no other worker was told of.
    """
    one = delivery_id is not None
    given = delivery_id if one else now - timedelta(seconds=again_s)
    lease = timedelta(seconds=lease_s)
    row = await conn.fetchrow(CLAIM if one else CLAIM_NEXT, webhook.org_id, webhook.id, now, lease, given)
    if row is None:
        return None
    await conn.execute(START, row["org_id"], row["id"], row["attempt"], now)
    return Due(**dict(row), url=webhook.url, secrets=webhook.secrets)


async def settle(conn: Connection, due: Due, verdict: Verdict, outcome: Outcome, now: datetime) -> bool:
    """Write what became of an attempt; False, and no effect, when a later one has begun or it is settled already."""
    key = due.org_id, due.id, due.attempt
    settled = await conn.fetchval(SETTLE, *key, verdict.state, verdict.reason, verdict.due_at, now)
    if settled is None and verdict.state is State.SENT:
        settled = await conn.fetchval(TAKEN_LATE, *key, now)
    if settled is None:
        return False
    word = "taken" if outcome.taken else "not_taken"
    await conn.execute(FINISH, *key, now, word, outcome.reason, outcome.status, outcome.answer)
    return True


async def is_failing(conn: Connection, due: Due) -> bool:
    """Has its webhook taken nothing since some time?"""
    return bool(await conn.fetchval(IS_FAILING, due.org_id, due.webhook_id))
