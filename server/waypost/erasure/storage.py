"""SQL of forgetting a person: every table that says something of a customer. All of it needs the system scope.

A new column that may hold a customer's words or addresses gets a step here; a test looks for them in every table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from waypost.erasure.domain import Person, Unsettled
from waypost.platform.database import Connection

FIND = """
SELECT c.org_id, o.name AS org_name, c.id, c.name, c.phone, c.email
  FROM customers c JOIN organisations o ON o.org_id = c.org_id WHERE c.id = $1 FOR NO KEY UPDATE OF c
"""
SHARED = """
SELECT address FROM unnest($3::text[]) AS a (address)
 WHERE EXISTS (SELECT FROM customers c
                WHERE c.org_id = $1 AND c.id <> $2 AND (c.phone = a.address OR lower(c.email) = lower(a.address)))
    OR EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
                WHERE m.org_id = $1 AND (u.phone = a.address OR lower(u.email) = lower(a.address)))
"""
UNSETTLED = """
SELECT (SELECT count(*) FROM laybys l WHERE l.org_id = $1 AND l.customer_id = $2
           AND (l.status IN ('active', 'on_hold') OR (l.status = 'completed' AND l.released_at IS NULL)
                OR (l.status = 'defaulted' AND l.reinstate_until >= current_date))) AS laybys,
       (SELECT count(*) FROM laybys l WHERE l.org_id = $1 AND l.customer_id = $2 AND l.refund_due_minor > 0) AS refunds,
       (SELECT count(*) FROM (SELECT FROM payments p WHERE p.org_id = $1 AND p.customer_id = $2
                               GROUP BY p.currency HAVING sum(p.credit_minor) <> 0) c) AS credits,
       (SELECT count(*) FROM prompts p JOIN laybys l ON l.org_id = p.org_id AND l.id = p.layby_id
         WHERE l.org_id = $1 AND l.customer_id = $2 AND p.state NOT IN ('paid', 'failed')) AS prompts,
       (SELECT count(*) FROM trips t WHERE t.org_id = $1 AND t.customer_id = $2
           AND t.status IN ('planned', 'started')) AS trips
"""
# Locked until the end: no worker claims one of them meanwhile. States of those that are held by one.
LOCK_DELIVERIES = """
SELECT d.state FROM deliveries d JOIN notifications n ON n.org_id = d.org_id AND n.id = d.notification_id
 WHERE n.org_id = $1 AND n.customer_id = $2 ORDER BY d.id FOR UPDATE OF d
"""
# What is theirs, by id.
IDS = """
WITH bought AS (SELECT id FROM laybys WHERE org_id = $1 AND customer_id = $2),
paid AS (SELECT id FROM payments
          WHERE org_id = $1 AND root_id IN (
                SELECT root_id FROM payments
                 WHERE org_id = $1 AND (customer_id = $2 OR layby_id IN (SELECT id FROM bought)))),
told AS (SELECT id FROM notifications WHERE org_id = $1 AND customer_id = $2),
theirs AS (
    SELECT $2::uuid AS id UNION ALL SELECT id FROM bought UNION ALL SELECT id FROM paid UNION ALL SELECT id FROM told
    UNION ALL SELECT id FROM trips WHERE org_id = $1 AND customer_id = $2
    UNION ALL SELECT id FROM prompts WHERE org_id = $1 AND layby_id IN (SELECT id FROM bought)
    UNION ALL SELECT id FROM deliveries WHERE org_id = $1 AND notification_id IN (SELECT id FROM told))
SELECT id FROM theirs
UNION ALL SELECT id FROM alerts WHERE org_id = $1 AND subject_id IN (SELECT id FROM theirs)
"""

CUSTOMER = """
UPDATE customers SET name = '(erased)', phone = NULL, email = NULL, locale = NULL, time_zone = NULL,
       archived_at = coalesce(archived_at, $3), version = version + 1
 WHERE org_id = $1 AND id = $2 AND (name <> '(erased)' OR num_nonnulls(phone, email, locale, time_zone) > 0)
