"""SQL of how members are reached, for those who tell them something. It needs the system scope."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from waypost.kernel.principal import TELLERS
from waypost.platform.database import Connection

STAFF = """
SELECT m.org_id, m.user_id, u.name, coalesce(s.said ->> 'shopName', o.name) AS business, u.phone, u.email,
       s.said ->> 'locale' AS locale, o.settings ->> 'timeZone' AS time_zone, s.said ->> 'country' AS country, m.role
  FROM memberships m JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
  JOIN organisations o ON o.org_id = m.org_id,
       LATERAL (SELECT o.settings -> 'selling' AS said) s
 WHERE (m.org_id, m.user_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
    OR (m.org_id = ANY ($3) AND m.role = ANY ($4))
 ORDER BY m.org_id, m.user_id
"""


class Reached(NamedTuple):
    """A member as they are reached; ``time_zone`` and ``locale`` are the organisation's."""

    org_id: UUID
    user_id: UUID
    name: str
    business: str
    phone: str | None
    email: str | None
    locale: str | None
    time_zone: str | None
    country: str | None
    role: str


async def staff(conn: Connection, wanted: Collection[tuple[UUID, UUID | None]]) -> list[Reached]:
    """Members by organisation and id; an organisation with None stands for all who run it. None who is disabled."""
    single = [(org_id, user_id) for org_id, user_id in wanted if user_id is not None]
    whole = [org_id for org_id, user_id in wanted if user_id is None]
    rows = await conn.fetch(
        STAFF, [org for org, _ in single], [user for _, user in single], whole, [str(role) for role in TELLERS]
    )
    return [Reached(**dict(row)) for row in rows]
