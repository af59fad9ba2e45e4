"""SQL of how many were told, and how many of them opted out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from waypost.kernel.ids import uuid7
from waypost.platform.database import Connection

# Suppressions, and what was switched off by a link in an e-mail. A person of whom both speak counts twice.
OPTED_OUT = """
SELECT org_id, count(*) AS people FROM (
    SELECT DISTINCT org_id, channel || ':' || address AS who FROM suppressions
     WHERE since > $1 AND reason = ANY ($2)
    UNION ALL
    SELECT DISTINCT org_id, coalesce(customer_id, user_id)::text FROM preferences
     WHERE changed_at > $1 AND NOT wanted AND source IN ('unsubscribe_page', 'one_click')
       AND num_nonnulls(customer_id, user_id) > 0) AS them
 GROUP BY org_id ORDER BY org_id
"""
# Ids are in the order of time.
TOLD = """
SELECT count(DISTINCT (channel, lower(address))) FROM deliveries
 WHERE org_id = $1 AND id >= $2 AND state IN ('sent', 'delivered', 'undelivered') AND channel IN ('sms', 'email')
"""


async def opted_out(conn: Connection, since: datetime, reasons: Sequence[str]) -> list[tuple[UUID, int]]:
    """Organisations and how many people told each since then that they want less. Needs the system scope."""
    return [(row["org_id"], row["people"]) for row in await conn.fetch(OPTED_OUT, since, reasons)]


async def told(conn: Connection, org_id: UUID, since: datetime) -> int:
    """How many addresses were written to by what was made since then."""
    count: int = await conn.fetchval(TOLD, org_id, uuid7(since, 0))
    return count
