"""SQL of what is forgotten, and of what somebody should look at; all of it needs the system scope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from waypost.platform.database import Connection

# Retention: what was settled long ago. What is unsent or in doubt is not forgotten; what was given up is, once it was
# of no use for long. Deliveries are locked, so that a person's decision of this moment is seen; one that somebody holds
# keeps its notification. The states stand here as in the index `deliveries_unsettled`.
FORGET_NOTIFICATIONS = """
WITH old AS (
    SELECT n.org_id, n.id, n.valid_until FROM notifications n
     WHERE n.created_at < $1
       AND NOT EXISTS (SELECT FROM deliveries d
                        WHERE d.org_id = n.org_id AND d.notification_id = n.id
                          AND d.state IN ('pending', 'sending', 'in_doubt', 'dead')
                          AND (d.state <> 'dead' OR n.valid_until >= $2))
     LIMIT $3 FOR UPDATE OF n SKIP LOCKED),
held AS (
    SELECT d.org_id, d.id, d.notification_id FROM deliveries d JOIN old ON d.org_id = old.org_id
       AND d.notification_id = old.id
     WHERE d.state NOT IN ('pending', 'sending', 'in_doubt', 'dead') OR (d.state = 'dead' AND old.valid_until < $2)
       FOR UPDATE OF d SKIP LOCKED),
gone AS (
    SELECT old.org_id, old.id FROM old
     WHERE (SELECT count(*) FROM deliveries d WHERE d.org_id = old.org_id AND d.notification_id = old.id)
         = (SELECT count(*) FROM held h WHERE h.org_id = old.org_id AND h.notification_id = old.id)),
tries AS (
    DELETE FROM attempts a USING gone, held h
     WHERE h.org_id = gone.org_id AND h.notification_id = gone.id AND a.org_id = h.org_id AND a.delivery_id = h.id),
sent AS (DELETE FROM deliveries d USING gone WHERE d.org_id = gone.org_id AND d.notification_id = gone.id)
DELETE FROM notifications n USING gone WHERE n.org_id = gone.org_id AND n.id = gone.id
"""
FORGET_OUTBOX = """
DELETE FROM outbox WHERE (org_id, id) IN (SELECT org_id, id FROM outbox WHERE processed_at < $1 LIMIT $2)
"""


async def forget_notifications(conn: Connection, before: datetime, useless: datetime, limit: int) -> int:
    """Delete settled notifications made before that; given up ones if they were valid until before ``useless``."""
    return int((await conn.execute(FORGET_NOTIFICATIONS, before, useless, limit)).split()[-1])


async def forget_outbox(conn: Connection, before: datetime, limit: int) -> int:
    """Delete promises that were kept before that; how many they were."""
    return int((await conn.execute(FORGET_OUTBOX, before, limit)).split()[-1])


TROUBLE = """
SELECT (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM outbox
         WHERE processed_at IS NULL) AS outbox_s,
       (SELECT count(*) FROM outbox WHERE processed_at IS NULL AND tries > 0) AS put_off,
       (SELECT count(*) FROM deliveries WHERE state = 'in_doubt') AS in_doubt,
       (SELECT count(*) FROM deliveries WHERE state = 'dead') AS dead
"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Of the whole house: for how long the oldest promise waits, seconds; promises that could not be kept so far;
    deliveries in doubt; deliveries given up.
    """

    outbox_s: float
    put_off: int
    in_doubt: int
    dead: int


async def trouble(conn: Connection) -> Trouble:
    """What somebody should look at."""
    (row,) = await conn.fetch(TROUBLE)
    return Trouble(**dict(row))