"""
# A place that a driver still has to find stays; so does a place of another organisation.
TRIPS = """
UPDATE trips SET reference = regexp_replace(reference, $3, '(erased)', 'gi'),
       origin = regexp_replace(origin, $3, '(erased)', 'gi'),
       destination = CASE WHEN destination_org_id IS NULL AND status IN ('completed', 'cancelled')
                          THEN '(erased)' ELSE regexp_replace(destination, $3, '(erased)', 'gi') END
 WHERE org_id = $1 AND customer_id = $2
   AND (reference ~* $3 OR origin ~* $3 OR destination ~* $3
        OR (destination_org_id IS NULL AND status IN ('completed', 'cancelled') AND destination <> '(erased)'))
"""
LAYBYS = """
UPDATE laybys SET note = regexp_replace(note, $3, '(erased)', 'gi'),
       cancellation = regexp_replace(cancellation::text, $3, '(erased)', 'gi')::jsonb
 WHERE org_id = $1 AND customer_id = $2 AND (note ~* $3 OR cancellation::text ~* $3)
"""
PROMPTS = """
UPDATE prompts SET phone = '(erased)', result_text = regexp_replace(result_text, $3, '(erased)', 'gi')
 WHERE org_id = $1 AND id = ANY($2::uuid[]) AND state IN ('paid', 'failed')
   AND (phone <> '(erased)' OR result_text ~* $3)
"""
REVERSALS = """
UPDATE reversal_requests SET reason = regexp_replace(reason, $3, '(erased)', 'gi'),
       result_text = regexp_replace(result_text, $3, '(erased)', 'gi')
 WHERE org_id = $1 AND payment_id = ANY($2::uuid[]) AND (reason ~* $3 OR result_text ~* $3)
"""
_CALLBACK = """
 WHERE org_id = $1 AND body <> ''
   AND (payment_id = ANY($2::uuid[]) OR prompt_id = ANY($2::uuid[]) OR encode(body, 'escape') ~* $3
        OR id IN (SELECT callback_id FROM payments WHERE org_id = $1 AND id = ANY($2::uuid[])))
"""
_SETTLED = (
    "done_at IS NOT NULL AND (disposition NOT IN ('review', 'unmatched', 'quarantined') OR settled_at IS NOT NULL)"
)
CALLBACKS = f"""
UPDATE callbacks SET body = '', address = NULL, detail = NULL,
       account_ref = regexp_replace(account_ref, $4, '(erased)', 'gi')
{_CALLBACK} AND {_SETTLED}
"""  # noqa: S608 - constants
CALLBACKS_LEFT = f"SELECT count(*) FROM callbacks {_CALLBACK} AND NOT coalesce({_SETTLED}, false)"  # noqa: S608
STATEMENTS = """
SELECT id, body FROM payment_statements s
 WHERE s.org_id = $1 AND s.finished_at IS NOT NULL
   AND EXISTS (SELECT FROM statement_lines l
                WHERE l.org_id = s.org_id AND l.statement_id = s.id AND l.payment_id = ANY($2::uuid[]))
"""
STATEMENT = "UPDATE payment_statements SET body = $3 WHERE org_id = $1 AND id = $2"
# What is still to be promised is told to subscribers, and no more to them.
OUTBOX = """
UPDATE outbox SET payload = regexp_replace(
           CASE WHEN processed_at IS NULL
                THEN jsonb_set(payload, '{customer_id}', 'null', false) ELSE payload END::text,
           $3, '(erased)', 'gi')::jsonb
 WHERE org_id = $1
   AND (payload ->> 'customer_id' = $2::uuid::text OR payload ->> 'subject_id' = ANY($4::uuid[]::text[]))
   AND (payload::text ~* $3 OR (processed_at IS NULL AND payload ->> 'customer_id' = $2::uuid::text))
