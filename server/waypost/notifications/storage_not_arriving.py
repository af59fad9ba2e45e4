"""SQL of how many SMS arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from waypost.kernel.ids import uuid7
from waypost.platform.database import Connection

# Ids are in the order of time.
ARRIVED = """
SELECT count(*) AS sent, count(*) FILTER (WHERE state = 'undelivered') AS undelivered,
       coalesce(mode() WITHIN GROUP (ORDER BY reason) FILTER (WHERE state = 'undelivered'), '') AS reason
  FROM deliveries
 WHERE org_id = $1 AND id >= $2 AND channel = 'sms' AND state IN ('sent', 'delivered', 'undelivered')
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """``reason``: the commonest for which they did not; "" when all did."""

    sent: int
    undelivered: int
    reason: str


async def arrived(conn: Connection, org_id: UUID, since: datetime) -> Arrived:
    """What became of the SMS that were made since then."""
    (row,) = await conn.fetch(ARRIVED, org_id, uuid7(since, 0))
    return Arrived(**dict(row))
