"""Shops with years of laybys behind them: organisations, customers, agreements, payments, in a stand's tables.

Everything adds up as it would after real use (paid = applied, schedules, next due), but for the books: the ledger holds
what the measured requests post, not the past.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec

from loadtest.ingest import say
from loadtest.stand import PASSWORD, PHONE, Stand
from waypost.identity.domain import OrgSettings, Selling, User
from waypost.kernel.principal import Role
from waypost.laybys.jurisdictions import JURISDICTIONS
from waypost.laybys.rules import Terms, default_rules
from waypost.platform.database import SYSTEM
from waypost.settings import Settings
from waypost.wiring import Services, open_services

CUSTOMERS = 500  # a shop
SAID_EVERY = 20
KNOWN = 400  # running laybys of a shop that the load asks for
SELLING = OrgSettings(time_zone="Africa/Nairobi", selling=Selling(currency="KES", trade="other", jurisdiction="KE"))

# 600.00 of goods, 120.00 down, six months of 80.00. ``p``: payments so far with the deposit; on the average five.
FILL = """
INSERT INTO customers (org_id, id, name, phone, created_at)
SELECT $1, uuidv7(-interval '800 days' + i * interval '1 second'), 'Customer ' || i, '+2547' || (10000000 + i), now()
  FROM generate_series(1, {customers}) i;
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT uuidv7(-age * interval '1 day' + (i % 80000) * interval '1 second') AS id, i, status, p, age,
       ($2::date - age) AS start, c.id AS customer_id
  FROM (SELECT i, CASE WHEN k < 55 THEN 'completed' WHEN k < 80 THEN 'active' WHEN k < 85 THEN 'on_hold'
                       WHEN k < 95 THEN 'cancelled' ELSE 'defaulted' END AS status,
               CASE WHEN k < 55 THEN 7 ELSE 1 + i % 5 END AS p,
               CASE WHEN k >= 55 AND k < 80 THEN (i % 5) * 30 + (i * 7) % 33 ELSE 200 + (i * 13) % 500 END AS age
          FROM (SELECT i, (i * 37) % 100 AS k FROM generate_series(1, {laybys}) i) n) n
  JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM customers WHERE org_id = $1) c
    ON c.n = i % {customers};
INSERT INTO laybys (org_id, id, reference, customer_id, status, trade, jurisdiction, currency, items_minor,
                    service_fee_minor, admin_fee_minor, paid_minor, deposit_minor, rhythm, start_date, final_date,
                    next_due_n, next_due_date, next_due_minor, terms, held_since, completions, completed_at, collect_by,
                    released_at, defaulted_at, cancelled_at, cancelled_by, created_at, updated_at)
SELECT $1, id, 'A' || to_char(i, 'FM000000'), customer_id, status, 'other', 'KE', 'KES', 60000, 0, 0,
       12000 + 8000 * (p - 1), 12000, 'monthly', start, start + 182,
       CASE WHEN status IN ('active', 'on_hold', 'defaulted') THEN p END,
       CASE WHEN status IN ('active', 'on_hold', 'defaulted') THEN (start + p * interval '1 month')::date END,
       CASE WHEN status IN ('active', 'on_hold', 'defaulted') THEN 8000 END, $3,
       CASE WHEN status = 'on_hold' THEN start + 20 END, CASE WHEN status = 'completed' THEN 1 ELSE 0 END,
       CASE WHEN status = 'completed' THEN start + interval '180 days' END,
       CASE WHEN status = 'completed' THEN start + 194 END,
       CASE WHEN status = 'completed' AND i % 50 > 0 THEN start + interval '185 days' END,
       CASE WHEN status = 'defaulted' THEN start + interval '100 days' END,
       CASE WHEN status = 'cancelled' THEN start + interval '90 days' END,
       CASE WHEN status = 'cancelled' THEN 'customer' END, start, start
  FROM made;
INSERT INTO layby_items (org_id, layby_id, n, product, name, quantity, unit_price_minor)
SELECT $1, id, n, 'P-' || ((i + n) % 2000), 'Product ' || ((i + n) % 2000), 1, 30000
  FROM made, generate_series(1, 2) n;
INSERT INTO layby_instalments (org_id, layby_id, n, agreed_date, due_date, amount_minor)
SELECT $1, id, n, d, d, 8000 FROM made, generate_series(1, 6) n,
       LATERAL (SELECT (start + n * interval '1 month')::date AS d) s;
INSERT INTO payments (org_id, id, root_id, kind, method, provider, receipt, disposition, currency, amount_minor,
                      applied_minor, credit_minor, suspense_minor, balance_minor, layby_id, customer_id, account_ref,
                      paid_at, created_at)
