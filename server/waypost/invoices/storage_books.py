"""SQL of the counterparty's half of an entry."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from waypost.invoices.domain import Invoice
from waypost.ledger.domain import KINDS, Entry, Line, account_id
from waypost.platform.database import Connection

POST_THEIRS = """
SELECT waypost_post_to_counterparty($1, $2, $3, $4, $5, $6, $7::uuid[], $8::text[], $9::text[], $10::bigint[])
"""


async def post_theirs(conn: Connection, invoice: Invoice, entry_id: UUID, entry: Entry, lines: Sequence[Line]) -> bool:
    """Book it in the counterparty's books; False, and nothing written, when its key is there already."""
    theirs = invoice.counterparty_org_id
    ids = [account_id(theirs, line.account, invoice.currency, line.counterparty_org_id) for line in lines]
    return bool(
        await conn.fetchval(
            POST_THEIRS, invoice.id, entry_id, entry.key, entry.kind, entry.note, entry.at, ids,
            [str(line.account) for line in lines], [str(KINDS[line.account]) for line in lines],
            [line.amount_minor for line in lines],
        )
    )  # fmt: skip
