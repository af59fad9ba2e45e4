"""The organisation's rules by trade: what was changed holds for agreements that are made from then on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from waypost.identity import audit
from waypost.identity.domain import Selling
from waypost.identity.rules import Rules
from waypost.kernel.clock import Clock
from waypost.kernel.errors import NotFound, Stale, invalid_field
from waypost.kernel.principal import WATCHERS, Principal, Role
from waypost.laybys import storage_rules
from waypost.laybys.jurisdictions import JURISDICTIONS
from waypost.laybys.rules import TRADES, Terms, TradeRules, check_rules, default_rules, in_currency, lawful
from waypost.platform.database import Connection, Database

OWNERS = frozenset({Role.OWNER})


class TradeNotFound(NotFound):
    """There is no such trade."""

    code = "trade-not-found"


@dataclass(frozen=True, slots=True)
class RuleBook:
    """An organisation's rules. ``settings``: what it has set for itself: currency and jurisdiction."""

    database: Database
    clock: Clock
    settings: Rules

    async def all(self, principal: Principal) -> Sequence[Terms]:
        """The terms of a new agreement, for each trade."""
        principal.require(WATCHERS)
        selling = (await self.settings.of(principal.org_id)).selling
        async with self.database.transaction(principal.org_id) as conn:
            own = await storage_rules.find_rules(conn, principal.org_id)
        return [_terms(own.get(trade), selling, trade) for trade in TRADES]

    async def of(self, principal: Principal, trade: str) -> Terms:
        """The terms of a new agreement. ``TradeNotFound``."""
        principal.require(WATCHERS)
        _check_trade(trade)
        selling = (await self.settings.of(principal.org_id)).selling
        async with self.database.transaction(principal.org_id) as conn:
            own = await storage_rules.find_rules(conn, principal.org_id, trade)
        return _terms(own.get(trade), selling, trade)

    async def change(self, principal: Principal, rules: TradeRules, *, expected: int | None = None) -> Terms:
        """Make the next version of ``rules.trade``'s rules; their currency and version are set here.

        ``Invalid`` names each field that contradicts itself or the law; ``Stale``: another version was made meanwhile.
        """
        principal.require(OWNERS)
        _check_trade(rules.trade)
        selling = (await self.settings.of(principal.org_id)).selling
        law = JURISDICTIONS[selling.jurisdiction]
        check_rules(rules, law)
        async with self.database.transaction(principal.org_id) as conn:
            own = await storage_rules.find_rules(conn, principal.org_id, rules.trade)
            before = own[rules.trade].version if rules.trade in own else 0
            if expected not in (None, before):
                raise Stale
            made = msgspec.structs.replace(rules, currency=selling.currency, version=before + 1)
            if not await storage_rules.add_rules(conn, principal.org_id, made, principal.user_id, self.clock.now()):
                raise Stale
            await audit.record(
                conn, principal, self.clock, action="layby_rules.changed", subject_kind="organisation",
                subject_id=principal.org_id, detail={"trade": made.trade, "version": made.version},
            )  # fmt: skip
        return Terms(made, law)


async def terms_for(conn: Connection, org_id: UUID, selling: Selling, trade: str, currency: str | None = None) -> Terms:
    """What a new agreement is made under: the organisation's rules or the defaults, within the law where it sells.

    ``currency`` None: the organisation's. ``Invalid`` for a trade that there is not, and for a currency in which a
    limit of the organisation's own rules means nothing.
    """
    if trade not in TRADES:
        raise invalid_field("trade", f"one of {', '.join(TRADES)}")
    own = (await storage_rules.find_rules(conn, org_id, trade)).get(trade)
    if own and own.most_total_minor is not None and own.currency != (currency or selling.currency):
        raise invalid_field("currency", f"{own.currency}: the rules of {trade} limit the total in it")
    return _terms(own, selling, trade, currency)


def _terms(own: TradeRules | None, selling: Selling, trade: str, currency: str | None = None) -> Terms:
    law, currency = JURISDICTIONS[selling.jurisdiction], currency or selling.currency
    rules = in_currency(own, currency) if own else default_rules(trade, currency)
    return Terms(lawful(rules, law), law)


def _check_trade(trade: str) -> None:
    if trade not in TRADES:
        raise TradeNotFound
