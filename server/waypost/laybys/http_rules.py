"""HTTP edge of the rules by trade."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from waypost.kernel.errors import Stale
from waypost.kernel.principal import WATCHERS
from waypost.laybys import wire_rules
from waypost.laybys.rule_book import OWNERS, RuleBook, TradeNotFound
from waypost.laybys.rules import Terms
from waypost.platform.routes import Cache, Route
from waypost.platform.web import PRINCIPAL, if_match, read_body, reply, reply_versioned

PATH = "/api/v1/layby-rules"


@dataclass(frozen=True, slots=True)
class RuleRoutes:
    """The organisation's rules, trade by trade."""

    rules: RuleBook

    def routes(self) -> list[Route]:
        one = PATH + "/{trade}"
        return [
            Route("GET", PATH, self.list_rules, answer=wire_rules.RuleBook, roles=WATCHERS, cache=Cache.PRIVATE),
            Route("GET", one, self.get, answer=Terms, roles=WATCHERS, errors=(TradeNotFound,), cache=Cache.PRIVATE,
                  versioned=True),
            Route("PUT", one, self.change, answer=Terms, body=wire_rules.NewRules, roles=OWNERS,
                  errors=(TradeNotFound, Stale), versioned=True),
        ]  # fmt: skip

    async def list_rules(self, request: web.Request) -> web.Response:
        """The rules of every trade, yours or the defaults, and what the law sets limits to."""
        return reply(wire_rules.RuleBook.from_domain(await self.rules.all(request[PRINCIPAL])))

    async def get(self, request: web.Request) -> web.Response:
        """What a new layby of a trade is made under."""
        return _reply(await self.rules.of(request[PRINCIPAL], request.match_info["trade"]))

    async def change(self, request: web.Request) -> web.Response:
        """Set a trade's rules, within the law; laybys that were made before keep theirs."""
        body, expected = await read_body(request, wire_rules.NewRules), if_match(request)
        rules = body.to_domain(request.match_info["trade"])
        return _reply(await self.rules.change(request[PRINCIPAL], rules, expected=expected))


def _reply(terms: Terms) -> web.Response:
    return reply_versioned(terms, terms.rules.version)
