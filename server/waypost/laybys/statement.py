"""A layby's papers: the agreement, and the statement."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from waypost.identity.domain import OrgSettings
from waypost.identity.service import settings_of
from waypost.kernel.clock import Clock
from waypost.kernel.principal import WATCHERS, Principal
from waypost.laybys import storage_read
from waypost.laybys import storage_statement as storage
from waypost.laybys.documents import agreement as agreements
from waypost.laybys.documents import statement as statements
from waypost.laybys.documents.agreement import Parties
from waypost.laybys.documents.movements import account_of, expected_balance
from waypost.laybys.documents.statement import Statement
from waypost.laybys.documents.words import LANGUAGES
from waypost.laybys.domain import LaybyNotFound
from waypost.laybys.storage_read import Whole
from waypost.platform.database import Connection, Database
from waypost.platform.papers.model import Paper
from waypost.platform.papers.pen import pen_for
from waypost.platform.telemetry import log


@dataclass(frozen=True, slots=True)
class Found:
    """What a paper is made from."""

    whole: Whole
    parties: Parties
    settings: OrgSettings


@dataclass(frozen=True, slots=True)
class LaybyPapers:
    """Every method for staff; ``language``: a BCP 47 tag, None: the customer's own, or the organisation's."""

    database: Database
    clock: Clock

    async def agreement(self, principal: Principal, layby_id: UUID, language: str | None) -> Paper:
        """The agreement as it was made. ``LaybyNotFound``."""
        principal.require(WATCHERS)
        async with self.database.transaction(principal.org_id, snapshot=True) as conn:
            found = await _found(conn, principal.org_id, layby_id)
        layby, settings = found.whole.layby, found.settings
        pen = pen_for(LANGUAGES, _language(found, language), layby.currency, settings.time_zone)
        return agreements.agreement(layby, found.whole.items, found.parties, settings.selling, pen)

    async def statement(self, principal: Principal, layby_id: UUID) -> Statement:
        """Every charge, payment, credit and refund, with what was owed after it. ``LaybyNotFound``."""
        return (await self._statement(principal, layby_id))[0]

    async def printed_statement(self, principal: Principal, layby_id: UUID, language: str | None) -> Paper:
        """The same as a paper."""
        statement, found = await self._statement(principal, layby_id)
        settings = found.settings
        pen = pen_for(LANGUAGES, _language(found, language), statement.layby.currency, settings.time_zone)
        return statements.paper_of(statement, found.parties, settings.selling, pen)

    async def _statement(self, principal: Principal, layby_id: UUID) -> tuple[Statement, Found]:
        principal.require(WATCHERS)
        org_id = principal.org_id
        async with self.database.transaction(org_id, snapshot=True) as conn:
            found = await _found(conn, org_id, layby_id)
            layby = found.whole.layby
            rows = await storage.booked(conn, org_id, layby_id)
            credit = await storage.credit_of(conn, org_id, layby.customer_id, layby.currency)
        account = account_of(layby, rows)
        if account.balance_minor != expected_balance(layby):  # the nightly reconciliation says which rows
            log.error("statement_differs", layby_id=str(layby_id))
        return Statement(layby, account, credit, self.clock.now()), found


async def _found(conn: Connection, org_id: UUID, layby_id: UUID) -> Found:
    whole = await storage_read.whole(conn, org_id, layby_id)
    if whole is None:
        raise LaybyNotFound
    parties = await storage.parties(conn, org_id, whole.layby.customer_id)
    return Found(whole, parties, await settings_of(conn, org_id))


def _language(found: Found, asked: str | None) -> str:
    return asked or found.parties.locale or found.settings.selling.locale
