"""Reading the books: an organisation's own accounts, and what was booked to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

from msgspec import Meta

from waypost.kernel.ids import uuid7
from waypost.kernel.paging import Page, decode_cursor, page_of
from waypost.kernel.principal import MONEY, Principal
from waypost.ledger import storage_books
from waypost.ledger.domain import AccountNotFound, BookedAccount, BookLine, Lines
from waypost.ledger.parties import names_of
from waypost.platform.codec import NO_NUL
from waypost.platform.database import Database


class AccountPlace(NamedTuple):
    """Where a list of accounts goes on; of a cursor, which may be anybody's making."""

    code: Annotated[str, Meta(max_length=100, pattern=NO_NUL)]
    currency: Annotated[str, Meta(max_length=3, pattern=NO_NUL)]
    id: UUID


FIRST = AccountPlace("", "", storage_books.FIRST_ID)


class LinePlace(NamedTuple):
    """Where a list of lines goes on."""

    entry_id: UUID
    n: Annotated[int, Meta(ge=0, le=2**15 - 1)]


@dataclass(frozen=True, slots=True)
class Ledger:
    """For who keeps the books; each organisation reads its own alone."""

    database: Database

    async def accounts(self, principal: Principal, limit: int, cursor: str | None) -> Page[BookedAccount]:
        """Accounts that were posted to, with what they come to; by code and currency."""
        principal.require(MONEY)
        after = decode_cursor(cursor, AccountPlace) if cursor else FIRST
        async with self.database.transaction(principal.org_id) as conn:
            rows = await storage_books.accounts(conn, principal.org_id, after, limit)
        return page_of(await self._named(rows), limit, lambda account: (account.code, account.currency, account.id))

    async def entries(
        self, principal: Principal, account_id: UUID, wanted: Lines, limit: int, cursor: str | None
    ) -> Page[BookLine]:
        """An account's lines, newest first, each with what the account came to. ``AccountNotFound``."""
        principal.require(MONEY)
        before = decode_cursor(cursor, LinePlace) if cursor else _before(wanted.until)
        first = uuid7(wanted.since, 0) if wanted.since is not None else storage_books.FIRST_ID
        async with self.database.transaction(principal.org_id) as conn:
            if not await storage_books.account_exists(conn, principal.org_id, account_id):
                raise AccountNotFound
            rows = await storage_books.lines(
                conn, principal.org_id, account_id, wanted.customer_id, before, first, limit
            )
        return page_of(rows, limit, lambda line: (line.entry_id, line.n))

    async def _named(self, rows: Iterable[BookedAccount]) -> list[BookedAccount]:
        found = list(rows)
        names = await names_of(self.database, {row.counterparty_org_id for row in found if row.counterparty_org_id})
        return [
            replace(row, counterparty_name=names.get(row.counterparty_org_id)) if row.counterparty_org_id else row
            for row in found
        ]


def _before(until: datetime | None) -> LinePlace:
    """What a first page ends before."""
    return LinePlace(uuid7(until, 0) if until is not None else storage_books.LAST_ID, 0)
