"""SQL of the relay's rounds: leases that ran out, what may be repeated, what is due.

Leases and pokes go by the database's own clock, since several machines compare them; all other times are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from waypost.notifications.addresses import ChannelName
from waypost.notifications.domain import Poke, Queue
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.storage import SEEN, delivery_of
from waypost.platform.database import Connection

SWEEP = f"""
WITH late AS (
    SELECT org_id, id FROM deliveries WHERE state = 'sending' AND lease_until < now()
     ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED),
d AS (
    UPDATE deliveries x SET state = 'in_doubt', reason = 'lease_ran_out', due_at = $2, lease_until = NULL,
           poked_at = NULL, updated_at = $1
      FROM late WHERE x.org_id = late.org_id AND x.id = late.id RETURNING x.*),
closed AS (
    UPDATE attempts a SET finished_at = $1, outcome = 'unknown', reason = 'lease_ran_out'
      FROM d WHERE a.org_id = d.org_id AND a.delivery_id = d.id AND a.attempt = d.attempt)
SELECT {SEEN} FROM d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
"""  # noqa: S608
REPEAT = f"""
WITH again AS (
    SELECT org_id, id FROM deliveries
     WHERE state = 'in_doubt' AND due_at <= $1 AND (channel = ANY($2) OR repeatable) AND attempt < budget
     ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED),
d AS (
    UPDATE deliveries x SET state = 'pending', reason = 'repeated', poked_at = NULL, updated_at = $1,
           follow_at = '-infinity'
      FROM again WHERE x.org_id = again.org_id AND x.id = again.id RETURNING x.*)
SELECT {SEEN} FROM d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
"""  # noqa: S608


def _untold(queue: Queue) -> str:
    return f"state = 'pending' AND queue = '{queue}'"


def _not_lately(queue: Queue) -> str:
    return f"{_untold(queue)} AND due_at <= $1 AND (poked_at IS NULL OR poked_at < now() - $2::interval)"


def _poked(those: str) -> str:
    return f"""
{those}
UPDATE deliveries d SET poked_at = now() FROM due WHERE d.org_id = due.org_id AND d.id = due.id
RETURNING d.org_id, d.id, d.attempt + 1 AS attempt, d.queue, d.request_id, d.due_at
"""  # noqa: S608


def _shares(queue: Queue) -> str:
    """A share for each organisation that has something there, found by leaps over the index: ten thousand of one delay
    none of another.
    """
    return _poked(f"""
WITH RECURSIVE orgs AS (
    (SELECT org_id FROM deliveries WHERE {_untold(queue)} ORDER BY org_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.org_id FROM deliveries d WHERE {_untold(queue)} AND d.org_id > o.org_id ORDER BY d.org_id LIMIT 1)
      FROM orgs o WHERE o.org_id IS NOT NULL),
share AS (SELECT greatest(1, $3 / greatest(1, count(*))) AS size FROM orgs WHERE org_id IS NOT NULL),
due AS MATERIALIZED (
    SELECT x.org_id, x.id FROM orgs o, LATERAL (
           SELECT org_id, id, due_at FROM deliveries WHERE org_id = o.org_id AND {_not_lately(queue)}
            ORDER BY due_at LIMIT (SELECT size FROM share) FOR UPDATE SKIP LOCKED) x
     WHERE o.org_id IS NOT NULL ORDER BY x.due_at LIMIT $3)""")  # noqa: S608


def _oldest(queue: Queue) -> str:
    return _poked(f"""
WITH due AS (
    SELECT org_id, id FROM deliveries WHERE {_not_lately(queue)} ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)""")  # noqa: S608


POKE_SHARES_URGENT, POKE_SHARES_BULK = _shares(Queue.URGENT), _shares(Queue.BULK)
POKE_OLDEST_URGENT, POKE_OLDEST_BULK = _oldest(Queue.URGENT), _oldest(Queue.BULK)
_POKES = {
    Queue.URGENT: (POKE_SHARES_URGENT, POKE_OLDEST_URGENT),
    Queue.BULK: (POKE_SHARES_BULK, POKE_OLDEST_BULK),
}
UNPOKE = """
UPDATE deliveries SET poked_at = NULL
 WHERE (org_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND state = 'pending'
"""


async def sweep(conn: Connection, now: datetime, again_at: datetime, limit: int) -> list[Delivery]:
    """Put in doubt what was being sent by who does not answer any more."""
    return [delivery_of(row) for row in await conn.fetch(SWEEP, now, again_at, limit)]


async def repeat(conn: Connection, now: datetime, channels: Iterable[ChannelName], limit: int) -> list[Delivery]:
    """Let those in doubt go out again whose receiver drops a repeat, while attempts are left."""
    return [delivery_of(row) for row in await conn.fetch(REPEAT, now, list(channels), limit)]


async def poke(conn: Connection, queue: Queue, now: datetime, again_s: float, limit: int) -> list[Poke]:
    """Due deliveries that no worker was told of within ``again_s``, as many of each organisation, the oldest first;
    what is left of ``limit`` goes to who has more. Marked as told now.
    """
    if limit <= 0:
        return []
    shares, oldest = _POKES[queue]
    again = timedelta(seconds=again_s)
    rows = await conn.fetch(shares, now, again, limit)
    if 0 < len(rows) < limit:
        rows += await conn.fetch(oldest, now, again, limit - len(rows))
    ordered = sorted(rows, key=lambda row: row["due_at"])
    return [Poke(r["org_id"], r["id"], r["attempt"], Queue(r["queue"]), r["request_id"]) for r in ordered]


async def unpoke(conn: Connection, pokes: Sequence[Poke]) -> None:
    """No worker could be told of these."""
    await conn.execute(UNPOKE, [poke.org_id for poke in pokes], [poke.id for poke in pokes])
