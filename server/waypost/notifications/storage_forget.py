"""SQL that forgets what came back of messages, and what ended; all of it needs the system scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waypost.platform.database import Connection

# What is still to be worked on stays.
FORGET_RECEIPTS = """
DELETE FROM receipts WHERE (org_id, id) IN (
    SELECT org_id, id FROM receipts WHERE received_at < $1 AND disposition IS NOT NULL LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
FORGET_INBOUND = """
DELETE FROM inbound_messages WHERE (org_id, id) IN (
    SELECT org_id, id FROM inbound_messages WHERE received_at < $1 LIMIT $2)
"""
FORGET_BOUNCES = "DELETE FROM bounces WHERE (org_id, id) IN (SELECT org_id, id FROM bounces WHERE at < $1 LIMIT $2)"
# One that stands is never forgotten.
FORGET_SUPPRESSIONS = """
DELETE FROM suppressions WHERE (org_id, id) IN (SELECT org_id, id FROM suppressions WHERE ended_at < $1 LIMIT $2)
"""
# Who is told by it may still wait: the delivery's address is its id.
FORGET_BROWSERS = """
DELETE FROM push_subscriptions WHERE (org_id, id) IN (
    SELECT s.org_id, s.id FROM push_subscriptions s
     WHERE s.ended_at < $1
       AND NOT EXISTS (SELECT FROM deliveries d WHERE d.org_id = s.org_id AND d.channel = 'push'
                          AND d.address = s.id::text AND d.state IN ('pending', 'sending', 'in_doubt'))
     LIMIT $2)
"""
FORGET_SPEND = """
DELETE FROM message_spend WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM message_spend WHERE day < $1::timestamptz::date LIMIT $2))
"""


@dataclass(frozen=True, slots=True)
class Old:
    """Something of which what is old is deleted. ``days``: kept at least that long, whatever the setting."""

    what: str
    statement: str
    days: int = 0


ALL: Sequence[Old] = (
    Old("receipts", FORGET_RECEIPTS),
    Old("messages from customers", FORGET_INBOUND),
    Old("bounces", FORGET_BOUNCES, 365),  # several within a time that an organisation chooses stop an address
    Old("ended suppressions", FORGET_SUPPRESSIONS, 365),
    Old("ended browsers", FORGET_BROWSERS),
    Old("spend", FORGET_SPEND, 400),  # a year, and the month to compare it with
)


async def forget(conn: Connection, old: Old, before: datetime, limit: int) -> int:
    """How many rows it deleted."""
    return int((await conn.execute(old.statement, before, limit)).split()[-1])
