"""SQL of what a notice about a layby is held against when it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import msgspec

from waypost.laybys.domain import Status
from waypost.platform.database import Connection

# A statement of its own: what is read after it is as of when the lock was had, not as of when it was asked for.
HOLD = "SELECT FROM laybys WHERE org_id = $1 AND id = $2 FOR SHARE"
STANDING = """
SELECT l.status, l.next_due_n, l.final_date, l.released_at IS NOT NULL AS is_released,
       (SELECT coalesce(jsonb_object_agg(i.n, i.due_date), '{}') FROM layby_instalments i
         WHERE i.org_id = l.org_id AND i.layby_id = l.id)::text AS due_dates
  FROM laybys l WHERE l.org_id = $1 AND l.id = $2
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a layby stands now. ``next_due_n``: the first instalment that is not covered; None: nothing is owed.

    ``due_dates``: of each instalment, as ISO text by its number.
    """

    status: Status
    next_due_n: int | None
    final_date: date
    is_released: bool
    due_dates: Mapping[str, str]

    def due_date_of(self, n: int) -> str | None:
        return self.due_dates.get(str(n))


async def hold(conn: Connection, org_id: UUID, layby_id: UUID) -> None:
    """Wait for a payment that is being booked, and let none be booked until the transaction ends."""
    await conn.execute(HOLD, org_id, layby_id)


async def standing(conn: Connection, org_id: UUID, layby_id: UUID) -> Standing | None:
    """None: there is no such layby."""
    row = await conn.fetchrow(STANDING, org_id, layby_id)
    if row is None:
        return None
    fields = dict(row)
    return Standing(
        Status(fields["status"]),
        fields["next_due_n"],
        fields["final_date"],
        fields["is_released"],
        msgspec.json.decode(fields["due_dates"], type=dict[str, str]),
    )
