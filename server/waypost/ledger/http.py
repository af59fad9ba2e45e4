"""HTTP edge of the books."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.errors import Invalid
from waypost.kernel.principal import MONEY
from waypost.ledger import wire
from waypost.ledger.domain import AccountNotFound
from waypost.ledger.service import Ledger
from waypost.platform.queries import PageQuery
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, path_id, read_query, reply_page

PATH = "/api/v1/accounts"


@dataclass(frozen=True, slots=True)
class LedgerRoutes:
    """Accounts and their lines."""

    ledger: Ledger

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.list_accounts, answer=wire.Account, listing=True, query=PageQuery, roles=MONEY,
                  cache=Cache.PRIVATE),
            Route("GET", PATH + "/{account_id}/entries", self.list_entries, answer=wire.AccountLine, listing=True,
                  query=wire.LinesQuery, roles=MONEY, errors=(AccountNotFound, Invalid), cache=Cache.PRIVATE),
        ]  # fmt: skip

    async def list_accounts(self, request: web.Request) -> web.Response:
        """Your organisation's accounts, each with its balance; an account begins with the first entry booked to it."""
        query = read_query(request, PageQuery)
        page = await self.ledger.accounts(request[PRINCIPAL], query.limit, query.cursor)
        return reply_page(request, page, wire.Account.from_domain)

    async def list_entries(self, request: web.Request) -> web.Response:
        """What was booked to an account, newest first, each line with the account's balance after it."""
        account_id = path_id(request, "account_id", AccountNotFound)
        query = read_query(request, wire.LinesQuery)
        page = await self.ledger.entries(request[PRINCIPAL], account_id, query.to_domain(), query.limit, query.cursor)
        return reply_page(request, page, wire.AccountLine.from_domain)
