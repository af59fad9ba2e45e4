"""What a report does to its delivery, and to what is known of its address. In the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from waypost.identity.domain import Telling
from waypost.kernel.clock import Clock
from waypost.notifications import storage as deliveries
from waypost.notifications.addresses import ChannelName
from waypost.notifications.announce import Announcer
from waypost.notifications.consent import asking
from waypost.notifications.consent.domain import Why, sender_of
from waypost.notifications.providers.accounts import ProviderAccount
from waypost.notifications.providers.reports import Report, Said
from waypost.notifications.receipts import storage
from waypost.notifications.receipts.domain import MOVES, Disposition, Receipt, is_anothers, waits
from waypost.notifications.seen_domain import Delivery
from waypost.notifications.states import State
from waypost.platform.database import Connection
from waypost.realtime.service import Publisher


class NotYet(Exception):
    """The message that a report names is not known, and may still become so: everything of it is put off."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """Applies reports. Locks: the receipt (its caller), then the deliveries in the order of their ids."""

    clock: Clock
    publisher: Publisher

    async def delivery_of(self, conn: Connection, row: Receipt, report: Report) -> UUID | None:
        """The delivery that it is about; None: none of this organisation's. ``NotYet``."""
        named = report.delivery_id or row.delivery_id
        found = await storage.of_org(conn, row.org_id, named) if named else None
        if found is None and report.reference:
            found = await storage.by_reference(conn, row.org_id, row.provider_id, report.reference)
            if found is None and report.said is not Said.NOTHING and waits(row, self.clock.now()):
                raise NotYet
        return found

    async def apply(
        self, conn: Connection, account: ProviderAccount, report: Report, delivery_id: UUID | None, telling: Telling
    ) -> Disposition:
        """May be repeated. The rank of a delivery never falls, and the first error stays: that is in the moves."""
        before = await deliveries.lock(conn, account.org_id, delivery_id) if delivery_id else None
        ended = await self._move(conn, report, before) if before else Disposition.UNKNOWN
        known = await self._learn(conn, account, report, before, telling)
        return Disposition.APPLIED if known and ended is not Disposition.APPLIED else ended

    async def _move(self, conn: Connection, report: Report, before: Delivery) -> Disposition:
        event = MOVES.get(report.said)
        if event is None:
            return Disposition.IGNORED
        if report.said is Said.UNDELIVERED and is_anothers(report, before):
            return Disposition.STALE
        await storage.charge(conn, before.org_id, before.id, report.segments, report.cost, report.cost_currency)
        reason = (report.reason or "undelivered") if report.said is Said.UNDELIVERED else None
        now = self.clock.now()
        state = await deliveries.report(
            conn, before.org_id, before.id, event, reason=reason, now=now, provider_ref=report.reference or None
        )
        if state is None:
            return Disposition.STALE
        await Announcer(self.publisher, self.clock).changed(conn, [replace(before, state=state, reason=reason)])
        if state is State.DELIVERED:
            await asking.arrived(conn, before.org_id, before.id, self.clock)
        return Disposition.APPLIED

    async def _learn(
        self, conn: Connection, account: ProviderAccount, report: Report, delivery: Delivery | None, telling: Telling
    ) -> bool:
        """What it says of the address. Of a message that we do not know, too: the account is the organisation's own;
        but the installation's mail server speaks only of what it has sent.
        """
        address = delivery.address if delivery else report.address
        if not address:
            return False
        channel = ChannelName(delivery.channel) if delivery else account.channel
        learned = False
        if report.hard is not None:
            learned = True
            await asking.bounced(
                conn, account.org_id, channel=channel, address=address, hard=report.hard, code=report.code,
                delivery_id=delivery.id if delivery else None, source=account.provider, telling=telling,
                clock=self.clock,
            )  # fmt: skip
        if report.suppress is not None:
            learned = True
            await asking.suppress(
                conn, account.org_id, channel=channel, address=address, reason=report.suppress,
                sender=sender_of(account) if report.suppress == Why.OPTED_OUT else "", source=account.provider,
                detail=report.code, clock=self.clock,
            )  # fmt: skip
        return learned