"""
DELIVERIES = """
UPDATE deliveries d
   SET address = 'erased-' || d.id, subject = NULL, body = NULL, html = NULL, error = NULL, follow_at = 'infinity',
       state = CASE d.state WHEN 'pending' THEN 'cancelled' WHEN 'in_doubt' THEN 'failed' ELSE d.state END,
       reason = CASE WHEN d.state IN ('pending', 'in_doubt') THEN 'erased' ELSE d.reason END,
       poked_at = NULL, updated_at = $3
  FROM notifications n
 WHERE n.org_id = d.org_id AND n.id = d.notification_id AND d.org_id = $1 AND d.channel <> 'in_app'
   AND d.state <> 'sending' AND (n.customer_id = $2 OR d.address = ANY($4::text[])) AND d.address NOT LIKE 'erased-%'
"""
NOTIFICATIONS = """
UPDATE notifications SET recipient = '(erased)', facts = '{}', time_zone = NULL
 WHERE org_id = $1 AND customer_id = $2 AND (recipient <> '(erased)' OR facts <> '{}')
"""
# What staff were told of them: alerts and digests.
STAFF_DELIVERIES = """
UPDATE deliveries d SET subject = regexp_replace(d.subject, $2, '(erased)', 'gi'),
       body = regexp_replace(d.body, $2, '(erased)', 'gi'), html = regexp_replace(d.html, $2, '(erased)', 'gi')
  FROM notifications n
 WHERE n.org_id = d.org_id AND n.id = d.notification_id AND d.org_id = $1 AND n.customer_id IS NULL
   AND (d.subject ~* $2 OR d.body ~* $2 OR d.html ~* $2)
"""
STAFF_NOTIFICATIONS = """
UPDATE notifications SET facts = regexp_replace(facts::text, $2, '(erased)', 'gi')::jsonb
 WHERE org_id = $1 AND customer_id IS NULL AND facts::text ~* $2
"""
RECEIPTS = """
UPDATE receipts SET body = '', query = '', detail = NULL
 WHERE org_id = $1 AND disposition IS NOT NULL AND (body <> '' OR query <> '')
   AND (delivery_id = ANY($2::uuid[]) OR encode(body, 'escape') ~* $3 OR query ~* $3)
"""
INBOUND = """
UPDATE inbound_messages SET from_address = '(erased)', body = ''
 WHERE org_id = $1 AND (from_address = ANY($2::text[]) OR (body ~* $3 AND from_address <> '(erased)'))
"""
SUPPRESSIONS = "DELETE FROM suppressions WHERE org_id = $1 AND address = ANY($2::text[])"
BOUNCES = "DELETE FROM bounces WHERE org_id = $1 AND (address = ANY($2::text[]) OR delivery_id = ANY($3::uuid[]))"
PREFERENCES = "DELETE FROM preferences WHERE org_id = $1 AND customer_id = $2"
BROWSERS = "DELETE FROM push_subscriptions WHERE org_id = $1 AND customer_id = $2"
ALERTS = """
UPDATE alerts SET facts = regexp_replace(facts::text, $3, '(erased)', 'gi')::jsonb,
       resolution = regexp_replace(resolution, $3, '(erased)', 'gi')
 WHERE org_id = $1 AND (id = ANY($2::uuid[]) AND (facts::text ~* $3 OR resolution ~* $3)
                        OR facts::text ~* $4 OR resolution ~* $4)
"""
EVENTS = """
UPDATE webhook_events SET body = regexp_replace(body, $3, '(erased)', 'gi')
 WHERE org_id = $1 AND body ~* $3
   AND (subject_id = ANY($2::uuid[]) OR position($5::uuid::text IN body) > 0 OR body ~* $4)
"""
ANSWERS = """
UPDATE webhook_attempts SET answer = regexp_replace(answer, $2, '(erased)', 'gi') WHERE org_id = $1 AND answer ~* $2
"""
# Promised, and not published yet: of what is theirs. Its bytes are read as Latin letters, and so is the pattern.
ROOM_EVENTS = """
DELETE FROM room_events
 WHERE org_id = $1
   AND (convert_from(head, 'LATIN1') ~* $4
        OR (convert_from(head, 'LATIN1') ~* $3
            AND EXISTS (SELECT FROM unnest($2::uuid[]) AS i (id)
                         WHERE position(i.id::text IN room) > 0
                            OR position(i.id::text IN convert_from(head, 'LATIN1')) > 0)))
