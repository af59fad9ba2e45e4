"""One of everything that has to do with money, for tests that are generated from the route table."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from tests.factories import Org, organisation
from tests.statements import add, daraja, line
from tests.tills import Shop
from waypost.invoices.domain import Line
from waypost.invoices.service import NewInvoice
from waypost.payments.prompts import Asked
from waypost.payments.providers.accounts import Initiator
from waypost.trips.service import NewTrip

FIRST = {
    "account_id": "SELECT account_id FROM postings ORDER BY account_id LIMIT 1",
    "payment_id": "SELECT payment_id FROM reversal_requests LIMIT 1",
    "callback_id": "SELECT id FROM callbacks ORDER BY id LIMIT 1",
    "alert_id": "SELECT id FROM alerts ORDER BY id LIMIT 1",
}


async def money_things(org: Org) -> dict[str, Any]:
    """By the name that its id (or token) has in a path."""
    money, shop = org.services.money, await Shop.of(org)
    layby = await shop.layby()
    account = await daraja(shop)
    token = (await money.providers.replace_token(org.owner, account.id))[1]
    door = await money.callbacks.door(token, "127.0.0.1")
    await money.callbacks.take(door.account, "confirmation", b"not to be understood", "127.0.0.1")
    await asyncio.gather(*money.callbacks.tasks)  # its alert is one of the things
    statement = await add(shop, account, [line("R1", datetime.now(UTC), paid_in="5.00")])
    await money.providers.change(org.owner, account.id, {"config": {"initiator": Initiator("shop-api", "sealed")}})
    await money.reversals.create(org.owner, (await shop.pay(layby, 10_00)).id, "paid twice")
    prompt = await money.prompts.create(org.owner, Asked(layby.id, "+254708374149"))
    buyer = await organisation(org.services, "Kwekwe Kitchens")
    await org.services.trips.create(org.owner, NewTrip(destination_org_id=buyer.org_id))
    lines = [Line("Freight", 1000, 50_00, 0)]
    invoice = await money.invoices.create(org.owner, NewInvoice(buyer.org_id, "KES", lines=lines))
    async with org.services.database.transaction(org.org_id) as conn:
        rows = {name: await conn.fetchval(query) for name, query in FIRST.items()}
    return rows | {
        "layby_id": layby.id,
        "provider_id": account.id,
        "token": token,
        "statement_id": statement.id,
        "prompt_id": prompt.id,
        "invoice_id": invoice.id,
        "trade": "clothing",
    }
