"""What providers sent is forgotten when its time has come, and not before; prompts are listed by their index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from tests.factories import Org
from tests.freight import as_owner
from tests.servers import Servers
from tests.statements import add, daraja, import_, line
from tests.tills import Shop
from waypost.kernel.clock import Clock
from waypost.payments import storage_prompts
from waypost.payments.prompts import Asked
from waypost.payments.storage_statements import State
from waypost.payments.upkeep import PaymentUpkeep
from waypost.platform.database import SYSTEM
from waypost.wiring import Services

DAY = timedelta(days=1)
ADD = """
INSERT INTO callbacks (org_id, id, provider_id, road, body, received_at, due_at, disposition, detail, done_at,
                       settled_at)
SELECT $1, uuidv7(), $2, 'stk', 'Chipo', $3, $3, each.disposition, each.name, each.done_at, each.settled_at
  FROM unnest($4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[]) AS each (name, disposition, done_at,
                                                                                    settled_at)
"""


async def rows(services: Services, statement: str, *arguments: object) -> list[Record]:
    async with services.database.transaction(SYSTEM) as conn:
        found: list[Record] = await conn.fetch(statement, *arguments)
    return found


async def add_callbacks(shop: Shop, account_id: UUID, old: datetime, new: datetime) -> None:
    """By name: what became of each, when, and when it was settled."""
    each: list[tuple[str, str | None, datetime | None, datetime | None]] = [
        ("old", "applied", old, None),
        ("new", "applied", new, None),
        ("open", None, None, None),
        ("question", "review", old, None),
        ("locked away", "quarantined", old, None),
        ("settled lately", "review", old, new),
        ("settled", "review", old, old),
    ]
    columns = [list(column) for column in zip(*each, strict=True)]
    await rows(shop.services, ADD, shop.org.org_id, account_id, old, *columns)


async def test_bodies_and_phones_are_forgotten_once_they_are_settled_and_old(services: Services, org: Org):
    clock: Clock = services.clock
    shop = await Shop.of(org)
    account, now = await daraja(shop), clock.now()
    await add_callbacks(shop, account.id, now - 91 * DAY, now - 89 * DAY)
    sent = [line("R1", datetime.now(UTC), paid_in="5.00")]
    done, _ = await import_(shop, account, sent)
    waiting = await add(shop, account, [line("R2", datetime.now(UTC), paid_in="5.00")])
    ended, asked = [await services.money.prompts.create(org.owner, Asked((await shop.layby()).id, "+254708374149"))
                    for _ in range(2)]  # fmt: skip
    long_ago = now - 91 * DAY
    await rows(
        services, "UPDATE payment_statements SET finished_at = $1, state = 'failed' WHERE id = $2", long_ago, done.id
    )
    await rows(services, "UPDATE prompts SET updated_at = $1", long_ago)
    await rows(services, "UPDATE prompts SET state = 'failed' WHERE id = $1", ended.id)
    upkeep = PaymentUpkeep(services.database, clock)
    assert [await upkeep.forget(90 * DAY), await upkeep.forget(90 * DAY)] == [4, 0]
    kept = await rows(services, "SELECT detail FROM callbacks WHERE body = 'Chipo' ORDER BY detail")
    names = await rows(services, "SELECT detail FROM callbacks WHERE body = '' ORDER BY detail")
    assert [row["detail"] for row in names] == ["old", "settled"]
    assert [row["detail"] for row in kept] == ["locked away", "new", "open", "question", "settled lately"]
    phones = {row["id"]: row["phone"] for row in await rows(services, "SELECT id, phone FROM prompts")}
    assert phones == {ended.id: "…149", asked.id: "+254708374149"}
    bodies = {row["id"]: row["body"] for row in await rows(services, "SELECT id, body FROM payment_statements")}
    assert bodies[done.id] == b""
    assert b"R2" in bodies[waiting.id]
    again, lines = await import_(shop, account, sent)
    assert (again.id, again.state, len(lines)) == (done.id, State.DONE, 1), "a failed one goes on with the file anew"


SEED = """
INSERT INTO prompts (org_id, id, provider_id, layby_id, phone, currency, amount_minor, token_hash, token, state,
                     created_at, updated_at)
SELECT $1, id, $2, $3, '+254708374149', 'KES', 1, uuid_send(id), '', CASE n WHEN 1 THEN 'review' ELSE 'failed' END,
       now(), now()
  FROM (SELECT uuidv7() AS id, n FROM generate_series(1, 5000) n) s
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def test_prompts_of_a_state_are_read_by_its_index(services: Services, org: Org, servers: Servers):
    shop = await Shop.of(org)
    account, layby = await daraja(shop), await shop.layby()
    await rows(services, SEED, org.org_id, account.id, layby.id)
    async with as_owner(services, servers) as owner:
        await owner.execute("ANALYZE prompts")
    async with services.database.transaction(org.org_id) as conn:
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {storage_prompts.LIST_BY_STATE}"
        text = await conn.fetchval(explain, org.org_id, storage_prompts.LAST_ID, 51, "review")
    (read,) = [node for node in nodes(json.loads(text)[0]["Plan"]) if node.get("Index Name")]
    assert read["Index Name"] == "prompts_state"
    assert read["Actual Rows"] + read.get("Rows Removed by Filter", 0) == 1