SELECT $1, pid, pid, 'payment', 'mobile', 'daraja', upper(substr(md5($1::text || i || '-' || n), 1, 10)), 'applied',
       'KES', amount, amount, 0, 0, 0, id, customer_id, 'A' || to_char(i, 'FM000000'), at, at
  FROM made, generate_series(1, p) n,
       LATERAL (SELECT CASE WHEN n = 1 THEN 12000 ELSE 8000 END AS amount,
                       (start + (n - 1) * interval '25 days' + (i % 86400) * interval '1 second') AS at,
                       uuidv7(-(age - (n - 1) * 25) * interval '1 day' + (i % 80000) * interval '1 second') AS pid) s;
"""


# Laybys that run, and how much pays each of some off.
RUNNING = """
SELECT id, balance_minor, reference FROM laybys WHERE org_id = $1 AND status = 'active' ORDER BY md5(id::text) LIMIT $2
"""
MEMBER = "INSERT INTO memberships (org_id, user_id, role, created_at) VALUES ($1, $2, 'owner', now())"


@dataclass(slots=True)
class Shop:
    """An organisation of the stand, somebody's token for it, and some of what it has."""

    org_id: UUID
    token: str
    customers: Sequence[UUID]
    active: Sequence[UUID]
    to_complete: list[tuple[UUID, int]]
    references: Sequence[str]
    user_id: UUID


async def fill(stand: Stand, laybys: int, shops: int) -> list[Shop]:
    """So many laybys over so many shops, with five payments each on the average; says how far it is."""
    each, now = max(1, laybys // shops), datetime.now(UTC)
    async with open_services(Settings.from_env(stand.environment)) as services:
        org_ids = [await services.identity.add_organisation(f"Shop {n}", SELLING) for n in range(1, shops + 1)]
        terms = msgspec.json.encode(Terms(default_rules("other", "KES"), JURISDICTIONS["KE"])).decode()
        await _fill_all(stand, org_ids, each, now, terms)
        return await _open(stand, services, org_ids)


async def _fill_all(stand: Stand, org_ids: Sequence[UUID], each: int, now: datetime, terms: str) -> None:
    done = 0

    async def some(mine: Sequence[UUID]) -> None:
        nonlocal done
        async with stand.superuser() as conn:
            await conn.execute("SET session_replication_role = replica")  # foreign keys hold by the way it is made
            for org_id in mine:
                await _fill_one(conn, org_id, each, now, terms)
                done += 1
                if done % SAID_EVERY == 0 or done == len(org_ids):
                    say(f"  {done * each:,} of {len(org_ids) * each:,} laybys")

    await asyncio.gather(some(org_ids[::2]), some(org_ids[1::2]))
    async with stand.superuser() as conn:
        for table in ("customers", "laybys", "layby_items", "layby_instalments", "payments"):
            await conn.execute(f"VACUUM ANALYZE {table}")


async def _open(stand: Stand, services: Services, org_ids: Sequence[UUID]) -> list[Shop]:
    """One owner of all of them, signed in at each."""
    user_id = await services.identity.add_user(
        org_id=org_ids[0], name="Owner", role=Role.OWNER, password=PASSWORD, phone=PHONE
    )
    made = []
    async with stand.superuser() as conn:
        for org_id in org_ids:
            if org_id != org_ids[0]:
                await conn.execute(MEMBER, org_id, user_id)
            customers = await conn.fetch("SELECT id FROM customers WHERE org_id = $1 LIMIT 100", org_id)
            running = await conn.fetch(RUNNING, org_id, KNOWN)
            user = User(user_id, "Owner", PHONE, None, org_id, "Shop", Role.OWNER, None)
            async with services.database.transaction(SYSTEM) as own:
                signed_in = await services.sessions.begin(own, user, "loadtest")
            some = len(running) // 4
            made.append(
                Shop(
                    org_id,
                    signed_in.access_token,
                    [row["id"] for row in customers],
                    [row["id"] for row in running[some:]],
                    [(row["id"], row["balance_minor"]) for row in running[:some]],
                    [row["reference"] for row in running[some:]],
                    user_id,
                )
            )
    return made


async def _fill_one(
    conn: asyncpg.Connection[asyncpg.Record], org_id: UUID, laybys: int, now: datetime, terms: str
) -> None:
    text = FILL.format(customers=min(CUSTOMERS, laybys), laybys=laybys)
    values = {"$1": f"'{org_id}'::uuid", "$2": f"'{now.date()}'", "$3": "'" + terms.replace("'", "''") + "'::jsonb"}
    for name, value in values.items():
        text = text.replace(name, value)
    async with conn.transaction():
        await conn.execute(text)
