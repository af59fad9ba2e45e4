"""SQL of an organisation's own layby rules."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from waypost.laybys.rules import TradeRules
from waypost.platform.database import Connection

FIND_RULES = """
SELECT DISTINCT ON (trade) rules FROM layby_rules
 WHERE org_id = $1 AND ($2::text IS NULL OR trade = $2) ORDER BY trade, version DESC
"""
ADD_RULES = """
INSERT INTO layby_rules (org_id, trade, version, rules, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING version
"""


async def find_rules(conn: Connection, org_id: UUID, trade: str | None = None) -> dict[str, TradeRules]:
    """The newest rules by trade, of those for which the organisation has made any."""
    rows = await conn.fetch(FIND_RULES, org_id, trade)
    rules = [msgspec.json.decode(row["rules"], type=TradeRules) for row in rows]
    return {one.trade: one for one in rules}


async def add_rules(conn: Connection, org_id: UUID, rules: TradeRules, by: UUID | None, now: datetime) -> bool:
    """Keep a version; False when somebody else was quicker to make that one."""
    body = msgspec.json.encode(rules).decode()
    return await conn.fetchval(ADD_RULES, org_id, rules.trade, rules.version, body, now, by) is not None