"""
WORDS = "SELECT waypost_erase_words($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Step:
    """``takes``: its arguments after the organisation, by name."""

    what: str
    statement: str
    takes: Sequence[str]


# The order matters: who was paid by and told is found by what is still there.
STEPS: Sequence[Step] = (
    Step("notices to be", OUTBOX, ("customer", "theirs", "ids")),
    Step("deliveries", DELIVERIES, ("customer", "now", "own")),
    Step("notifications", NOTIFICATIONS, ("customer",)),
    Step("deliveries to staff", STAFF_DELIVERIES, ("theirs",)),
    Step("notifications of staff", STAFF_NOTIFICATIONS, ("theirs",)),
    Step("receipts", RECEIPTS, ("ids", "anywhere")),
    Step("messages from them", INBOUND, ("own", "anywhere")),
    Step("suppressions", SUPPRESSIONS, ("own",)),
    Step("bounces", BOUNCES, ("own", "ids")),
    Step("preferences", PREFERENCES, ("customer",)),
    Step("browsers", BROWSERS, ("customer",)),
    Step("alerts", ALERTS, ("ids", "theirs", "anywhere")),
    Step("webhook events", EVENTS, ("ids", "theirs", "anywhere", "customer")),
    Step("subscribers' answers", ANSWERS, ("anywhere",)),
    Step("events not published yet", ROOM_EVENTS, ("ids", "theirs_bytes", "anywhere")),
    Step("trips", TRIPS, ("customer", "theirs")),
    Step("laybys", LAYBYS, ("customer", "theirs")),
    Step("payment prompts", PROMPTS, ("ids", "theirs")),
    Step("requests for reversals", REVERSALS, ("ids", "theirs")),
    Step("payment callbacks", CALLBACKS, ("ids", "anywhere", "theirs")),
    Step("customers", CUSTOMER, ("customer", "now")),
)


async def find(conn: Connection, customer_id: UUID) -> Person | None:
    """A customer of any organisation, locked, with which of their addresses others have, too."""
    row = await conn.fetchrow(FIND, customer_id)
    if row is None:
        return None
    person = Person(**dict(row))
    shared = await conn.fetch(SHARED, person.org_id, person.id, person.addresses)
    return Person(**dict(row), shared=frozenset(each["address"] for each in shared))


async def unsettled(conn: Connection, person: Person) -> Unsettled:
    (row,) = await conn.fetch(UNSETTLED, person.org_id, person.id)
    return Unsettled(**dict(row))


async def is_being_told(conn: Connection, person: Person) -> bool:
    """Is a message to them going out? If not, none does before the end of the transaction."""
    return any(row["state"] == "sending" for row in await conn.fetch(LOCK_DELIVERIES, person.org_id, person.id))


async def ids_of(conn: Connection, person: Person) -> list[UUID]:
    """Of them and of what is theirs."""
    return [row["id"] for row in await conn.fetch(IDS, person.org_id, person.id)]


async def do(conn: Connection, org_id: UUID, step: Step, values: Mapping[str, object]) -> int:
    """How many rows it changed."""
    status = await conn.execute(step.statement, org_id, *(values[name] for name in step.takes))
    return int(status.split()[-1])


async def words(conn: Connection, org_id: UUID, ids: Sequence[UUID], theirs: str, anywhere: str) -> int:
    """In the audit log, the histories, the books and the payments."""
    return int(await conn.fetchval(WORDS, org_id, ids, theirs, anywhere))


async def callbacks_left(conn: Connection, org_id: UUID, ids: Sequence[UUID], anywhere: str) -> int:
    """Raw callbacks that somebody has yet to look at."""
    return int(await conn.fetchval(CALLBACKS_LEFT, org_id, ids, anywhere))


async def statements(conn: Connection, org_id: UUID, ids: Sequence[UUID]) -> list[tuple[UUID, bytes]]:
    """The files of statements that have brought payments of theirs."""
    return [(row["id"], row["body"]) for row in await conn.fetch(STATEMENTS, org_id, ids)]


async def keep_statement(conn: Connection, org_id: UUID, statement_id: UUID, body: bytes) -> None:
    await conn.execute(STATEMENT, org_id, statement_id, body)
